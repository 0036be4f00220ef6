/**
 * The limited log. Goal: whatever happens how often, the number of lines is bounded by kinds and
 * time, every event left out is counted in a line, and nothing changes for events that are rare.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LogThreshold, prettyLogger } from "../../src/lib/log.ts";
import { limitLogger } from "../../src/lib/log-limit.ts";

const SECOND_us = 1e6;

function limited(burst = 3) {
  const lines: string[] = [];
  const time = { now: 5 * SECOND_us };
  const inner = prettyLogger("info", (line) => lines.push(line.trimEnd()));
  const log = limitLogger(inner, { clock: () => time.now, burst, window_us: 60 * SECOND_us });
  return { lines, time, log };
}

test("rare events are written as they come", () => {
  const { lines, time, log } = limited();
  for (let i = 0; i < 10; i += 1) {
    log.warn({ i }, "seldom");
    time.now += 30 * SECOND_us;
  }
  log.close();
  assert.equal(lines.length, 10);
  assert.equal(lines[9], "warn  seldom i=9");
  assert.equal(log.wait(time.now), undefined);
});

test("lines that only the operator causes are no storm, and count for none", () => {
  const { lines, log } = limited();
  for (let i = 0; i < 10; i += 1) log.unlimited.info({ i }, "port published");
  log.info({ i: -1 }, "port published");
  log.close();
  assert.equal(lines.length, 11);
});

test("a storm leaves the first lines and then one with the number of the others", () => {
  const { lines, time, log } = limited();
  for (let i = 0; i < 190_000; i += 1) {
    log.info({ i }, "guest connected");
    time.now += 50;
  }
  assert.equal(lines.length, 3);
  assert.equal(log.wait(time.now), 60 * SECOND_us - 190_000 * 50);
  log.poll(time.now);
  assert.equal(lines.length, 3, "the window is not over yet");
  time.now += 60 * SECOND_us;
  assert.equal(log.wait(time.now), 0);
  log.poll(time.now);
  log.poll(time.now);
  assert.equal(lines[3], 'info  lines left out of="guest connected" lines=189997');
  assert.equal(lines.length, 4);
  log.info({ i: -1 }, "guest connected");
  assert.equal(lines[4], "info  guest connected i=-1");
});

test("a window that is over is told before the next line, of whatever kind", () => {
  const { lines, time, log } = limited(1);
  log.info({}, "a");
  log.info({}, "a");
  time.now += 60 * SECOND_us;
  log.error({}, "b");
  assert.deepEqual(lines, ["info  a", "info  lines left out of=a lines=1", "error b"]);
});

test("by default ten lines of a kind are written in a minute", () => {
  const lines: string[] = [];
  const time = { now: 7 };
  const inner = prettyLogger("info", (line) => lines.push(line));
  const log = limitLogger(inner, { clock: () => time.now });
  for (let i = 0; i < 11; i += 1) log.info({}, "a");
  assert.equal(lines.length, 10);
  time.now += 60 * SECOND_us - 1;
  log.info({}, "a");
  assert.equal(lines.length, 10);
  assert.equal(log.wait(time.now), 1);
  time.now += 1;
  log.info({}, "a");
  assert.deepEqual(lines.slice(10), ["info  lines left out of=a lines=2\n", "info  a\n"]);
  assert.equal(log.wait(time.now), undefined);
});

test("windows end one after the other, each when its own time is over", () => {
  const { lines, time, log } = limited(1);
  log.info({}, "a");
  log.info({}, "a");
  time.now += 10 * SECOND_us;
  log.info({}, "b");
  log.info({}, "b");
  log.info({}, "b");
  assert.equal(log.wait(time.now), 50 * SECOND_us);
  time.now += 50 * SECOND_us;
  log.poll(time.now);
  assert.deepEqual(lines.slice(2), ["info  lines left out of=a lines=1"]);
  assert.equal(log.wait(time.now), 10 * SECOND_us);
  time.now += 15 * SECOND_us;
  assert.equal(log.wait(time.now), 0, "it is late already");
  log.poll(time.now);
  assert.deepEqual(lines.slice(3), ["info  lines left out of=b lines=2"]);
  assert.equal(log.wait(time.now), undefined);
});

test("one kind does not take another's lines, and levels are kinds of their own", () => {
  const { lines, log } = limited(1);
  for (let i = 0; i < 5; i += 1) log.warn({}, "loud");
  log.error({}, "loud");
  log.warn({}, "quiet");
  log.debug({}, "below the level");
  log.debug({}, "below the level");
  log.close();
  assert.deepEqual(lines, [
    "warn  loud",
    "error loud",
    "warn  quiet",
    "warn  lines left out of=loud lines=4",
  ]);
});

test("messages that differ each time share one kind beyond a number", () => {
  const { lines, time, log } = limited(1);
  for (let i = 0; i < 10_000; i += 1) log.warn({}, `message ${i}`);
  assert.equal(lines.length, 65);
  log.close();
  assert.equal(lines.length, 66);
  assert.equal(log.wait(time.now), undefined);
  assert.equal(lines[65], 'warn  lines left out of="events of other kinds" lines=9935');
});

test("below the level nothing is counted or handed on, but for events", () => {
  const handed: string[] = [];
  const take = (_fields: object, message: string): void => void handed.push(message);
  const inner = { debug: take, info: take, warn: take, error: take };
  const threshold = LogThreshold.at("warn");
  const log = limitLogger({ ...inner, threshold }, { clock: () => 0, burst: 2 });
  for (let i = 0; i < 5; i += 1) {
    log.info({}, "usual");
    log.info({ event: "guest_attached" }, "event");
  }
  assert.deepEqual(handed, ["event", "event"]);
  threshold.level = "info";
  log.info({}, "usual");
  assert.deepEqual(handed.slice(2), ["usual"]);
});
