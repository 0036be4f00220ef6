/** One line when something bounded is short, one when it is over. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SHORTAGES, ShortageWatch } from "../../src/binding/shortages.ts";
import { DROP_NAMES, STAT_NAMES } from "../../src/engine/stats.ts";
import type { LogFields } from "../../src/lib/log.ts";
import { EngineWorld } from "../support/engine-harness.ts";
import { PEER } from "../support/engine-settings.ts";

const SECOND = 1_000_000;

describe("binding/shortages", () => {
  test("every row names a counter that there is", () => {
    const names: readonly string[] = [...STAT_NAMES, ...DROP_NAMES];
    for (const name of Object.keys(SHORTAGES)) assert.ok(names.includes(name), name);
  });

  test("a flood of flows is two lines, however long it lasts", () => {
    const world = new EngineWorld({ flowsMax: 64 });
    const lines: [string, LogFields][] = [];
    const take = (fields: LogFields, message: string): void => void lines.push([message, fields]);
    const watch = new ShortageWatch({ debug: take, info: take, warn: take, error: take });
    watch.poll(world.engine, world.now);
    for (let i = 0; i < 600; i += 1) {
      world.guest(world.udp({ to: PEER, port: 9, from: 2000 + i }, "x"));
      world.advance(SECOND / 10);
      watch.poll(world.engine, world.now);
    }
    assert.deepEqual(
      lines.map(([message, { counter }]) => [message, counter]),
      [[SHORTAGES.udpEvicted, "udpEvicted"]],
    );
    world.advance(61 * SECOND);
    watch.poll(world.engine, world.now);
    watch.poll(world.engine, world.now + SECOND);
    const [, last] = lines;
    assert.equal(lines.length, 2);
    assert.deepEqual(last?.[1], { counter: "udpEvicted", count: world.stats.udpEvicted });
  });
});
