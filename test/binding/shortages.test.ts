/** One line when something bounded is short, one when it is over. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SHORTAGES } from "../../src/binding/shortage-messages.ts";
import { ShortageWatch } from "../../src/binding/shortages.ts";
import { counterLabel } from "../../src/engine/counter-names.ts";
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

  test("each counter has a line of its own, with how much it has grown", () => {
    const { engine } = new EngineWorld();
    const lines: unknown[] = [];
    const take = (level: string) => (fields: LogFields, message: string) =>
      void lines.push([level, message, fields]);
    const watch = new ShortageWatch({
      debug: take("debug"),
      info: take("info"),
      warn: take("warn"),
      error: take("error"),
    });
    const names = [...STAT_NAMES, ...DROP_NAMES];
    const set = (name: (typeof names)[number], value: number): void =>
      engine.view.setBigUint64(engine.bases.stats + 8 * names.indexOf(name), BigInt(value), true);
    const rows = Object.entries(SHORTAGES) as [(typeof names)[number], string][];
    assert.equal(new Set(Object.values(SHORTAGES)).size, rows.length);
    assert.equal(watch.wait(0), undefined);
    let now = 0;
    for (const [name, message] of rows) {
      const counter = counterLabel(name);
      assert.match(message, /^[a-z ]{3,}/i, counter);
      set(name, 5);
      watch.poll(engine, now);
      assert.deepEqual(lines.splice(0), [
        ["warn", message, { event: "limit_reached", counter, count: 5 }],
      ]);
      now += SECOND;
      set(name, 9);
      watch.poll(engine, now);
      watch.poll(engine, now + 60 * SECOND - 1);
      assert.deepEqual(lines, [], "it goes on");
      now += 61 * SECOND;
      watch.poll(engine, now);
      assert.deepEqual(lines.splice(0), [["info", "no longer short", { counter, count: 9 }]]);
      now += 120 * SECOND;
      watch.poll(engine, now);
      assert.deepEqual(lines, [], "it is told once");
      now += SECOND;
    }
  });

  test("counters are looked at once a second, and a shortage may come again", () => {
    const { engine } = new EngineWorld();
    const counts: unknown[] = [];
    const take = ({ count }: LogFields, message: string): void => void counts.push(message, count);
    const silent = () => assert.fail("not to be told");
    const watch = new ShortageWatch({ debug: silent, info: take, warn: take, error: silent });
    const at = engine.bases.stats + 8 * STAT_NAMES.indexOf("udpEvicted");
    const set = (value: bigint): void => engine.view.setBigUint64(at, value, true);
    watch.poll(engine, 0);
    set(3n);
    watch.poll(engine, SECOND - 1);
    assert.deepEqual(counts, []);
    watch.poll(engine, SECOND);
    assert.deepEqual(counts.splice(0), [SHORTAGES.udpEvicted, 3]);
    watch.poll(engine, 61 * SECOND);
    assert.deepEqual(counts.splice(0), ["no longer short", 3]);
    set(4n);
    watch.poll(engine, 62 * SECOND);
    assert.deepEqual(counts.splice(0), [SHORTAGES.udpEvicted, 1]);
    watch.poll(engine, 122 * SECOND);
    assert.deepEqual(counts.splice(0), ["no longer short", 1]);
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
      [[SHORTAGES.udpEvicted, "udp_evicted"]],
    );
    world.advance(61 * SECOND);
    watch.poll(world.engine, world.now);
    watch.poll(world.engine, world.now + SECOND);
    const [, last] = lines;
    assert.equal(lines.length, 2);
    assert.deepEqual(last?.[1], { counter: "udp_evicted", count: world.stats.udpEvicted });
  });
});
