/**
 * deploy/seccomp.json: what it allows and what it must not, by the filter that is made of it, run
 * here one instruction after the other. That the program lives under it is shown by
 * test/e2e/image.test.ts, and for all of its hooks by scripts/seccomp.mjs.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import process from "node:process";
import { describe, test } from "node:test";
import { filterProgram } from "../src/sys/seccomp.ts";
import { ALLOWED_CALLS } from "../src/sys/seccomp-table.ts";
import { AARCH64, ALLOW, answerOf, ENOSYS, KILL, X86_64 } from "./support/bpf.ts";
import { type SeccompProfile, seccompFilter } from "./support/seccomp.ts";
import { SYSTEM_CALLS } from "./support/system-calls.ts";

const FILE = new URL("../deploy/seccomp.json", import.meta.url);
const PROFILE = JSON.parse(readFileSync(FILE, "utf8")) as SeccompProfile;
const FILTER = seccompFilter(PROFILE);

/** What the kernel would do. */
function answer(number: number, args: readonly bigint[] = [], architecture = X86_64): number {
  return answerOf(FILTER, number, args, architecture);
}

function numberOf(name: string): number {
  const number = SYSTEM_CALLS[name];
  assert.ok(number !== undefined, name);
  return number;
}

const CONDITIONAL = ["clone", "process_vm_readv", "process_vm_writev", "socket"];

describe("deploy/seccomp.json", () => {
  test("names each call once, in order, and knows it", () => {
    const [plain, ...conditional] = PROFILE.syscalls;
    assert.ok(plain !== undefined);
    assert.deepEqual(plain.names, [...new Set(plain.names)].sort());
    for (const name of plain.names) assert.notEqual(SYSTEM_CALLS[name], undefined, name);
    const others = conditional.flatMap(({ names }) => names);
    assert.deepEqual([...new Set(others)].sort(), CONDITIONAL);
    assert.ok(!others.some((name) => plain.names.includes(name)));
  });

  test("allows what it lists, and nothing besides", () => {
    const listed = new Set(PROFILE.syscalls[0]?.names);
    for (const [name, number] of Object.entries(SYSTEM_CALLS)) {
      if (number === undefined || CONDITIONAL.includes(name)) continue;
      assert.equal(answer(number), listed.has(name) ? ALLOW : ENOSYS, name);
    }
  });

  test("gives no way to other processes, namespaces, mounts, keys and the kernel", () => {
    const never = ["ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp"];
    never.push("unshare", "setns", "clone3", "chroot", "pivot_root", "mount", "umount2");
    never.push("open_by_handle_at", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup");
    never.push("keyctl", "add_key", "request_key", "init_module", "kexec_load", "reboot");
    never.push("setuid", "setgid", "setresuid", "setgroups", "capset", "personality");
    for (const name of never) assert.equal(answer(numberOf(name)), ENOSYS, name);
  });

  test("lets the program load a filter of its own", () => {
    for (const name of ["seccomp", "prctl", "tgkill"]) {
      assert.equal(answer(numberOf(name)), ALLOW, name);
    }
  });

  test("allows all that the program's own filter allows", () => {
    const own = filterProgram("x64", process.pid);
    const listed = new Set(PROFILE.syscalls.flatMap(({ names }) => names));
    for (const name of listed) {
      if (["arch_prctl", "execve", "memfd_create", "seccomp"].includes(name)) continue;
      assert.ok(ALLOWED_CALLS[name] !== undefined, name);
    }
    for (const name of ["execve", "memfd_create", "seccomp"]) {
      assert.notEqual(answerOf(own, numberOf(name)), ALLOW, name);
    }
  });

  test("allows threads, but no namespaces", () => {
    const clone = numberOf("clone");
    const threadFlags = 0x3d_0f00n;
    assert.equal(answer(clone, [threadFlags]), ALLOW);
    const newUser = 0x1000_0000n;
    const newNet = 0x4000_0000n;
    for (const flags of [newUser, newNet]) assert.equal(answer(clone, [flags]), ENOSYS);
  });

  test("allows sockets of the families in use, but no packet sockets", () => {
    const socket = numberOf("socket");
    for (const family of [1n, 2n, 10n, 16n]) assert.equal(answer(socket, [family]), ALLOW);
    const alg = 38n;
    const vsock = 40n;
    for (const family of [17n, alg, vsock, (1n << 32n) + 2n]) {
      assert.equal(answer(socket, [family]), ENOSYS);
    }
  });

  test("allows copies within the container's first process alone", () => {
    for (const name of ["process_vm_readv", "process_vm_writev"]) {
      assert.equal(answer(numberOf(name), [1n]), ALLOW);
      for (const pid of [0n, 2n, (1n << 32n) + 1n]) {
        assert.equal(answer(numberOf(name), [pid]), ENOSYS);
      }
    }
  });

  test("kills callers of other architectures", () => {
    assert.equal(answer(numberOf("read"), [], AARCH64), KILL);
    const x32 = 0x4000_0000;
    assert.equal(answer(x32 + numberOf("read")), KILL);
  });
});
