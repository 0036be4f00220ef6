/** Calls about the log: what is answered and refused. `test/cli/log.test.ts` has a real program. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  LogLevel,
  SetLogLevelRequestSchema,
  WatchLogRequestSchema,
} from "../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import { getLogLevel, setLogLevel, watchLog } from "../../src/admin/log-calls.ts";
import { LogTail } from "../../src/admin/log-tail.ts";
import { prettyLogger } from "../../src/lib/log.ts";

const invalid = (error: unknown): boolean =>
  error instanceof ConnectError && error.code === Code.InvalidArgument;

describe("admin/log-calls", () => {
  test("the level is told, and set to any of the four; another one is refused", () => {
    const lines: string[] = [];
    const log = prettyLogger("info", (line) => void lines.push(line.trimEnd()));
    assert.equal(getLogLevel({ log }).level, LogLevel.INFO);
    const set = (level: LogLevel): LogLevel =>
      setLogLevel({ log }, create(SetLogLevelRequestSchema, { level })).previous;
    assert.equal(set(LogLevel.DEBUG), LogLevel.INFO);
    assert.deepEqual(lines, ["info  log level changed log_level=debug previous=info"]);
    assert.equal(set(LogLevel.WARN), LogLevel.DEBUG);
    assert.equal(set(LogLevel.ERROR), LogLevel.WARN);
    assert.equal(log.threshold.level, "error");
    assert.throws(() => set(LogLevel.UNSPECIFIED), invalid);
    assert.throws(() => set(99 as LogLevel), invalid);
    assert.equal(getLogLevel({ log }).level, LogLevel.ERROR);
    set(LogLevel.INFO);
    lines.length = 0;
    set(LogLevel.INFO);
    assert.deepEqual(lines, [], "nothing has changed");
  });

  test("a look at the latest lines ends with them, who follows ends with its caller", async () => {
    const tail = new LogTail();
    tail.take(new TextEncoder().encode("a\n"));
    const abort = new AbortController();
    const watch = (backlog: number, backlogOnly: boolean) =>
      watchLog(tail, create(WatchLogRequestSchema, { backlog, backlogOnly }), abort.signal);
    const told: string[] = [];
    for await (const { text } of watch(10, true)) told.push(text);
    assert.deepEqual(told, ["a"]);
    await assert.rejects(watch(-1, true).next(), invalid);
    const following = watch(0, false);
    const next = following.next();
    tail.take(new TextEncoder().encode("b\n"));
    assert.equal((await next).value?.text, "b");
    const last = following.next();
    abort.abort();
    assert.equal((await last).done, true);
  });
});
