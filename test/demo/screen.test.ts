/** Lines of the demonstration: with a terminal and without, good steps and bad. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { bar, formatRate } from "../../src/lab/demo/progress.ts";
import { Screen } from "../../src/lab/demo/screen.ts";

function screenOf(isTerminal: boolean): { screen: Screen; text: () => string } {
  let text = "";
  let now = 0;
  const screen = new Screen({
    isTerminal,
    write: (part) => {
      text += part;
    },
    now: () => {
      now += 1250;
      return now;
    },
  });
  return { screen, text: () => text };
}

const FAILING = async (): Promise<never> => {
  throw new Error("it rains");
};

describe("steps", () => {
  test("are a line each, plain where there is no terminal", async () => {
    const { screen, text } = screenOf(false);
    await screen.step("one", async () => ({ text: "fine" }));
    await screen.step("two", async () => ({ text: "faster", rate_bits: 2.5e9 }), {
      total: 10,
      moved: () => 5,
    });
    screen.change("+ new");
    assert.equal(
      text(),
      `  ok   ${"one".padEnd(34)}   1.25 s  fine\n` +
        `  ok   ${"two".padEnd(34)}   1.25 s  2.50 Gbit/s, faster\n       + new\n`,
    );
    assert.deepEqual([screen.passed, screen.failed], [2, 0]);
  });

  test("that fail have a line too, and throw", async () => {
    const { screen, text } = screenOf(false);
    await assert.rejects(screen.step("three", FAILING), /^Error: it rains$/);
    assert.match(text(), /^ {2}FAIL three +1\.25 s {2}it rains\n$/);
    assert.deepEqual([screen.passed, screen.failed], [0, 1]);
  });

  test("show how far they are on a terminal, and clear that away", async () => {
    const { screen, text } = screenOf(true);
    await screen.step("load", async () => ({ text: "done" }), { total: 8, moved: () => 2 });
    const [before = "", after = ""] = text().split("\u001b[2K").slice(1);
    assert.match(before, /load +\[######\.+\] 25 %/);
    assert.match(after, /^ {2}\u001b\[32mok {2}\u001b\[0m load/);
  });

  test("say nothing after a break", async () => {
    const { screen, text } = screenOf(false);
    screen.mute();
    await assert.rejects(screen.step("four", FAILING));
    assert.equal(text(), "");
    assert.equal(screen.failed, 0);
  });
});

describe("words", () => {
  test("of progress stay within their bounds", () => {
    assert.equal(bar(-1), `[${".".repeat(24)}] 0 %`);
    assert.equal(bar(0.5), `[${"#".repeat(12)}${".".repeat(12)}] 50 %`);
    assert.equal(bar(7), `[${"#".repeat(24)}] 100 %`);
  });

  test("of throughput have three digits", () => {
    assert.equal(formatRate(12_345_678_900), "12.35 Gbit/s");
    assert.equal(formatRate(543e6), "543 Mbit/s");
    assert.equal(formatRate(1.25e6), "1.3 Mbit/s");
  });
});
