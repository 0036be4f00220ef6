/**
 * Competitions: plans that are what they say, and runs in which somebody takes what belongs to the
 * others found out.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { planOfCompetition } from "../../src/lab/sim/competition.ts";
import type { Plan } from "../../src/lab/sim/plan.ts";
import { simulateSeed } from "../../src/lab/sim/simulate.ts";
import { simulatedEngine } from "../../src/lab/sim/simulated-engine.ts";
import { World } from "../../src/lab/sim/world.ts";
import { checkedEngine } from "../support/engine-binary.ts";
import { COMPETITION_SEEDS, HASHED_COMPETITIONS } from "./pinned.ts";

const SECOND = 1_000_000;

/** Only the patient clients of a seed, on room enough: nothing competes. */
function peaceful(seed: number): Plan {
  const { plan, groups } = planOfCompetition(seed);
  const kept = (kind: string, name: string): number =>
    groups.filter((each) => each.kind === kind && each.first === 0 && each.name === name).length;
  assert.equal(kept("tcp", "steady") + kept("dns", "names"), 2);
  return {
    ...plan,
    limits: { ...plan.limits, flowsMax: 1024, chunksMax: 1024 },
    tcp: plan.tcp.filter(({ address }) => address >>> 8 === 0xcb0071),
    udp: plan.udp.filter(({ yields }) => yields !== true),
    silences: [],
  };
}

describe("sim/competition: plans", () => {
  test("a seed is one plan, another seed another", () => {
    assert.deepEqual(planOfCompetition(3), planOfCompetition(3));
    assert.notDeepEqual(planOfCompetition(3).groups, planOfCompetition(4).groups);
  });

  test("groups name every flow once, in order; endpoints differ", () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const { plan, groups } = planOfCompetition(seed);
      for (const [kind, list] of [
        ["tcp", plan.tcp],
        ["udp", plan.udp],
        ["dns", plan.dns],
      ] as const) {
        const own = groups.filter((each) => each.kind === kind);
        const ids = own.flatMap(({ first, count }) =>
          Array.from({ length: count }, (_, i) => first + i),
        );
        assert.deepEqual(
          ids,
          list.map(({ id }) => id),
        );
      }
      const ends = new Set(plan.tcp.map(({ address, port }) => `${address}:${port}`));
      assert.equal(ends.size, plan.tcp.length);
      assert.ok(groups.length > 5, "somebody competes");
    }
  });
});

describe("sim/competition: pinned seeds", () => {
  const isNode = !("bun" in process.versions || "deno" in process.versions);
  const text = readFileSync(new URL("./competition-hashes.json", import.meta.url), "utf8");
  const wanted: Readonly<Record<string, string>> = JSON.parse(text);

  test("those whose trace hash is pinned have one", () => {
    assert.deepEqual(Object.keys(wanted).map(Number), HASHED_COMPETITIONS);
  });

  // That runs are the same everywhere is shown by those with a hash.
  for (const seed of isNode ? COMPETITION_SEEDS : HASHED_COMPETITIONS) {
    test(`${seed}: no violation`, () => {
      // Those with a hash are runs of the engine that ships.
      const run = seed in wanted ? {} : { module: checkedEngine() };
      const { violations, hash } = simulateSeed(seed, run, "competition");
      assert.deepEqual(violations, []);
      assert.equal(hash, wanted[seed] ?? hash);
    });
  }
});

describe("sim/competition: what is wrong is found", () => {
  test("nothing, where nobody competes", () => {
    for (const seed of [1, 2, 3]) {
      const world = new World(simulatedEngine(), peaceful(seed));
      assert.deepEqual(world.run().violations, []);
    }
  });

  test("nor where the guest is silent for a while and nothing comes meanwhile", () => {
    const silences = [{ at: 20 * SECOND + 1, duration: 3 * SECOND }];
    const world = new World(simulatedEngine(), { ...peaceful(2), silences });
    assert.deepEqual(world.run().violations, []);
  });

  test("an engine that has no room for a stranger", () => {
    const world = new World(simulatedEngine(), peaceful(1));
    world.engine.inboundTcp = () => 0;
    assert.match(world.run().violations.join("; "), /no room for a connection/);
  });

  test("strangers that have more than their share of the table", () => {
    const { plan } = planOfCompetition(29);
    const world = new World(simulatedEngine(), plan);
    const config = { ...world.engine.config, flowsMax: plan.limits.flowsMax >> 1 };
    Object.defineProperty(world.engine, "config", { value: config });
    assert.match(world.run().violations.join("; "), /shares: \d+ flow slots from outside, 32 are/);
  });

  test("a host that does not say what it has", () => {
    const world = new World(simulatedEngine(), peaceful(1));
    const takeEdge = world.host.takeEdge.bind(world.host);
    world.host.takeEdge = () => {
      const socket = takeEdge();
      return world.clock.now > 15 * SECOND ? undefined : socket;
    };
    const { violations } = world.run();
    assert.match(violations.join("; "), /progress: TCP \d+ of the guest does not move/);
    assert.match(violations.join("; "), /progress: DNS host-\d+.example is not answered/);
  });
});
