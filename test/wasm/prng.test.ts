/** The seeded generator and the keyed hashes, against models of their own and by distribution. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { configureBase, loadBase } from "../support/base-module.ts";
import { VARIANTS } from "../support/wasm.ts";

const SEED = 20250118;
const WORD = fc.integer({ min: 0, max: 0xffffffff });

function rotate(value: number, bits: number): number {
  return ((value << bits) | (value >>> (32 - bits))) >>> 0;
}

/** xoshiro128** (Blackman, Vigna). */
function* xoshiro(seed: readonly number[]): Generator<number, never> {
  let [a = 0, b = 0, c = 0, d = 0] = seed;
  for (;;) {
    yield Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    [c, d] = [c ^ a, d ^ b];
    [b, a] = [b ^ c, a ^ d];
    c ^= shifted;
    d = rotate(d, 11);
  }
}

/** HalfSipHash-1-3 (Aumasson, Bernstein) of whole words, without the word that holds the length. */
function halfSip(key: readonly number[], words: readonly number[]): number {
  const [k0 = 0, k1 = 0] = key;
  let [v0, v1, v2, v3] = [k0, k1, k0 ^ 0x6c796765, k1 ^ 0x74656462];
  const round = (): void => {
    v0 = (v0 + v1) | 0;
    v1 = rotate(v1, 5) ^ v0;
    v0 = rotate(v0, 16);
    v2 = (v2 + v3) | 0;
    v3 = rotate(v3, 8) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = rotate(v3, 7) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = rotate(v1, 13) ^ v2;
    v2 = rotate(v2, 16);
  };
  for (const word of words) {
    v3 ^= word;
    round();
    v0 ^= word;
  }
  v2 ^= 0xff;
  for (let i = 0; i < 3; i += 1) round();
  return (v1 ^ v3) >>> 0;
}

/** Sum of squared deviations from an even spread, over the expected count (chi-squared). */
function unevenness(buckets: Uint32Array, total: number): number {
  const expected = total / buckets.length;
  return buckets.reduce((sum, found) => sum + (found - expected) ** 2 / expected, 0);
}

for (const variant of VARIANTS) {
  const wasm = loadBase(variant);
  const seeded = (seed: readonly number[]): void => configureBase(wasm, { seed });

  describe(`wasm/prng (${variant})`, () => {
    test("the generator is xoshiro128**, seeded by the last four words", () => {
      seeded([0, 0, 0, 0, 1, 2, 3, 4]);
      for (const wanted of [11520, 0, 5927040]) assert.equal(wasm.u32("next"), wanted);
      const words = [0xdeadbeef, 0x01234567, 0x89abcdef, 0xffffffff];
      seeded([9, 9, 9, 9, ...words]);
      const model = xoshiro(words);
      for (let i = 0; i < 2000; i += 1) assert.equal(wasm.u32("next"), model.next().value);
    });

    test("a seed of zeroes still gives numbers", () => {
      seeded([0, 0, 0, 0, 0, 0, 0, 0]);
      const found = new Set(Array.from({ length: 1000 }, () => wasm.u32("next")));
      assert.ok(found.size > 950, `${found.size} different numbers`);
    });

    test("the hashes are HalfSipHash under keys of their own", () => {
      fc.assert(
        fc.property(fc.array(WORD, { minLength: 8, maxLength: 8 }), (words) => {
          const [k0 = 0, k1 = 0, i0 = 0, i1 = 0, kind = 0, guest = 0, peer = 0, ports = 0] = words;
          seeded([k0, k1, i0, i1, 1, 1, 1, 1]);
          const tuple = wasm.u32("hashTuple", kind, guest, peer, ports);
          assert.equal(tuple, halfSip([k0, k1], [guest, peer, ports, kind]));
          const isn = wasm.u32("hashIsn", guest, peer, ports);
          assert.equal(isn, halfSip([i0, i1], [guest, peer, ports, 0x49534e]));
        }),
        { seed: SEED, numRuns: 300 },
      );
    });

    test("neighbouring tuples spread evenly over the table, however it is keyed", () => {
      const total = 65536;
      for (const key of [0, 1, 0x80000000]) {
        seeded([key, 0, 0, 0, 1, 1, 1, 1]);
        const buckets = new Uint32Array(256);
        for (let ports = 0; ports < total; ports += 1) {
          const i = wasm.u32("hashTuple", 1, 0x0a00020f, 0xc6336450, (ports << 16) | 80) & 255;
          buckets[i] = (buckets[i] ?? 0) + 1;
        }
        // 255 degrees of freedom: mean 255, deviation 23; eight deviations leave no doubt.
        assert.ok(unevenness(buckets, total) < 255 + 8 * 23, `key ${key}`);
      }
    });

    test("one bit of key or tuple changes about half of the hash", () => {
      let changed = 0;
      const rounds = 32 * 4;
      for (let i = 0; i < rounds; i += 1) {
        const flip = (word: number): number => (i >> 5 === word ? 1 << (i & 31) : 0);
        seeded([7, 8, 0, 0, 1, 1, 1, 1]);
        const before = wasm.u32("hashTuple", 2, 0x0a00020f, 0x01010101, 0x9c400035);
        seeded([7 ^ flip(0), 8 ^ flip(1), 0, 0, 1, 1, 1, 1]);
        const peer = 0x01010101 ^ flip(2);
        const after = wasm.u32("hashTuple", 2, 0x0a00020f, peer, 0x9c400035 ^ flip(3));
        for (let bits = before ^ after; bits !== 0; bits &= bits - 1) changed += 1;
      }
      const share = changed / (rounds * 32);
      assert.ok(share > 0.45 && share < 0.55, `${share}`);
    });
  });
}
