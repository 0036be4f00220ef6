/**
 * The machine at the link goes, comes back, is another one, or begins anew. Goal: what was the
 * machine's ends with it, on the host's side too, and the next one meets nothing of it.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineWorld } from "../support/engine-harness.ts";
import {
  DNS,
  GATEWAY,
  GUEST,
  IPV6,
  PEER,
  PEER6,
  type WorldOptions,
} from "../support/engine-settings.ts";
import type { FakeSocket } from "../support/fake-socket.ts";
import { ethernet, ipv4, PROTOCOL_UDP, pattern, udp } from "../support/packet.ts";
import { TcpGuest } from "../support/tcp-guest.ts";

const SECOND = 1_000_000;
const ip4 = (address: string): Uint8Array => Uint8Array.from(address.split("."), Number);
const GRACE = 2 * SECOND;
const OTHER_MAC = "52:54:00:65:43:21";

/** A frame of the next machine, which has the same address and another card. */
function otherFrame(): Uint8Array {
  const ports = { sourcePort: 5000, destinationPort: 9 };
  const datagram = udp({ source: GUEST, destination: PEER, ...ports }, "new");
  const packet = ipv4({ source: GUEST, destination: PEER, protocol: PROTOCOL_UDP }, datagram);
  return ethernet({ destination: "52:55:0a:00:02:02", source: OTHER_MAC }, packet);
}

interface Busy {
  readonly world: EngineWorld;
  readonly guests: readonly TcpGuest[];
  readonly published: FakeSocket;
}

/** A machine with connections of all kinds and both versions of IP, payload on its way. */
function busy(options: WorldOptions = {}): Busy {
  const world = new EngineWorld({ ipv6: IPV6, ...options });
  world.advance(60 * SECOND);
  world.take(); // the first router advertisements
  const guests = [
    new TcpGuest(world, { port: 40001 }).open(),
    new TcpGuest(world, { port: 40002, peer: PEER6 }).open(),
    new TcpGuest(world, { port: 40003 }).open(),
  ];
  const published = world.inboundUdp(53, 5353);
  if (published === undefined) throw new Error("wanted a published port");
  world.inboundTcp(22); // the guest never answers this one
  const [, , third] = guests;
  third?.socket.push(pattern(5000));
  third?.send({ flags: "FA" });
  world.guest(world.udp({ to: PEER, port: 9 }, "x"), world.udp({ to: DNS, port: 53 }, "query"));
  world.guest(world.ping(PEER, 7, 1, "ping"));
  world.take();
  return { world, guests, published };
}

function openSockets({ world, published }: Busy): number {
  return world.host.live.filter((socket) => socket !== published).length;
}

describe("a machine that is gone", () => {
  test("its flows end after two seconds: TCP by resets towards the host's peers", () => {
    const all = busy();
    const { world, guests } = all;
    const sockets = guests.map((guest) => guest.socket);
    world.leave();
    world.advance(GRACE - 1);
    assert.ok(openSockets(all) >= 6);
    world.advance(1);
    assert.equal(openSockets(all), 0);
    for (const socket of sockets) assert.equal(socket.closed, "abort");
    assert.equal(world.engine.flowCount, 0);
    assert.equal(world.engine.chunkCount, 0);
    assert.equal(world.stats.guestsGone, 1);
    world.checkBalance();
  });

  test("they end at once when the next machine says something", () => {
    const all = busy();
    const { world } = all;
    world.leave();
    world.advance(1000);
    world.guest(otherFrame());
    assert.equal(world.host.socket("0.0.0.0").datagrams[0]?.payload.length, 3);
    assert.equal(openSockets(all), 1, "the new one's");
    assert.equal(world.stats.guestsGone, 1);
    world.advance(10 * SECOND);
    assert.equal(openSockets(all), 1);
    world.checkBalance();
  });

  test("published UDP ports are parked, and lead to the next machine", () => {
    const { world, published } = busy();
    published.receive("early", { address: PEER, port: 7 });
    world.take();
    world.leave();
    world.advance(GRACE);
    assert.equal(published.closed, "orderly");
    world.guest(otherFrame());
    world.take();
    const again = world.inboundUdp(53, 5353) ?? assert.fail("no port");
    again.receive("for whom", { address: PEER, port: 7 });
    const { destinationMac } = world.expect("udp", { destinationPort: 53, sourcePort: 7 });
    assert.equal(destinationMac, OTHER_MAC);
  });

  test("nothing is sent to a connection's old place: the new machine begins clean", () => {
    const { world, guests } = busy();
    world.leave();
    world.advance(GRACE);
    world.take();
    const [guest] = guests;
    assert.ok(guest);
    guest.send({ payload: "who are you" });
    world.expect("tcp", { flags: "R" });
    const again = new TcpGuest(world, { port: 40001, iss: 7 }).open();
    again.send({ payload: "hello" });
    world.advance(1000);
    assert.equal(again.socket.text, "hello");
  });

  test("an address that it has declined is given to the next machine", () => {
    const world = new EngineWorld();
    const decline = [[50, GUEST] as const, [54, GATEWAY] as const];
    const options = decline.map(([code, address]) => [code, ip4(address)] as const);
    world.guest(world.dhcp({ type: 4, options }));
    world.guest(world.dhcp({ type: 1 }));
    world.expectNothing();
    world.leave();
    world.advance(GRACE);
    world.guest(world.dhcp({ type: 1 }));
    world.expect("udp", { sourcePort: 67 });
  });

  test("a peer that comes and goes without a word does not prolong it", () => {
    const all = busy();
    const { world } = all;
    world.leave();
    world.advance(GRACE / 2);
    world.leave();
    world.advance(GRACE / 2);
    assert.equal(openSockets(all), 0);
  });

  test("where there was nothing, nothing happens", () => {
    const world = new EngineWorld();
    world.leave();
    world.advance(10 * SECOND);
    world.expectNothing();
    world.checkBalance();
  });
});

describe("a machine that comes back", () => {
  test("its connections are asked for at once, and those it answers for go on", () => {
    const { world, guests } = busy();
    const [first, second] = guests;
    assert.ok(first !== undefined && second !== undefined);
    world.leave();
    world.advance(SECOND);
    world.take();
    first.send(); // any frame of its card
    world.run();
    const asked = world.take().filter((frame) => frame.kind === "tcp" && frame.flags === "A");
    assert.ok(asked.some((frame) => frame.kind === "tcp" && frame.destinationPort === 40002));
    second.send();
    for (let i = 0; i < 60; i += 1) {
      world.advance(SECOND);
      world.take();
    }
    assert.equal(first.state, "ESTABLISHED");
    assert.equal(second.state, "ESTABLISHED");
    assert.equal(world.stats.guestsGone, 0);
    second.socket.push("still there");
    second.expect({ payload: "still there" });
  });

  test("one that comes back too late is another one, whatever its card", () => {
    const { world, guests } = busy();
    const [first] = guests;
    world.leave();
    world.run();
    world.now += GRACE; // its frame is the first thing that happens
    world.guest(world.ping(GATEWAY, 1, 1, "boot"));
    assert.equal(first?.state, "CLOSED");
    assert.equal(world.stats.guestsGone, 1);
  });

  test("what the next machine with the same card does not know ends by its reset", () => {
    const { world, guests } = busy();
    const [, second] = guests;
    assert.ok(second);
    world.leave();
    world.advance(SECOND);
    world.guest(world.ping(GATEWAY, 1, 1, "boot"));
    world.take();
    second.send({ flags: "R" });
    assert.equal(second.state, "CLOSED");
    assert.equal(second.socket.closed, "abort");
  });

  test("what it does not answer for ends after ten seconds", () => {
    const { world, guests } = busy();
    world.leave();
    world.advance(SECOND);
    world.guest(world.ping(GATEWAY, 1, 1, "boot"));
    world.advance(10 * SECOND - 1);
    const [first, second] = guests;
    assert.equal(second?.state, "ESTABLISHED");
    world.advance(1);
    assert.equal(second?.state, "CLOSED");
    assert.equal(first?.socket.closed, "abort");
    world.checkBalance();
  });
});

describe("a machine that begins anew at the same link", () => {
  test("a DISCOVER has its connections asked for; the living answer", () => {
    const { world, guests } = busy();
    const [first, second] = guests;
    assert.ok(first !== undefined && second !== undefined);
    world.advance(SECOND);
    world.guest(world.dhcp({ type: 1 }));
    world.take();
    first.send();
    world.advance(11 * SECOND);
    assert.equal(first.state, "ESTABLISHED");
    assert.equal(second.state, "CLOSED");
  });

  test("a flood of them asks once in ten seconds", () => {
    const world = new EngineWorld();
    const guest = new TcpGuest(world).open();
    world.advance(SECOND);
    for (let i = 0; i < 50; i += 1) {
      world.guest(world.dhcp({ type: 1 }));
      guest.send();
    }
    const asked = world.take().filter((frame) => frame.kind === "tcp");
    assert.equal(asked.length, 1);
    assert.equal(guest.state, "ESTABLISHED");
  });
});
