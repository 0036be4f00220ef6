/** Counters, and a log that speaks once. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Pressure } from "../../src/hooks/pressure.ts";
import { keepingLog } from "../support/hook-server.ts";

/** What the program promises. */
const QUIET_ms = 10_000;

function pressureWithClock() {
  const { log, lines } = keepingLog();
  let now_ms = 0;
  const wait = (time_ms: number): void => {
    now_ms += time_ms;
  };
  return { pressure: new Pressure({ log, now: () => now_ms }), lines, wait };
}

describe("pressure", () => {
  test("is counted event by event and logged once", () => {
    const { pressure, lines, wait } = pressureWithClock();
    for (let count = 0; count < 1000; count += 1) {
      pressure.note("calls_refused", { method: "m" });
      wait(QUIET_ms - 1);
    }
    assert.equal(pressure.counters.calls_refused, 1000);
    assert.equal(pressure.counters.memory_refused, 0);
    assert.deepEqual(lines, [
      "warn  too many hook calls at once, refused a new one method=m count=1",
    ]);
  });

  test("is news again after a quiet time, with what there was before", () => {
    const { pressure, lines, wait } = pressureWithClock();
    for (let count = 0; count < 5; count += 1) pressure.note("requests_timed_out");
    pressure.note("answers_timed_out");
    wait(QUIET_ms);
    pressure.note("requests_timed_out");
    assert.deepEqual(
      lines.map((line) => line.replace(/^.*(count=)/, "$1")),
      ["count=1", "count=1", "count=6"],
    );
  });

  test("lines about single calls are bounded in each span of time", () => {
    const { pressure, lines, wait } = pressureWithClock();
    const allowed = (): number =>
      Array.from({ length: 200 }, () => pressure.mayLog()).filter(Boolean).length;
    assert.equal(allowed(), 50);
    assert.equal(lines.length, 1);
    wait(QUIET_ms);
    assert.equal(allowed(), 50);
    assert.equal(pressure.counters.log_lines_dropped, 300);
  });
});
