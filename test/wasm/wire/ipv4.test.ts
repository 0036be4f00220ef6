/** IPv4 header: parse, deconstruct, construct, emit; every reason to refuse one; options. */
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

const HEADER = hex(`
  45 10        # version 4, 5 words; type of service
  00 3c        # total length 60
  1c 46        # ident
  40 00        # flags: don't fragment; offset 0
  40 06        # TTL 64; protocol TCP
  dc 7c        # header checksum
  0a 00 02 0f  # source 10.0.2.15
  5d b8 d8 22  # destination 93.184.216.34
`);
const FIELDS = {
  version: 4,
  headerLength: 20,
  tos: 0x10,
  totalLength: 60,
  ident: 0x1c46,
  fragmentField: 0x4000,
  ttl: 64,
  protocol: 6,
  checksum: 0xdc7c,
  source: 0x0a00020f,
  destination: 0x5db8d822,
};
const PACKET = Uint8Array.from([...HEADER, ...new Uint8Array(40).fill(0x5a)]);

const WITH_OPTIONS = hex(`
  48 00        # version 4, 8 words; type of service
  00 20        # total length 32
  ab cd        # ident
  20 05        # flags: more fragments; offset 40
  40 11        # TTL 64; protocol UDP
  f4 dd        # header checksum
  0a 00 02 0f  # source 10.0.2.15
  0a 00 02 03  # destination 10.0.2.3
  94 04 00 00  # router alert
  07 07 04 00 00 00 00  # record route
  00           # end of options
`);

const OK = 0;
const TRUNCATED = 1;
const VERSION = 2;
const HEADER_LENGTH = 3;
const TOTAL_LENGTH = 4;
const CHECKSUM = 5;
const OPTIONS = 6;

/** The packet with the checksum its header should have. */
function summed(packet: Uint8Array): Uint8Array {
  const headerLength = ((packet[0] ?? 0) & 15) * 4;
  const zeroed = patched(packet, 10, Uint8Array.of(0, 0));
  const checksum = ~internetSum(zeroed.subarray(0, headerLength)) & 0xffff;
  return patched(zeroed, 10, Uint8Array.of(checksum >> 8, checksum & 0xff));
}

/** A header without payload and with these options, padded to whole words. */
function withOptions(options: Uint8Array): Uint8Array {
  const length = 20 + 4 * Math.ceil(options.length / 4);
  const packet = new Uint8Array(length);
  packet.set(HEADER);
  packet.set([0x40 | (length / 4), 0, 0, length]);
  packet.set(options, 20);
  return summed(packet);
}

for (const [variant, wire] of wireModules()) {
  const check = (octets: Uint8Array): number =>
    wire.i32("ipv4Check", wire.writeAtEnd(octets), octets.length);

  describe(`wire/ipv4 (${variant})`, () => {
    test("parse", () => {
      assert.equal(check(PACKET), OK);
      assert.equal(check(WITH_OPTIONS), OK);
      assert.equal(check(summed(patched(HEADER, 2, hex("00 14")))), OK, "no payload");
    });

    test("deconstruct", () => {
      assertDeconstructs(wire, "ipv4", HEADER, {
        ...FIELDS,
        fragmentOffset: 0,
        moreFragments: 0,
        dontFragment: 1,
      });
    });

    test("deconstruct a fragment with options", () => {
      assertDeconstructs(wire, "ipv4", WITH_OPTIONS, {
        ...{ version: 4, headerLength: 32, tos: 0, totalLength: 32, ident: 0xabcd },
        ...{ fragmentField: 0x2005, ttl: 64, protocol: 17, checksum: 0xf4dd },
        ...{ source: 0x0a00020f, destination: 0x0a000203 },
        ...{ fragmentOffset: 40, moreFragments: 1, dontFragment: 0 },
      });
    });

    test("construct", () => assertConstructs(wire, "ipv4", HEADER, FIELDS));

    test("emit", () => {
      const { source, destination, ttl, ident, fragmentField, tos } = FIELDS;
      assertEmits(wire, HEADER, (p) =>
        wire.run("ipv4Emit", p, source, destination, 6, 40, ttl, ident, fragmentField, tos),
      );
    });

    test("what is emitted, parses, and its checksum is that of the reference", () => {
      const u32 = fc.integer({ min: 0, max: 0xffffffff });
      const u16 = fc.nat(0xffff);
      const u8 = fc.nat(255);
      checkProperty(
        fc.property(
          u32,
          u32,
          u8,
          fc.nat(200),
          u8,
          u16,
          u16,
          u8,
          (s, d, pr, n, ttl, id, fr, tos) => {
            const p = wire.end - 20 - n;
            wire.run("ipv4Emit", p, s, d, pr, n, ttl, id, fr, tos);
            assert.equal(wire.i32("ipv4Check", p, 20 + n), OK);
            const header = wire.read(p, 20);
            assert.deepEqual(header, summed(header));
          },
        ),
      );
    });

    test("P01: a version other than 4 is refused", () => {
      for (const first of [0x05, 0x35, 0x55, 0x65, 0xf5]) {
        assert.equal(check(summed(patched(PACKET, 0, Uint8Array.of(first)))), VERSION);
      }
    });

    test("P01: a header length below 5 words or behind the frame is refused", () => {
      for (const first of [0x40, 0x41, 0x44]) {
        assert.equal(check(summed(patched(PACKET, 0, Uint8Array.of(first)))), HEADER_LENGTH);
      }
      assert.equal(check(patched(HEADER, 0, hex("46"))), HEADER_LENGTH);
      assert.equal(check(patched(HEADER, 0, hex("4f"))), HEADER_LENGTH);
    });

    test("P01: a total length below the header's or behind the frame is refused", () => {
      for (const total of ["00 00", "00 13", "00 3d", "ff ff"]) {
        assert.equal(check(summed(patched(PACKET, 2, hex(total)))), TOTAL_LENGTH, total);
      }
      assert.equal(check(summed(patched(WITH_OPTIONS, 2, hex("00 1f")))), TOTAL_LENGTH);
    });

    test("P01: a header checksum with any one bit flipped is refused", () => {
      for (const packet of [PACKET, WITH_OPTIONS]) {
        for (let bit = 0; bit < 16; bit += 1) {
          const flipped = Uint8Array.from(packet);
          const at = 10 + (bit >> 3);
          flipped[at] = (packet[at] ?? 0) ^ (1 << (bit & 7));
          assert.equal(check(flipped), CHECKSUM, `bit ${bit}`);
        }
      }
    });

    test("P01: less than a header is refused", () => {
      for (let length = 0; length < 20; length += 1) {
        assert.equal(check(PACKET.subarray(0, length)), TRUNCATED, `${length} octets`);
      }
    });

    test("the first fault in the order of the codes is the one reported", () => {
      const bad = patched(PACKET, 0, hex("64 00 ff ff"));
      assert.equal(check(bad), VERSION);
      assert.equal(check(patched(bad, 0, hex("44"))), HEADER_LENGTH);
      assert.equal(check(patched(bad, 0, hex("45"))), TOTAL_LENGTH);
      const route = withOptions(hex("83 07 04 0a 00 02 02"));
      assert.equal(check(patched(route, 10, hex("00 00"))), CHECKSUM);
    });

    test("octets behind the total length are padding", () => {
      assert.equal(check(Uint8Array.from([...PACKET, 1, 2, 3])), OK);
    });

    test("P06: unknown options are skipped by their length", () => {
      for (const options of ["99 02", "01 e3 05 ff ff ff 01", "44 04 05 00", "01 01 01 01"]) {
        assert.equal(check(withOptions(hex(options))), OK, options);
      }
      assert.equal(check(withOptions(hex(`${"9e 28"} ${"00".repeat(38)}`))), OK, "40 octets");
    });

    test("P06: loose and strict source routes are refused, first or behind others", () => {
      for (const kind of ["83", "89"]) {
        assert.equal(check(withOptions(hex(`${kind} 07 04 10 00 00 00`))), OPTIONS);
        assert.equal(check(withOptions(hex(`01 99 03 00 ${kind} 07 04 0a 00 02 02`))), OPTIONS);
        assert.equal(check(withOptions(hex(`${kind} 03 04`))), OPTIONS, "empty route");
        assert.equal(check(withOptions(hex(`00 ${kind} 07 04 0a 00 02 02`))), OK, "behind the end");
      }
    });

    test("malformed options are refused", () => {
      for (const options of ["99 00", "99 01 00 00", "99 05 00 00", "01 01 01 99", "99 ff 00 00"]) {
        assert.equal(check(withOptions(hex(options))), OPTIONS, options);
      }
    });

    test("random octets never trap, whatever header and length claim", () => {
      const octets = fc.uint8Array({ maxLength: 80 });
      checkProperty(
        fc.property(octets, fc.boolean(), fc.nat(15), (content, plausible, words) => {
          if (plausible && content.length >= 60) {
            content.set([0x40 | words, 0, 0, content.length]);
            const code = check(summed(content));
            assert.ok(words < 5 ? code === HEADER_LENGTH : code === OK || code === OPTIONS);
          } else {
            const code = check(content);
            assert.ok(code >= OK && code <= OPTIONS);
          }
        }),
        1000,
      );
    });
  });
}
