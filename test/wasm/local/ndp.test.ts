/** Neighbour discovery: who is answered, what is learnt, what the router advertises and when. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { encodeDhcp6Options } from "../../../src/config/dhcp6-options.ts";
import {
  DNS6,
  GATEWAY_MAC,
  GATEWAY6,
  GUEST_MAC,
  GUEST6,
  groups,
  LINK6,
  ROUTER6,
} from "../../support/engine-settings.ts";
import type { Icmp6Frame } from "../../support/frame.ts";
import { concat, ip6, ip6Text, macOctets, pattern, u16, u32 } from "../../support/packet.ts";
import {
  ALL_NODES,
  ALL_ROUTERS,
  linkOption,
  neighborAdvertisement,
  neighborSolicitation,
  routerSolicitation,
  solicitedNode,
} from "../../support/packet6.ts";
import { World6, type World6Options } from "../../support/world6.ts";

const SEED = 20261121;
const SECOND = 1_000_000;
const [ROUTER_FLAG, SOLICITED, OVERRIDE] = [0x80000000, 0x40000000, 0x20000000];

/** Options of a neighbour discovery message: type and content. */
function optionsOf(octets: Uint8Array): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  for (let at = 0; at < octets.length; at += 8 * (octets[at + 1] ?? 1)) {
    found.set(octets[at] ?? 0, octets.slice(at + 2, at + 8 * (octets[at + 1] ?? 1)));
  }
  return found;
}

function advertised(w: World6): Map<number, Uint8Array> {
  w.guest(
    w.message(LINK6, ALL_ROUTERS, routerSolicitation({ source: LINK6, destination: ALL_ROUTERS })),
  );
  const frame = w.expect("icmp6", { type: 134, destination: LINK6 });
  return optionsOf(frame.payload.subarray(8));
}

function solicit(w: World6, target: string, source = LINK6, option = GUEST_MAC): Uint8Array {
  const destination = solicitedNode(target);
  const body = option === "" ? "" : linkOption(1, option);
  return w.message(
    source,
    destination,
    neighborSolicitation({ source, destination }, target, body),
  );
}

describe("wasm/local/ndp: neighbours", () => {
  for (const target of [GATEWAY6, DNS6, ROUTER6]) {
    test(`V10 a solicitation for ${target} is answered from it, solicited, with our MAC`, () => {
      const w = new World6();
      w.guest(solicit(w, target));
      const frame = w.expect("icmp6", {
        type: 136,
        source: target,
        destination: LINK6,
        destinationMac: GUEST_MAC,
        rest: (ROUTER_FLAG | SOLICITED | OVERRIDE) >>> 0,
      });
      assert.equal(ip6Text(frame.payload.subarray(0, 16)), target);
      assert.deepEqual(optionsOf(frame.payload.subarray(16)).get(2), macOctets(GATEWAY_MAC));
    });
  }

  test("V10 a probe for an address of ours is answered to all, unsolicited", () => {
    const w = new World6();
    w.guest(solicit(w, GATEWAY6, "::", ""));
    w.expect("icmp6", {
      type: 136,
      source: GATEWAY6,
      destination: ALL_NODES,
      destinationMac: "33:33:00:00:00:01",
      rest: (ROUTER_FLAG | OVERRIDE) >>> 0,
    });
  });

  test("V10 the guest's own address is never answered for, nor any other", () => {
    const w = new World6();
    for (const target of [GUEST6, LINK6, "fd10:0:2::77", "2001:db8::80", "fe80::1"]) {
      const before = w.stats;
      w.guest(solicit(w, target, "::", ""), solicit(w, target));
      w.expectNothing();
      w.expectCounted(before, { dropNdpIgnored: 2 });
    }
  });

  const wrong: readonly (readonly [string, (w: World6) => Uint8Array])[] = [
    [
      "hop limit 254",
      (w) => {
        const ends = { source: LINK6, destination: solicitedNode(GATEWAY6) };
        const message = neighborSolicitation(ends, GATEWAY6, linkOption(1, GUEST_MAC));
        return w.message(ends.source, ends.destination, message, 254);
      },
    ],
    [
      "a code",
      (w) => {
        const ends = { source: LINK6, destination: ROUTER6 };
        const message = neighborSolicitation(ends, GATEWAY6, "", { code: 1 });
        return w.message(LINK6, ROUTER6, message);
      },
    ],
    ["23 octets", (w) => w.icmp6({ source: LINK6, destination: ROUTER6, type: 135 }, pattern(15))],
    [
      "an option of length 0",
      (w) =>
        w.icmp6(
          { source: LINK6, destination: ROUTER6, type: 135 },
          concat(ip6(GATEWAY6), Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)),
        ),
    ],
    [
      "an option past the end",
      (w) =>
        w.icmp6(
          { source: LINK6, destination: ROUTER6, type: 135 },
          concat(ip6(GATEWAY6), Uint8Array.of(1, 2, 0, 0, 0, 0, 0, 0)),
        ),
    ],
    [
      "a multicast target",
      (w) => w.icmp6({ source: LINK6, destination: ROUTER6, type: 135 }, ip6("ff02::1")),
    ],
    [
      "a probe by unicast",
      (w) => w.icmp6({ source: "::", destination: GATEWAY6, type: 135 }, ip6(GATEWAY6)),
    ],
    [
      "a probe with a link-layer address",
      (w) =>
        w.icmp6(
          { source: "::", destination: solicitedNode(GATEWAY6), type: 135 },
          concat(ip6(GATEWAY6), linkOption(1, GUEST_MAC)),
        ),
    ],
    [
      "a router solicitation from :: with a link-layer address",
      (w) =>
        w.icmp6({ source: "::", destination: ALL_ROUTERS, type: 133 }, linkOption(1, GUEST_MAC)),
    ],
    [
      "a solicited advertisement to all",
      (w) =>
        w.message(
          LINK6,
          ALL_NODES,
          neighborAdvertisement({ source: LINK6, destination: ALL_NODES }, GUEST6, SOLICITED),
        ),
    ],
  ];
  for (const [name, build] of wrong) {
    test(`V09 malformed: ${name}`, () => {
      const w = new World6();
      const before = w.stats;
      w.guest(build(w));
      w.expectNothing();
      w.expectCounted(before, { dropNdpMalformed: 1 });
    });
  }

  test("V09 a wrong checksum is dropped", () => {
    const w = new World6();
    const before = w.stats;
    w.guest(
      w.icmp6({ source: LINK6, destination: ROUTER6, type: 135, checksum: 7 }, ip6(GATEWAY6)),
    );
    w.expectNothing();
    w.expectCounted(before, { dropIcmpChecksum: 1 });
  });

  test("a MAC that is not the frame's is not believed", () => {
    const w = new World6();
    const before = w.stats;
    w.guest(solicit(w, GATEWAY6, LINK6, "02:00:00:00:00:09"));
    w.expectNothing();
    w.expectCounted(before, { dropNdpIgnored: 1 });
  });

  test("a router's own messages from the guest are ignored", () => {
    const w = new World6();
    const before = w.stats;
    w.guest(
      w.icmp6({ source: LINK6, destination: ALL_NODES, type: 134 }, pattern(8)),
      w.icmp6({ source: LINK6, destination: GUEST6, type: 137 }, pattern(32)),
    );
    w.expectNothing();
    w.expectCounted(before, { dropNdpIgnored: 2 });
  });

  test("listener reports are accepted and ignored (RFC 2710, RFC 3810)", () => {
    const w = new World6();
    const before = w.stats;
    for (const type of [130, 131, 132, 143]) {
      w.guest(w.icmp6({ source: LINK6, destination: "ff02::16", type }, pattern(16), { ttl: 1 }));
    }
    w.guest(w.icmp6({ source: "::", destination: "ff02::16", type: 143 }, pattern(20), { ttl: 1 }));
    w.expectNothing();
    w.expectCounted(before, { consumedLocal: 5 });
  });

  test("an inbound connection asks who has the guest's address, and an answer is learnt", () => {
    const w = new World6({ guestMac: new Uint8Array(6) });
    w.inboundTcp(80, "2001:db8::80");
    w.advance(0);
    const asked = w.expect("icmp6", {
      type: 135,
      source: ROUTER6,
      destination: solicitedNode(GUEST6),
      destinationMac: "33:33:ff:00:00:02",
    });
    assert.equal(ip6Text(asked.payload.subarray(0, 16)), GUEST6);
    w.expect("arp", { operation: 1 });
    const ends = { source: GUEST6, destination: ROUTER6 };
    const answer = neighborAdvertisement(
      ends,
      GUEST6,
      SOLICITED | OVERRIDE,
      linkOption(2, GUEST_MAC),
    );
    w.guest(w.message(GUEST6, ROUTER6, answer));
    w.advance(SECOND);
    w.expect("tcp", { destination: GUEST6, destinationPort: 80, flags: "S" });
  });

  test("a guest that made its own address gets inbound connections there", () => {
    const own = "fd10:0:2::abc";
    const w = new World6({ guestMac: new Uint8Array(6), ipv6: { prefixLength: 64 } });
    w.guest(solicit(w, GATEWAY6, own));
    w.expect("icmp6", { type: 136, destination: own });
    w.inboundTcp(80, "2001:db8::80");
    w.advance(0);
    w.expect("tcp", { destination: own, flags: "S" });
  });

  test("AMNESIA:33 class: any message is survived and every answer is sound", () => {
    const w = new World6();
    const message = fc.record({
      type: fc.constantFrom(133, 134, 135, 136, 137, 143),
      body: fc.uint8Array({ maxLength: 120 }),
      source: fc.constantFrom(LINK6, GUEST6, "::"),
      destination: fc.constantFrom(ROUTER6, ALL_ROUTERS, solicitedNode(GATEWAY6), GATEWAY6),
    });
    const property = fc.property(message, ({ type, body, source, destination }) => {
      w.guest(w.icmp6({ source, destination, type }, body));
      w.take();
      w.now += SECOND;
    });
    fc.assert(property, { seed: SEED, numRuns: 500 });
  });
});

describe("wasm/local/ndp: router", () => {
  test("V11 a solicitation is answered at once, to its sender", () => {
    const w = new World6();
    const ends = { source: LINK6, destination: ALL_ROUTERS };
    w.guest(w.message(LINK6, ALL_ROUTERS, routerSolicitation(ends, linkOption(1, GUEST_MAC))));
    const frame = w.expect("icmp6", {
      type: 134,
      source: ROUTER6,
      destination: LINK6,
      destinationMac: GUEST_MAC,
      ttl: 255,
    });
    assert.equal(frame.rest, 0x40c00000 + 1800, "hop limit 64, M and O, 1800 s");
  });

  test("V11 to all at most every three seconds", () => {
    const w = new World6();
    const ends = { source: "::", destination: ALL_ROUTERS };
    const ask = (): void => w.guest(w.message("::", ALL_ROUTERS, routerSolicitation(ends)));
    w.advance(SECOND);
    ask();
    ask();
    w.expectNothing();
    w.advance(1_999_999);
    w.expectNothing();
    w.advance(1);
    w.expect("icmp6", { type: 134, destination: ALL_NODES });
    w.advance(5 * SECOND);
    w.expectNothing();
    ask();
    w.expect("icmp6", { type: 134, destination: ALL_NODES });
  });

  test("V12 unasked for: three times within 16 s each, then every 200 to 600 s", () => {
    const w = new World6();
    const times: number[] = [w.now];
    while (times.length < 12) {
      w.advance(100_000);
      for (const frame of w.take()) {
        assert.ok(frame.kind === "icmp6" && frame.type === 134);
        times.push(w.now);
      }
    }
    const gaps = times.slice(1).map((time, i) => (time - (times[i] ?? 0)) / SECOND);
    for (const gap of gaps.slice(0, 2)) assert.ok(gap <= 16.2, String(gap));
    for (const gap of gaps.slice(2)) assert.ok(gap >= 199.8 && gap <= 600.2, String(gap));
    assert.ok(new Set(gaps.slice(2).map(Math.round)).size > 3, "random times");
  });

  test("V12 at the end it says that it is no router any more", () => {
    const w = new World6();
    w.engine.farewell();
    w.advance(300 * SECOND);
    const [frame] = w.take();
    assert.ok(frame?.kind === "icmp6" && frame.type === 134);
    assert.equal(frame.rest & 0xffff, 0);
  });

  test("V13 the prefix: on link, good for addresses only if it is a /64", () => {
    for (const [prefixLength, flags] of [
      [120, 0x80],
      [64, 0xc0],
      [48, 0x80],
    ] as const) {
      const option = advertised(new World6({ ipv6: { prefixLength } })).get(3);
      assert.ok(option !== undefined);
      const view = new DataView(option.buffer);
      assert.deepEqual([option[0], option[1]], [prefixLength, flags]);
      assert.ok(view.getUint32(6) <= view.getUint32(2), "preferred at most valid");
      assert.equal(ip6Text(option.subarray(14)), "fd10:0:2::");
    }
  });

  test("V14 the MTU is the link's", () => {
    for (const mtu of [1280, 1500, 65520]) {
      assert.deepEqual(advertised(new World6({ mtu })).get(5), concat(u16(0), u32(mtu)));
    }
  });

  test("V15 DNS address and search list, with lifetimes, padded to 8 octets", () => {
    const dhcpOptions = encodeDhcp6Options(["a.test", "bc.test"]);
    const options = advertised(new World6({ ipv6: { dhcpOptions } }));
    assert.deepEqual(options.get(25), concat(u16(0), u32(1800), ip6(DNS6)));
    const names = concat("\x01a\x04test\0", "\x02bc\x04test\0");
    const padded = concat(names, new Uint8Array((8 - (names.length % 8)) % 8));
    assert.deepEqual(options.get(31), concat(u16(0), u32(1800), padded));
    assert.deepEqual(options.get(1), macOctets(GATEWAY_MAC));
    assert.equal(advertised(new World6({ dns: false })).get(25), undefined);
  });

  test("the DNS address is named where a resolver has IPv6 or IPv4 is not served", () => {
    const isNamed = (options: World6Options): boolean => advertised(new World6(options)).has(25);
    const six = { groups: groups("2001:db8::53"), scope: 0 };
    assert.equal(isNamed({ dns6: "auto" }), false, "a resolver of IPv4 alone");
    assert.equal(isNamed({ dns6: "auto", resolvers: [1, six] }), true);
    assert.equal(isNamed({ dns6: "auto", ipv4: false }), true);
    assert.equal(isNamed({ dns6: "always" }), true);
    assert.equal(isNamed({ dns6: "never", resolvers: [six], ipv4: false }), false);
  });

  test("CVE-2019-9824 class: no octet of an answer is left from what the slot held before", () => {
    const [empty, full] = [0x00, 0xff].map((filling) => {
      const dhcpOptions = encodeDhcp6Options(["one.test"]);
      const w = new World6({ mtu: 9000, ipv6: { dhcpOptions } });
      const ends = { source: LINK6, destination: ALL_ROUTERS };
      return w.sentOver(filling, () => {
        w.guest(w.message(LINK6, ALL_ROUTERS, routerSolicitation(ends)));
        w.guest(solicit(w, GATEWAY6), solicit(w, DNS6, "::", ""));
      });
    });
    assert.equal(empty?.length, 3);
    assert.deepEqual(empty, full);
  });

  test("V16 M and O say whether DHCPv6 is there", () => {
    const flags = (dhcp: boolean): number => {
      const w = new World6({ dhcp });
      const ends = { source: LINK6, destination: ALL_ROUTERS };
      w.guest(w.message(LINK6, ALL_ROUTERS, routerSolicitation(ends)));
      const [frame] = w.take();
      return ((frame as Icmp6Frame).rest >>> 16) & 0xff;
    };
    assert.equal(flags(true), 0xc0);
    assert.equal(flags(false), 0);
  });
});
