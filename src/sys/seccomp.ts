/**
 * The program's own system call filter, loaded into every thread of the process.
 *
 * Goal: code that a hostile guest, peer or caller manages to run in here finds a process that can
 * move octets between the descriptors it has, open further sockets of the kinds in use, and little
 * else: no program can be started, no process be looked into, no namespace be entered or made.
 *
 * What is allowed stands in `seccomp-table.ts`, which `npm run seccomp` makes from the same trace
 * as deploy/seccomp.json; what arguments are allowed stands here. Three answers:
 * - allow.
 * - an error, where an honest program could ask: ENOSYS for a call that is not listed, as a kernel
 *   without that call would say and for which glibc and the runtimes have a second way; EPERM for a
 *   listed call with arguments that are not. A newer glibc that tries something new must not die.
 * - the end of the process (SIGSYS), for calls that only an intruder makes: to start a program, to
 *   look into a process, to change namespaces, mounts or the kernel. Whoever got that far gets no
 *   second try, and the kernel's audit log names the call.
 *
 * Limits: memory can be made executable (the runtime compiles), paths are not looked at (user and
 * mount namespace decide those), and the 4096 instructions the kernel takes are far away (~400).
 * A call that is allowed whatever its arguments costs nothing: the kernel (5.11 and later) looks it
 * up in a bitmap. No filter is loaded into part of a process: TSYNC covers all threads or fails.
 * Source: seccomp(2), bpf(4); Linux include/uapi/linux/{seccomp,filter,audit}.h.
 */

import {
  AND,
  ARCHITECTURE_OFFSET,
  ARGUMENT_SIZE,
  ARGUMENTS_OFFSET,
  encode,
  type Instruction,
  JUMP,
  JUMP_ABOVE,
  JUMP_EQUAL,
  JUMP_MAX,
  LOAD,
  NUMBER_OFFSET,
  RETURN,
} from "./bpf.ts";
import { ALLOWED_CALLS, FATAL_CALLS } from "./seccomp-table.ts";

/** Architectures that filters are made for, as Node names them. */
export type FilterArch = "x64" | "arm64";

/** `(argument & mask) == value`. All arguments that are looked at are 32 bits wide. */
interface Check {
  readonly argument: number;
  readonly mask?: number;
  readonly value: number;
}

/** One way to be allowed: all of its checks hold. */
type Way = readonly Check[];

const AUDIT_ARCH: Readonly<Record<FilterArch, number>> = { x64: 0xc000003e, arm64: 0xc00000b7 };
/** Place of an architecture's number in a row of the tables. */
const COLUMN: Readonly<Record<FilterArch, 0 | 1>> = { x64: 0, arm64: 1 };
/** Numbers from here on are the x32 calls of x86_64; aarch64 has none up there. */
const X32_BIT = 0x4000_0000;

const RET_ALLOW = 0x7fff_0000;
const RET_KILL_PROCESS = 0x8000_0000;
const RET_EPERM = 0x0005_0001;
const RET_ENOSYS = 0x0005_0026;

const CLONE_VM = 0x100;
const CLONE_SIGHAND = 0x800;
const CLONE_THREAD = 0x10000;
/** All flags that make a namespace, CLONE_UNTRACED and CLONE_VFORK. */
const CLONE_FORBIDDEN = 0x7e02_0000 | 0x0080_0000 | 0x4000;
const CLONE_THREAD_FLAGS = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;

const [UNIX, INET, INET6, NETLINK] = [1, 2, 10, 16];
const [STREAM, DGRAM] = [1, 2];
const SOCKET_TYPE_MASK = 0xf; // what is above are SOCK_NONBLOCK and SOCK_CLOEXEC
const STREAM_PROTOCOLS = [0, 6];
/** UDP, and ping sockets of both versions. */
const DGRAM_PROTOCOLS = [0, 17, 1, 58];
/** Routes and addresses of this host; whose the other end of a loopback connection is. */
const NETLINK_PROTOCOLS = [0, 4];

/**
 * Terminals' size and mode, non-blocking, close-on-exec, octets in queues, place of urgent data,
 * interfaces by name.
 */
const IOCTLS = [
  ...[0x5401, 0x5402, 0x5403, 0x5404, 0x5413],
  ...[0x5421, 0x5450, 0x5451, 0x541b, 0x5411],
  ...[0x8905, 0x8910, 0x8912, 0x8913, 0x8915, 0x891b, 0x8921, 0x8927, 0x8933, 0x8942],
];
/** Names of threads and of memory, and questions about rights. */
const PRCTLS = [15, 16, 0x53564d41, 3, 23, 38, 39, 42];

function isValue(argument: number, value: number): Check {
  return { argument, value };
}

function socketWays(families: readonly number[], type: number, protocols: readonly number[]) {
  const kind = { argument: 1, mask: SOCKET_TYPE_MASK, value: type };
  return families.flatMap((family) =>
    protocols.map((protocol): Way => [isValue(0, family), kind, isValue(2, protocol)]),
  );
}

/**
 * What arguments these calls may have; the others may have any.
 * @param pid this process: signals, limits and copies of memory are for nobody else
 */
function waysOf(pid: number): Readonly<Record<string, readonly Way[]>> {
  const own = [[isValue(0, pid)]];
  return {
    clone: [
      [{ argument: 0, mask: CLONE_THREAD_FLAGS | CLONE_FORBIDDEN, value: CLONE_THREAD_FLAGS }],
    ],
    ioctl: IOCTLS.map((request) => [isValue(1, request)]),
    kill: own,
    prctl: PRCTLS.map((option) => [isValue(0, option)]),
    prlimit64: [[isValue(0, 0)], ...own],
    process_vm_readv: own,
    process_vm_writev: own,
    socket: [
      [isValue(0, UNIX)],
      ...socketWays([INET, INET6], STREAM, STREAM_PROTOCOLS),
      ...socketWays([INET, INET6], DGRAM, DGRAM_PROTOCOLS),
      ...NETLINK_PROTOCOLS.map((protocol) => [isValue(0, NETLINK), isValue(2, protocol)]),
    ],
    socketpair: [[isValue(0, UNIX)]],
    tgkill: own,
  };
}

/** From this number on, up to the next one's: what is done. */
interface Range {
  readonly from: number;
  readonly code: readonly Instruction[];
}

function answer(k: number): Instruction[] {
  return [{ code: RETURN, k }];
}

function conditional(ways: readonly Way[]): Instruction[] {
  return [...ways.flatMap(wayInstructions), ...answer(RET_EPERM)];
}

/** Allows if all checks hold, else goes on behind. */
function wayInstructions(way: Way): Instruction[] {
  const checks = way.map(({ argument, mask }) => {
    const at = { code: LOAD, k: ARGUMENTS_OFFSET + argument * ARGUMENT_SIZE };
    return mask === undefined ? [at] : [at, { code: AND, k: mask >>> 0 }];
  });
  let rest = checks.reduce((sum, loads) => sum + loads.length + 1, 0);
  const body = way.flatMap(({ value }, index): Instruction[] => {
    const loads = checks[index] ?? [];
    rest -= loads.length + 1;
    return [...loads, { code: JUMP_EQUAL, k: value >>> 0, no: rest + 1 }];
  });
  return [...body, ...answer(RET_ALLOW)];
}

/** Numbers to what is done, neighbours of the same kind joined, everything else refused. */
function ranges(column: 0 | 1, pid: number): Range[] {
  const allow = answer(RET_ALLOW);
  const kill = answer(RET_KILL_PROCESS);
  const refuse = answer(RET_ENOSYS);
  const ways = waysOf(pid);
  const codes = new Map<number, readonly Instruction[]>();
  for (const [name, numbers] of Object.entries(ALLOWED_CALLS)) {
    const own = ways[name];
    codes.set(numbers[column], own === undefined ? allow : conditional(own));
  }
  for (const numbers of Object.values(FATAL_CALLS)) codes.set(numbers[column], kill);
  codes.delete(-1); // this architecture has no such call
  const found: Range[] = [{ from: 0, code: codes.get(0) ?? refuse }];
  for (const number of [...codes.keys()].sort((a, b) => a - b)) {
    for (const at of [number, number + 1]) {
      const code = codes.get(at) ?? refuse;
      const last = found.at(-1);
      if (last !== undefined && at > last.from && code !== last.code)
        found.push({ from: at, code });
    }
  }
  return found;
}

/** Finds a number's range by halves. The number is in the accumulator. */
function search(all: readonly Range[]): Instruction[] {
  const [first] = all;
  if (first === undefined) return answer(RET_KILL_PROCESS);
  if (all.length === 1) return [...first.code];
  const middle = all.length >> 1;
  const below = search(all.slice(0, middle));
  const above = search(all.slice(middle));
  const k = all[middle]?.from ?? 0;
  if (below.length <= JUMP_MAX) {
    return [{ code: JUMP_ABOVE, k, yes: below.length }, ...below, ...above];
  }
  const far = { code: JUMP, k: below.length };
  return [{ code: JUMP_ABOVE, k, no: 1 }, far, ...below, ...above];
}

/**
 * The filter for a process, an array of struct sock_filter.
 * @param pid the process: it may signal itself and nobody else
 */
export function filterProgram(architecture: FilterArch, pid: number): Uint8Array<ArrayBuffer> {
  const program: Instruction[] = [
    { code: LOAD, k: ARCHITECTURE_OFFSET },
    { code: JUMP_EQUAL, k: AUDIT_ARCH[architecture], yes: 1 },
    ...answer(RET_KILL_PROCESS),
    { code: LOAD, k: NUMBER_OFFSET },
    { code: JUMP_ABOVE, k: X32_BIT, no: 1 },
    ...answer(RET_KILL_PROCESS),
    ...search(ranges(COLUMN[architecture], pid)),
  ];
  return encode(program);
}

/** System calls that a filter for this architecture allows, with some arguments at least. */
export function allowedCount(architecture: FilterArch): number {
  const column = COLUMN[architecture];
  return Object.values(ALLOWED_CALLS).filter((numbers) => numbers[column] >= 0).length;
}
