/**
 * The Internet checksum, both builds, against a bit-by-bit reference: every length up to 300 at
 * every alignment, large buffers, accumulators at their limit, pieces joined at odd offsets.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hex } from "../../support/hex.ts";
import { internetSum, swapOctets } from "../../support/internet-sum.ts";
import { assertEmits, checkProperty, wireModules } from "../../support/wire.ts";

/** xorshift32: the same octets in every run. */
function noise(length: number, seed: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 0xff;
  });
}

const word = fc.integer({ min: 0, max: 0xffff });
const address = fc.integer({ min: 0, max: 0xffffffff });

for (const [variant, wire] of wireModules()) {
  const base = wire.u32("scratchBase");
  const sumOf = (p: number, length: number): number => wire.u32("sumBytes", p, length);

  describe(`wire/checksum (${variant})`, () => {
    test("the module is the variant it is taken for", () => {
      assert.equal(wire.bool("hasSimd"), variant === "simd");
    });

    test("the example of RFC 1071 section 3", () => {
      const p = wire.write(base, hex("00 01 f2 03 f4 f5 f6 f7"));
      const sum = sumOf(p, 8);
      assert.equal(swapOctets(sum), 0xddf2);
      assertEmits(wire, hex("22 0d"), (out) => wire.run("sumStore", out, sum));
    });

    test("every length from 0 to 300 at every alignment equals the reference", () => {
      const octets = noise(300, 0x9e3779b9);
      for (let length = 0; length <= 300; length += 1) {
        const wanted = swapOctets(internetSum(octets.subarray(0, length)));
        for (let shift = 0; shift < 16; shift += 1) {
          wire.poison(base, 340);
          wire.write(base + shift, octets.subarray(0, length));
          assert.equal(sumOf(base + shift, length), wanted, `${length} octets at ${shift}`);
        }
      }
    });

    test("random contents and lengths equal the reference", () => {
      const sparse = fc
        .uint8Array({ maxLength: 2000 })
        .map((a) => a.map((v) => (v < 200 ? 255 : v)));
      const contents = fc.oneof(fc.uint8Array({ maxLength: 2000 }), sparse);
      checkProperty(
        fc.property(contents, fc.nat(63), (octets, shift) => {
          wire.write(base + shift, octets);
          assert.equal(sumOf(base + shift, octets.length), swapOctets(internetSum(octets)));
        }),
      );
    });

    test("large random buffers equal the reference", () => {
      for (const length of [4095, 9001, 65535, 65536, 65549, 262147]) {
        const octets = noise(length, length);
        wire.write(base + (length % 16), octets);
        const wanted = swapOctets(internetSum(octets));
        assert.equal(sumOf(base + (length % 16), length), wanted, `${length} octets`);
      }
    });

    test("no accumulator overflows in 3 MiB of ones", () => {
      const size = wire.u32("scratchSize");
      wire.octets.fill(0xff, base, base + size);
      assert.equal(sumOf(base, size), 0xffff);
      wire.octets[base + size - 2] = 0xfe;
      assert.equal(sumOf(base, size), 0xfffe);
      wire.octets[base + size - 2] = 0xff;
      assert.equal(sumOf(base, size - 1), 0x00ff);
      wire.octets.fill(0, base, base + size);
      assert.equal(sumOf(base, size), 0);
    });

    test("nothing is read behind the last octet", () => {
      const octets = noise(200, 77);
      for (let length = 0; length <= 200; length += 1) {
        const piece = octets.subarray(0, length);
        assert.equal(sumOf(wire.writeAtEnd(piece), length), swapOctets(internetSum(piece)));
      }
    });

    test("sumAdd is the ones' complement addition", () => {
      checkProperty(
        fc.property(word, word, (a, b) => {
          const octets = Uint8Array.of(b >> 8, b & 0xff);
          assert.equal(wire.u32("sumAdd", a, b), internetSum(octets, a));
          assert.equal(wire.u32("sumSwap", a), swapOctets(a));
        }),
      );
    });

    test("sumConcat joins pieces at even and odd offsets", () => {
      const pieces = fc.array(fc.uint8Array({ maxLength: 150 }), { maxLength: 6 });
      checkProperty(
        fc.property(pieces, (parts) => {
          let sum = 0;
          let length = 0;
          for (const part of parts) {
            wire.write(base, part);
            sum = wire.u32("sumConcat", sum, length, sumOf(base, part.length));
            length += part.length;
          }
          const whole = Uint8Array.from(parts.flatMap((part) => [...part]));
          assert.equal(sum, swapOctets(internetSum(whole)));
        }),
      );
    });

    test("sumPseudo4 is the sum of the pseudo-header", () => {
      const length = fc.oneof(
        fc.integer({ min: 0, max: 0xffffffff }),
        fc.integer({ min: 0, max: 65535 }),
      );
      checkProperty(
        fc.property(address, address, fc.nat(255), length, (source, destination, protocol, n) => {
          const header = new DataView(new ArrayBuffer(16));
          header.setUint32(0, source);
          header.setUint32(4, destination);
          header.setUint32(8, protocol);
          header.setUint32(12, n);
          const wanted = swapOctets(internetSum(new Uint8Array(header.buffer)));
          assert.equal(wire.u32("sumPseudo4", source, destination, protocol, n), wanted);
        }),
      );
    });

    test("sumFinish and the stores write the complement, natively", () => {
      checkProperty(
        fc.property(word, (sum) => {
          const finished = ~sum & 0xffff;
          assert.equal(wire.u32("sumFinish", sum), finished);
          const low = Uint8Array.of(finished & 0xff, finished >> 8);
          assertEmits(wire, low, (p) => wire.run("sumStore", p, sum));
          const udp = finished === 0 ? hex("ff ff") : low;
          assertEmits(wire, udp, (p) => wire.run("sumStoreUdp", p, sum));
          const partial = Uint8Array.of(sum & 0xff, sum >> 8);
          assertEmits(wire, partial, (p) => wire.run("sumStorePartial", p, sum));
        }),
      );
    });

    test("sumStoreUdp never writes 0", () => {
      assertEmits(wire, hex("ff ff"), (p) => wire.run("sumStoreUdp", p, 0xffff));
      assertEmits(wire, hex("00 00"), (p) => wire.run("sumStore", p, 0xffff));
    });

    test("data with its checksum filled in is sound, with any one bit flipped it is not", () => {
      const octets = fc.uint8Array({ minLength: 2, maxLength: 400 });
      checkProperty(
        fc.property(octets, fc.nat(), (content, at) => {
          content.set([0, 0], 0);
          const p = wire.write(base, content);
          wire.run("sumStore", p, sumOf(p, content.length));
          assert.ok(wire.bool("sumOk", sumOf(p, content.length)));
          const bit = at % (8 * content.length);
          wire.octets[p + (bit >> 3)] = (wire.octets[p + (bit >> 3)] ?? 0) ^ (1 << (bit & 7));
          assert.ok(!wire.bool("sumOk", sumOf(p, content.length)));
        }),
      );
    });

    test("sumOk refuses all other sums", () => {
      for (const sum of [0, 1, 0xfffe, 0x8000]) assert.ok(!wire.bool("sumOk", sum), `${sum}`);
      assert.ok(wire.bool("sumOk", 0xffff));
    });
  });
}
