/** IPv6 from the guest: what is taken, refused and dropped before it reaches a protocol. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { EngineWorld } from "../support/engine-harness.ts";
import { GATEWAY6, GUEST6, LINK6, PEER, PEER6, ROUTER6 } from "../support/engine-settings.ts";
import {
  concat,
  ip6Text,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  pattern,
  u32,
  udp,
} from "../support/packet.ts";
import { echo6, extension, type Ipv6Fields, ipv6, PROTOCOL_ICMPV6 } from "../support/packet6.ts";
import { World6 } from "../support/world6.ts";

const SEED = 20261121;

const [HOP, ROUTING, FRAGMENT, NONE, OPTIONS] = [0, 43, 44, 59, 60];

const ENDS = { source: GUEST6, destination: PEER6 };

function datagram(payload = pattern(20), ends = ENDS): Uint8Array {
  return udp({ ...ends, sourcePort: 5000, destinationPort: 9 }, payload);
}

/** Sends a packet to the peer; its UDP datagram must have got there or not. */
function arrives(w: World6, protocol: number, payload: Uint8Array): boolean {
  const before = w.stats.udpToHost;
  w.guest(w.packet({ destination: PEER6, protocol }, payload));
  return w.stats.udpToHost > before;
}

function problem(w: World6, code: number, pointer: number): void {
  const frame = w.expect("icmp6", { type: 4, code, rest: pointer, source: GATEWAY6 });
  assert.equal(ip6Text(frame.payload.subarray(8, 24)), GUEST6, "the quote");
}

describe("wasm/input6: header", () => {
  const cases: readonly (readonly [string, Partial<Ipv6Fields>, string])[] = [
    ["P01 version 4", { version: 4 }, "dropIpVersion"],
    ["P01 a payload longer than the frame", { payloadLength: 100 }, "dropIpTotalLength"],
    ["P03 hop limit 0", { ttl: 0 }, "dropIpTtl"],
    ["P02 source ::", { source: "::" }, "dropIpSource"],
    ["P02 source ::1", { source: "::1" }, "dropIpSource"],
    ["P02 a multicast source", { source: "ff02::9" }, "dropIpSource"],
    ["P02 our own address as source", { source: GATEWAY6 }, "dropIpSource"],
    ["P02 a source of another network", { source: "2001:db8:9::1" }, "dropIpSource"],
    ["P02 the subnet-router anycast address as source", { source: "fd10:0:2::" }, "dropIpSource"],
    ["to a group", { destination: "ff05::7" }, "dropIpDestination"],
  ];
  for (const [name, fields, reason] of cases) {
    test(`dropped silently: ${name}`, () => {
      const w = new World6();
      const before = w.stats;
      w.guest(w.packet({ destination: PEER6, protocol: PROTOCOL_UDP, ...fields }, datagram()));
      w.expectNothing();
      w.expectCounted(before, { [reason]: 1 });
    });
  }

  test("P01 every cut of a packet is dropped, none is over-read", () => {
    const w = new World6();
    const frame = w.packet({ destination: PEER6, protocol: PROTOCOL_UDP }, datagram());
    for (let length = 14; length < frame.length; length += 1) {
      const { dropIpTruncated, dropIpTotalLength } = w.stats;
      w.guest(frame.subarray(0, length));
      const now = w.stats;
      assert.equal(
        now.dropIpTruncated + now.dropIpTotalLength,
        dropIpTruncated + dropIpTotalLength + 1,
      );
    }
    w.expectNothing();
  });

  test("destinations that lead nowhere are dropped silently", () => {
    const w = new World6({ hostLoopback: true });
    for (const destination of [
      "::",
      "::1",
      "::ffff:7f00:1",
      "::7f00:1",
      "fe80::9",
      "fd10:0:2::99",
    ]) {
      const before = w.stats;
      const ends = { source: GUEST6, destination };
      w.guest(w.packet({ destination, protocol: PROTOCOL_UDP }, datagram(pattern(9), ends)));
      w.expectNothing();
      w.expectCounted(before, { dropIpDestination: 1 });
    }
  });

  test("P03 hop limit 1: time exceeded from the gateway, but not when it is for us", () => {
    const w = new World6();
    w.guest(w.packet({ destination: PEER6, protocol: PROTOCOL_UDP, ttl: 1 }, datagram()));
    w.expect("icmp6", { type: 3, code: 0, source: GATEWAY6, destination: GUEST6 });
    const ends = { source: GUEST6, destination: GATEWAY6 };
    const message = echo6(ends, 1, 1, "x");
    w.guest(w.packet({ ...ends, protocol: PROTOCOL_ICMPV6, ttl: 1 }, message));
    w.expect("icmp6", { type: 129, source: GATEWAY6 });
  });

  test("a link-local source reaches nobody beyond the link, and is told (RFC 4007 §9)", () => {
    const w = new World6();
    const ends = { source: LINK6, destination: PEER6 };
    w.guest(w.packet({ ...ends, protocol: PROTOCOL_UDP }, datagram(pattern(9), ends)));
    w.expect("icmp6", { type: 1, code: 2, destination: LINK6 });
  });

  test("an unknown protocol is a problem of the next header, none at all is not", () => {
    const w = new World6();
    w.guest(w.packet({ destination: PEER6, protocol: 132 }, pattern(30)));
    problem(w, 1, 6);
    w.guest(
      w.packet(
        { destination: PEER6, protocol: OPTIONS },
        concat(extension(132, pattern(0)), pattern(30)),
      ),
    );
    problem(w, 1, 40);
    w.guest(w.packet({ destination: PEER6, protocol: NONE }, pattern(30)));
    w.expectNothing();
  });

  test("IPv4 packets to 240.0.0.0/4, whose numbers stand for IPv6 here, are dropped", () => {
    const w = new World6();
    const before = w.stats;
    w.guest(w.udp({ to: "240.0.0.0", port: 9 }, "x"), w.udp({ to: "255.0.0.4", port: 9 }, "x"));
    w.expectCounted(before, { dropIpDestination: 2 });
    w.guest(w.arp({ targetAddress: "240.0.0.0" }));
    w.expectNothing();
  });

  test("without IPv6 there is none, without IPv4 neither that nor ARP", () => {
    const four = new EngineWorld();
    const w = new World6({ ipv4: false });
    four.guest(w.packet({ destination: GATEWAY6, protocol: PROTOCOL_UDP }, datagram()));
    assert.equal(four.stats.dropEthertype, 1);
    w.guest(w.udp({ to: PEER, port: 9 }, "x"), w.arp({ targetAddress: "10.0.2.2" }));
    w.expectNothing();
    assert.equal(w.stats.dropEthertype, 2);
    assert.equal(four.engine.nextDeadline(), 0, "no advertisements");
  });
});

describe("wasm/input6: extension headers", () => {
  const pad = Uint8Array.of(1, 4, 0, 0, 0, 0);

  test("P08 hop-by-hop, routing and destination options are stepped over", () => {
    const w = new World6();
    const routing = extension(OPTIONS, Uint8Array.of(4, 0, 0, 0, 0, 0));
    const chain = concat(extension(ROUTING, pad), routing, extension(PROTOCOL_UDP, pad));
    assert.ok(arrives(w, HOP, concat(chain, datagram())));
    w.expectNothing();
  });

  test("P08 hop-by-hop counts only first", () => {
    const w = new World6();
    const chain = concat(extension(HOP, pad), extension(PROTOCOL_UDP, pad), datagram());
    assert.ok(!arrives(w, OPTIONS, chain));
    problem(w, 1, 40);
  });

  for (const header of [HOP, OPTIONS]) {
    test(`P08 unknown options of header ${header} by their two top bits`, () => {
      const w = new World6();
      const option = (kind: number): Uint8Array =>
        concat(extension(PROTOCOL_UDP, Uint8Array.of(1, 0, kind, 2, 0, 0)), datagram());
      assert.ok(arrives(w, header, option(0x1e)), "00: skipped");
      assert.ok(!arrives(w, header, option(0x5e)), "01: dropped");
      w.expectNothing();
      for (const kind of [0x9e, 0xde]) {
        assert.ok(!arrives(w, header, option(kind)));
        problem(w, 2, 44);
      }
      // Of a multicast only 10 is told about.
      w.guest(w.packet({ destination: "ff05::7", protocol: header }, option(0xde)));
      w.expectNothing();
      w.guest(w.packet({ destination: "ff05::7", protocol: header }, option(0x9e)));
      w.expect("icmp6", { type: 4, code: 2, rest: 44 });
    });
  }

  test("P08 a routing header with segments left is refused (RFC 5095)", () => {
    for (const type of [0, 2, 4]) {
      const w = new World6();
      const routing = extension(PROTOCOL_UDP, Uint8Array.of(type, 1, 0, 0, 0, 0));
      assert.ok(!arrives(w, ROUTING, concat(routing, datagram())));
      problem(w, 0, 42);
    }
  });

  test("AMNESIA:33 class: the walk is bounded, and lengths that lie end it", () => {
    const w = new World6();
    const many = (n: number): Uint8Array =>
      concat(
        ...Array.from({ length: n }, (_, i) => extension(i + 1 < n ? OPTIONS : PROTOCOL_UDP, pad)),
      );
    assert.ok(arrives(w, OPTIONS, concat(many(8), datagram())));
    assert.ok(!arrives(w, OPTIONS, concat(many(9), datagram())));
    for (const header of [HOP, ROUTING, OPTIONS]) {
      assert.ok(!arrives(w, header, Uint8Array.of(PROTOCOL_UDP, 0, 0)));
      assert.ok(!arrives(w, header, Uint8Array.of(PROTOCOL_UDP, 200, 1, 4, 0, 0, 0, 0)));
    }
    assert.ok(
      !arrives(w, OPTIONS, concat(Uint8Array.of(PROTOCOL_UDP, 0, 1, 200, 0, 0, 0, 0), datagram())),
    );
    w.expectNothing();
  });

  test("smoltcp class: hop-by-hop options to a group are answered at most, and survived", () => {
    const w = new World6();
    for (const destination of ["ff02::1", "ff02::16", "ff05::9"]) {
      for (const type of [0x05, 0x1e, 0x5e, 0x9e, 0xde]) {
        for (const length of [0, 4, 255]) {
          const options = Uint8Array.of(type, length, 0, 0, 0, 0);
          w.guest(w.packet({ destination, protocol: HOP }, extension(NONE, options)));
        }
      }
    }
    assert.ok(w.take().every((one) => one.kind === "icmp6" && one.type === 4));
    w.guest(w.ping(GATEWAY6, 1, 1, "x"));
    w.expect("icmp6", { type: 129 });
  });

  test("any chain is survived, and whatever is answered is sound", () => {
    const w = new World6();
    const property = fc.property(
      fc.constantFrom(HOP, ROUTING, FRAGMENT, OPTIONS, 51, 50, PROTOCOL_TCP, PROTOCOL_UDP),
      fc.uint8Array({ maxLength: 200 }),
      (protocol, payload) => {
        w.guest(w.packet({ destination: PEER6, protocol: protocol ?? 0 }, payload));
        w.take();
        w.now += 1_000_000;
      },
    );
    fc.assert(property, { seed: SEED, numRuns: 500 });
  });
});

describe("wasm/input6: ICMPv6", () => {
  test("P17 a wrong checksum and what is shorter than a header are dropped", () => {
    const w = new World6();
    const before = w.stats;
    w.guest(
      w.icmp6({ destination: GATEWAY6, type: 128, checksum: 1 }, "abc"),
      w.packet({ destination: GATEWAY6, protocol: PROTOCOL_ICMPV6 }, Uint8Array.of(128)),
      w.packet({ destination: GATEWAY6, protocol: PROTOCOL_ICMPV6 }, pattern(0)),
    );
    w.expectNothing();
    w.expectCounted(before, { dropIcmpChecksum: 1, dropIcmpTruncated: 2 });
  });

  test("P15 unknown types are dropped; an unknown error is, too, having nobody to go to", () => {
    const w = new World6();
    const before = w.stats;
    for (const type of [0, 100, 127, 129, 138, 139, 200, 255]) {
      w.guest(w.icmp6({ destination: GATEWAY6, type }, pattern(40)));
    }
    w.expectNothing();
    w.expectCounted(before, { dropIcmpType: 8 });
  });

  test("CVE-2020-22283 class: ICMPv6 of one octet of data, to us and to others", () => {
    const w = new World6();
    w.guest(w.icmp6({ destination: GATEWAY6, type: 128 }, Uint8Array.of(7)));
    const frame = w.expect("icmp6", { type: 129 });
    assert.deepEqual(frame.payload, Uint8Array.of(7));
    for (const type of [1, 2, 3, 4, 133, 135, 136]) {
      w.guest(w.icmp6({ destination: ROUTER6, type }, Uint8Array.of(7)));
    }
    w.expectNothing();
  });

  test("errors about no segment of ours are dropped", () => {
    const w = new World6();
    const before = w.stats;
    const quote = ipv6({ source: PEER6, destination: GUEST6, protocol: PROTOCOL_TCP }, u32(0));
    for (const body of [pattern(0), quote.subarray(0, 39), quote, concat(quote, pattern(20))]) {
      w.guest(w.icmp6({ destination: GATEWAY6, type: 2, rest: 1280 }, body));
    }
    w.expectCounted(before, { dropIcmpQuote: 4 });
  });
});
