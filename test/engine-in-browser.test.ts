/**
 * The tests of the engine, and of the package for programs in JavaScript, in Chromium: all of them,
 * with and without SIMD, as in Node. They are as many as Node counts, none fails, and where one
 * needs more than a browser has, the reason is here.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { Browser } from "playwright-core";
import type { Outcomes } from "./support/browser/runner.ts";
import { runInBrowser, testFiles } from "./support/browser/suite.ts";
import { NO_BROWSER, openBrowser } from "./support/ui/stage.ts";

const ROOT = join(import.meta.dirname, "..");
/** What a program on a page drives; the engine's parts are in `test/wasm`. */
const FACADES = ["test/engine", "test/network"];
const OUTPUT_SIZE_MAX = 1 << 26;

/** Tests, by file and name, that no browser can pass. */
const NOT_IN_BROWSERS: Readonly<Record<string, string>> = {
  [[
    "test/engine/config-values.test.ts",
    "resolverAddresses",
    "have the scope of their zone, and are left out without such an interface",
  ].join(" › ")]: "the number of a network interface is read from /sys",
};

/** How many tests Node finds in these files; none is run. */
async function countInNode(files: readonly string[]): Promise<number> {
  const load = files.map((file) => `await import("${pathToFileURL(join(ROOT, file))}");`);
  const none = ["--test-reporter=tap", "--test-name-pattern=^$"];
  const args = ["--import", "tsx", ...none, "--input-type=module", "-e", load.join("\n")];
  // A child of a test would report to it in another form.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const options = { cwd: ROOT, env, maxBuffer: OUTPUT_SIZE_MAX };
  const { stdout } = await promisify(execFile)(process.execPath, args, options);
  const [, count] = /^# tests (\d+)$/m.exec(stdout) ?? [];
  return Number(count);
}

/** Each test's full name, and what it failed with. */
function flatten(outcomes: Outcomes): (readonly [string, string | undefined])[] {
  return Object.entries(outcomes).flatMap(([file, tests]) =>
    tests.map(({ name, failure }) => [`${file} › ${name}`, failure] as const),
  );
}

describe("the engine's tests in a browser", { skip: NO_BROWSER }, () => {
  let browser: Browser;
  before(async () => {
    browser = await openBrowser();
  });
  after(() => browser?.close());

  async function checkAll(place: "main thread" | "worker", folders: readonly string[]) {
    const files = testFiles(folders);
    const [outcomes, count] = await Promise.all([
      runInBrowser(browser, files, place),
      countInNode(files),
    ]);
    const all = flatten(outcomes);
    const failed = all.filter(([, failure]) => failure !== undefined);
    const unexpected = failed.filter(([name]) => !(name in NOT_IN_BROWSERS));
    const told = unexpected.map(([name, failure]) => `${name}\n${failure}`);
    assert.equal(told.length, 0, `${told.length} of ${all.length} fail:\n${told.join("\n\n")}`);
    assert.ok(count > 0);
    assert.equal(all.length - failed.length, count - Object.keys(NOT_IN_BROWSERS).length);
  }

  test("what fails is told by name and message", async () => {
    const file = "test/support/browser/failing.ts";
    const told = flatten(await runInBrowser(browser, [file], "worker"));
    assert.deepEqual(
      told.map(([name, failure]) => [name.replace(`${file} › `, ""), failure?.split("\n")[0]]),
      [
        ["group › inner › passes", undefined],
        ["group › inner › is wrong", "one is not two (1 is not 2)"],
        ["group › rejects", "too late"],
        ["group › traps", "unreachable"],
        ["group › reads what is not there", 'not fetched: "/dist/none.wasm"'],
        ["waits and passes", undefined],
      ],
    );
  });

  test("a file that is no test of a browser cannot be bundled", async () => {
    await assert.rejects(runInBrowser(browser, ["test/build.test.ts"], "worker"), /node:\w+/);
  });

  test("all pass in a worker", () => checkAll("worker", ["test/wasm", ...FACADES]));

  test("those of engine and network pass on a page's main thread", () =>
    checkAll("main thread", FACADES));
});
