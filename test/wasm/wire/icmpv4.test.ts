/** ICMP header: parse, deconstruct, construct, emit; checksums. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hex, patched } from "../../support/hex.ts";
import { internetSum } from "../../support/internet-sum.ts";
import {
  assertConstructs,
  assertDeconstructs,
  assertEmits,
  checkProperty,
  wireModules,
} from "../../support/wire.ts";

const ECHO = hex(`
  08 00                 # echo request
  54 97                 # checksum
  12 34                 # identifier
  00 07                 # sequence
  61 62 63 64 65 66 67  # data
`);
const ECHO_FIELDS = {
  type: 8,
  code: 0,
  checksum: 0x5497,
  identifier: 0x1234,
  sequence: 7,
  rest: 0x12340007,
  mtu: 7,
};

const TOO_BIG = hex(`
  03 04        # unreachable: fragmentation needed
  2a f5        # checksum
  00 00 05 78  # next-hop MTU 1400
  45 10 00 3c 1c 46 40 00 40 06 00 00 0a 00 02 0f 5d b8 d8 22  # quoted IPv4 header
  a8 ca 00 50 ff ff ff f0  # quoted TCP ports and sequence
`);
const TOO_BIG_FIELDS = {
  type: 3,
  code: 4,
  checksum: 0x2af5,
  identifier: 0,
  sequence: 1400,
  rest: 1400,
  mtu: 1400,
};

for (const [variant, wire] of wireModules()) {
  const checksumOk = (octets: Uint8Array): boolean =>
    wire.bool("icmpv4ChecksumOk", wire.writeAtEnd(octets), octets.length);

  describe(`wire/icmpv4 (${variant})`, () => {
    test("parse", () => {
      assert.ok(checksumOk(ECHO));
      assert.ok(checksumOk(TOO_BIG));
    });

    test("deconstruct", () => {
      assertDeconstructs(wire, "icmpv4", ECHO.subarray(0, 8), ECHO_FIELDS);
      assertDeconstructs(wire, "icmpv4", TOO_BIG.subarray(0, 8), TOO_BIG_FIELDS);
    });

    test("construct", () => {
      assertConstructs(wire, "icmpv4", ECHO.subarray(0, 8), ECHO_FIELDS);
      assertConstructs(wire, "icmpv4", TOO_BIG.subarray(0, 8), TOO_BIG_FIELDS);
    });

    test("emit leaves the checksum zero, the fill puts it in", () => {
      for (const [message, fields] of [
        [ECHO, ECHO_FIELDS],
        [TOO_BIG, TOO_BIG_FIELDS],
      ] as const) {
        const { type, code, rest } = fields;
        const unsummed = patched(message.subarray(0, 8), 2, hex("00 00"));
        assertEmits(wire, unsummed, (p) => wire.run("icmpv4Emit", p, type, code, rest));
        assertEmits(wire, message, (p) => {
          wire.write(p, patched(message, 2, hex("be ef")));
          wire.run("icmpv4ChecksumFill", p, message.length);
        });
      }
    });

    test("a message with any one bit flipped is refused", () => {
      for (let bit = 0; bit < 8 * ECHO.length; bit += 1) {
        const flipped = Uint8Array.from(ECHO);
        flipped[bit >> 3] = (ECHO[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        assert.ok(!checksumOk(flipped), `bit ${bit}`);
      }
    });

    test("less than a header is refused whatever it sums to", () => {
      for (let length = 0; length < 8; length += 1) {
        assert.ok(!checksumOk(new Uint8Array(length).fill(0xff)), `${length} octets`);
      }
    });

    test("random messages are judged as by the reference and never trap", () => {
      checkProperty(
        fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (octets, fill) => {
          const p = wire.writeAtEnd(octets);
          if (fill && octets.length >= 8) wire.run("icmpv4ChecksumFill", p, octets.length);
          const sound = octets.length >= 8 && internetSum(wire.read(p, octets.length)) === 0xffff;
          assert.equal(wire.bool("icmpv4ChecksumOk", p, octets.length), sound);
          if (fill && octets.length >= 8) assert.ok(sound);
        }),
      );
    });
  });
}
