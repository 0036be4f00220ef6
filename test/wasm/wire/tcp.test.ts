/** TCP header: parse, deconstruct, construct, emit; data offsets and checksums. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hex, patched } from "../../support/hex.ts";
import {
  assertConstructs,
  assertDeconstructs,
  assertEmits,
  checkProperty,
  wireModules,
} from "../../support/wire.ts";

const SEGMENT = hex(`
  a8 ca        # source port 43210
  00 50        # destination port 80
  ff ff ff f1  # sequence
  01 02 03 04  # acknowledgment
  80 38        # 8 words; URG ACK PSH
  01 f6        # window 502
  b0 eb        # checksum
  00 03        # urgent pointer
  01 01 08 0a 00 00 30 39 00 01 09 32  # timestamps 12345, 67890
  47 45 54     # payload
`);
const FIELDS = {
  sourcePort: 43210,
  destinationPort: 80,
  sequence: 0xfffffff1,
  acknowledgment: 0x01020304,
  dataOffset: 32,
  flags: 0x38,
  window: 502,
  checksum: 0xb0eb,
  urgent: 3,
};
const HEADER = SEGMENT.subarray(0, 20);
const SOURCE = 0x0a00020f;
const DESTINATION = 0x5db8d822;
const PROTOCOL_TCP = 6;

const OK = 0;
const TRUNCATED = 1;
const DATA_OFFSET = 2;

for (const [variant, wire] of wireModules()) {
  const check = (octets: Uint8Array): number =>
    wire.i32("tcpCheck", wire.writeAtEnd(octets), octets.length);
  const checksumOk = (octets: Uint8Array): boolean =>
    wire.bool("tcpChecksumOk", wire.writeAtEnd(octets), octets.length, SOURCE, DESTINATION);

  describe(`wire/tcp (${variant})`, () => {
    test("parse", () => {
      assert.equal(check(SEGMENT), OK);
      assert.ok(checksumOk(SEGMENT));
      assert.equal(check(patched(HEADER, 12, hex("50"))), OK, "bare header");
    });

    test("deconstruct", () => assertDeconstructs(wire, "tcp", HEADER, FIELDS));

    test("construct", () => assertConstructs(wire, "tcp", HEADER, FIELDS));

    test("emit", () => {
      const { sourcePort, destinationPort, sequence, acknowledgment, flags, window } = FIELDS;
      const expected = patched(HEADER, 16, hex("00 00 00 00"));
      assertEmits(wire, expected, (p) => {
        const ports = [sourcePort, destinationPort];
        wire.run("tcpEmit", p, ...ports, sequence, acknowledgment, 32, flags, window);
      });
    });

    test("the data offset leaves out the reserved bits beside it", () => {
      const reserved = patched(HEADER, 12, hex("8f"));
      assertDeconstructs(wire, "tcp", reserved, FIELDS);
    });

    test("T06: a data offset below 5 words or behind the segment is refused", () => {
      for (const offset of ["00", "10", "40", "4f"]) {
        assert.equal(check(patched(SEGMENT, 12, hex(offset))), DATA_OFFSET, offset);
      }
      for (const offset of ["90", "f0"]) {
        assert.equal(check(patched(SEGMENT, 12, hex(offset))), DATA_OFFSET, offset);
      }
      assert.equal(check(SEGMENT.subarray(0, 31)), DATA_OFFSET);
      assert.equal(check(SEGMENT.subarray(0, 32)), OK);
    });

    test("T06: less than a header is refused", () => {
      for (let length = 0; length < 20; length += 1) {
        assert.equal(check(SEGMENT.subarray(0, length)), TRUNCATED, `${length} octets`);
      }
    });

    test("a checksum with any one bit of the segment flipped is refused", () => {
      for (let bit = 0; bit < 8 * SEGMENT.length; bit += 1) {
        const flipped = Uint8Array.from(SEGMENT);
        flipped[bit >> 3] = (SEGMENT[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        assert.ok(!checksumOk(flipped), `bit ${bit}`);
      }
      assert.ok(!checksumOk(patched(SEGMENT, 16, hex("00 00"))), "0 is not none");
      const p = wire.writeAtEnd(SEGMENT);
      assert.ok(!wire.bool("tcpChecksumOk", p, SEGMENT.length, SOURCE, DESTINATION + 1));
    });

    test("what is emitted and summed, parses and is sound", () => {
      const u32 = fc.integer({ min: 0, max: 0xffffffff });
      const u16 = fc.nat(0xffff);
      const payload = fc.uint8Array({ maxLength: 300 });
      checkProperty(
        fc.property(
          u32,
          u32,
          u16,
          fc.nat(10),
          fc.nat(255),
          payload,
          (seq, ack, win, n, fl, data) => {
            const headerLength = 20 + 4 * n;
            const length = headerLength + data.length;
            const p = wire.end - length;
            wire.run("tcpEmit", p, 43210, 80, seq, ack, headerLength, fl, win);
            wire.octets.fill(1, p + 20, p + headerLength);
            wire.write(p + headerLength, data);
            const pseudo = wire.u32("sumPseudo4", SOURCE, DESTINATION, PROTOCOL_TCP, length);
            wire.run(
              "sumStore",
              p + 16,
              wire.u32("sumAdd", pseudo, wire.u32("sumBytes", p, length)),
            );
            assert.equal(wire.i32("tcpCheck", p, length), OK);
            assert.ok(wire.bool("tcpChecksumOk", p, length, SOURCE, DESTINATION));
          },
        ),
      );
    });

    test("random octets never trap", () => {
      checkProperty(
        fc.property(fc.uint8Array({ maxLength: 80 }), (octets) => {
          if (check(octets) === OK) checksumOk(octets);
        }),
      );
    });
  });
}
