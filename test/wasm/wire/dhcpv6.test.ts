/** DHCPv6 messages: options are walked safely; deconstruct, construct, emit. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hex } from "../../support/hex.ts";
import { concat, pattern } from "../../support/packet.ts";
import { dhcp6, options6 } from "../../support/packet6.ts";
import {
  assertConstructs,
  assertDeconstructs,
  assertEmits,
  checkProperty,
} from "../../support/wire.ts";
import { wire6Modules } from "../../support/wire6.ts";

const HEADER = dhcp6({ type: 3, transaction: 0xabcdef });

for (const [variant, wire] of wire6Modules()) {
  const ok = (octets: Uint8Array): boolean =>
    wire.bool("dhcp6OptionsOk", wire.writeAtEnd(octets), octets.length);

  describe(`wire/dhcpv6 (${variant})`, () => {
    test("parse: whole options only", () => {
      const list = options6([
        [1, pattern(10)],
        [14, pattern(0)],
        [6, pattern(4)],
      ]);
      assert.ok(ok(list));
      for (let length = 0; length < list.length; length += 1) {
        assert.equal(ok(list.subarray(0, length)), [0, 14, 18].includes(length), String(length));
      }
      const p = wire.writeAtEnd(list);
      assert.equal(wire.u32("dhcp6Find", p, wire.end, 6), p + 18);
      assert.equal(wire.u32("dhcp6Find", p, wire.end, 7), 0);
      assert.equal(wire.u32("dhcp6After", p), p + 14);
    });

    test("CVE-2017-11434 class: what passes is walked to an end, inside the message", () => {
      checkProperty(
        fc.property(fc.uint8Array({ maxLength: 100 }), (octets) => {
          if (!ok(octets)) return;
          const p = wire.writeAtEnd(octets);
          for (const code of [0, 1, 3, 6]) {
            const at = wire.u32("dhcp6Find", p, wire.end, code);
            assert.ok(at === 0 || (at >= p && at + 4 <= wire.end));
          }
        }),
      );
    });

    test("deconstruct and construct", () => {
      const fields = { type: 3, transaction: 0xabcdef };
      assertDeconstructs(wire, "dhcp6", HEADER, fields);
      assertConstructs(wire, "dhcp6", HEADER, fields);
      const option = concat(hex("00 17 00 10"), pattern(16));
      assertDeconstructs(wire, "option6", option, { code: 23, length: 16, value: 4 });
      assertConstructs(wire, "option6", option.subarray(0, 4), { code: 23, length: 16 });
    });

    test("emit", () => {
      assertEmits(wire, HEADER, (p) => wire.run("dhcp6Emit", p, 3, 0xabcdef));
      assertEmits(wire, hex("00 17 00 10"), (p) => wire.run("dhcp6OptionEmit", p, 23, 16));
    });
  });
}
