/** The plan of tests: every file runs, each with a time of its own that it must not exceed. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { SLOW_S, testPlan } from "../scripts/test-plan.mjs";

const LIMIT_MAX_S = 600;

function jobsOf(only: string) {
  return testPlan({ only }).flatMap(({ jobs }) => jobs);
}

describe("the plan of tests", () => {
  test("no file has a quarter of an hour", () => {
    const jobs = jobsOf("");
    assert.ok(jobs.length > 300);
    for (const { file, limit_s } of jobs) {
      assert.ok(limit_s >= 60 && limit_s <= LIMIT_MAX_S, `${file}: ${limit_s} s`);
    }
  });

  test("a file that needs more than others is there, and has it under every runtime", () => {
    for (const [file, limit_s] of Object.entries(SLOW_S)) {
      assert.ok(existsSync(fileURLToPath(new URL(`../${file}`, import.meta.url))), file);
      const jobs = jobsOf(file);
      assert.ok(jobs.length > 0, file);
      for (const job of jobs) assert.equal(job.limit_s, limit_s, file);
    }
  });

  test("system calls are made under Bun and Deno, the engine runs under Bun too", () => {
    const runtimes = (file: string) => jobsOf(file).map(({ runtime }) => runtime);
    assert.deepEqual(runtimes("test/sys/fd.test.ts"), ["node", "bun", "deno"]);
    assert.deepEqual(runtimes("test/wasm/prng.test.ts"), ["node", "bun"]);
    assert.deepEqual(runtimes("test/lib/addr.test.ts"), ["node"]);
  });

  test("end-to-end tests are left out where they are not wanted", () => {
    const files = testPlan({ endToEnd: false }).flatMap(({ jobs }) => jobs.map(({ file }) => file));
    assert.ok(files.length > 200);
    assert.deepEqual(
      files.filter((file) => file.startsWith("test/e2e/")),
      [],
    );
  });
});
