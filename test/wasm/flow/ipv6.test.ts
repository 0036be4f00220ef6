/** UDP, DNS and ping over IPv6: the same code as for IPv4, seen from outside. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as abi from "../../../wasm/abi.ts";
import {
  DNS,
  DNS6,
  GATEWAY6,
  GUEST_MAC,
  GUEST6,
  groups,
  PEER,
  PEER6,
  RESOLVER,
} from "../../support/engine-settings.ts";
import type { FragmentFrame } from "../../support/frame.ts";
import {
  concat,
  ip,
  macOctets,
  PROTOCOL_UDP,
  pattern,
  u16,
  u32,
  udp,
} from "../../support/packet.ts";
import { reassemble } from "../../support/packet-decode.ts";
import { World6 } from "../../support/world6.ts";

const RESOLVER6 = "2001:db8::53";
const SECOND = 1_000_000;
const QUERY = concat(
  u32(0x1a2b0100),
  u32(0x00010000),
  u32(0),
  "\x07example\x03com\0",
  u32(0x10001),
);
const ANSWER = Uint8Array.from(QUERY, (octet, i) => (i === 2 ? 0x81 : octet));
const USO = abi.LINK_CSUM | abi.LINK_TSO6 | abi.LINK_USO6;

describe("wasm/flow over IPv6: UDP", () => {
  test("N01 one socket of IPv6 for every destination, on the guest's port by the switch", () => {
    const w = new World6({ preservesUdpPorts: true });
    w.guest(w.udp({ to: PEER6, port: 9, from: 40000 }, "one"));
    w.guest(w.udp({ to: "2001:db8::81", port: 10, from: 40000 }, "two"));
    const socket = w.host.socket();
    assert.equal(w.host.sockets.length, 1);
    assert.deepEqual([socket.address, socket.preferred], ["::", 40000]);
    const sent = socket.datagrams.map(({ address, port }) => [address, port]);
    assert.deepEqual(sent, [
      [PEER6, 9],
      ["2001:db8::81", 10],
    ]);
    socket.receive("answer", { address: "2001:db8::81", port: 10 });
    const frame = w.expect("udp", { source: "2001:db8::81", sourcePort: 10, destination: GUEST6 });
    assert.deepEqual(frame.payload, concat("answer"));
  });

  test("the same port of IPv4 has a flow and a socket of its own", () => {
    const w = new World6();
    w.guest(w.udp({ to: PEER6, port: 9 }, "x"), w.udp({ to: "198.51.100.80", port: 9 }, "x"));
    assert.deepEqual(
      w.host.sockets.map(({ address }) => address),
      ["::", "0.0.0.0"],
    );
  });

  test("P20 a checksum of zero is wrong in IPv6", () => {
    const w = new World6();
    const before = w.stats;
    const ends = { source: GUEST6, destination: PEER6 };
    for (const checksum of [0, 1]) {
      const datagram = udp({ ...ends, sourcePort: 1, destinationPort: 9, checksum }, "x");
      w.guest(w.packet({ ...ends, protocol: PROTOCOL_UDP }, datagram));
    }
    w.expectCounted(before, { dropUdpChecksum: 2 });
  });

  test("P19 CVE-2021-3593 class: a length beyond the packet or below its header is dropped", () => {
    const w = new World6();
    const ends = { source: GUEST6, destination: PEER6 };
    for (const length of [0, 7, 29, 65535]) {
      const datagram = udp({ ...ends, sourcePort: 1, destinationPort: 9, length }, pattern(20));
      w.guest(w.packet({ ...ends, protocol: PROTOCOL_UDP }, datagram));
    }
    assert.equal(w.stats.dropUdpLength, 4);
    assert.equal(w.host.sockets.length, 0);
  });

  test("CVE-2014-3640 class: a datagram from or to port 0 opens nothing", () => {
    const w = new World6();
    w.guest(w.udp({ to: PEER6, port: 9, from: 0 }, "x"), w.udp({ to: PEER6, port: 0 }, "x"));
    assert.equal(w.host.sockets.length, 0);
    w.expectNothing();
  });

  test("CVE-2019-9824 class: no octet of an error is left from what the slot held before", () => {
    const [empty, full] = [0x00, 0xff].map((filling) => {
      const w = new World6();
      return w.sentOver(filling, () => {
        w.guest(w.udp({ to: GATEWAY6, port: 9 }, pattern(33)));
        w.guest(w.packet({ destination: PEER6, protocol: 200 }, pattern(7)));
        w.guest(w.packet({ destination: PEER6, protocol: 17, ttl: 1 }, pattern(8)));
        w.guest(w.ping(GATEWAY6, 1, 1, pattern(5)));
      });
    });
    assert.equal(empty?.length, 4);
    assert.deepEqual(empty, full);
  });

  test("P21 nobody listens at the gateway: port unreachable from it", () => {
    const w = new World6();
    w.guest(w.udp({ to: GATEWAY6, port: 9 }, "x"));
    w.expect("icmp6", { type: 1, code: 4, source: GATEWAY6 });
    const open = new World6({ hostLoopback: true });
    open.guest(open.udp({ to: GATEWAY6, port: 9 }, "x"));
    assert.equal(open.host.socket().datagrams[0]?.address, "::1");
    open.host.socket().receive("y", { address: "::1", port: 9 });
    open.expect("udp", { source: GATEWAY6, sourcePort: 9 });
  });

  test("hop limit and traffic class are carried; hop limit 64 is the host's own", () => {
    const w = new World6();
    const ends = { source: GUEST6, destination: PEER6 };
    const datagram = udp({ ...ends, sourcePort: 1, destinationPort: 9 }, "x");
    w.guest(w.packet({ ...ends, protocol: PROTOCOL_UDP, ttl: 9, tos: 0x28 }, datagram));
    assert.equal(w.host.socket().datagrams.length, 1);
  });

  const errors: readonly (readonly [string, number, number, number, number])[] = [
    ["P22 no route", 1, 0, 0, 101],
    ["P22 prohibited", 1, 1, 0, 13],
    ["P22 address unreachable", 1, 3, 0, 113],
    ["P21 port unreachable", 1, 4, 0, 111],
    ["P18 packet too big, with its MTU", 2, 0, 1400, 90],
    ["P22 time exceeded", 3, 0, 0, 113],
    ["P22 parameter problem, with its pointer", 4, 1, 6, 71],
  ];
  for (const [name, type, code, info, errno] of errors) {
    test(`${name}: told with the guest's own packet`, () => {
      const w = new World6();
      w.guest(w.udp({ to: PEER6, port: 9, from: 40000 }, pattern(50)));
      const offender = "2001:db8::fe";
      const place = { offender, address: PEER6, port: 9, payload: pattern(50) };
      w.host.socket().queueError({ errno, type, code, info, ...place });
      const frame = w.expect("icmp6", { type, code, rest: info, source: offender });
      const quote = frame.payload;
      assert.deepEqual(quote.subarray(40, 44), concat(u16(40000), u16(9)));
      assert.deepEqual(quote.subarray(48), pattern(50));
      assert.equal(w.engine.flowCount, 1, "N08 the mapping stays");
    });
  }

  test("one about an address of IPv4, which such a socket cannot have, is no one's", () => {
    const w = new World6();
    w.guest(w.udp({ to: PEER6, port: 9 }, "x"));
    const place = { offender: PEER6, address: PEER, port: 9, payload: "x" };
    w.host.socket().queueError({ errno: 111, type: 1, code: 4, ...place });
    w.expectNothing();
  });

  test("P18 an MTU below 1280 is told as 1280 (RFC 8201 §4)", () => {
    const w = new World6();
    w.guest(w.udp({ to: PEER6, port: 9 }, "x"));
    const place = { offender: PEER6, address: PEER6, port: 9, payload: "x" };
    w.host.socket().queueError({ errno: 90, type: 2, code: 0, info: 100, ...place });
    w.expect("icmp6", { type: 2, rest: 1280 });
  });

  test("P16 errors have at most 1280 octets, and a bucket", () => {
    const w = new World6({ mtu: 9000 });
    for (let i = 0; i < 60; i += 1) w.guest(w.udp({ to: GATEWAY6, port: 9 }, pattern(5000)));
    const frames = w.take();
    assert.equal(frames.length, 50);
    for (const { octets } of frames) assert.equal(octets.length, 14 + 1280);
    assert.equal(w.stats.dropReplyFlood, 10);
  });

  test("datagrams larger than the MTU reach the guest in fragments", () => {
    const w = new World6();
    w.guest(w.udp({ to: PEER6, port: 9 }, "x"));
    for (const size of [1452, 1453, 4000, 65507]) {
      w.host.socket().receive(pattern(size), { address: PEER6, port: 9 });
      const frames = w.take();
      const [first] = frames;
      assert.equal(frames.length > 1, size > 1452);
      const whole = first?.kind === "udp" ? first : reassemble(frames as FragmentFrame[]);
      assert.ok(whole.kind === "udp");
      assert.deepEqual(whole.payload, pattern(size));
    }
  });

  test("a run leaves as one frame where the link segments IPv6 (USO)", () => {
    const w = new World6({ vnetSize: 10, linkFlags: USO });
    w.guest(w.udp({ to: PEER6, port: 9 }, "x"));
    w.host.socket().receive(pattern(1000), { address: PEER6, port: 9 });
    const frame = w.expect("udp", { source: PEER6 });
    assert.equal(frame.vnet?.checksumStart, 54);
  });

  test("a run from the guest (USO) leaves by UDP_SEGMENT, its checksum the link's", () => {
    const w = new World6({ vnetSize: 10, mtu: 1500 });
    const frame = w.udp({ to: PEER6, port: 9 }, pattern(3000));
    const header = Uint8Array.of(1, 5, 62, 0, 0xe8, 3, 54, 0, 6, 0);
    w.guestRaw(concat(header, frame));
    const [sent] = w.host.socket().datagrams;
    assert.deepEqual([sent?.segment, sent?.payload.length], [1000, 3000]);
  });

  test("published: the guest is addressed at ::2, strangers of IPv6 come as they are", () => {
    const w = new World6();
    const six = w.inboundUdp(53, 5300, 6);
    const four = w.inboundUdp(53, 5300, 4);
    assert.ok(six !== undefined && four !== undefined, "one of each version");
    six.receive("q", { address: PEER6, port: 777 });
    w.expect("udp", { source: PEER6, destination: GUEST6, destinationPort: 53 });
    six.receive("q", { address: "fe80::99", port: 778 });
    w.expect("udp", { source: GATEWAY6, sourcePort: 778 });
    w.guest(w.udp({ to: GATEWAY6, port: 778, from: 53 }, "a"));
    assert.equal(six.datagrams[0]?.address, "fe80::99");
  });

  test("published: an answer from another address of the same machine leaves by the port", () => {
    const w = new World6({ ipv6: { prefixLength: 64 } });
    const published = w.inboundUdp(53, 5300, 6) ?? assert.fail("no port");
    const source = "fd10:0:2::5054:ff:fe12";
    const answer = (machine: string): Uint8Array => {
      const ends = { source, destination: PEER6, protocol: PROTOCOL_UDP };
      const frame = w.packet(ends, udp({ ...ends, sourcePort: 53, destinationPort: 777 }, "a"));
      frame.set(macOctets(machine), 6);
      return frame;
    };
    w.guest(w.udp({ to: PEER6, port: 9 }, "x")); // by which ::2 is heard of
    w.guest(answer(GUEST_MAC));
    assert.deepEqual(
      published.datagrams.map(({ address, port }) => [address, port]),
      [[PEER6, 777]],
    );
    w.guest(answer("52:54:00:00:00:99"));
    assert.equal(published.datagrams.length, 1, "another machine has a socket of its own");
    assert.equal(w.host.live.length, 3);
  });

  test("N05 strict filtering tells IPv6 addresses apart", () => {
    const w = new World6({ strictFilter: true });
    w.guest(w.udp({ to: PEER6, port: 9 }, "x"));
    w.host.socket().receive("no", { address: "2001:db8::99", port: 9 });
    w.expectNothing();
    w.host.socket().receive("yes", { address: PEER6, port: 10 });
    w.expect("udp", { source: PEER6 });
    assert.equal(w.stats.dropUdpFiltered, 1);
  });
});

describe("wasm/flow over IPv6: DNS", () => {
  const six = { groups: groups(RESOLVER6), scope: 0 };
  for (const [name, resolver, address] of [
    ["IPv4", ip(RESOLVER), RESOLVER],
    ["IPv6", six, RESOLVER6],
  ] as const) {
    for (const server of [DNS, DNS6]) {
      test(`F06 ${server} asks a resolver of ${name}, and answers from its own address`, () => {
        const w = new World6({ resolvers: [resolver] });
        w.guest(w.udp({ to: server, port: 53, from: 5000 }, QUERY));
        const socket = w.host.socket(address, 53);
        assert.deepEqual(socket.datagrams[0]?.payload, QUERY);
        socket.receive(ANSWER);
        w.expect("udp", { source: server, sourcePort: 53, destinationPort: 5000 });
      });
    }
  }

  test("F06 a link-local resolver is asked on its interface", () => {
    const w = new World6({ resolvers: [{ groups: groups("fe80::53"), scope: 7 }] });
    w.guest(w.udp({ to: DNS6, port: 53 }, QUERY));
    assert.equal(w.host.socket().address, "fe80::53");
  });

  test("F06 without a resolver the answer is SERVFAIL, from ::3", () => {
    const w = new World6({ resolvers: [] });
    w.guest(w.udp({ to: DNS6, port: 53, from: 5000 }, QUERY));
    const frame = w.expect("udp", { source: DNS6, sourcePort: 53, destinationPort: 5000 });
    assert.equal((frame.payload[3] ?? 0) & 15, 2);
  });

  test("F04 other ports of the DNS address are closed", () => {
    const w = new World6();
    w.guest(w.udp({ to: DNS6, port: 54 }, "x"));
    w.expect("icmp6", { type: 1, code: 4, source: DNS6 });
  });

  test("errors of a resolver of the other version are told in the guest's words", () => {
    const w = new World6({ resolvers: [ip(RESOLVER)] });
    w.guest(w.udp({ to: DNS6, port: 853 }, QUERY));
    const place = { offender: RESOLVER, address: RESOLVER, port: 853, payload: QUERY };
    w.host.socket().queueError({ errno: 111, type: 3, code: 3, ...place });
    w.expect("icmp6", { type: 1, code: 4 });
    // As a number, 250.1.2.3 would be an address of IPv6 far beyond the table.
    w.host.socket().queueError({ errno: 111, type: 3, code: 3, ...place, offender: "250.1.2.3" });
    w.expect("icmp6", { type: 1, code: 4, source: GATEWAY6 });
    const other = new World6({ resolvers: [six] });
    other.guest(other.udp({ to: DNS, port: 853 }, QUERY));
    const there = { offender: RESOLVER6, address: RESOLVER6, port: 853, payload: QUERY };
    other.host.socket().queueError({ errno: 111, type: 1, code: 4, ...there });
    other.expect("icmp", { type: 3, code: 3 });
  });
});

describe("wasm/flow over IPv6: ping", () => {
  test("P14 N15 echo by a ping socket of IPv6; identifier, sequence and data come back", () => {
    const w = new World6();
    w.guest(w.ping(PEER6, 0x1111, 7, pattern(300)), w.ping(PEER6, 0x2222, 8, "b"));
    assert.deepEqual(
      w.host.sockets.map(({ kind, address }) => [kind, address]),
      [
        ["ping", "::"],
        ["ping", "::"],
      ],
    );
    const first = w.expect("icmp6", { type: 129, source: PEER6, rest: 0x11110007 });
    assert.deepEqual(first.payload, pattern(300));
    w.expect("icmp6", { type: 129, rest: 0x22220008 });
  });

  test("P14 no reply is made up", () => {
    const w = new World6();
    w.host.answersPing = false;
    w.guest(w.ping(PEER6, 1, 1, "x"));
    w.advance(5 * SECOND);
    w.expectNothing();
  });

  test("P22 an error about an echo request quotes it with the guest's identifier", () => {
    const w = new World6();
    w.host.answersPing = false;
    w.guest(w.ping(PEER6, 0x4321, 5, pattern(20)));
    const payload = w.host.socket().datagrams[0]?.payload ?? "";
    const place = { offender: "2001:db8::fe", address: PEER6, port: 0, payload };
    w.host.socket().queueError({ errno: 113, type: 1, code: 3, ...place });
    const frame = w.expect("icmp6", { type: 1, code: 3, source: "2001:db8::fe" });
    assert.deepEqual(frame.payload.subarray(44, 48), u32(0x43210005));
  });
});
