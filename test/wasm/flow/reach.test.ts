/**
 * How far into the host a guest gets: its own addresses, what is next to them, and every disguise
 * of an address, in the real engine. By TCP, UDP and ping alike.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { mappedOctetsOf } from "../../../src/lib/addr6.ts";
import { DNS, DNS6, GATEWAY, GATEWAY6, GUEST, PEER, PEER6 } from "../../support/engine-settings.ts";
import { ip, ip6 } from "../../support/packet.ts";
import { TcpGuest } from "../../support/tcp-guest.ts";
import { World6, type World6Options } from "../../support/world6.ts";

const OWN = "192.0.2.10";
const OWN6 = "2001:db8:9::10";
const ANY = mappedOctetsOf(0);
const ANY6 = ip6("::");
const METADATA = ["169.254.169.254", "fd00:ec2::254", "fd20:ce::254", "64:ff9b::a9fe:a9fe"];
/** Own, link-local and site-local addresses, and own ones inside of others. */
const REFUSED = [
  ...[OWN, OWN6, "169.254.1.1", "169.254.170.2", "fec0::1", "feff::1"],
  ...["2002:c000:20a::1", "64:ff9b::c000:20a", "64:ff9b:1::c000:20a", "::ffff:0:c000:20a"],
  ...["64:ff9b:1:c000:2:a00::", "64:ff9b:1:c0:0:20a::", "64:ff9b:1::c0:2:a00:0"],
  ...["64:ff9b::a9fe:101", "2001:0:c000:20a:0:0:f7f7:f7f7", "2001:0:102:304:0:0:3fff:fdf5"],
];
/** Loopback, nobody and the guest network inside of others: refused whatever is allowed. */
const NEVER = [
  ...["2002:7f00:1::1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "64:ff9b:1:7f00:0:100::"],
  ...["::ffff:0:7f00:1", "2002::1", "64:ff9b::", "64:ff9b:1::", "64:ff9b::a00:202"],
  ...["64:ff9b::e000:1", "64:ff9b::ffff:ffff", "2001::1"],
];
/** Dropped without a word, as no router would carry them. */
const SILENT = [
  ...["127.0.0.1", "127.1.2.3", "0.0.0.0", "0.1.2.3", "255.255.255.255", "10.0.2.77"],
  ...["::", "::1", "::7f00:1", "::ffff:7f00:1", "::ffff:c000:20a", "fe80::1", "ff02::1"],
  ...["fd10:0:2::77", "::c000:20a"],
];
const OPEN = [
  ...[PEER, PEER6, "192.0.2.11", "2001:db8:9::11", "64:ff9b::808:808", "64:ff9b:1::808:808"],
  ...["64:ff9b:1:808:8:800::", "2002:808:808::1", "fd00::1", "10.0.3.2"],
];

function worldOf(options: World6Options = {}): World6 {
  const world = new World6(options);
  world.engine.setHostAddresses([mappedOctetsOf(ip(OWN)), ip6(OWN6), mappedOctetsOf(0x7f000001)]);
  return world;
}

const refusing: World6Options = { refusesHost: true, refusesMetadata: true };

/** What the guest hears of a datagram: "sent", "prohibited", "unreachable" or "nothing". */
function datagram(world: World6, to: string): string {
  world.take();
  const before = world.stats.udpToHost;
  world.guest(world.udp({ to, port: 9000 }, "x"));
  const frames = world.take();
  if (world.stats.udpToHost > before) return "sent";
  const [frame] = frames;
  if (frame?.kind === "icmp") return frame.code === 13 ? "prohibited" : "unreachable";
  if (frame?.kind === "icmp6") return frame.code === 1 ? "prohibited" : "unreachable";
  return frames.length === 0 ? "nothing" : (frame?.kind ?? "");
}

/** What it hears of a SYN: "asked" (the host is), "reset" or "nothing". */
function connection(world: World6, peer: string): string {
  world.take();
  const port = 40000 + world.host.sockets.length;
  const guest = new TcpGuest(world, { port, peer, peerPort: 9000 });
  const before = world.host.sockets.length;
  guest.send({ flags: "S" });
  if (world.host.sockets.length > before) return "asked";
  const [frame] = world.take();
  return frame?.kind === "tcp" && frame.flags.includes("R") ? "reset" : "nothing";
}

describe("wasm/flow/reach", () => {
  test("own, link-local and site-local addresses are refused in every form", () => {
    for (const address of REFUSED) {
      const world = worldOf(refusing);
      assert.equal(datagram(world, address), "prohibited", address);
      assert.equal(connection(world, address), "reset", address);
      assert.equal(world.stats.dropHostAddress, 2, address);
      world.guest(world.ping(address, 1, 1, "x"));
      assert.equal(world.stats.dropHostAddress, 3, address);
      assert.equal(world.host.sockets.length, 0, address);
    }
  });

  test("they are reached where that is allowed", () => {
    for (const address of REFUSED) {
      const world = worldOf();
      assert.equal(datagram(world, address), "sent", address);
      assert.equal(connection(world, address), "asked", address);
    }
  });

  test("metadata services have a switch of their own", () => {
    for (const address of METADATA) {
      const world = worldOf({ refusesMetadata: true });
      assert.equal(datagram(world, address), "prohibited", address);
      assert.equal(connection(world, address), "reset", address);
      assert.equal(world.stats.dropMetadata, 2, address);
      assert.equal(datagram(worldOf({ refusesHost: true }), address), "sent", address);
    }
  });

  test("loopback and nobody inside of IPv6 addresses are refused, whatever is allowed", () => {
    for (const address of NEVER) {
      const world = worldOf({ hostLoopback: true });
      assert.equal(datagram(world, address), "prohibited", address);
      assert.equal(connection(world, address), "reset", address);
    }
  });

  test("what no router carries is dropped without a word", () => {
    for (const address of SILENT) {
      for (const options of [refusing, { hostLoopback: true }]) {
        const world = worldOf(options);
        assert.equal(datagram(world, address), "nothing", address);
        assert.equal(connection(world, address), "nothing", address);
        assert.equal(world.host.sockets.length, 0, address);
      }
    }
  });

  test("everybody else is reached", () => {
    for (const address of OPEN) {
      const world = worldOf(refusing);
      assert.equal(datagram(world, address), "sent", address);
      assert.equal(connection(world, address), "asked", address);
    }
  });

  test("the gateway stays what --host-loopback says", () => {
    for (const gateway of [GATEWAY, GATEWAY6]) {
      assert.equal(datagram(worldOf(refusing), gateway), "unreachable", gateway);
      assert.equal(datagram(worldOf({ ...refusing, hostLoopback: true }), gateway), "sent");
    }
  });

  test("resolvers are asked wherever they are, by the guest's DNS address", () => {
    const world = worldOf({ ...refusing, resolvers: [ip(OWN)] });
    world.guest(world.udp({ to: DNS, port: 53 }, "q"));
    world.guest(world.udp({ to: DNS6, port: 53 }, "q"));
    assert.deepEqual(
      world.host.sockets.map(({ address, port }) => `${address}:${port}`),
      [`${OWN}:53`, `${OWN}:53`],
    );
    world.host.socket().receive("a", { address: OWN, port: 53 });
    world.expect("udp", { source: DNS6, sourcePort: 53 });
    new TcpGuest(world, { peer: DNS, peerPort: 53 }).send({ flags: "S" });
    assert.equal(world.host.socket().address, OWN);
  });

  test("each datagram is judged anew when addresses change", () => {
    const world = worldOf(refusing);
    assert.equal(datagram(world, PEER), "sent");
    world.engine.setHostAddresses([mappedOctetsOf(ip(PEER))]);
    assert.equal(datagram(world, PEER), "prohibited", "of the flow that was there");
    assert.equal(datagram(world, OWN), "sent", "it is not ours any more");
  });
});

describe("wasm/flow/reach: hairpin (RFC 4787 REQ-9)", () => {
  test("N06: a published port is reached by an own address, its neighbours are not", () => {
    const world = worldOf(refusing);
    world.engine.addHostPort("tcp", ANY, 9000);
    assert.equal(connection(world, OWN), "asked");
    assert.equal(datagram(world, OWN), "prohibited", "TCP only");
    assert.equal(connection(world, OWN6), "reset", "IPv4 only");
    assert.equal(connection(world, "64:ff9b::c000:20a"), "reset");
    assert.equal(connection(world, "169.254.1.1"), "reset", "not ours");
    world.engine.addHostPort("udp", ANY6, 9000);
    assert.equal(datagram(world, OWN6), "sent");
    world.engine.setHostAddresses([]);
    world.engine.setHostAddresses([mappedOctetsOf(ip(OWN))]);
    assert.equal(connection(world, OWN), "asked", "published for good");
  });

  test("N06: one published on an address is reached on that address", () => {
    const world = worldOf(refusing);
    world.engine.setHostAddresses([ip("192.0.2.20"), ip(OWN)].map(mappedOctetsOf));
    world.engine.addHostPort("tcp", mappedOctetsOf(ip(OWN)), 9000);
    assert.equal(connection(world, OWN), "asked");
    assert.equal(connection(world, "192.0.2.20"), "reset");
  });

  test("N06: a published UDP port answers whoever came by an own or link-local address", () => {
    const world = worldOf(refusing);
    const published = world.inboundUdp(53, 5353);
    assert.ok(published !== undefined);
    for (const [address, port] of [
      [OWN, 40001],
      ["169.254.1.1", 40002],
    ] as const) {
      published.receive("ask", { address, port });
      world.expect("udp", { source: address, sourcePort: port, destination: GUEST });
      world.guest(world.udp({ to: address, port, from: 53 }, "answer"));
      assert.equal(published.datagrams.at(-1)?.address, address);
      assert.equal(published.datagrams.at(-1)?.port, port);
    }
    world.guest(world.udp({ to: OWN, port: 40003, from: 53 }, "unasked"));
    world.guest(world.udp({ to: OWN, port: 40001, from: 54 }, "another flow"));
    assert.equal(world.stats.dropHostAddress, 2);
  });
});

describe("wasm/flow/reach: what this host sends", () => {
  test("it reaches no flow that has not sent to that very address", () => {
    for (const own of [OWN, "127.0.0.1", "127.0.0.53"]) {
      const world = worldOf();
      world.guest(world.udp({ to: PEER, port: 9, from: 8125 }, "x"));
      world.host.socket().receive("statsd", { address: own, port: 7 });
      assert.equal(world.take().length, 0, own);
      assert.equal(world.stats.dropUdpLocal, 1, own);
    }
    for (const own of [OWN6, "::1"]) {
      const world = worldOf();
      world.guest(world.udp({ to: PEER6, port: 9, from: 8125 }, "x"));
      world.host.socket().receive("statsd", { address: own, port: 7 });
      assert.equal(world.take().length, 0, own);
      assert.equal(world.stats.dropUdpLocal, 1, own);
    }
  });

  test("it answers what the guest was allowed to send", () => {
    const world = worldOf({ hostLoopback: true });
    world.guest(world.udp({ to: OWN, port: 53 }, "x"), world.udp({ to: GATEWAY, port: 53 }, "x"));
    for (let i = 1; i <= 40; i += 1) {
      world.guest(world.udp({ to: `203.0.113.${i}`, port: 9 }, "x"));
    }
    const socket = world.host.socket();
    socket.receive("answer", { address: OWN, port: 53 });
    world.expect("udp", { source: OWN });
    socket.receive("answer", { address: "127.0.0.1", port: 53 });
    world.expect("udp", { source: GATEWAY });
    assert.equal(world.stats.dropUdpLocal, 0);
    socket.receive("other", { address: "127.0.0.53", port: 53 });
    assert.equal(world.take().length, 0, "another address of the same host");
  });

  test("published ports are open to it", () => {
    const world = worldOf(refusing);
    const published = world.inboundUdp(8125, 30000);
    assert.ok(published !== undefined);
    published.receive("hello", { address: "127.0.0.1", port: 7 });
    world.expect("udp", { source: GATEWAY, destinationPort: 8125 });
  });
});
