/** Names of the counters, compared with what `wasm/abi.ts` exports, and reading them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TCP_STATE_NAMES } from "../../src/engine/flows.ts";
import {
  DROP_NAMES,
  readCounter,
  readStat,
  readStats,
  STAT_NAMES,
} from "../../src/engine/stats.ts";
import * as abi from "../../wasm/abi.ts";
import { EngineWorld } from "../support/engine-harness.ts";

/** Constants of this prefix by value, without the prefix, COUNT left out. */
function constants(prefix: string): string[] {
  const found: string[] = [];
  for (const [name, value] of Object.entries(abi)) {
    if (!name.startsWith(prefix) || name === `${prefix}COUNT`) continue;
    found[value] = name.slice(prefix.length);
  }
  return found;
}

function camel(name: string): string {
  return name.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

describe("engine/stats", () => {
  test("every STAT_* has its name at its place", () => {
    assert.deepEqual([...STAT_NAMES], constants("STAT_").map(camel));
    assert.equal(STAT_NAMES.length, abi.STAT_COUNT);
  });

  test("every DROP_* has its name at its place", () => {
    const names = constants("DROP_").map((name) => camel(`DROP_${name}`));
    assert.deepEqual([...DROP_NAMES], names);
    assert.equal(DROP_NAMES.length, abi.DROP_COUNT);
  });

  test("every STATE_* has its name at its place", () => {
    assert.deepEqual([...TCP_STATE_NAMES], constants("STATE_"));
  });

  test("counters are read with all their 64 bits", () => {
    const { engine } = new EngineWorld();
    engine.view.setBigUint64(engine.bases.stats + 8, 2n ** 40n + 5n, true);
    engine.view.setBigUint64(engine.bases.stats + 8 * (abi.STAT_COUNT + 1), 3n, true);
    assert.equal(readStat(engine, 1), 2 ** 40 + 5);
    const stats = readStats(engine);
    assert.equal(stats.guestRxBytes, 2 ** 40 + 5);
    assert.equal(stats.dropRunt, 3);
    assert.equal(readCounter(engine, "guestRxBytes"), 2 ** 40 + 5);
    assert.equal(readCounter(engine, "dropRunt"), 3);
    assert.equal(Object.keys(stats).length, abi.STAT_COUNT + abi.DROP_COUNT);
    assert.ok(Object.values(stats).every(Number.isSafeInteger));
  });

  test("each name reads the counter at its place", () => {
    const { engine } = new EngineWorld();
    const names = [...STAT_NAMES, ...DROP_NAMES];
    for (const index of names.keys()) {
      engine.view.setBigUint64(engine.bases.stats + 8 * index, BigInt(1000 + index), true);
    }
    const stats = readStats(engine);
    for (const [index, name] of names.entries()) {
      assert.deepEqual([readCounter(engine, name), stats[name]], [1000 + index, 1000 + index]);
    }
  });
});
