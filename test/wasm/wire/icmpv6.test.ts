/** ICMPv6 header: deconstruct, construct, emit; checksums with the pseudo-header. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hex } from "../../support/hex.ts";
import { concat, ip6 } from "../../support/packet.ts";
import { echo6, icmp6 } from "../../support/packet6.ts";
import {
  assertConstructs,
  assertDeconstructs,
  assertEmits,
  checkProperty,
} from "../../support/wire.ts";
import { wire6Modules } from "../../support/wire6.ts";

const ENDS = { source: "fd10:0:2::2", destination: "2001:db8::80" };
const ECHO = echo6(ENDS, 0x1234, 7, "abcdefg");
const FIELDS = {
  type: 128,
  code: 0,
  checksum: ((ECHO[2] ?? 0) << 8) | (ECHO[3] ?? 0),
  identifier: 0x1234,
  sequence: 7,
  rest: 0x12340007,
};

for (const [variant, wire] of wire6Modules()) {
  const pseudo = (length: number): number => {
    const base = wire.u32("scratchBase") + 4096;
    wire.write(base, concat(ip6(ENDS.source), ip6(ENDS.destination)));
    return wire.u32("sumPseudo6", base, base + 16, 58, length);
  };
  const sound = (message: Uint8Array): boolean => {
    const sum = pseudo(message.length);
    return wire.bool("icmpv6ChecksumOk", wire.writeAtEnd(message), message.length, sum);
  };

  describe(`wire/icmpv6 (${variant})`, () => {
    test("P17 parse: the checksum covers the addresses", () => {
      assert.ok(sound(ECHO));
      assert.ok(!sound(icmp6({ ...ENDS, destination: "2001:db8::81", type: 128 }, "")));
      for (let length = 0; length < 4; length += 1) assert.ok(!sound(ECHO.subarray(0, length)));
    });

    test("deconstruct and construct", () => {
      assertDeconstructs(wire, "icmpv6", ECHO.subarray(0, 8), FIELDS);
      assertConstructs(wire, "icmpv6", ECHO.subarray(0, 8), FIELDS);
    });

    test("emit", () => {
      assertEmits(wire, hex("02 00 00 00 00 00 05 78"), (p) => {
        wire.run("icmpv6Emit", p, 2, 0, 1400);
      });
    });

    test("fill makes any message sound", () => {
      checkProperty(
        fc.property(fc.uint8Array({ minLength: 8, maxLength: 300 }), (octets) => {
          const base = wire.write(wire.u32("scratchBase"), octets);
          wire.run("icmpv6ChecksumFill", base, octets.length, pseudo(octets.length));
          const filled = wire.read(base, octets.length);
          assert.ok(sound(filled));
          const wanted = icmp6(
            { ...ENDS, type: octets[0] ?? 0, code: octets[1] ?? 0 },
            "",
          ).subarray(0, 2);
          assert.deepEqual(filled.subarray(0, 2), wanted);
        }),
      );
    });
  });
}
