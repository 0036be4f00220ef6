/** The swarm: its verdict in every case, and the real thing over a few seeds. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type SwarmState, swarmVerdict } from "../../src/lab/commands/swarm-verdict.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const STATE: SwarmState = {
  family: "random",
  ...{ from: 7, seeds: 1234, frames: 5678, virtual_s: 7200, real_s: 10, isStopped: false },
  ...{ broken: undefined, failure: undefined },
};

describe("cli/simulate-swarm: the verdict", () => {
  test("clean, to the end or stopped", () => {
    const totals = ["  virtual time   2 h 0 min in 10.0 s: 720 x faster", "  frames         5,678"];
    assert.deepEqual(swarmVerdict(STATE, "x"), ["1,234 seeds from 7 on: clean", ...totals]);
    const [stopped] = swarmVerdict({ ...STATE, isStopped: true }, "x");
    assert.equal(stopped, "1,234 seeds from 7 on: clean, stopped early");
  });

  test("a violation: which seed, why, and the command that repeats it", () => {
    const failure = { seed: 99, violations: ["1.5 TCP 0: octet 3 is\u001b wrong"] };
    const lines = swarmVerdict({ ...STATE, failure }, "slirp-binding");
    assert.equal(lines[0], "seed 99: went wrong, after 1,234 seeds");
    assert.equal(lines[1], "  violation      1.5 TCP 0: octet 3 is\\u{1b} wrong");
    assert.equal(lines.at(-1), "repeat it: slirp-binding simulate --seed 99 --trace");
  });

  test("the command names the family, unless it is the usual one", () => {
    const failure = { seed: 99, violations: [] };
    const lines = swarmVerdict({ ...STATE, family: "competition", failure }, "x");
    assert.equal(lines.at(-1), "repeat it: x simulate --seed 99 --family competition --trace");
  });

  test("a process that went away", () => {
    const [line] = swarmVerdict({ ...STATE, broken: "ended by SIGKILL" }, "x");
    assert.equal(line, "broken off: a process of the swarm ended by SIGKILL");
  });
});

describe("cli/simulate-swarm: seeds shared by two processes", () => {
  test("each runs once, and none is left out", () => {
    const own = ["--import", "tsx", "src/main.ts", "simulate"];
    const args = ["--seeds", "5", "--seed", "1", "--jobs", "2"];
    const { status, stdout } = spawnSync(process.execPath, [...own, ...args], {
      ...{ cwd: ROOT, encoding: "utf8" },
    });
    assert.match(stdout, /^5 seeds from 1 on: clean\n {2}virtual time .*\n {2}frames +[\d,]+\n$/);
    assert.equal(status, 0);
  });
});
