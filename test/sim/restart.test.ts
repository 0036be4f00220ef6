/**
 * A worker that fails and starts again, as `src/binding/networks.ts` has it: connections break, the
 * guest keeps its address, what begins afterwards works, and the books of each engine balance.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { instantiateEngine } from "../../src/engine/instance.ts";
import type { EngineModule } from "../../src/engine/module.ts";
import type { Plan } from "../../src/lab/sim/plan.ts";
import { planFromSeed } from "../../src/lab/sim/scenario.ts";
import { simulatedEngine } from "../../src/lab/sim/simulated-engine.ts";
import { Trace } from "../../src/lab/sim/trace.ts";
import type { WorldResult } from "../../src/lab/sim/verdict.ts";
import { World } from "../../src/lab/sim/world.ts";

/** Seeds whose plans have restarts, and nothing else that breaks connections. */
const SEEDS = Array.from({ length: 400 }, (_, seed) => seed)
  .filter((seed) => {
    const { restarts, outage, isCrowded } = planFromSeed(seed);
    return restarts !== undefined && outage === undefined && !isCrowded;
  })
  .slice(0, 10);

interface Run {
  readonly world: World;
  readonly result: WorldResult;
  readonly lines: readonly string[];
  readonly engines: number;
}

function run(plan: Plan, change: (module: EngineModule, life: number) => EngineModule): Run {
  const lines: string[] = [];
  let engines = 0;
  const trace = new Trace((line) => lines.push(line));
  const world = new World(simulatedEngine(), plan, trace, {
    instantiate: (module) => {
      engines += 1;
      return change(instantiateEngine(module), engines);
    },
  });
  return { world, result: world.run(), lines, engines };
}

describe("sim: restarts", () => {
  test("each restart makes an engine, and nothing is violated", () => {
    assert.ok(SEEDS.length === 10, `${SEEDS.length} seeds`);
    for (const seed of SEEDS) {
      const plan = planFromSeed(seed);
      const { world, result, engines } = run(plan, (module) => module);
      assert.deepEqual(result.violations, [], `seed ${seed}`);
      // Two at the same time are one.
      assert.equal(engines, 1 + new Set(plan.restarts).size, `seed ${seed}`);
      assert.equal(world.guest.lease?.address, "10.0.2.15");
    }
  });

  test("a connection in the middle is reset, and told so by the new engine", () => {
    const plan = planFromSeed(82); // one long connection
    const { lines } = run({ ...plan, restarts: [200_000] }, (module) => module);
    const at = lines.findIndex((line) => line.includes("starts again"));
    assert.ok(at > 0);
    assert.ok(lines.slice(at).some((line) => / < TCP .* [A-Z]*R[A-Z]* /.test(line)));
  });

  test("a new engine that does nothing is found out", () => {
    const [seed = 0] = SEEDS;
    const { result } = run(planFromSeed(seed), (module, life) => {
      if (life === 1) return module;
      return { ...module, functions: { ...module.functions, step: () => {} } };
    });
    assert.match(result.violations.join("; "), /TCP \d+ ended/);
  });

  test("books of the first engine that do not balance are found out", () => {
    const [seed = 0] = SEEDS;
    const { result } = run(planFromSeed(seed), (module, life) => {
      if (life > 1) return module;
      const { guest_rx: receive } = module.functions;
      const half = (count: number, now: number): void => receive(count - 1, now);
      return { ...module, functions: { ...module.functions, guest_rx: half } };
    });
    assert.match(result.violations.join("; "), /counters: frames from the guest/);
  });
});
