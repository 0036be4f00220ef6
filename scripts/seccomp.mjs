/**
 * Makes deploy/seccomp.json, the allow-list of system calls for the sidecar, from a trace of it at
 * work, and checks that the sidecar works under it. From the same list comes what the program's own
 * filter allows, src/sys/seccomp-table.ts.
 *
 *     node scripts/seccomp.mjs [--check | --table]
 *
 * --check   only runs the tests under the profile that is there
 * --table   only makes the table, of the profile that is there
 *
 * 1. The tests below run with the program under strace: hooks and their failures, ends of all
 *    kinds, and the image with a guest and its traffic, started as a container is. (With --check
 *    this step is left out.)
 * 2. What the program called, from its execve on, and RESERVE together are the profile.
 * 3. The same tests run again with the profile in force.
 *
 * Needs root, strace and what the tests need. A test that fails is named; in the first step it does
 * not stop the work, as a trace changes times.
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { bootstrap } from "./bootstrap.mjs";
import { build } from "./build.mjs";
import { inRoot, isMain, main, must, run, tool } from "./shell.mjs";
import { CONFINED, PROFILE } from "./test-plan.mjs";

const TESTS = [...CONFINED, "test/e2e/image.test.ts"];
const TABLE = "src/sys/seccomp-table.ts";
const TEST_LIMIT_MS = 600_000;

/**
 * Not in every trace, and yet part of the same work: what another kernel, processor, glibc or a
 * moment of need would have the program do.
 */
const RESERVE = {
  "signals and the ends of threads and process": [
    ...["exit", "exit_group", "restart_syscall", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn"],
    ...["rt_sigsuspend", "rt_sigtimedwait", "sigaltstack", "tgkill", "kill", "get_robust_list"],
  ],
  "threads: the scheduler, barriers of the compiler, locks": [
    ...["futex", "membarrier", "rseq", "sched_getaffinity", "sched_getparam", "sched_getscheduler"],
    ...["sched_setscheduler", "sched_yield", "set_robust_list", "setpriority"],
  ],
  "memory: the collector under pressure": [
    ...["brk", "madvise", "memfd_create", "mincore", "mmap", "mprotect", "mremap", "munmap"],
  ],
  "clocks, where the vDSO has none": [
    ...["clock_getres", "clock_gettime", "clock_nanosleep", "gettimeofday", "nanosleep"],
  ],
  "the same calls under the names that aarch64 and other versions of glibc have": [
    ...["dup", "dup3", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait"],
    ...["eventfd2", "faccessat", "faccessat2", "fchmod", "fchmodat", "fcntl", "fstat", "fstatfs"],
    ...["getdents64", "lseek", "lstat", "mkdirat", "newfstatat", "openat", "pipe2", "poll"],
    ...["ppoll", "pread64", "readlinkat", "readv", "renameat", "stat", "statfs", "statx"],
    ...["timerfd_gettime", "unlinkat", "writev", "accept", "socketpair"],
  ],
  "who and where am I, limits": [
    ...["getegid", "geteuid", "getgid", "getpid", "getppid", "getrandom", "getrlimit"],
    ...["getrusage", "gettid", "getuid", "prlimit64", "sysinfo", "times", "uname"],
  ],
  "folders and sockets of hooks and links, and what a killed one left": [
    ...["chmod", "mkdir", "readlink", "rename", "rmdir", "unlink"],
  ],
  "captures and recordings (--pcap, --record)": [
    ...["ftruncate", "pwrite64", "fsync", "fdatasync", "fallocate", "write", "renameat2"],
  ],
  "whose a peer is": ["getpeername"],
  "files for guests that boot (--tftp)": ["openat2"],
  "the program's own filter, and what comes before it": ["seccomp", "prctl", "close_range"],
};

/**
 * Needed until the program's own filter is loaded, and never again. Anonymous files could hold
 * programs; nobody here makes one after the start.
 */
const ONLY_BEFORE = new Set(["arch_prctl", "execve", "memfd_create", "seccomp"]);

/** What Deno and its engine call besides; containers have Bun. */
const DENO = [
  ...["dup2", "fadvise64", "flock", "ioctl", "pkey_alloc", "pkey_free", "pkey_mprotect"],
  ...["pselect6", "sched_setaffinity", "set_mempolicy", "umask", "utimensat"],
];

/** The end of the process that reads resolv.conf; a container under the profile starts none. */
const READER = ["wait4", "waitid"];

/** Calls that no runtime makes on its own once it runs: whoever does has got in. */
const FATAL = [
  ...["execve", "execveat", "fork", "vfork", "ptrace", "kcmp"],
  ...["pidfd_getfd", "unshare", "setns", "mount", "umount2", "move_mount", "open_tree"],
  ...["fsopen", "fsmount", "pivot_root", "chroot", "open_by_handle_at", "bpf", "perf_event_open"],
  ...["init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot"],
  ...["keyctl", "add_key", "request_key", "swapon", "swapoff", "acct", "quotactl"],
];

/**
 * Calls that are allowed with some arguments only. `clone3` hides its flags behind an address, so
 * it is left out: glibc falls back on `clone`, which may make threads but no namespaces.
 */
const NAMESPACES = 0x7e02_0000;
/** Copy guest memory that can shrink (vhost-user): only of the container's first process, ours. */
const GUEST_MEMORY = ["process_vm_readv", "process_vm_writev"];
const FIRST = { index: 0, value: 1 };
const FAMILIES = { AF_UNIX: 1, AF_INET: 2, AF_INET6: 10, AF_NETLINK: 16 };
const CONDITIONAL = {
  ...Object.fromEntries(GUEST_MEMORY.map((name) => [name, [[{ ...FIRST, op: "SCMP_CMP_EQ" }]]])),
  clone: [[{ index: 0, value: NAMESPACES, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }]],
  socket: Object.values(FAMILIES).map((value) => [{ index: 0, value, op: "SCMP_CMP_EQ" }]),
};
const LEFT_OUT = new Set(["clone3", ...Object.keys(CONDITIONAL)]);

/** ENOSYS: what a kernel without the call would say, for which everybody has a second way. */
const ENOSYS = 38;

/** Names of the calls in a trace of strace's, from the program's own execve on. */
export function callsIn(trace) {
  const lines = trace.split("\n");
  const began = lines.findLastIndex((line) => /execve\("[^"]*\/slirp-binding"/.test(line));
  if (began < 0) return [];
  // The first process is the one that waits, where there is one: it is not in the container.
  const starter = lines[0].split(" ")[0];
  const program = lines[began].split(" ")[0];
  const names = new Set();
  for (const line of lines.slice(began)) {
    const [, thread, name] = /^(\d+) +(?:<\.\.\. )?(\w+)(?:\(| resumed)/.exec(line) ?? [];
    if (name !== undefined && (thread !== starter || starter === program)) names.add(name);
  }
  return [...names];
}

/** The profile, as Kubernetes and container runtimes read it, for these calls. */
export function profile(traced) {
  const names = new Set([...traced, ...Object.values(RESERVE).flat()]);
  const plain = [...names].filter((name) => !LEFT_OUT.has(name)).sort();
  const allow = (list, args) => ({ names: list, action: "SCMP_ACT_ALLOW", ...args });
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: ENOSYS,
    architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
    syscalls: [
      allow(plain, {}),
      ...Object.entries(CONDITIONAL).flatMap(([name, rules]) =>
        rules.map((args) => allow([name], { args })),
      ),
    ],
  };
}

/** Name -> number in a header of the kernel's, for a 64-bit machine. */
function numbersIn(file) {
  const numbers = new Map();
  let text;
  try {
    text = fs.readFileSync(file, "utf8");
  } catch {
    throw new Error(`"${file}" is missing: install the Debian package linux-libc-dev`);
  }
  // "__NR3264_fstat 80" is told first, and "__NR_fstat __NR3264_fstat" follows, 64 bits first.
  for (const [, name, value] of text.matchAll(/^#define __NR(\w+)\s+(\w+)/gm)) {
    const number = /^\d+$/.test(value) ? Number(value) : numbers.get(value.slice("__NR".length));
    if (number !== undefined && !numbers.has(name)) numbers.set(name, number);
  }
  return (name) => numbers.get(`_${name}`) ?? -1;
}

/** The text of src/sys/seccomp-table.ts for a profile. */
export function tableText(made) {
  const x64 = numbersIn("/usr/include/x86_64-linux-gnu/asm/unistd_64.h");
  const arm64 = numbersIn("/usr/include/asm-generic/unistd.h");
  const rows = (names) =>
    [...new Set(names)]
      .sort()
      .map((name) => `  ${name}: [${x64(name)}, ${arm64(name)}],\n`)
      .join("");
  const own = [...made.syscalls.flatMap(({ names }) => names), ...DENO, ...READER];
  return `/**
 * System calls of the program's own filter, and their numbers. Made by "npm run seccomp".
 *
 * Source: Linux arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h; a
 * number once given is never changed.
 */

/** Number on x86_64, number on aarch64; -1 where an architecture has none. */
export type CallNumbers = readonly [x64: number, arm64: number];

/** Calls that are allowed, some of them with some arguments only. */
export const ALLOWED_CALLS: Readonly<Record<string, CallNumbers>> = {
${rows(own.filter((name) => !ONLY_BEFORE.has(name)))}};

/** Calls that end the process. */
export const FATAL_CALLS: Readonly<Record<string, CallNumbers>> = {
${rows(FATAL)}};
`;
}

async function makeTable() {
  fs.writeFileSync(inRoot(TABLE), tableText(JSON.parse(fs.readFileSync(inRoot(PROFILE), "utf8"))));
  await must(tool("biome"), ["format", "--write", TABLE], { quiet: true });
  process.stderr.write(`seccomp: ${TABLE}\n`);
}

/** Runs the tests, in networks of their own as their ports are fixed; names those that failed. */
async function runTests(env) {
  const failed = [];
  for (const file of TESTS) {
    const node = `exec "$0" --import tsx --test --test-force-exit "$1"`;
    const inside = ["sh", "-c", `ip link set lo up; ${node}`, process.execPath, file];
    const options = { env, quiet: true, timeout_ms: TEST_LIMIT_MS };
    const { code, output } = await run("unshare", ["--net", ...inside], options);
    const bad = [...output.matchAll(/^ +not ok \d+ - (.*)$/gm)].map(([, name]) => name);
    bad.push(...[...output.matchAll(/^ *ok \d+ - (.* # SKIP .*)$/gm)].map(([, name]) => name));
    if (code !== 0 && bad.length === 0) bad.push(output.slice(-500));
    const reasons = [...output.matchAll(/^ +error: ([\s\S]*?)^ +code:/gm)].map(([, each]) => each);
    for (const name of bad) process.stderr.write(`seccomp: failed: ${file}: ${name}\n`);
    for (const reason of reasons) process.stderr.write(`seccomp: ${reason.trimEnd()}\n`);
    for (const [line] of output.matchAll(/^.*resident at most.*$/gm)) {
      process.stderr.write(`seccomp: ${line}\n`);
    }
    failed.push(...bad);
  }
  return failed;
}

async function makeProfile() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "slirp-seccomp-"));
  try {
    fs.chmodSync(folder, 0o1777); // some of the tests become somebody else first
    await runTests({ E2E_TRACE: folder });
    const traces = fs.readdirSync(folder);
    const calls = traces.flatMap((name) =>
      callsIn(fs.readFileSync(path.join(folder, name), "utf8")),
    );
    const traced = [...new Set(calls)].sort();
    if (traced.length === 0) throw new Error("no trace: are strace and what the tests need here?");
    process.stderr.write(`seccomp: ${traces.length} traces, ${traced.length} calls\n`);
    process.stderr.write(`seccomp: ${traced.join(" ")}\n`);
    const made = profile(traced);
    fs.writeFileSync(inRoot(PROFILE), `${JSON.stringify(made, undefined, 2)}\n`);
    await must(tool("biome"), ["format", "--write", PROFILE], { quiet: true });
    const count = new Set(made.syscalls.flatMap(({ names }) => names)).size;
    process.stderr.write(`seccomp: ${PROFILE}, ${count} calls\n`);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

if (isMain(import.meta.filename))
  main(async () => {
    await bootstrap({ system: true });
    if (process.argv.includes("--table")) return makeTable();
    if (!process.argv.includes("--check")) {
      await makeProfile();
      await makeTable();
      await build();
    }
    const failed = await runTests({ E2E_SECCOMP: inRoot(PROFILE) });
    if (failed.length > 0) throw new Error(`${failed.length} tests fail under ${PROFILE}`);
    process.stderr.write("seccomp: the tests pass under it\n");
  });
