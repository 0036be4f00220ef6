/** UDP: mapping, filtering, refusals, errors and the life of flows, in the real engine. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { flowsOf } from "../../../src/engine/flows.ts";
import { FILTER_COUNT, OPENED_PUBLISHED } from "../../../wasm/abi.ts";
import { EINVAL } from "../../support/datagram-host.ts";
import { DatagramWorld } from "../../support/datagram-world.ts";
import { DNS, GATEWAY, GUEST, PEER } from "../../support/engine-settings.ts";
import type { IcmpFrame } from "../../support/frame.ts";
import { hex } from "../../support/hex.ts";
import { ipText, pattern } from "../../support/packet.ts";

const OTHER = "203.0.113.9";

/** Addresses and ports of the datagram an ICMP error quotes. */
function quoted({ payload }: IcmpFrame): string {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  assert.equal(view.getUint8(9), 17, "UDP");
  const source = `${ipText(view.getUint32(12))}:${view.getUint16(20)}`;
  return `${source} > ${ipText(view.getUint32(16))}:${view.getUint16(22)}`;
}

describe("UDP mapping", () => {
  test("N01: one guest endpoint has one socket for every destination", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 53, "a"), world.udp(OTHER, 9000, "b"));
    world.guest(world.udp(OTHER, 9001, "c"));
    assert.equal(world.host.sockets.length, 1);
    const to = world.socket().sent.map(({ address, port }) => `${address}:${port}`);
    assert.deepEqual(to, [`${PEER}:53`, `${OTHER}:9000`, `${OTHER}:9001`]);
    assert.deepEqual(world.socket().texts, ["a", "b", "c"]);
    assert.equal(world.stats.udpToHost, 3);
  });

  test("N02: guest ports share no socket, and ask for their own number only by the switch", () => {
    for (const [preservesUdpPorts, wanted] of [
      [false, [0, 0, 0]],
      [true, [40000, 40001, 0]],
    ] as const) {
      const world = new DatagramWorld({ preservesUdpPorts });
      world.guest(world.udp(PEER, 53, "a"), world.udp(PEER, 53, "b", { sourcePort: 40001 }));
      world.guest(world.udp(PEER, 53, "c", { sourcePort: 123 }));
      const preferred = world.host.sockets.map((socket) => socket.preferred);
      assert.deepEqual(preferred, wanted);
    }
  });

  test("N05: filtering is endpoint-independent unless the switch says otherwise", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 53, "a"));
    world.socket().receive("unasked", OTHER, 7);
    const [frame] = world.datagrams();
    assert.equal(frame?.source, OTHER);
    assert.equal(frame?.sourcePort, 7);
    assert.equal(frame?.destination, GUEST);
    assert.equal(frame?.destinationPort, 40000);

    const strict = new DatagramWorld({ strictFilter: true });
    strict.guest(strict.udp(PEER, 53, "a"));
    strict.socket().receive("unasked", OTHER, 7);
    strict.socket().receive("other port, same address", PEER, 7);
    assert.deepEqual(
      strict.datagrams().map(({ source }) => source),
      [PEER],
    );
    assert.equal(strict.stats.dropUdpFiltered, 1);
  });

  test("N05: the strict filter remembers the last 48 addresses", () => {
    const world = new DatagramWorld({ strictFilter: true });
    for (let i = 1; i <= 49; i += 1) world.guest(world.udp(`203.0.113.${i}`, 9, "x"));
    for (let i = 1; i <= 49; i += 1) world.socket().receive("y", `203.0.113.${i}`, 9);
    const from = world.datagrams().map(({ source }) => source);
    assert.equal(from.length, FILTER_COUNT);
    assert.ok(!from.includes("203.0.113.1"));
  });

  test("N06: hairpin, what comes back from the host's own address shows that address", () => {
    const world = new DatagramWorld();
    const published = world.publish(8000, 30000);
    world.guest(world.udp(OTHER, 30000, "to the host's address"));
    published.receive("to the host's address", OTHER, 40000);
    const [frame] = world.datagrams();
    assert.equal(frame?.source, OTHER);
    assert.equal(frame?.sourcePort, 40000);
    assert.equal(frame?.destinationPort, 8000);
  });

  test("N07: mapping and filtering are the same in a full table", () => {
    const world = new DatagramWorld({ flowsMax: 16, preservesUdpPorts: true });
    for (let i = 0; i < 100; i += 1) {
      const sourcePort = 20000 + i;
      world.guest(
        world.udp(PEER, 9, "x", { sourcePort }),
        world.udp(OTHER, 9, "y", { sourcePort }),
      );
      const socket = world.socket();
      assert.equal(socket.preferred, sourcePort);
      assert.deepEqual(socket.texts, ["x", "y"]);
      socket.receive("z", "192.0.2.200", 5);
      assert.equal(world.datagrams()[0]?.destinationPort, sourcePort);
    }
  });

  test("N13: payload passes unchanged, whatever it says", () => {
    const world = new DatagramWorld();
    const sip = `INVITE sip:a@${GUEST}:5060 SIP/2.0\r\nVia: SIP/2.0/UDP ${GUEST}:5060\r\n\r\n`;
    world.guest(world.udp(PEER, 5060, sip, { sourcePort: 5060 }));
    assert.deepEqual(world.socket().texts, [sip]);
    world.socket().receive(sip, PEER, 5060);
    assert.equal(new TextDecoder().decode(world.datagrams()[0]?.payload), sip);
  });

  test("an empty datagram is one", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 9, ""), world.udp(PEER, 9, ""));
    assert.deepEqual(world.socket().texts, ["", ""]);
    world.socket().receive("", PEER, 9);
    assert.equal(world.datagrams()[0]?.payload.length, 0);
  });
});

describe("UDP published ports", () => {
  test("a published port needs no word from the guest, and has a flow while it is used", () => {
    const world = new DatagramWorld({ strictFilter: true });
    const socket = world.publish(8000, 30000);
    socket.receive("hello", PEER, 999);
    const [frame] = world.datagrams();
    assert.equal(frame?.destinationPort, 8000);
    world.guest(world.udp(PEER, 999, "answer", { sourcePort: 8000 }));
    assert.deepEqual(socket.texts, ["answer"]);
    assert.equal(world.host.sockets.length, 1);
    assert.equal(world.engine.inboundUdp(8000, 30001, world.now), 0, "it has its socket");
    world.advance(301);
    assert.ok(socket.closed, "back to the host");
    world.publish(8000, 30000).receive("again", PEER, 999);
    assert.equal(world.datagrams().length, 1);
  });

  test("the guest's own datagrams take the published socket, if the host says it is one", () => {
    const world = new DatagramWorld({ strictFilter: true });
    world.host.openResults.push(OPENED_PUBLISHED | 30000);
    world.guest(world.udp(PEER, 9, "x", { sourcePort: 8000 }));
    const socket = world.socket();
    socket.receive("unasked", OTHER, 7);
    assert.equal(world.datagrams()[0]?.source, OTHER, "open to all");
    assert.equal(flowsOf(world.engine)[0]?.hostPort, 30000);
  });

  test("answers leave from the address that was asked, by the socket that was asked", () => {
    const world = new DatagramWorld();
    const first = world.publish(53, 5300);
    const second = world.publish(53, 53, 1);
    first.receive("q", PEER, 1000, { asked: "192.0.2.1" });
    first.receive("q", PEER, 1001, { asked: "192.0.2.77" });
    first.receive("q", "127.0.0.1", 1002, { asked: "127.0.0.53" });
    second.receive("q", PEER, 1003);
    second.receive("q", "127.0.0.1", 1004);
    assert.equal(world.datagrams().length, 5);
    const from = { sourcePort: 53 };
    world.guest(...[1000, 1001].map((port) => world.udp(PEER, port, "a", from)));
    world.guest(world.udp(GATEWAY, 1002, "a", from), world.udp(PEER, 1003, "b", from));
    world.guest(world.udp(GATEWAY, 1004, "b", from), world.udp(OTHER, 53, "own", from));
    assert.deepEqual(
      first.sent.map((message) => [message.port, message.from]),
      [
        [1000, "192.0.2.1"],
        [1001, "192.0.2.77"],
        [1002, "127.0.0.53"],
        [53, ""],
      ],
    );
    assert.deepEqual(
      second.sent.map((message) => [message.address, message.port, message.from]),
      [
        [PEER, 1003, ""],
        ["127.0.0.1", 1004, ""],
      ],
    );
  });

  test("an address that the host has lost is not insisted on", () => {
    const world = new DatagramWorld();
    const socket = world.publish(53, 5300);
    socket.receive("q", PEER, 1000, { asked: "192.0.2.1" });
    world.datagrams();
    world.host.onSend = ([message]) => (message?.from === "" ? undefined : -EINVAL);
    world.guest(world.udp(PEER, 1000, "a", { sourcePort: 53 }));
    assert.deepEqual(socket.texts, ["a"]);
    assert.equal(world.stats.dropUdpSend, 0);
  });

  test("a flow that ended is opened anew by an answer, at the socket that was asked", () => {
    const world = new DatagramWorld({ flowsMax: 16 });
    const second = world.publish(53, 53, 1);
    second.receive("q", PEER, 1003);
    world.datagrams();
    world.guest(world.udp(PEER, 1003, "a", { sourcePort: 53 }));
    for (let i = 0; i < 8; i += 1) world.publish(9000 + i, 9000 + i);
    world.guest();
    assert.ok(second.closed, "given way");
    world.guest(world.udp(PEER, 1003, "late", { sourcePort: 53 }));
    assert.equal(world.host.opens.at(-1), (1 << 16) | 53);
  });

  test("a flow that uses the port already makes way", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 9, "x", { sourcePort: 8000 }));
    const old = world.socket();
    world.publish(8000, 30000);
    world.guest(world.udp(PEER, 9, "y", { sourcePort: 8000 }));
    assert.ok(old.closed);
    assert.deepEqual(world.socket().texts, ["y"]);
  });

  test("a process on the host is answered although loopback is closed to the guest", () => {
    const world = new DatagramWorld();
    const socket = world.publish(8000, 30000);
    socket.receive("from loopback", "127.0.0.1", 5555);
    socket.receive("from another loopback address", "127.0.0.53", 5556);
    socket.receive("from an address of the guest network", "10.0.2.200", 5557);
    assert.deepEqual(
      world.datagrams().map(({ source, sourcePort }) => `${source}:${sourcePort}`),
      [`${GATEWAY}:5555`, `${GATEWAY}:5556`, `${GATEWAY}:5557`],
    );
    const from = { sourcePort: 8000 };
    for (const port of [5555, 5556, 5557]) world.guest(world.udp(GATEWAY, port, "yes", from));
    assert.deepEqual(
      socket.sent.map(({ address, port }) => `${address}:${port}`),
      ["127.0.0.1:5555", "127.0.0.53:5556", "10.0.2.200:5557"],
    );
    world.guest(world.udp(GATEWAY, 5558, "no", from));
    assert.equal(world.stats.dropLoopback, 1);
    world.icmp();
    world.guest(world.udp(GATEWAY, 5555, "no", { sourcePort: 8001 }));
    assert.equal(world.stats.dropLoopback, 2, "another flow");
  });
});

describe("UDP refusals", () => {
  test("P21: the gateway without host loopback answers port unreachable", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(GATEWAY, 7000, "x"));
    const error = world.icmp();
    assert.deepEqual([error.type, error.code, error.source], [3, 3, GATEWAY]);
    assert.equal(quoted(error), `${GUEST}:40000 > ${GATEWAY}:7000`);
    assert.equal(world.stats.dropLoopback, 1);
    assert.equal(world.host.sockets.length, 0);
    world.guest(world.udp(DNS, 7000, "x"));
    assert.equal(world.icmp().source, DNS);
  });

  test("the gateway with host loopback is 127.0.0.1", () => {
    const world = new DatagramWorld({ hostLoopback: true });
    world.guest(world.udp(GATEWAY, 7000, "x", { ttl: 1 }));
    assert.equal(world.socket().sent[0]?.address, "127.0.0.1");
    assert.equal(world.socket().sent[0]?.ttl, 0, "no router in between");
    world.socket().receive("y", "127.0.0.1", 7000);
    assert.equal(world.datagrams()[0]?.source, GATEWAY);
  });

  test("destinations that lead nowhere are dropped without a word", () => {
    const world = new DatagramWorld({ hostLoopback: true });
    const nowhere = ["224.0.0.251", "255.255.255.255", "127.0.0.1", "0.0.0.0", "10.0.2.255"];
    world.guest(...nowhere.map((address) => world.udp(address, 5353, "x")));
    world.guest(world.udp("10.0.2.77", 9, "x"));
    assert.equal(world.stats.dropIpDestination, 6);
    assert.equal(world.take().length, 0);
    assert.equal(world.host.sockets.length, 0);
  });

  test("a TTL of 1 ends here with time exceeded, others leave one lower", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 33434, "x", { ttl: 1 }));
    const error = world.icmp();
    assert.deepEqual([error.type, error.code, error.source], [11, 0, GATEWAY]);
    assert.equal(world.stats.dropIpTtl, 1);
    for (const ttl of [2, 64, 128]) world.guest(world.udp(PEER, 33434, "x", { ttl, tos: ttl & 2 }));
    assert.deepEqual(
      world.socket().sent.map(({ ttl, tos }) => [ttl, tos]),
      [
        [1, 2],
        [0, 0],
        [127, 0],
      ],
    );
  });

  test("P19: lengths and checksums that are wrong", () => {
    const world = new DatagramWorld();
    const bad = { length: 7 };
    world.guest(world.udp(PEER, 9, "x", bad), world.udp(PEER, 9, "x", { length: 100 }));
    world.guest(world.ip({ destination: PEER, protocol: 17 }, hex("9c40 0009 0008")));
    world.guest(world.udp(PEER, 9, "x", { checksum: 0x1234 }));
    const { dropUdpLength, dropUdpTruncated, dropUdpChecksum } = world.stats;
    assert.deepEqual([dropUdpLength, dropUdpTruncated, dropUdpChecksum], [2, 1, 1]);
    assert.equal(world.host.sockets.length, 0);
    world.guest(world.udp(PEER, 9, "no checksum", { checksum: 0 }));
    assert.deepEqual(world.socket().texts, ["no checksum"]);
  });

  test("CVE-2014-3640 class: a datagram from 0.0.0.0 or from port 0 opens nothing", () => {
    const world = new DatagramWorld();
    world.guest(
      world.udp(PEER, 9, "x", { source: "0.0.0.0", sourcePort: 0 }),
      world.udp(PEER, 9, "x", { source: "0.0.0.0" }),
      world.udp(PEER, 9, "x", { sourcePort: 0 }),
      world.udp(PEER, 0, "x"),
    );
    assert.equal(world.stats.dropIpSource, 2);
    assert.equal(world.stats.dropUdpPort, 2);
    assert.equal(world.host.sockets.length, 0);
    assert.equal(world.take().length, 0);
  });

  test("CVE-2021-3594 class: no octet behind the packet is ever sent", () => {
    const world = new DatagramWorld();
    const secret = world.udp(PEER, 9, pattern(1000), { sourcePort: 50000 });
    world.guest(secret);
    const short = world.udp(PEER, 9, "ab");
    for (let length = 0; length <= 0xffff; length = length < 40 ? length + 1 : length * 2) {
      world.guest(world.udp(PEER, 9, "ab", { length, checksum: 0 }));
    }
    world.guest(short);
    const texts = world.socket().texts;
    assert.ok(texts.every((text) => "ab".startsWith(text)));
  });
});
