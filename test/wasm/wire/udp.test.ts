/** UDP header: parse, deconstruct, construct, emit; lengths and checksums. */
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

const DATAGRAM = hex(`
  c3 50           # source port 50000
  00 35           # destination port 53
  00 0d           # length 13
  24 6c           # checksum
  70 69 6e 67 21  # payload
`);
const FIELDS = { sourcePort: 50000, destinationPort: 53, length: 13, checksum: 0x246c };
const SOURCE = 0x0a00020f;
const DESTINATION = 0x0a000203;
const PROTOCOL_UDP = 17;

const OK = 0;
const TRUNCATED = 1;
const LENGTH = 2;

for (const [variant, wire] of wireModules()) {
  const check = (octets: Uint8Array): number =>
    wire.i32("udpCheck", wire.writeAtEnd(octets), octets.length);
  const checksumOk = (octets: Uint8Array): boolean =>
    wire.bool("udpChecksumOk", wire.writeAtEnd(octets), octets.length, SOURCE, DESTINATION);

  describe(`wire/udp (${variant})`, () => {
    test("parse", () => {
      assert.equal(check(DATAGRAM), OK);
      assert.ok(checksumOk(DATAGRAM));
      assert.equal(check(Uint8Array.from([...DATAGRAM, 0, 0])), OK, "padding behind");
      assert.equal(check(hex("c350 0035 0008 0000")), OK, "no payload");
    });

    test("deconstruct", () => assertDeconstructs(wire, "udp", DATAGRAM.subarray(0, 8), FIELDS));

    test("construct", () => assertConstructs(wire, "udp", DATAGRAM.subarray(0, 8), FIELDS));

    test("emit", () => {
      const expected = patched(DATAGRAM.subarray(0, 8), 6, hex("00 00"));
      assertEmits(wire, expected, (p) => wire.run("udpEmit", p, 50000, 53, 13));
    });

    test("P19: a length below 8 or behind the IP payload is refused", () => {
      for (const length of ["00 00", "00 07", "00 0e", "ff ff"]) {
        assert.equal(check(patched(DATAGRAM, 4, hex(length))), LENGTH, length);
      }
      for (let length = 0; length < 8; length += 1) {
        assert.equal(check(DATAGRAM.subarray(0, length)), TRUNCATED, `${length} octets`);
      }
    });

    test("P19: a bad checksum is refused, none is not", () => {
      assert.ok(!checksumOk(patched(DATAGRAM, 6, hex("24 6d"))));
      assert.ok(!checksumOk(patched(DATAGRAM, 12, hex("20"))));
      assert.ok(checksumOk(patched(DATAGRAM, 6, hex("00 00"))));
      const p = wire.writeAtEnd(DATAGRAM);
      assert.ok(!wire.bool("udpChecksumOk", p, DATAGRAM.length, SOURCE + 1, DESTINATION));
    });

    test("P19: a checksum that comes out as 0 is sent as 0xffff", () => {
      // A payload that is the complement of all the rest makes the sum 0xffff and its complement 0.
      const p = wire.u32("scratchBase");
      wire.run("udpEmit", p, 50000, 53, 10);
      const header = wire.u32("sumBytes", p, 8);
      const pseudo = wire.u32("sumPseudo4", SOURCE, DESTINATION, PROTOCOL_UDP, 10);
      const sum = wire.u32("sumAdd", header, pseudo);
      wire.run("sumStore", p + 8, sum);
      wire.run("sumStoreUdp", p + 6, wire.u32("sumAdd", sum, wire.u32("sumBytes", p + 8, 2)));
      assert.deepEqual(wire.read(p + 6, 2), hex("ff ff"));
      assert.ok(wire.bool("udpChecksumOk", p, 10, SOURCE, DESTINATION));
    });

    test("what is emitted and summed, parses and is sound", () => {
      const port = fc.nat(0xffff);
      const address = fc.integer({ min: 0, max: 0xffffffff });
      const payload = fc.uint8Array({ maxLength: 300 });
      checkProperty(
        fc.property(port, port, address, address, payload, (sp, dp, source, destination, data) => {
          const length = 8 + data.length;
          const p = wire.end - length;
          wire.run("udpEmit", p, sp, dp, length);
          wire.write(p + 8, data);
          const pseudo = wire.u32("sumPseudo4", source, destination, PROTOCOL_UDP, length);
          wire.run(
            "sumStoreUdp",
            p + 6,
            wire.u32("sumAdd", pseudo, wire.u32("sumBytes", p, length)),
          );
          assert.notEqual(wire.view.getUint16(p + 6), 0);
          assert.equal(wire.i32("udpCheck", p, length), OK);
          assert.ok(wire.bool("udpChecksumOk", p, length, source, destination));
        }),
      );
    });

    test("random octets never trap", () => {
      checkProperty(
        fc.property(fc.uint8Array({ maxLength: 64 }), (octets) => {
          if (check(octets) === OK) checksumOk(octets);
        }),
      );
    });
  });
}
