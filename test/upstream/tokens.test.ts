/** Tokens of sources: never one that somebody has, and one that was given comes late again. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TokenCount } from "../../src/upstream/tokens.ts";

const LAST = 2 ** 30 - 1;

describe("tokens", () => {
  test("they count up, whatever has gone meanwhile", () => {
    const tokens = new TokenCount();
    assert.deepEqual(
      [0, 1, 2].map(() => tokens.next(() => false)),
      [0, 1, 2],
    );
  });

  test("behind the last one they begin anew, and pass over those in use", () => {
    const tokens = new TokenCount(LAST);
    const used = new Set([0, 1, 3]);
    const next = (): number => tokens.next((token) => used.has(token));
    assert.deepEqual([next(), next(), next()], [LAST, 2, 4]);
  });
});
