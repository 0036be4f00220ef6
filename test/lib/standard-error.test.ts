/**
 * Lines on their way out. Goal: in order and whole while somebody reads; otherwise lost, counted
 * and told of; a program whose standard error is stuck goes on, and ends when it wants to.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { LineOutput } from "../../src/lib/line-output.ts";
import type { Outlet, Written } from "../../src/lib/pump.ts";

const LOG_MODULE = new URL("../../src/lib/log.ts", import.meta.url).href;

function stage(size = 256) {
  const state = { text: "", error: undefined as string | undefined };
  const outlet: Outlet = {
    write(octets: Uint8Array, done: Written) {
      const { error } = state;
      if (error !== undefined) return done(Object.assign(new Error(error), { code: error }));
      state.text += new TextDecoder().decode(octets);
      done(octets.length);
    },
    cut: () => assert.fail("lines are not taken back"),
    close: () => assert.fail("standard error stays open"),
  };
  const lines = new LineOutput(outlet, size);
  lines.onLost = (count) => lines.write(`${count} lost\n`);
  return { state, lines };
}

test("lines are out before the call returns, in order", () => {
  const { state, lines } = stage();
  for (let i = 0; i < 100; i += 1) lines.write(`line ${i}\n`);
  lines.writeOctets(new TextEncoder().encode("ü\n"));
  assert.match(state.text, /^line 0\nline 1\n.*line 99\nü\n$/s);
});

test("whoever follows them hears of each, lost ones too", async () => {
  const { state, lines } = stage();
  const heard: string[] = [];
  lines.onLine = (line) => void heard.push(new TextDecoder().decode(line));
  lines.write("a\n");
  state.error = "EAGAIN";
  for (let i = 0; i < 100; i += 1) lines.write(`line ${i}\n`);
  assert.equal(heard.length, 101);
  assert.deepEqual([heard[0], heard[100]], ["a\n", "line 99\n"]);
  state.error = undefined;
  await lines.flush(1000, 1000);
});

test("a reader that stalls costs what the queue cannot hold, and learns how much", async () => {
  const { state, lines } = stage();
  lines.write("before\n");
  state.error = "EAGAIN";
  for (let i = 0; i < 1000; i += 1) lines.write(`line ${i}\n`);
  state.error = undefined;
  await lines.flush(1000, 1000);
  const got = state.text.split("\n");
  const last = got.findIndex((line) => line.endsWith("lost"));
  const kept = last - 1;
  assert.equal(got[last - 1], `line ${kept - 1}`);
  assert.equal(got[last], `${1000 - kept} lost`);
  assert.equal(got.length, last + 2);
  lines.write("after\n");
  assert.ok(state.text.endsWith("lost\nafter\n"));
});

test("a reader that has gone costs lines until another one is there", () => {
  const { state, lines } = stage();
  state.error = "EPIPE";
  for (let i = 0; i < 5; i += 1) lines.write("lost\n");
  state.error = undefined;
  lines.write("here\n");
  assert.equal(state.text, "here\n5 lost\n");
});

test("the queue holds 64 KiB, and the number is told when half of it is free", () => {
  let done: Written = () => {};
  let lost = 0;
  const outlet: Outlet = {
    write: (_octets, written) => {
      done = written;
    },
    cut: () => {},
    close: () => {},
  };
  const lines = new LineOutput(outlet);
  lines.onLost = (count) => {
    lost += count;
  };
  const line = new Uint8Array(1020); // with its length, 1 KiB
  for (let i = 0; i < 64; i += 1) lines.writeOctets(line);
  for (let i = 0; i < 3; i += 1) lines.writeOctets(line);
  for (let taken = 1; taken <= 31; taken += 1) done(1020);
  assert.equal(lost, 0);
  done(1020);
  assert.equal(lost, 3);
  done(1020);
  assert.equal(lost, 3, "once");
});

test("lines lost before they came here count", () => {
  const { state, lines } = stage();
  lines.lose(7);
  assert.equal(state.text, "7 lost\n");
});

test("a file that others write to keeps what they have written", async () => {
  const folder = mkdtempSync(join(tmpdir(), "slirp-stderr-"));
  try {
    const file = join(folder, "log");
    const fd = openSync(file, "w");
    writeSync(fd, "before\n");
    const program = `
      const { prettyLogger, flushLog } = await import(process.argv[1]);
      prettyLogger("info").info({}, "a line");
      await flushLog();
    `;
    const args = ["--import", "tsx", "--input-type=module", "-e", program, LOG_MODULE];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", fd] });
    const [code] = await once(child, "close");
    writeSync(fd, "after\n");
    closeSync(fd);
    assert.equal(code, 0);
    assert.equal(readFileSync(file, "utf8"), "before\ninfo  a line\nafter\n");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const PROGRAM = `
  const { openLogger, flushLog } = await import(process.argv[1]);
  const log = await openLogger({ level: "info", format: "pretty", now: () => 0 });
  for (let i = 0; i < 20000; i += 1) log.info({ i }, "a line of the log");
  await flushLog();
  process.stdout.write("done");
  process.stdin.on("data", async () => {
    log.info({}, "the reader is back");
    await flushLog();
    process.exit(0);
  });
`;

test("a full pipe stops nobody; when it is read again the number of lost lines comes", async () => {
  const args = ["--import", "tsx", "--input-type=module", "-e", PROGRAM, LOG_MODULE];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"] });
  child.stderr.pause();
  await once(child.stdout, "data"); // nobody has read a line yet
  let text = "";
  child.stderr.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  child.stderr.resume();
  const isBack = (): boolean => /\d+ log lines lost\n/.test(text);
  while (!isBack()) await once(child.stderr, "data");
  child.stdin.write("go");
  const [code] = await once(child, "close");
  assert.equal(code, 0);
  const lines = text.trimEnd().split("\n");
  const lost = Number(/^warn {2}(\d+) log lines lost$/.exec(lines.at(-2) ?? "")?.[1]);
  assert.equal(lines.at(-1), "info  the reader is back");
  assert.equal(lines.length - 2 + lost, 20_000);
  assert.equal(lines[lines.length - 3], `info  a line of the log i=${lines.length - 3}`);
});
