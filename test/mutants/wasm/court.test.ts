/** Which tests judge a mutant of the engine, in which order, and what is made of their output. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { References } from "../choose-tests.ts";
import { ROOT } from "../command.ts";
import { commandOf, fileNamed, stepsOf } from "./court.ts";

const FLOW = Array.from({ length: 7 }, (_, index) => `test/wasm/flow/f${index}.test.ts`);
const TESTS = [
  ...FLOW,
  "test/loop/loop.test.ts",
  "test/wasm/flow/table.test.ts",
  "test/wasm/tcp/open.test.ts",
  "test/wasm/timer.test.ts",
];

function steps(file: string): [string, readonly string[]][] {
  const found = stepsOf(file, TESTS, new References(ROOT));
  return found.map(({ nearness, tests }) => [nearness, tests]);
}

describe("mutants/wasm/court", () => {
  test("own tests first, then the folder's, the simulator, and the rest", () => {
    assert.deepEqual(steps("wasm/flow/table.ts"), [
      ["mirror", ["test/wasm/flow/table.test.ts"]],
      ["folder", FLOW],
      ["simulator", ["test/mutants/wasm/seeds.ts"]],
      [
        "others",
        ["test/wasm/tcp/open.test.ts", "test/wasm/timer.test.ts", "test/engine/engine.test.ts"],
      ],
    ]);
  });

  test("what has no test of its name has those that the list of reasons names", () => {
    assert.deepEqual(steps("wasm/tcp/reset.ts")[0], ["mirror", ["test/wasm/tcp/open.test.ts"]]);
  });

  test("the first failure ends a process", () => {
    const [first] = stepsOf("wasm/timer.ts", TESTS, new References(ROOT));
    assert.ok(first !== undefined);
    assert.deepEqual(commandOf(first).slice(1), [
      "test",
      "--timeout=600000",
      "--bail",
      "./test/wasm/timer.test.ts",
    ]);
    const simulator = { nearness: "simulator", tests: ["a.ts"] } as const;
    assert.deepEqual(commandOf(simulator).slice(1), ["a.ts"]);
  });

  test("the test that saw it is the last one named", () => {
    const output = "bun test\n\ntest/wasm/a.test.ts:\n(pass) a\n\ntest/wasm/b.test.ts:\n(fail) b\n";
    assert.equal(fileNamed(output), "test/wasm/b.test.ts");
    assert.equal(fileNamed("1: \n2: spin\n"), "test/mutants/wasm/seeds.ts");
  });
});
