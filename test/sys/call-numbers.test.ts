/** Numbers of system calls are the kernel's, on both architectures. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { type CallName, callNumber } from "../../src/sys/call-numbers.ts";
import { SYSTEM_CALLS } from "../support/system-calls.ts";
import { testUnless } from "./support.ts";

const NAMES: readonly CallName[] = [
  ...(["capset", "execve", "mount", "prctl", "rt_sigprocmask"] as const),
  ...(["setgroups", "setresgid", "setresuid"] as const),
];
/** What aarch64 has, like every architecture since. */
const GENERIC = "/usr/include/asm-generic/unistd.h";

test("call numbers: of x86_64, and of no strange machine", () => {
  for (const name of NAMES) assert.equal(callNumber(name, "x64"), SYSTEM_CALLS[name], name);
  assert.equal(callNumber("mount"), callNumber("mount", process.arch));
  assert.throws(() => callNumber("mount", "mips"), {
    message: 'Call "mount" of the kernel: not on "mips"',
  });
});

const reason = existsSync(GENERIC) ? "" : "needs the headers of Linux";
testUnless(reason, "call numbers: of aarch64, as the C headers have them", () => {
  const header = readFileSync(GENERIC, "utf8");
  for (const name of NAMES) {
    const [, number] = new RegExp(`^#define __NR_${name} (\\d+)$`, "m").exec(header) ?? [];
    assert.equal(callNumber(name, "arm64"), Number(number), name);
  }
});
