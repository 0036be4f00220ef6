/**
 * The whole simulator: pinned seeds without a violation, the same seed with the same trace on every
 * runtime, and runs in which something is wrong found out.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { planFromSeed } from "../../src/lab/sim/scenario.ts";
import { simulateSeed } from "../../src/lab/sim/simulate.ts";
import { simulatedEngine } from "../../src/lab/sim/simulated-engine.ts";
import { World } from "../../src/lab/sim/world.ts";
import { checkedEngine } from "../support/engine-binary.ts";
import { HASHED_SEEDS, PINNED_SEEDS } from "./pinned.ts";

describe("sim: pinned seeds", () => {
  const groups = Array.from({ length: Math.ceil(PINNED_SEEDS.length / 25) }, (_, i) =>
    PINNED_SEEDS.slice(i * 25, (i + 1) * 25),
  );
  for (const group of groups) {
    test(`${group[0]} to ${group.at(-1)}: no violation`, () => {
      for (const seed of group) {
        const { violations } = simulateSeed(seed, { module: checkedEngine() });
        assert.deepEqual(violations, [], `seed ${seed}`);
      }
    });
  }
});

describe("sim: determinism", () => {
  test("trace hashes are those of every other runtime, and of yesterday", () => {
    const text = readFileSync(new URL("./hashes.json", import.meta.url), "utf8");
    const wanted: unknown = JSON.parse(text);
    const found = Object.fromEntries(HASHED_SEEDS.map((seed) => [seed, simulateSeed(seed).hash]));
    assert.deepEqual(found, wanted, "if it was meant: node --import tsx test/sim/update-hashes.ts");
  });

  test("assertions change nothing", () => {
    for (const seed of HASHED_SEEDS.slice(0, 10)) {
      const { hash } = simulateSeed(seed, { module: checkedEngine() });
      assert.equal(hash, simulateSeed(seed).hash, `seed ${seed}`);
    }
  });

  test("a second run in the same program has the same trace, with or without a reader", () => {
    const lines: string[] = [];
    const read = simulateSeed(4, { trace: (line) => lines.push(line) });
    assert.equal(read.hash, simulateSeed(4).hash);
    assert.ok(lines.length > 10);
  });

  test("different seeds are different runs", () => {
    assert.notEqual(simulateSeed(1).hash, simulateSeed(2).hash);
  });
});

describe("sim: what is wrong is found", () => {
  /** One connection, data both ways, nothing that breaks it. */
  const seed = 82;

  test("a stream that the host spoils", () => {
    const plan = planFromSeed(seed);
    const world = new World(simulatedEngine(), plan);
    const { integers, octets } = world.engine;
    const execute = world.host.execute.bind(world.host);
    let spoilt = 0;
    world.host.execute = (base, count) => {
      execute(base, count);
      for (let op = base >> 2; op < (base >> 2) + count * 8 && spoilt === 0; op += 8) {
        if (integers[op] !== 3 || (integers[op + 2] ?? 0) <= 0) continue; // receive
        const iov = integers[((integers[op + 6] ?? 0) + 16) >> 2] ?? 0;
        const at = integers[iov >> 2] ?? 0;
        octets[at] = (octets[at] ?? 0) ^ 1;
        spoilt += 1;
      }
    };
    const { violations } = world.run();
    assert.equal(spoilt, 1);
    assert.match(violations.join("; "), /is not the peer's/);
  });

  test("a trap", () => {
    const world = new World(simulatedEngine(), planFromSeed(seed));
    world.engine.step = () => {
      throw new Error("unreachable");
    };
    assert.match(world.run().violations.join("; "), /crash: unreachable/);
  });

  test("a flow that never ends", () => {
    const world = new World(simulatedEngine(), planFromSeed(seed));
    world.host.takeEdge = () => undefined; // sockets say nothing any more
    assert.match(world.run().violations.join("; "), /out of patience/);
  });

  test("a counter that is off by one", () => {
    const world = new World(simulatedEngine(), planFromSeed(seed));
    const { view, bases } = world.engine;
    view.setUint32(bases.stats, 1, true);
    assert.match(world.run().violations.join("; "), /counters: frames from the guest/);
  });
});
