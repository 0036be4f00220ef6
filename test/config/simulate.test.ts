/** Options of `simulate`: which kind of run is meant, and what does not go together. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConfigError } from "../../src/config/errors.ts";
import type { Setting } from "../../src/config/settings.ts";
import { readSimulateOptions } from "../../src/config/simulate.ts";

function read(given: Readonly<Record<string, string>>) {
  return readSimulateOptions(
    new Map<string, Setting>(
      Object.entries(given).map(([name, value]) => [
        name,
        { values: [value], origin: name === "scenario" ? "SCENARIO" : `--${name}` },
      ]),
    ),
  );
}

const SWARM = {
  ...{ kind: "swarm", family: "random", from: undefined, seeds: undefined },
  ...{ minutes: 1, jobs: undefined },
};
const ONE = {
  ...{ kind: "seed", family: "random", seed: 17, scenario: undefined, trace: false },
  ...{ pcap: undefined, report: undefined },
};

describe("config/simulate", () => {
  test("nothing means random seeds for a minute", () => {
    assert.deepEqual(read({}), SWARM);
    assert.deepEqual(read({ minutes: "5", jobs: "2" }), { ...SWARM, minutes: 5, jobs: 2 });
  });

  test("a number of seeds has no end in time but one that is given", () => {
    const counted = { ...SWARM, seeds: 100, minutes: undefined };
    assert.deepEqual(read({ seeds: "100" }), counted);
    assert.deepEqual(read({ seeds: "100", seed: "7" }), { ...counted, from: 7 });
    assert.deepEqual(read({ seeds: "100", minutes: "2" }), { ...counted, minutes: 2 });
  });

  test("a seed, or a scenario with or without one, is one run", () => {
    assert.deepEqual(read({ seed: "17" }), ONE);
    assert.deepEqual(read({ seed: "17", trace: "true", pcap: "a", report: "b" }), {
      ...ONE,
      ...{ trace: true, pcap: "a", report: "b" },
    });
    const file = { ...ONE, kind: "scenario", scenario: "a.yaml" };
    assert.deepEqual(read({ scenario: "a.yaml" }), { ...file, seed: undefined });
    assert.deepEqual(read({ scenario: "a.yaml", seed: "17" }), file);
    assert.ok(Object.isFrozen(read({ seed: "17" })));
  });

  test("the family of seeds, of one or of many", () => {
    const family = "competition";
    assert.deepEqual(read({ seed: "17", family }), { ...ONE, family });
    assert.deepEqual(read({ family }), { ...SWARM, family });
  });

  const refused: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ seed: "-1" }, /^parse --seed "-1": wanted an integer from 0 to 9007199254740991$/],
    [{ seed: "x" }, /^parse --seed "x"/],
    [
      { family: "x" },
      /^parse --family "x": wanted one of "random", "windows", "vhost-user", "competition"$/,
    ],
    [{ scenario: "a", family: "random" }, /^leave out "--family": a scenario belongs to none$/],
    [{ minutes: "0" }, /^parse --minutes "0": wanted an integer from 1 to 10080$/],
    [{ seeds: "0" }, /^parse --seeds "0"/],
    [{ jobs: "257" }, /^parse --jobs "257"/],
    [{ scenario: "" }, /^parse SCENARIO "": wanted a path$/],
    [{ trace: "true" }, /^leave out "--trace": choose one run/],
    [{ pcap: "a" }, /^leave out "--pcap": choose one run/],
    [{ seeds: "2", report: "a" }, /^leave out "--report": choose one run/],
    [{ seed: "1", minutes: "2" }, /^leave out "--minutes": one seed is one run/],
    [{ scenario: "a", seeds: "2" }, /^leave out "--seeds": a scenario is one run$/],
  ];
  for (const [given, message] of refused) {
    test(`refused: ${JSON.stringify(given)}`, () => {
      assert.throws(
        () => read(given),
        (error: unknown) => {
          assert.ok(error instanceof ConfigError);
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }
});
