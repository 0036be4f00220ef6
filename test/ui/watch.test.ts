/** The stream of lines that the page is told: order, changes, an instance that is lost or old. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type AdminCalls, CallError } from "../../src/ui/admin-calls.ts";
import { watch } from "../../src/ui/watch.ts";

/** Calls that answer as told; streams give their messages and then wait. */
function callsOf(
  streams: Readonly<Record<string, readonly (string | Error)[]>>,
  answers: Readonly<Record<string, string | Error>> = {},
): AdminCalls {
  return {
    async call(method) {
      const answer = answers[method] ?? "{}";
      if (answer instanceof Error) throw answer;
      return answer;
    },
    async *stream(method, _, signal) {
      for (const message of streams[method] ?? []) {
        if (message instanceof Error) throw message;
        yield message;
      }
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener("abort", () => resolve());
      });
    },
  };
}

/** Lines until it ends, or until there are `count`. */
async function linesOf(calls: AdminCalls, count: number): Promise<string[]> {
  const leaving = new AbortController();
  const lines: string[] = [];
  await watch(calls, leaving.signal, async (line) => {
    lines.push(line.trimEnd());
    if (lines.length === count) leaving.abort();
  });
  return lines;
}

describe("watch", () => {
  test("what there is comes first, then what happens", async () => {
    const lines = await linesOf(callsOf({ WatchStats: ['{"timeUs":"1"}'], WatchLog: ["{}"] }), 7);
    assert.deepEqual(lines, [
      ...['{"instance":{}}', '{"ports":{}}', '{"drops":{}}', '{"captures":{}}', '{"level":{}}'],
      ...['{"stats":{"timeUs":"1"}}', '{"log":{}}'],
    ]);
  });

  test("a lost instance is the last line", async () => {
    const calls = callsOf({ WatchStats: ["{}", new CallError("unavailable", "gone")] });
    const lines = await linesOf(calls, 100);
    assert.equal(lines.at(-1), '{"lost":{"code":"unavailable","message":"gone"}}');
    assert.equal(lines.filter((line) => line.startsWith('{"lost"')).length, 1);
  });

  test("an instance that is not there is told at once", async () => {
    const calls = callsOf({}, { GetInstance: new CallError("unavailable", "no socket") });
    assert.deepEqual(await linesOf(calls, 100), [
      '{"lost":{"code":"unavailable","message":"no socket"}}',
    ]);
  });

  test("calls that an older instance does not know are left out", async () => {
    const unknown = new CallError("unimplemented", "unknown");
    const calls = callsOf({ WatchStats: ["{}"], WatchLog: [unknown] }, { ListDrops: unknown });
    const lines = await linesOf(calls, 5);
    assert.deepEqual(lines.slice(0, 5), [
      ...['{"instance":{}}', '{"ports":{}}', '{"captures":{}}', '{"level":{}}', '{"stats":{}}'],
    ]);
  });

  test("whoever leaves ends all of it, and is told nothing more", async () => {
    const leaving = new AbortController();
    leaving.abort();
    const lines: string[] = [];
    await watch(callsOf({}), leaving.signal, async (line) => {
      lines.push(line);
    });
    assert.equal(
      lines.some((line) => line.includes("lost")),
      false,
    );
  });
});
