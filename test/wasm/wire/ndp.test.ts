/** Neighbour discovery: options are walked safely, every emitter writes just its octets. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hex } from "../../support/hex.ts";
import { concat, ip6, pattern } from "../../support/packet.ts";
import { linkOption } from "../../support/packet6.ts";
import { assertEmits, checkProperty } from "../../support/wire.ts";
import { wire6Modules } from "../../support/wire6.ts";

const MAC = 0x525400123456n;
const LINK = linkOption(2, "52:54:00:12:34:56");

for (const [variant, wire] of wire6Modules()) {
  const ok = (octets: Uint8Array): boolean =>
    wire.bool("ndpOptionsOk", wire.writeAtEnd(octets), octets.length);
  const target = (): number => wire.write(wire.u32("scratchBase") + 8192, ip6("fd10:0:2::1"));

  describe(`wire/ndp (${variant})`, () => {
    test("V09 options: length 0 and lengths past the end are refused", () => {
      assert.ok(ok(pattern(0)));
      assert.ok(ok(LINK));
      assert.ok(ok(concat(LINK, Uint8Array.of(9, 2), pattern(14))));
      for (const wrong of [LINK.subarray(0, 7), Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)]) {
        assert.ok(!ok(wrong));
        assert.ok(!ok(concat(LINK, wrong)));
      }
      assert.ok(!ok(Uint8Array.of(1, 2, 0, 0, 0, 0, 0, 0)));
    });

    test("AMNESIA:33 class: any octets are walked to an end, and found options are inside", () => {
      checkProperty(
        fc.property(fc.uint8Array({ maxLength: 80 }), (octets) => {
          if (!ok(octets)) return;
          const p = wire.writeAtEnd(octets);
          for (const type of [1, 2, 3, 5]) {
            const at = wire.u32("ndpOptionFind", p, octets.length, type);
            assert.ok(at === 0 || (at >= p && at + 8 <= wire.end));
          }
        }),
      );
    });

    test("emit: neighbour messages", () => {
      const body = concat(ip6("fd10:0:2::1"), linkOption(1, "52:54:00:12:34:56"));
      assertEmits(wire, concat(hex("87 00 00 00 00 00 00 00"), body), (p) => {
        wire.run("ndpSolicitationEmit", p, target(), MAC);
      });
      assertEmits(wire, concat(hex("88 00 00 00 e0 00 00 00"), ip6("fd10:0:2::1"), LINK), (p) => {
        wire.run("ndpAdvertisementEmit", p, target(), MAC, 0xe0000000);
      });
      assertEmits(wire, LINK, (p) => wire.run("ndpLinkAddressEmit", p, 2, MAC));
    });

    test("emit: router advertisement and its options", () => {
      assertEmits(wire, hex("86 00 00 00 40 c0 07 08 00 00 00 00 00 00 00 00"), (p) => {
        wire.run("ndpRouterEmit", p, 64, 0xc0, 1800);
      });
      assertEmits(wire, hex("05 01 00 00 00 00 05 dc"), (p) => wire.run("ndpMtuEmit", p, 1500));
      assertEmits(wire, concat(hex("19 03 00 00 00 00 07 08"), ip6("fd10:0:2::1")), (p) => {
        wire.run("ndpDnsEmit", p, 1800, target());
      });
      for (const [length, prefix] of [
        [64, "fd10:0:2::"],
        [45, "fd10::"],
        [128, "fd10:0:2::1"],
        [0, "::"],
      ] as const) {
        const head = concat(Uint8Array.of(3, 4, length, 0xc0), hex("00 00 00 09 00 00 00 08"));
        assertEmits(wire, concat(head, hex("00 00 00 00"), ip6(prefix)), (p) => {
          wire.run("ndpPrefixEmit", p, target(), length, 0xc0, 9, 8);
        });
      }
    });

    test("V15 emit: a search list is padded with zeroes to 8 octets", () => {
      for (const [length, size] of [
        [8, 16],
        [9, 24],
        [16, 24],
      ] as const) {
        const names = wire.write(wire.u32("scratchBase") + 8192, pattern(length));
        const head = concat(Uint8Array.of(31, size / 8), hex("00 00 00 00 07 08"));
        const padding = new Uint8Array(size - 8 - length);
        assertEmits(wire, concat(head, pattern(length), padding), (p) => {
          assert.equal(wire.u32("ndpSearchEmit", p, 1800, names, length), size);
        });
      }
    });
  });
}
