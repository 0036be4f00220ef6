/**
 * `demo` as a program, as a newcomer runs it: without privileges, to success on both links; broken
 * off, and with a sidecar that dies; what is left behind.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { type DemoRun, isAlive, play } from "../support/demo-program.ts";
import { ourCommand } from "../support/e2e/program.ts";
import { type Outcome, start, which } from "../support/e2e/shell.ts";
import { cannotServe } from "../support/hook-program.ts";

const LIMIT = { timeout: 300_000 };
const RUN_LIMIT_MS = 120_000;
const PCAPNG_MAGIC = 0x0a0d0d0a;
/** Titles of all steps in their order, with what each is to say. */
const STEPS: readonly (readonly [string, RegExp])[] = [
  ["sidecar started", /process \d+, socket /],
  ["Info", /"slirp": OnDefineDomain, Shutdown; v1alpha3, v1alpha2/],
  ["OnDefineDomain, call 1", /lines added, 0 removed$/],
  ["OnDefineDomain, call 2", /the same link$/],
  ["OnDefineDomain, call 3", /the same link$/],
  ["guest attached", /MAC b6:40:d1:ff:8a:11/],
  ["DHCP", /\.15\/24, gateway [\d.]+\.2, DNS [\d.]+\.3, MTU 65520/],
  ["DNS", /files\.demo\.test is [\d.]+/],
  ["ping", /3 replies in [\d.]+ ms each/],
  ["UDP echo", /octets came back equal/],
  ["HTTP download of 4 MiB", /bit\/s, SHA-256 equal/],
  ["HTTP upload of 4 MiB", /bit\/s, SHA-256 equal/],
  ["inbound, published port", /answer "hello from the guest to /],
  ["Shutdown", /exit code 0, no socket left/],
];

function assertPlayed({ code, stdout, stderr }: Outcome): void {
  assert.equal(code, 0, stdout + stderr);
  assert.equal(stderr, "");
  assert.ok(!stdout.includes("\u001b") && !stdout.includes("\r"), "plain lines only");
  const lines = stdout.split("\n").filter((line) => / {2}ok {3}/.test(line));
  assert.equal(lines.length, STEPS.length, stdout);
  for (const [index, [title, words]] of STEPS.entries()) {
    const line = lines[index] ?? "";
    assert.ok(line.startsWith(`  ok   ${title} `), line);
    assert.match(line, / \d+\.\d\d s {2}/);
    assert.match(line, words);
  }
  assert.match(stdout, /^14 steps held in [\d.]+ s$/m);
}

/** A capture with frames in it, which the last line names. */
function assertCaptured(run: DemoRun, stdout: string): void {
  const [path = ""] = run.captures();
  assert.ok(stdout.includes(`capture: ${path} (`), stdout);
  const octets = readFileSync(path);
  assert.equal(octets.readUInt32LE(0), PCAPNG_MAGIC);
  assert.ok(octets.length > 10_000);
}

/** Process id of the sidecar, as the first step tells it. */
async function sidecarOf({ running }: DemoRun): Promise<number> {
  return Number((await running.waitFor(/process (\d+),/))[1]);
}

const SKIP = cannotServe() || (process.getuid?.() === 0 ? cannotServe("setpriv") : false);

describe("demo with our own guest", { skip: SKIP }, () => {
  for (const link of ["client", "stream"] as const) {
    test(`plays to the end without privileges, link "${link}"`, LIMIT, async () => {
      const run = play({ args: ["--size", "4", "--link", link] });
      try {
        const outcome = await run.running.outcome(RUN_LIMIT_MS);
        assertPlayed(outcome);
        const change = link === "client" ? '+     <interface type="client">' : 'value="stream,id=';
        assert.ok(outcome.stdout.includes(change), outcome.stdout);
        assertCaptured(run, outcome.stdout);
        assert.deepEqual(run.left(), []);
      } finally {
        run.drop();
      }
    });
  }

  test("leaves nothing behind when it is broken off in the middle", LIMIT, async () => {
    for (const [signal, code] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const) {
      const run = play({ args: ["--size", "160"] });
      try {
        const sidecar = await sidecarOf(run);
        await run.running.waitFor(/ok {3}UDP echo/);
        run.running.signal(signal);
        const outcome = await run.running.outcome(RUN_LIMIT_MS);
        assert.equal(outcome.code, code, outcome.stderr);
        assert.match(outcome.stdout, /^interrupted$/m);
        assert.doesNotMatch(outcome.stdout, /FAIL/);
        assert.deepEqual(run.left(), []);
        assert.ok(!isAlive(sidecar), "the sidecar is left");
      } finally {
        run.drop();
      }
    }
  });

  test(
    "ends with code 1 when a step fails, and tells the sidecar's last words",
    LIMIT,
    async () => {
      const run = play({ args: ["--size", "160"] });
      try {
        const sidecar = await sidecarOf(run);
        await run.running.waitFor(/ok {3}UDP echo/);
        process.kill(sidecar, "SIGKILL");
        const { code, stdout } = await run.running.outcome(RUN_LIMIT_MS);
        assert.equal(code, 1, stdout);
        assert.match(stdout, / {2}FAIL HTTP download of 160 MiB .*the sidecar closed the link$/m);
        assert.match(stdout, /^ +sidecar: .*guest connected/m);
        assert.match(stdout, /^10 steps held, 1 failed in /m);
        assert.deepEqual(run.left(), []);
      } finally {
        run.drop();
      }
    },
  );

  test("draws a bar on a terminal", { ...LIMIT, skip: withoutTerminal() }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "demo-test-"));
    try {
      const line = [...ourCommand(), "demo", "--size", "64", "--pcap", join(folder, "a.pcap")];
      const running = start(["script", "-qec", line.join(" "), "/dev/null"]);
      const { code, stdout } = await running.outcome(RUN_LIMIT_MS);
      assert.equal(code, 0, stdout);
      assert.match(stdout, /\[[#.]{24}\] \d+ %/);
      assert.ok(stdout.includes("\u001b[32mok  \u001b[0m Shutdown"), stdout);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

function withoutTerminal(): string | false {
  return which("script") === undefined ? "needs script (Debian package bsdutils)" : false;
}

describe("demo with a guest that cannot be", { skip: SKIP }, () => {
  test("says what is missing, and starts nothing", LIMIT, async () => {
    const run = play({ args: ["--guest", "qemu"], env: { PATH: "/nowhere" }, privileged: true });
    try {
      const { code, stdout, stderr } = await run.running.outcome(RUN_LIMIT_MS);
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, /^slirp-binding: guest "qemu" cannot run here: (needs|the guest's) /);
      assert.deepEqual([run.left(), run.captures()], [[], []]);
    } finally {
      run.drop();
    }
  });
});
