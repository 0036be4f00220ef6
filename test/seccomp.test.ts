/**
 * deploy/seccomp.json: what it allows and what it must not, by the filter that is made of it, run
 * here one instruction after the other. That the program lives under it is shown by
 * test/e2e/image.test.ts, and for all of its hooks by scripts/seccomp.mjs.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { type SeccompProfile, seccompFilter } from "./support/seccomp.ts";
import { SYSTEM_CALLS } from "./support/system-calls.ts";

const FILE = new URL("../deploy/seccomp.json", import.meta.url);
const PROFILE = JSON.parse(readFileSync(FILE, "utf8")) as SeccompProfile;
const FILTER = seccompFilter(PROFILE);

const X86_64 = 0xc000_003e;
const AARCH64 = 0xc000_00b7;
const ALLOW = 0x7fff_0000;
const KILL = 0x8000_0000;
const ENOSYS = 0x0005_0026;

/** What the kernel would do: the filter's answer to a call. Source: bpf(4), seccomp(2). */
function answer(number: number, args: readonly bigint[] = [], architecture = X86_64): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, number, true);
  data.setUint32(4, architecture, true);
  args.forEach((value, index) => {
    data.setBigUint64(16 + 8 * index, value, true);
  });
  const code = new DataView(FILTER.buffer);
  let accumulator = 0;
  for (let at = 0; at < FILTER.length; at += 8) {
    const k = code.getUint32(at + 4, true);
    const jump = (holds: boolean): number => 8 * code.getUint8(at + (holds ? 2 : 3));
    switch (code.getUint16(at, true)) {
      case 0x20:
        accumulator = data.getUint32(k, true);
        break;
      case 0x54:
        accumulator = (accumulator & k) >>> 0;
        break;
      case 0x15:
        at += jump(accumulator === k);
        break;
      case 0x35:
        at += jump(accumulator >= k);
        break;
      default:
        return k;
    }
  }
  throw new Error("the filter has no end");
}

function numberOf(name: string): number {
  const number = SYSTEM_CALLS[name];
  assert.ok(number !== undefined, name);
  return number;
}

describe("deploy/seccomp.json", () => {
  test("names each call once, in order, and knows it", () => {
    const [plain, ...conditional] = PROFILE.syscalls;
    assert.ok(plain !== undefined);
    assert.deepEqual(plain.names, [...new Set(plain.names)].sort());
    for (const name of plain.names) assert.notEqual(SYSTEM_CALLS[name], undefined, name);
    const others = conditional.flatMap(({ names }) => names);
    assert.deepEqual([...new Set(others)].sort(), ["clone", "socket"]);
    assert.ok(!others.some((name) => plain.names.includes(name)));
  });

  test("allows what it lists, and nothing besides", () => {
    const listed = new Set(PROFILE.syscalls[0]?.names);
    for (const [name, number] of Object.entries(SYSTEM_CALLS)) {
      if (number === undefined || name === "clone" || name === "socket") continue;
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

  test("kills callers of other architectures", () => {
    assert.equal(answer(numberOf("read"), [], AARCH64), KILL);
    const x32 = 0x4000_0000;
    assert.equal(answer(x32 + numberOf("read")), KILL);
  });
});
