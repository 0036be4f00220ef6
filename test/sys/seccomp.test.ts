/**
 * The program's own filter: what it answers, worked out here one instruction after the other for
 * both architectures, and what the kernel does to a process that has loaded it.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { allowedCount, filterProgram } from "../../src/sys/seccomp.ts";
import { filterArch, loadFilter } from "../../src/sys/seccomp-load.ts";
import { ALLOWED_CALLS, FATAL_CALLS } from "../../src/sys/seccomp-table.ts";
import { AARCH64, ALLOW, answerOf, ENOSYS, EPERM, KILL, X86_64 } from "../support/bpf.ts";
import { SYSTEM_CALLS } from "../support/system-calls.ts";
import { missing, play, systemTest, testUnless } from "./support.ts";

const PID = 4242;
const NUMBER_MAX = 600;
const KERNEL_LIMIT = 4096;
/** Their arguments decide. */
const CONDITIONAL = new Set([
  ...["clone", "ioctl", "kill", "prctl", "prlimit64", "socket", "socketpair", "tgkill"],
  ...["process_vm_readv", "process_vm_writev"],
]);
/** TCGETS to TCSETSF, TIOCGWINSZ, FIONBIO, FIONCLEX, FIOCLEX, FIONREAD, TIOCOUTQ; SIOC… */
const CONTROLS = new Set([
  ...[0x5401, 0x5402, 0x5403, 0x5404, 0x5413, 0x5421, 0x5450, 0x5451, 0x541b, 0x5411],
  // ATMARK, GIFNAME, GIFCONF, GIFFLAGS, GIFADDR, GIFNETMASK, GIFMTU, GIFHWADDR, GIFINDEX, TXQLEN
  ...[0x8905, 0x8910, 0x8912, 0x8913, 0x8915, 0x891b, 0x8921, 0x8927, 0x8933, 0x8942],
]);
/** Dumpable?, name, name?, capability in the bounding set?, no_new_privs and ?, child reaper? */
const THREAD_OPTIONS = new Set([3, 15, 16, 23, 38, 39, 42]);
const SIGSYS_STATUS = 128 + 31;

for (const [arch, column, audit] of [
  ["x64", 0, X86_64],
  ["arm64", 1, AARCH64],
] as const) {
  describe(`the filter for ${arch}`, () => {
    const filter = filterProgram(arch, PID);
    const answer = (number: number, ...args: bigint[]) => answerOf(filter, number, args, audit);
    const call = (name: string, ...args: bigint[]) => {
      const number = (ALLOWED_CALLS[name] ?? FATAL_CALLS[name])?.[column] ?? -1;
      assert.ok(number >= 0, name);
      return answer(number, ...args);
    };

    test("allows what is listed, ends the process for what is fatal, and refuses the rest", () => {
      const listed = new Map<number, string>();
      for (const [name, numbers] of Object.entries(ALLOWED_CALLS))
        listed.set(numbers[column], name);
      const fatal = new Set(Object.values(FATAL_CALLS).map((numbers) => numbers[column]));
      for (let number = 0; number < NUMBER_MAX; number += 1) {
        const name = listed.get(number);
        if (name !== undefined && CONDITIONAL.has(name)) continue;
        const wanted = fatal.has(number) ? KILL : name === undefined ? ENOSYS : ALLOW;
        assert.equal(answer(number), wanted, `${number} ${name}`);
      }
    });

    test("ends processes that call as another architecture would", () => {
      assert.equal(answerOf(filter, 0, [], audit === X86_64 ? AARCH64 : X86_64), KILL);
      if (arch !== "x64") return;
      assert.equal(answer(0x4000_0000), KILL);
      assert.equal(answer(0x3fff_ffff), ENOSYS);
    });

    test("makes threads and nothing else", () => {
      assert.equal(call("clone", 0x3d_0f00n), ALLOW);
      const fork = 0x0120_0011n;
      const vfork = 0x4111n;
      const newUser = 0x3d_0f00n | 0x1000_0000n;
      const newNet = 0x3d_0f00n | 0x4000_0000n;
      for (const flags of [fork, vfork, newUser, newNet, 0x100n, 0n]) {
        assert.equal(call("clone", flags), EPERM, String(flags));
      }
    });

    test("makes the sockets in use and no others", () => {
      const nonblock = 0x80800n;
      for (const family of [2n, 10n]) {
        assert.equal(call("socket", family, 1n | nonblock, 6n), ALLOW);
        for (const protocol of [0n, 1n, 17n, 58n]) {
          assert.equal(call("socket", family, 2n | nonblock, protocol), ALLOW);
        }
        const [raw, packet, mptcp, sctp] = [3n, 10n, 262n, 132n];
        for (const type of [raw, packet]) assert.equal(call("socket", family, type, 255n), EPERM);
        for (const protocol of [mptcp, sctp]) {
          assert.equal(call("socket", family, 1n, protocol), EPERM);
        }
      }
      assert.equal(call("socket", 1n, 1n, 0n), ALLOW);
      assert.equal(call("socketpair", 1n, 1n, 0n), ALLOW);
      const [route, sockDiag, audited, netfilter] = [0n, 4n, 9n, 12n];
      for (const protocol of [route, sockDiag]) {
        assert.equal(call("socket", 16n, 3n, protocol), ALLOW);
      }
      for (const protocol of [audited, netfilter]) {
        assert.equal(call("socket", 16n, 3n, protocol), EPERM);
      }
      const [packet, alg, vsock, tipc, xdp] = [17n, 38n, 40n, 30n, 44n];
      for (const family of [packet, alg, vsock, tipc, xdp]) {
        assert.equal(call("socket", family, 1n, 0n), EPERM);
        assert.equal(call("socketpair", family, 1n, 0n), EPERM);
      }
    });

    test("signals nobody else, sets nobody else's limits, copies nobody else's memory", () => {
      for (const name of ["kill", "tgkill", "process_vm_readv", "process_vm_writev"]) {
        assert.equal(call(name, BigInt(PID)), ALLOW);
        for (const pid of [1n, 0n, BigInt(PID + 1), 0xffff_ffff_ffff_ffffn]) {
          assert.equal(call(name, pid), EPERM);
        }
      }
      assert.equal(call("prlimit64", 0n), ALLOW);
      assert.equal(call("prlimit64", 1n), EPERM);
    });

    test("controls terminals and queues, but puts nothing into a terminal and makes no tap", () => {
      const [getsAttributes, setsNonBlocking] = [0x5401n, 0x5421n];
      for (const request of [getsAttributes, setsNonBlocking]) {
        assert.equal(call("ioctl", 1n, request), ALLOW);
      }
      const [tiocsti, tiocsetd, tunsetiff, loop] = [0x5412n, 0x5423n, 0x400454can, 0x4c00n];
      for (const request of [tiocsti, tiocsetd, tunsetiff, loop]) {
        assert.equal(call("ioctl", 1n, request), EPERM);
      }
      const [name, vma, dumpable, keepCaps, seccomp] = [15n, 0x53564d41n, 4n, 8n, 22n];
      for (const option of [name, vma]) assert.equal(call("prctl", option), ALLOW);
      for (const option of [dumpable, keepCaps, seccomp]) {
        assert.equal(call("prctl", option), EPERM);
      }
    });

    test("allows these controls and no others, each by its name in the kernel", () => {
      for (let request = 0; request <= 0xffff; request += 1) {
        const wanted = CONTROLS.has(request) ? ALLOW : EPERM;
        assert.equal(call("ioctl", 0n, BigInt(request)), wanted, request.toString(16));
      }
      for (let option = 0; option <= 100; option += 1) {
        const wanted = THREAD_OPTIONS.has(option) ? ALLOW : EPERM;
        assert.equal(call("prctl", BigInt(option)), wanted, `option ${option}`);
      }
      assert.equal(call("prctl", 0x53564d40n), EPERM);
      assert.equal(call("prctl", 0x53564d42n), EPERM);
    });

    test("knows every family, kind and protocol of sockets it does not allow", () => {
      for (let family = 0n; family < 48n; family += 1n) {
        for (let type = 0n; type < 16n; type += 1n) {
          for (let protocol = 0n; protocol < 64n; protocol += 1n) {
            const isInet = family === 2n || family === 10n;
            const wanted =
              family === 1n ||
              (family === 16n && [0n, 4n].includes(protocol)) ||
              (isInet && type === 1n && [0n, 6n].includes(protocol)) ||
              (isInet && type === 2n && [0n, 1n, 17n, 58n].includes(protocol));
            const said = call("socket", family, type, protocol);
            assert.equal(said, wanted ? ALLOW : EPERM, `${family} ${type} ${protocol}`);
          }
        }
        assert.equal(call("socketpair", family), family === 1n ? ALLOW : EPERM, `pair ${family}`);
      }
    });

    test("looks at each flag of a new thread", () => {
      const flags = 0x3d_0f00n;
      const needed = [0x100n, 0x800n, 0x10000n];
      const namespaces = [17n, 25n, 26n, 27n, 28n, 29n, 30n].map((bit) => 1n << bit);
      for (const flag of needed) assert.equal(call("clone", flags & ~flag), EPERM, `no ${flag}`);
      for (const flag of [...namespaces, 0x0080_0000n, 0x4000n]) {
        assert.equal(call("clone", flags | flag), EPERM, `with ${flag}`);
      }
      for (const harmless of [0x0100_0000n, 0x8000n]) {
        assert.equal(call("clone", flags | harmless), ALLOW, `with ${harmless}`);
      }
    });

    test("is small, and told the size of", () => {
      assert.ok(filter.length / 8 < KERNEL_LIMIT / 4);
      const numbers = Object.values(ALLOWED_CALLS).map((each) => each[column]);
      assert.equal(allowedCount(arch), numbers.filter((number) => number >= 0).length);
    });
  });
}

test("the table has the kernel's numbers, and nothing that could start a program", () => {
  for (const [name, [x64]] of Object.entries({ ...ALLOWED_CALLS, ...FATAL_CALLS })) {
    assert.equal(x64, SYSTEM_CALLS[name] ?? -1, name);
  }
  // The generic table, which aarch64 has.
  const some = { accept4: 242, bind: 200, clone: 220, execve: 221, mmap: 222, openat: 56 };
  const numbers = { ...ALLOWED_CALLS, ...FATAL_CALLS };
  for (const [name, number] of Object.entries(some)) assert.equal(numbers[name]?.[1], number);
  for (const name of ["execve", "execveat", "memfd_create", "fork", "vfork", "ptrace", "bpf"]) {
    assert.equal(ALLOWED_CALLS[name], undefined, name);
  }
});

for (const [architecture, number] of [
  ["x64", 317],
  ["arm64", 277],
] as const) {
  systemTest(`the filter for ${architecture} is loaded into all threads, as it is`, [], (sys) => {
    let result = 0;
    const { told, calls } = play(sys, {
      getpid: PID,
      syscall: (_number, _mode, _flags, program) => {
        const [count, code] = [...new BigUint64Array(sys.view(program, 16))].map(Number);
        const filter = filterProgram(architecture, PID);
        assert.equal(count, filter.length / 8);
        assert.deepEqual(new Uint8Array(sys.view(code ?? 0, filter.length)), filter);
        return result;
      },
    });
    assert.equal(loadFilter(told, architecture), allowedCount(architecture));
    assert.deepEqual(calls.at(-1), ["syscall", number, 1, 1 | 4, "@", 0, 0]);
    for (const [refused, message] of [
      [-1, "Load the system call filter: not permitted (EPERM)"],
      [4711, "Load the system call filter: thread 4711 cannot take it"],
    ] as const) {
      result = refused;
      assert.throws(() => loadFilter(told, architecture), { message });
    }
  });
}

test("filters are made for two architectures", () => {
  assert.equal(filterArch(), process.arch);
});

describe("a process under the filter", () => {
  const child = join(import.meta.dirname, "confined-child.ts");
  const runtime = "Deno" in globalThis ? ["run", "-A", "--no-check", "--no-lock"] : [];
  const run = (what: string) =>
    spawnSync(process.execPath, [...runtime, child, what], { encoding: "utf8" });

  testUnless(missing([]), "has it in all threads, and lives: timers, files, a worker", () => {
    const { stdout, stderr } = run("live");
    assert.deepEqual(
      JSON.parse(stdout || "{}"),
      { modes: ["2"], worker: 42, privs: ["1"] },
      stderr,
    );
  });

  testUnless(missing([]), "is refused what is not listed", () => {
    const { stdout, stderr } = run("ask");
    const [eperm, enosys] = [-1, -38];
    const wanted = { memfd_create: enosys, symlink: enosys, packet: eperm, kill: eperm };
    assert.deepEqual(JSON.parse(stdout || "{}"), wanted, stderr);
  });

  testUnless(missing([]), "ends when it starts a program", () => {
    const { status, signal, stdout } = run("start");
    assert.ok(signal === "SIGSYS" || status === SIGSYS_STATUS, `${status} ${signal}`);
    assert.equal(stdout, "loaded\n");
  });
});
