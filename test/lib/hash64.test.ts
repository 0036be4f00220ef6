/**
 * The hash, compared with its definition in whole numbers of any size: words one by one and many at
 * once, octets with their number.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Hash64, hashOctets } from "../../src/lib/hash64.ts";

const SEED = 31_337;
const WORD = 2n ** 32n;

/** Text of the hash of these words. */
function model(words: readonly number[]): string {
  let [low, high] = [0x811c9dc5n, 0x2545f491n];
  for (const each of words) {
    const word = BigInt(each >>> 0);
    low = ((low ^ word) * 0x01000193n) % WORD;
    low ^= low >> 15n;
    high = ((((high + word) % WORD) ^ (high >> 13n)) * 0x85ebca6bn) % WORD;
  }
  return [low, high].map((half) => half.toString(16).padStart(8, "0")).join("");
}

const words = fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { maxLength: 40 });

describe("hash64", () => {
  test("of nothing is its start", () => {
    assert.equal(new Hash64().text, "811c9dc52545f491");
    assert.equal(model([]), "811c9dc52545f491");
  });

  test("a half that begins with zeros keeps them", () => {
    const hash = new Hash64();
    hash.low = 0xabc;
    hash.high = -1;
    assert.equal(hash.text, "00000abcffffffff");
  });

  test(`one word after the other, or many at once (seed ${SEED})`, () => {
    const property = fc.property(words, words, (before, list) => {
      const [single, many] = [new Hash64(), new Hash64()];
      for (const word of [...before, ...list]) single.mix(word);
      for (const word of before) many.mix(word);
      const padded = Int32Array.from([7, 7, ...list, 7]);
      many.mixWords(padded, 2, 2 + list.length);
      const wanted = model([...before, ...list]);
      assert.deepEqual([single.text, many.text], [wanted, wanted]);
      single.reset();
      assert.equal(single.text, model([]));
    });
    fc.assert(property, { seed: SEED });
  });

  test("octets are words with zeros behind, and then their number", () => {
    assert.equal(hashOctets(Uint8Array.of()), model([0]));
    assert.equal(hashOctets(Uint8Array.of(1, 2, 3, 4)), model([0x04030201, 4]));
    assert.equal(hashOctets(Uint8Array.of(1, 2, 3, 4, 5)), model([0x04030201, 5, 5]));
    assert.equal(hashOctets(Uint8Array.of(0)), model([0, 1]));
  });
});
