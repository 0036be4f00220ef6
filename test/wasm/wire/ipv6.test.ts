/** IPv6 header: parse, deconstruct, construct, emit; the walk over extension headers. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hex } from "../../support/hex.ts";
import { concat, ip6, pattern } from "../../support/packet.ts";
import { extension, fragmentHeader, ipv6 } from "../../support/packet6.ts";
import {
  assertConstructs,
  assertDeconstructs,
  assertEmits,
  checkProperty,
} from "../../support/wire.ts";
import { wire6Modules } from "../../support/wire6.ts";

const HEADER = hex(`
  6b 81 23 45                                      # version 6, class 0xb8, label 0x12345
  00 05 3a ff                                      # payload 5, ICMPv6, hop limit 255
  fd 10 00 00 00 02 00 00 00 00 00 00 00 00 00 02  # source
  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 80  # destination
`);
const FIELDS = {
  version: 6,
  trafficClass: 0xb8,
  flowLabel: 0x12345,
  payloadLength: 5,
  nextHeader: 58,
  hopLimit: 255,
};
const ENDS = { source: "fd10:0:2::2", destination: "2001:db8::80" };
const [OK, DROP, PROBLEM] = [0, 1, 2];

for (const [variant, wire] of wire6Modules()) {
  const check = (octets: Uint8Array): number =>
    wire.i32("ipv6Check", wire.writeAtEnd(octets), octets.length);
  const walk = (packet: Uint8Array, whole = false): number =>
    wire.i32("ipv6Walk", wire.writeAtEnd(packet), packet.length, whole ? 1 : 0);

  describe(`wire/ipv6 (${variant})`, () => {
    test("parse", () => {
      const packet = concat(HEADER, pattern(5));
      assert.equal(check(packet), OK);
      assert.equal(check(concat(packet, pattern(9))), OK, "padding");
      assert.equal(check(packet.subarray(0, 39)), 1);
      assert.equal(check(concat(Uint8Array.of(0x45), packet.subarray(1))), 2);
      assert.equal(check(packet.subarray(0, 44)), 4);
    });

    test("deconstruct", () => {
      assertDeconstructs(wire, "ipv6", HEADER, { ...FIELDS, source: 8, destination: 24 });
      const fragment = fragmentHeader(17, 1480, true, 0xdeadbeef);
      const fields = { nextHeader: 17, offset: 1480, more: 1, identification: 0xdeadbeef };
      assertDeconstructs(wire, "fragment", fragment, fields);
    });

    test("construct", () => {
      assertConstructs(wire, "ipv6", HEADER.subarray(0, 8), FIELDS);
    });

    test("emit writes the 40 octets of a header and no others", () => {
      const base = wire.u32("scratchBase") + 4096;
      wire.write(base, ip6(ENDS.source));
      wire.write(base + 16, ip6(ENDS.destination));
      const wanted = ipv6({ ...ENDS, protocol: 58, ttl: 255, tos: 0xb8 }, pattern(5)).subarray(
        0,
        40,
      );
      assertEmits(wire, wanted, (p) => {
        wire.run("ipv6Emit", p, base, base + 16, 58, 5, 255, 0xb8);
      });
      assertEmits(wire, fragmentHeader(17, 1480, true, 7), (p) => {
        wire.run("ipv6FragmentEmit", p, 17, 1480, 1, 7);
      });
    });

    test("P08 the walk finds what a packet carries", () => {
      const pad = Uint8Array.of(1, 4, 0, 0, 0, 0);
      const chain = concat(extension(60, pad), extension(17, pad), pattern(20));
      assert.equal(walk(ipv6({ ...ENDS, protocol: 0 }, chain)), OK);
      assert.deepEqual([wire.u32("walkProtocol"), wire.u32("walkOffset")], [17, 56]);
      assert.equal(wire.u32("walkField"), 48);
      const part = concat(fragmentHeader(17, 8, true, 1), pattern(8));
      assert.equal(walk(ipv6({ ...ENDS, protocol: 44 }, part)), OK);
      assert.deepEqual([wire.u32("walkProtocol"), wire.u32("walkOffset")], [44, 40]);
      assert.equal(walk(ipv6({ ...ENDS, protocol: 44 }, part), true), DROP);
      const unknown = extension(17, Uint8Array.of(0xc2, 4, 0, 0, 0, 0));
      assert.equal(walk(ipv6({ ...ENDS, protocol: 60 }, concat(unknown, pattern(8)))), PROBLEM);
      assert.deepEqual([wire.u32("problemCode"), wire.u32("problemPointer")], [2, 42]);
    });

    test("AMNESIA:33 class: the walk ends, inside the packet, whatever it meets", () => {
      const next = fc.constantFrom(0, 43, 44, 60, 6, 17, 58, 59, 51);
      const header = fc.tuple(
        next,
        fc.nat({ max: 3 }),
        fc.uint8Array({ minLength: 6, maxLength: 30 }),
      );
      checkProperty(
        fc.property(next, fc.array(header, { maxLength: 12 }), (first, list) => {
          const chain = list.map(([one, size, body]) => concat(Uint8Array.of(one, size), body));
          const packet = ipv6({ ...ENDS, protocol: first }, concat(...chain));
          const verdict = walk(packet);
          assert.ok(verdict >= 0 && verdict <= 3);
          if (verdict !== OK) return;
          const offset = wire.u32("walkOffset");
          assert.ok(offset >= 40 && offset <= packet.length, String(offset));
          assert.ok(wire.u32("walkField") < packet.length);
        }),
      );
    });
  });
}
