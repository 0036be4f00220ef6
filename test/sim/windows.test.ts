/**
 * Shut windows: the pinned seeds have no violation and the same trace everywhere, and among them is
 * each way in which a guest may keep news of its window.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import process from "node:process";
import { describe, test } from "node:test";
import { simulateSeed } from "../../src/lab/sim/simulate.ts";
import { planOfWindows } from "../../src/lab/sim/windows.ts";
import { HASHED_WINDOWS, WINDOW_SEEDS } from "./pinned.ts";

const isNode = !("bun" in process.versions || "deno" in process.versions);
const text = readFileSync(new URL("./window-hashes.json", import.meta.url), "utf8");
const wanted: Readonly<Record<string, string>> = JSON.parse(text);

describe("sim/windows: plans", () => {
  test("a seed is one plan, two are two", () => {
    assert.deepEqual(planOfWindows(7), planOfWindows(7));
    assert.notDeepEqual(planOfWindows(7), planOfWindows(8));
  });

  test("updates are told, lost and withheld, and there are uploads without SACK", () => {
    const settings = WINDOW_SEEDS.flatMap((seed) => planOfWindows(seed).tcp).map(
      ({ app }) => app.settings,
    );
    const updates = new Set(settings.map(({ windowUpdates }) => windowUpdates));
    assert.deepEqual([...updates].sort(), ["lost", "told", "withheld", undefined]);
    assert.ok(settings.some(({ sack }) => sack === false));
  });
});

describe("sim/windows: pinned seeds", () => {
  test("those whose trace hash is pinned have one", () => {
    assert.deepEqual(Object.keys(wanted).map(Number), HASHED_WINDOWS);
  });

  // That runs are the same everywhere is shown by those with a hash.
  for (const seed of isNode ? WINDOW_SEEDS : HASHED_WINDOWS) {
    test(`${seed}: no violation`, () => {
      const { violations, hash } = simulateSeed(seed, {}, "windows");
      assert.deepEqual(violations, []);
      assert.equal(hash, wanted[seed] ?? hash);
    });
  }
});
