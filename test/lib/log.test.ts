/**
 * The log. Goal: both forms give one line per event at or above the level, and nothing in a value
 * can fake a line or steer a terminal.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  flushLog,
  LOG_LEVELS,
  type LogFields,
  type LogFormat,
  type LogLevel,
  LogThreshold,
  openLogger,
  prettyLogger,
} from "../../src/lib/log.ts";
import { standardError } from "../../src/lib/standard-error.ts";

/** The end of a second, a millisecond, and a microsecond of 2026. */
const now = (): number => Date.UTC(2026, 10, 30, 11, 59, 59, 999) * 1000 + 42.5;

async function logAll(format: LogFormat, level: LogLevel): Promise<string[]> {
  const lines: string[] = [];
  const log = await openLogger({ format, level, now, sink: (line) => lines.push(line) });
  log.debug({ n: 0 }, "a");
  log.info({ n: 1 }, "b");
  log.warn({ n: 2 }, "c");
  log.error({ n: 3 }, "d");
  return lines;
}

describe("levels", () => {
  for (const format of ["json", "pretty"] as const) {
    for (const [index, level] of LOG_LEVELS.entries()) {
      test(`${format} at ${level} leaves out what is below`, async () => {
        const lines = await logAll(format, level);
        assert.equal(lines.length, LOG_LEVELS.length - index);
        assert.ok(lines.every((line) => /^[^\n]+\n$/.test(line)));
        assert.ok(lines[0]?.includes(level));
      });
    }
  }
});

describe("lines for collectors", () => {
  async function jsonLine(level: LogLevel, fields: LogFields, message: string, pos?: string) {
    const lines: string[] = [];
    const sink = (line: string): void => {
      lines.push(line);
    };
    const own = pos === undefined ? {} : { pos };
    const log = await openLogger({ format: "json", level: "debug", now, sink, ...own });
    log[level](fields, message);
    assert.equal(lines.length, 1);
    return JSON.parse(lines[0] ?? "") as Record<string, unknown>;
  }

  test("have the fields of KubeVirt's programs and no others but the event's", async () => {
    assert.deepEqual(await jsonLine("info", { port: 80, big: 5n }, "lost\na line"), {
      component: "slirp-binding",
      level: "info",
      msg: "lost\na line",
      pos: "main",
      timestamp: "2026-11-30T11:59:59.999042Z",
      port: 80,
      big: 5,
    });
  });

  test("name the thread, and levels as KubeVirt does", async () => {
    for (const level of LOG_LEVELS) {
      const line = await jsonLine(level, {}, "m", "worker");
      assert.equal(line["level"], level === "warn" ? "warning" : level);
      assert.equal(line["pos"], "worker");
    }
  });

  test("carry the error behind an event", async () => {
    const { err } = await jsonLine("error", { err: new Error("gone") }, "m");
    assert.ok(typeof err === "object" && err !== null && "message" in err);
    assert.equal(err.message, "gone");
  });
});

describe("a threshold", () => {
  for (const format of ["json", "pretty"] as const) {
    test(`holds for the next line of ${format} as soon as it is set, in every thread`, async () => {
      const level = LogThreshold.at("error");
      const elsewhere = new LogThreshold(level.memory);
      const lines: string[] = [];
      const sink = (line: string): void => void lines.push(line);
      const log = await openLogger({ format, level, now, sink });
      const written: number[] = [];
      for (const set of LOG_LEVELS) {
        elsewhere.level = set;
        assert.equal(level.level, set);
        for (const each of LOG_LEVELS) {
          log[each]({}, "m");
          assert.equal(
            log.threshold.admits(each),
            LOG_LEVELS.indexOf(each) >= LOG_LEVELS.indexOf(set),
          );
        }
        written.push(lines.splice(0).length);
      }
      assert.deepEqual(written, [4, 3, 2, 1]);
    });
  }
});

/** The line of one event without its end. */
function formatPretty(level: LogLevel, fields: LogFields, message: string): string {
  let text = "";
  prettyLogger("debug", (line) => {
    text += line;
  })[level](fields, message);
  assert.ok(text.endsWith("\n"));
  return text.slice(0, -1);
}

describe("lines for people", () => {
  test("puts level, message and fields on one line", () => {
    const fields = { port: 80, path: "/run/a.sock", name: "a b", gone: undefined, on: true };
    assert.equal(
      formatPretty("info", fields, "listening"),
      'info  listening port=80 path=/run/a.sock name="a b" on=true',
    );
    assert.equal(formatPretty("error", {}, "ended"), "error ended");
  });

  test("shows errors by their message, and whatever else as JSON", () => {
    const loop: unknown[] = [];
    loop.push(loop);
    const fields = { err: new Error("no route"), list: [1, 2n], none: null, empty: "", loop };
    assert.equal(
      formatPretty("warn", fields, "m"),
      'warn  m err="no route" list="[1,\\"2\\"]" none=null empty="" loop="[unprintable]"',
    );
  });

  test("shows what JSON has no text for, and what has a text of its own", () => {
    const fields = { odd: { toJSON: () => undefined }, list: [1, "b"], many: 5n };
    assert.equal(
      formatPretty("warn", fields, "m"),
      'warn  m odd="[object Object]" list="[1,\\"b\\"]" many=5',
    );
  });

  test("lets no value begin a line or steer a terminal", () => {
    const line = formatPretty("info", { name: "a\nerror fake\u009b2J" }, "m\u001b[2J\u202e");
    assert.equal(line, 'info  m\\u{1b}[2J\\u{202e} name="a\\nerror fake\\u{9b}2J"');
  });

  test("lets no value look like another field", () => {
    assert.equal(formatPretty("info", { a: 'x" b=1' }, "m"), 'info  m a="x\\" b=1"');
  });
});

test("prettyLogger needs no await", () => {
  const lines: string[] = [];
  prettyLogger("error", (line) => lines.push(line)).error({ code: 2 }, "stop");
  assert.deepEqual(lines, ["error stop code=2\n"]);
});

describe("standard error", () => {
  /** What is done to it while `act` runs. */
  async function record(act: () => Promise<void>): Promise<unknown[]> {
    const output = standardError();
    const done: unknown[] = [];
    output.write = (line) => void done.push(line);
    output.flush = async (...times) => void done.push(times);
    try {
      await act();
    } finally {
      Reflect.deleteProperty(output, "write");
      Reflect.deleteProperty(output, "flush");
    }
    return done;
  }

  test("is where lines go that have no other place, and those that tell of lost ones", async () => {
    for (const level of LOG_LEVELS) {
      const done = await record(async () => {
        const log = await openLogger({ level, format: "pretty", now });
        log.error({}, "gone");
        standardError().onLost(3);
        prettyLogger(level).error({}, "too early");
      });
      const told = level === "error" ? "error" : "warn ";
      assert.deepEqual(done, ["error gone\n", `${told} 3 log lines lost\n`, "error too early\n"]);
    }
  });

  test("is not told of a log that goes elsewhere", async () => {
    const lines: string[] = [];
    const done = await record(async () => {
      await openLogger({ level: "info", format: "pretty", now });
      await openLogger({ level: "info", format: "pretty", now, sink: (line) => lines.push(line) });
      standardError().onLost(1);
    });
    assert.deepEqual([done, lines], [["warn  1 log lines lost\n"], []]);
  });

  test("is waited for before the end: 0.4 s without a move, a second at most", async () => {
    assert.deepEqual(await record(flushLog), [[400, 1000]]);
  });
});
