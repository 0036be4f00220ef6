/** How the program is started again, shown to people, and what it draws. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { drawSeed, ownCommand, ownUid, shownCommand } from "../../src/cli/program.ts";

const RUNTIME = "Deno" in globalThis ? "deno" : "Bun" in globalThis ? "bun" : "node";

test("a seed is 32 octets, and another each time", () => {
  const [one, other] = [drawSeed(), drawSeed()];
  assert.equal(one.length, 32);
  for (const octet of one) assert.ok(Number.isInteger(octet) && octet >= 0 && octet <= 255);
  assert.notDeepEqual(one, other);
});

test("the program can be started again, with the runtime that it has", () => {
  const [runtime = "", ...args] = ownCommand();
  assert.equal(runtime, process.execPath);
  assert.match(args.at(-1) ?? "", /\/src\/main\.ts$/);
  const { stdout, stderr } = spawnSync(runtime, [...args, "--version"], { encoding: "utf8" });
  assert.match(stdout, /^slirp-binding \d/, stderr);
});

test("people are shown the same, from the folder where they are", () => {
  const [, ...args] = ownCommand();
  const words = shownCommand().split(" ");
  assert.equal(words[0], RUNTIME);
  assert.deepEqual(words.slice(1, -1), args.slice(0, -1));
  const file = words.at(-1) ?? "";
  assert.ok(!file.startsWith("/") && existsSync(join(process.cwd(), file)), file);
});

test("its user is the one that the kernel says", () => {
  assert.equal(ownUid(), process.getuid?.());
});
