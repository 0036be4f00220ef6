/** Classes of IPv6 addresses, and addresses made from others. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ip6, ip6Text } from "../../support/packet.ts";
import { assertEmits, checkProperty } from "../../support/wire.ts";
import { wire6Modules } from "../../support/wire6.ts";

const CLASSES: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ["address6IsUnspecified", ["::"], ["::1", "1::", "::1:0:0:0"]],
  ["address6IsLoopback", ["::1"], ["::", "::2", "1::1"]],
  ["address6IsMulticast", ["ff00::", "ff02::1", "ffff::"], ["fe80::", "fdff::", "::ff"]],
  ["address6IsLinkLocal", ["fe80::", "febf:ffff::1"], ["fe7f::", "fec0::", "ff02::1"]],
  ["address6IsSiteLocal", ["fec0::", "feff:ffff::1"], ["febf::", "ff00::", "fdc0::"]],
  ["address6IsEmbedded", ["::", "::1", "::7f00:1", "::ffff:a00:1"], ["64:ff9b::1", "::1:0:1"]],
  ["address6IsUnusable", ["::", "ff02::1", "::ffff:1"], ["2001:db8::", "64:ff9b::a00:1"]],
];

for (const [variant, wire] of wire6Modules()) {
  const at = (address: string, place = 0): number => {
    return wire.write(wire.u32("scratchBase") + 64 * place, ip6(address));
  };

  describe(`wire/addr6 (${variant})`, () => {
    for (const [name, members, others] of CLASSES) {
      test(name, () => {
        for (const one of members) assert.ok(wire.bool(name, wire.writeAtEnd(ip6(one))), one);
        for (const one of others) assert.ok(!wire.bool(name, wire.writeAtEnd(ip6(one))), one);
      });
    }

    test("prefixes and host parts of any length", () => {
      const octet = fc.integer({ min: 0, max: 255 });
      const address = fc.array(octet, { minLength: 16, maxLength: 16 });
      checkProperty(
        fc.property(address, fc.nat({ max: 128 }), fc.nat({ max: 127 }), (a, length, bit) => {
          const other = Uint8Array.from(a);
          other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
          const base = wire.u32("scratchBase");
          wire.write(base, Uint8Array.from(a));
          wire.write(base + 16, other);
          assert.ok(wire.bool("address6InPrefix", base, base, length));
          assert.equal(wire.bool("address6InPrefix", base + 16, base, length), bit >= length);
          assert.equal(wire.bool("address6Equal", base, base + 16), false);
          const isZero = a.every((octet, i) =>
            [...Array(8).keys()].every((k) => i * 8 + k < length || (octet & (0x80 >> k)) === 0),
          );
          assert.equal(wire.bool("address6IsHostZero", base, length), isZero);
        }),
      );
    });

    test("solicited-node address, its MAC, and EUI-64", () => {
      const source = at("2001:db8::12:3456:7890", 2);
      assertEmits(wire, ip6("ff02::1:ff56:7890"), (p) => wire.run("address6Solicited", p, source));
      assert.equal(wire.u64("address6GroupMac", at("ff02::1:ff56:7890")), 0x3333ff567890n);
      assertEmits(wire, ip6("fe80::5055:aff:fe00:202"), (p) =>
        wire.run("address6FromMac", p, 0x52550a000202n),
      );
      assert.equal(ip6Text(ip6("fe80::1")), "fe80::1");
    });
  });
}
