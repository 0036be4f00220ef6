/**
 * The simulator's vhost-user card: pinned seeds have no violation and the same trace everywhere,
 * and among them is each habit of a driver. That it finds what is wrong, the mutants of
 * `test/sim/mutants/rings.ts` show.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import process from "node:process";
import { describe, test } from "node:test";
import { planOfCard } from "../../../src/lab/sim/card/card-family.ts";
import { simulateSeed } from "../../../src/lab/sim/simulate.ts";
import { CARD_SEEDS, HASHED_CARDS } from "../pinned.ts";

const isNode = !("bun" in process.versions || "deno" in process.versions);
const text = readFileSync(new URL("../vhost-user-hashes.json", import.meta.url), "utf8");
const wanted: Readonly<Record<string, string>> = JSON.parse(text);

describe("sim/card: plans", () => {
  const cards = CARD_SEEDS.map((seed) => planOfCard(seed).card);

  test("a seed is one plan, two are two", () => {
    assert.deepEqual(planOfCard(7), planOfCard(7));
    assert.notDeepEqual(planOfCard(7).card, planOfCard(8).card);
  });

  test("each feature and each kind of memory is there and is not", () => {
    for (const name of [
      ...(["isModern", "isMergeable", "hasEventIndex", "hasIndirect"] as const),
      ...(["hasSealedRings", "hasSealedBuffers"] as const),
    ]) {
      assert.deepEqual(new Set(cards.map((card) => card?.[name])), new Set([true, false]), name);
    }
  });

  test("rings have one entry and a thousand, wrap soon, and break in each way", () => {
    const queues = cards.flatMap((card) => card?.queues ?? []);
    const sizes = queues.map(({ size }) => size);
    assert.deepEqual([Math.min(...sizes), Math.max(...sizes)], [1, 1024]);
    assert.ok(queues.some(({ start }) => start > 65_000));
    const kinds = new Set(cards.flatMap((card) => card?.breaks ?? []).map(({ kind }) => kind));
    assert.deepEqual([...kinds].sort(), ["remap", "reset", "resume"]);
  });
});

describe("sim/card: pinned seeds", () => {
  test("those whose trace hash is pinned have one", () => {
    assert.deepEqual(Object.keys(wanted).map(Number), HASHED_CARDS);
  });

  // That runs are the same everywhere is shown by those with a hash.
  for (const seed of isNode ? CARD_SEEDS : HASHED_CARDS) {
    test(`${seed}: no violation`, () => {
      const { violations, hash } = simulateSeed(seed, {}, "vhost-user");
      assert.deepEqual(violations, []);
      assert.equal(hash, wanted[seed] ?? hash);
    });
  }
});
