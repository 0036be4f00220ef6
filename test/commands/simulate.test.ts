/**
 * `simulate` as a program, from source under this runtime: codes, what goes to which output, files
 * that cannot be read or written, a reader that leaves.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { readPcapng } from "../support/pcapng.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FOLDER = mkdtempSync(join(tmpdir(), "simulate-"));
after(() => rmSync(FOLDER, { recursive: true }));

const SCENARIO = `
title: small
duration: 2 s
flows:
  - { name: one, kind: tcp, down: 10 kB, expect: { finished-min: 1 } }
`;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param hangUp nobody reads standard output after its first octets */
function simulate(args: readonly string[], hangUp = false): Promise<Ended> {
  const own = ["--import", "tsx", "src/main.ts", "simulate"];
  const child = spawn(process.execPath, [...own, ...args], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (part: Buffer) => {
    stdout += part.toString();
    if (hangUp) child.stdout.destroy();
  });
  child.stderr.on("data", (part: Buffer) => {
    stderr += part.toString();
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

function file(name: string, text: string): string {
  const path = join(FOLDER, name);
  writeFileSync(path, text);
  return path;
}

describe("cli/simulate: one run", () => {
  test("a seed: its verdict, and 0", async () => {
    const { code, stdout, stderr } = await simulate(["--seed", "2"]);
    assert.equal(stderr, "");
    assert.equal(code, 0);
    assert.match(stdout, /^random, seed 2: clean\n/);
    assert.match(stdout, /\n {2}trace hash +[0-9a-f]{16}\n/);
  });

  test("its trace alone on standard output, each time the same, and a capture of it", async () => {
    const path = join(FOLDER, "a.pcap");
    const { code, stdout, stderr } = await simulate(["--seed", "2", "--trace", "--pcap", path]);
    assert.equal(code, 0);
    assert.match(stderr, /^random, seed 2: clean\n/);
    const lines = stdout.trimEnd().split("\n");
    assert.ok(lines.every((line) => /^\d+\.\d{6} +[<>\w]/.test(line)));
    const again = await simulate(["--seed", "2", "--trace"]);
    assert.equal(again.stdout, stdout);
    const frames = lines.filter((line) => / {2}[<>] /.test(line));
    assert.ok(frames.length > 10);
    assert.equal(readPcapng(readFileSync(path)).packets.length, frames.length);
  });

  test("a reader that leaves does no harm", async () => {
    const { code, stderr } = await simulate(["--seed", "1", "--trace"], true);
    assert.match(stderr, /^random, seed 1: clean\n/);
    assert.equal(code, 0);
  });

  test("a scenario: what it expects decides", async () => {
    const good = await simulate([file("good.yaml", SCENARIO)]);
    assert.equal(good.code, 0);
    assert.match(good.stdout, /^small, seed 1: clean, as expected\n/);
    const path = file("bad.yaml", SCENARIO.replace("min: 1", "min: 2"));
    const html = join(FOLDER, "bad.html");
    const bad = await simulate([path, "--seed", "7", "--report", html]);
    const page = readFileSync(html, "utf8");
    assert.match(page, /Failed.*Not as the scenario expects/);
    assert.match(page, /one: finished at least 2, was 1 of 1<.*MISSED/s);
    assert.equal(bad.code, 1);
    assert.match(
      bad.stdout,
      /^small, seed 7: 1 expectation missed\n {2}missed +one: finished at l/,
    );
    assert.match(bad.stdout, /\nrepeat it: node \S.* simulate \S+bad\.yaml --seed 7 --trace\n$/);
  });
});

describe("cli/simulate: what cannot be read or written", () => {
  const nowhere = join(FOLDER, "no", "file");
  const cases: readonly (readonly [string, readonly string[], number, RegExp])[] = [
    ["no file", [nowhere], 2, /read scenario ".*file": ENOENT: no such file or directory$/],
    ["a folder", [FOLDER], 2, /read scenario ".*": EISDIR: illegal operation on a directory$/],
    ["no YAML", [file("a.yaml", "a: [")], 2, /read scenario ".*a\.yaml": parse YAML: /],
    ["a field", [file("b.yaml", `${SCENARIO}\na: 1`)], 2, /remove field "a": no such field$/],
    ["a flag too much", ["--trace"], 2, /leave out "--trace": choose one run/],
    ["two scenarios", ["a", "b"], 2, /read arguments: too many arguments/],
    ["a capture", ["--seed", "1", "--pcap", nowhere], 1, /write --pcap ".*file": ENOENT: no such/],
    [
      "a full disk",
      ["--seed", "1", "--pcap", "/dev/full"],
      1,
      /write --pcap "\/dev\/full": ENOSPC/,
    ],
    ["a page", ["--seed", "1", "--report", nowhere], 1, /write --report ".*file": ENOENT: no such/],
  ];
  for (const [what, args, wanted, message] of cases) {
    test(`${what}: one line and ${wanted}`, async () => {
      const { code, stderr } = await simulate(args);
      assert.match(stderr.trimEnd(), message);
      assert.match(stderr, /^slirp-binding: [^\n]+\n$/);
      assert.equal(code, wanted);
    });
  }
});
