/** The latest lines of the log: what is kept, what a watcher gets, and what it costs others. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LogTail, type WatchedLine } from "../../src/admin/log-tail.ts";

type LogWatcher = ReturnType<LogTail["watch"]>;

const line = (text: string): Uint8Array => new TextEncoder().encode(`${text}\n`);

function taken(watcher: LogWatcher): WatchedLine[] {
  const found: WatchedLine[] = [];
  for (let next = watcher.next(); next !== undefined; next = watcher.next()) found.push(next);
  return found;
}

const texts = (lines: readonly WatchedLine[]): string[] => lines.map(({ text }) => text);

describe("admin/log-tail", () => {
  test("a watcher gets as many of the latest lines as it asks for, then each", () => {
    const tail = new LogTail();
    for (const text of ["a", "b", "ü\\nc"]) tail.take(line(text));
    for (const [backlog, wanted] of [
      [0, []],
      [2, ["b", "ü\\nc"]],
      [1000, ["a", "b", "ü\\nc"]],
      [-1, []],
    ] as const) {
      assert.deepEqual(texts(taken(tail.watch(backlog))), wanted, String(backlog));
    }
    const watcher = tail.watch(1);
    tail.take(line("d"));
    assert.deepEqual(taken(watcher), [
      { text: "ü\\nc", lost: 0 },
      { text: "d", lost: 0 },
    ]);
    assert.equal(watcher.next(), undefined);
  });

  test("keeps 256 lines, and not more than 64 KiB", () => {
    const tail = new LogTail();
    for (let i = 0; i < 1000; i += 1) tail.take(line(`${i}`));
    const all = texts(taken(tail.watch(5000)));
    assert.deepEqual([all.length, all[0], all.at(-1)], [256, "744", "999"]);
    for (let i = 0; i < 10; i += 1) tail.take(line("x".repeat(10_000)));
    assert.equal(taken(tail.watch(5000)).length, 6);
    tail.take(line("x".repeat(100_000)));
    assert.equal(taken(tail.watch(5000)).length, 0);
  });

  test("a watcher that is slow loses the oldest lines, and hears how many", () => {
    const tail = new LogTail();
    const [slow, quick] = [tail.watch(0), tail.watch(0)];
    for (let i = 0; i < 300; i += 1) {
      tail.take(line(`${i}`));
      assert.deepEqual(taken(quick), [{ text: `${i}`, lost: 0 }]);
    }
    const late = taken(slow);
    assert.deepEqual(late[0], { text: "44", lost: 44 });
    assert.equal(late.length, 256);
    assert.ok(late.slice(1).every(({ lost }) => lost === 0));
  });

  test("news come with the next line and with the end; who has ended gets nothing", async () => {
    const tail = new LogTail();
    const watcher = tail.watch(0);
    const news = watcher.news();
    tail.take(line("a"));
    await news;
    await watcher.news();
    assert.deepEqual(texts(taken(watcher)), ["a"]);
    const end = watcher.news();
    watcher.close();
    await end;
    await watcher.news();
    tail.take(line("b"));
    assert.equal(watcher.next(), undefined);
  });
});
