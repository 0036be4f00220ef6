/** What a worker measures, read from another view of the same memory. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { METERS_SIZE, Meters, Sampler } from "../../src/binding/meters.ts";
import { KIND_NAMES, TCP_STATE_NAMES } from "../../src/engine/flows.ts";
import type { HostEngine } from "../../src/engine/host-engine.ts";
import { planFromSeed } from "../../src/lab/sim/scenario.ts";
import { simulatedEngine } from "../../src/lab/sim/simulated-engine.ts";
import { World } from "../../src/lab/sim/world.ts";
import * as abi from "../../wasm/abi.ts";

/** One connection that takes many seconds, and waits for the guest's window in some of them. */
const SEED = 90;
const ESTABLISHED = TCP_STATE_NAMES.indexOf("ESTABLISHED");
const SECOND = 1_000_000;

function pair(): { worker: Meters; main: Meters } {
  const memory = new SharedArrayBuffer(METERS_SIZE);
  return { worker: new Meters(memory), main: new Meters(memory) };
}

/** Calls `look` after each step of a whole run; ends with no flow left. */
function follow(look: (engine: HostEngine, now: number) => void): HostEngine {
  const world = new World(simulatedEngine(), planFromSeed(SEED));
  const { engine } = world;
  const step = engine.step.bind(engine);
  engine.step = (now) => {
    step(now);
    look(engine, now);
  };
  assert.deepEqual(world.run().violations, []);
  return engine;
}

describe("meters", () => {
  test("flows are counted by kind, TCP by state, and there are none at the end", () => {
    const { worker, main } = pair();
    let most = 0;
    const engine = follow((engine) => {
      worker.look(engine);
      const kinds = KIND_NAMES.map((_, kind) => main.flowsOfKind(kind));
      const states = TCP_STATE_NAMES.map((_, state) => main.flowsInState(state));
      const sum = (counts: readonly number[]) => counts.reduce((total, n) => total + n, 0);
      assert.equal(sum(kinds), engine.flowCount);
      assert.equal(sum(states), main.flowsOfKind(abi.KIND_TCP));
      most = Math.max(most, main.flowsInState(ESTABLISHED));
    });
    assert.equal(most, 1);
    worker.look(engine);
    assert.equal(main.flowsOfKind(abi.KIND_TCP), 0);
    assert.equal(main.flowsLimit, engine.config.flowsMax);
    engine.setLimits({ flowsMax: 20, chunksMax: 30 });
    worker.look(engine);
    assert.deepEqual([main.flowsLimit, main.chunksLimit], [20, 30]);
  });

  test("histograms lie apart from each other and from the counts", () => {
    const { worker, main } = pair();
    const { turn, blocked, connect, guestRtt } = worker.histograms;
    [turn, blocked, connect, guestRtt].forEach((histogram, i) => {
      for (let n = 0; n <= i; n += 1) histogram.observe(1000);
    });
    worker.addWindowLimited(2.5);
    const found = main.histograms;
    assert.deepEqual(
      [found.turn, found.blocked, found.connect, found.guestRtt].map(({ counts }) => counts.at(-1)),
      [1, 2, 3, 4],
    );
    assert.equal(found.guestRtt.sum, 4000);
    assert.equal(main.windowLimited, 2.5);
    assert.equal(main.chunksLimit, 0);
  });
});

describe("sampler", () => {
  test("it looks once a second at what is under way, and wakes nobody up else", () => {
    const { worker, main } = pair();
    const sampler = new Sampler(worker);
    let looks = 0;
    let waited = false;
    let last = 0;
    follow((engine, now) => {
      const before = main.histograms.guestRtt.counts.reduce((sum, n) => sum + n, 0);
      sampler.poll(engine, now);
      const after = main.histograms.guestRtt.counts.reduce((sum, n) => sum + n, 0);
      assert.ok(after - before <= 1, "there is one connection");
      const wait = sampler.wait(now);
      if (wait !== undefined) {
        assert.ok(wait > 0 && wait <= SECOND);
        waited = true;
      }
      if (after === before) return;
      looks += 1;
      assert.ok(now - last >= SECOND);
      last = now;
    });
    assert.ok(looks > 0 && waited);
    assert.ok(main.histograms.guestRtt.sum > 0);
  });

  test("a connection that fills the guest's window is limited by it for the time between", () => {
    const { worker, main } = pair();
    const sampler = new Sampler(worker);
    let filled = 0;
    follow((engine, now) => {
      const { flows } = engine.bases;
      const at = flows + abi.FLOW_TCP_SND_WINDOW_OFFSET;
      const window = engine.view.getUint32(at, true);
      const una = engine.view.getUint32(flows + abi.FLOW_TCP_SND_UNA_OFFSET, true);
      const max = engine.view.getUint32(flows + abi.FLOW_TCP_SND_MAX_OFFSET, true);
      const before = main.windowLimited;
      engine.view.setUint32(at, (max - una) >>> 0, true); // as if it had offered no more
      sampler.poll(engine, now);
      engine.view.setUint32(at, window, true);
      const more = main.windowLimited - before;
      assert.ok(more === 0 || (more >= 1 && more <= 2));
      filled += more;
    });
    assert.ok(filled > 0);
    sampler.poll(new FakeEmpty() as unknown as HostEngine, 1e12);
    assert.equal(sampler.wait(1e12), undefined, "nothing is under way any more");
  });
});

/** An engine without flows. */
class FakeEmpty {
  readonly flowCount = 0;
}
