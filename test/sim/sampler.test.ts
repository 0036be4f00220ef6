/**
 * The sampler follows a run and leaves no trace in it: the same run without it has the same hash.
 * What it keeps is bounded and right at every point that is kept.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Sampler } from "../../src/lab/sim/sampler.ts";
import { planFromSeed } from "../../src/lab/sim/scenario.ts";
import { simulateSeed } from "../../src/lab/sim/simulate.ts";
import { simulatedEngine } from "../../src/lab/sim/simulated-engine.ts";
import { Trace } from "../../src/lab/sim/trace.ts";
import type { WorldResult } from "../../src/lab/sim/verdict.ts";
import { World } from "../../src/lab/sim/world.ts";

interface Sampled {
  readonly world: World;
  readonly result: WorldResult;
}

function runWith(sampler: Sampler, seed: number): Sampled {
  const world = new World(simulatedEngine(), planFromSeed(seed), new Trace(), { sampler });
  return { world, result: world.run() };
}

describe("sampler", () => {
  test("the run is the same with it and without it", () => {
    for (const seed of [2, 4, 13, 82, 89]) {
      const plain = simulateSeed(seed);
      const { result } = runWith(new Sampler({ interval: 500 }), seed);
      assert.equal(result.hash, plain.hash, `seed ${seed}`);
      assert.equal(result.elapsed, plain.elapsed, `seed ${seed}`);
      assert.equal(result.turns, plain.turns, `seed ${seed}`);
    }
  });

  test("there are never more points than allowed, in order, up to the end of the run", () => {
    for (const pointsMax of [20, 100, 2000]) {
      const sampler = new Sampler({ interval: 100, pointsMax });
      const { result } = runWith(sampler, 82);
      const { times } = sampler;
      assert.ok(times.length <= pointsMax, `${times.length} of ${pointsMax}`);
      assert.equal(times[0], 0);
      assert.equal(times.at(-1), result.elapsed);
      assert.ok(times.every((time, i) => i === 0 || time > (times[i - 1] ?? 0)));
      assert.ok(sampler.interval >= 100);
      for (const name of ["guestRxFrames", "streamGiven", "flows", "lostToGuest"] as const) {
        assert.equal(sampler.column(name).length, times.length, name);
      }
      for (const { toGuest, toEngine } of sampler.largest(8)) {
        for (const list of [...Object.values(toGuest), ...Object.values(toEngine)]) {
          assert.equal(list.length, times.length);
        }
      }
    }
  });

  test("the last sample is what the world counted, whatever was left out before", () => {
    const sampler = new Sampler({ interval: 100, pointsMax: 50 });
    const { world, result } = runWith(sampler, 82);
    assert.equal(sampler.column("guestRxFrames").at(-1), result.framesToEngine);
    assert.equal(sampler.column("guestTxFrames").at(-1), result.framesToGuest);
    assert.equal(sampler.column("streamGiven").at(-1), world.ledger.streamGiven);
    const frames = sampler.column("guestTxFrames");
    assert.ok(frames.every((count, i) => count >= (frames[i - 1] ?? 0)));
  });

  test("a time in which nothing moves costs three points, and both its ends are kept", () => {
    const sampler = new Sampler();
    const { result } = runWith(sampler, 144);
    // Seven pings and a few datagrams in five minutes.
    assert.ok(result.elapsed > 200e6);
    assert.ok(sampler.times.length < 200, `${sampler.times.length} points`);
    assert.equal(sampler.interval, 1000);
  });

  test("connections are followed from both sides", () => {
    const sampler = new Sampler();
    const { world } = runWith(sampler, 82);
    const [plan] = world.plan.tcp;
    const [each] = sampler.largest(8);
    assert.ok(plan !== undefined && each !== undefined);
    assert.equal(each.peerPort, plan.port);
    assert.equal(each.bytesToGuest, plan.down);
    assert.equal(each.bytesToHost, plan.up);
    assert.ok(each.endedAt !== undefined && each.endedAt > each.beganAt);
    for (const side of [each.toGuest, each.toEngine]) {
      assert.ok(side.cwnd.some((cwnd) => cwnd > 0));
      assert.ok(side.window.some((window) => window > 0));
      assert.ok(side.rtt.some((rtt) => rtt > 0));
    }
  });

  test("a crowd of connections is followed up to a bound", () => {
    const seed = [...Array(200).keys()].find((each) => planFromSeed(each).tcp.length >= 40);
    assert.ok(seed !== undefined);
    const sampler = new Sampler();
    runWith(sampler, seed);
    assert.ok(sampler.largest(1000).length <= 32);
    assert.ok(sampler.largest(8).length === 8);
  });
});
