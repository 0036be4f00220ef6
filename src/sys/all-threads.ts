/**
 * System calls made by every thread of this process.
 *
 * Capabilities, user, group and no_new_privs belong to a thread, and a runtime has threads of its
 * own before a line of JavaScript runs: what one thread gives up, the others keep. glibc passes a
 * change of user on to all threads, but not one of capabilities. So this is done as libpsx and Go's
 * runtime do it: each thread gets a signal, and the handler makes the calls.
 *
 * A handler cannot be JavaScript, which no interrupted thread may enter. It is a dozen machine
 * instructions: they walk a list of calls, make each and count themselves at the end. All registers
 * are theirs, as the kernel restores them when a handler returns; errno, locks and memory of the
 * interrupted code are not touched.
 *
 * The signal is SIGSYS: runtimes block all others they can in some of their threads, and the kernel
 * sends it by itself only to who breaks a filter that wants a signal. Whoever handled it before
 * does again afterwards. Threads that are born meanwhile by one that was not reached yet are found
 * in the next round, and a round that finds all done is the end; there are at most 100 rounds. A
 * thread that has not come to it after 2 s is an error. Interrupted system calls start again or
 * give EINTR, as with any other signal.
 * Source: nptl(7), signal(7), sigaction(2), tgkill(2); libpsx(3).
 */

import { readdirSync } from "node:fs";
import { arch } from "node:os";
import { Block } from "./block.ts";
import { check, ESRCH } from "./errno.ts";
import type { Libc } from "./libc.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_EXEC, PROT_READ, PROT_WRITE } from "./linux.ts";

/** A system call by number, with up to five arguments. */
export type RawCall = readonly [number: number, ...args: number[]];

/** Numbers and instructions that differ from one architecture to the other. */
interface Machine {
  readonly tgkill: number;
  readonly code: readonly number[];
}

const SIGSYS = 31;
const SA_RESTART = 0x1000_0000;
/** glibc's struct sigaction: the handler, 128 octets of mask, flags, the restorer. */
const SIGACTION_SIZE = 152;
const SIGACTION_MASK_OFFSET = 8;
const SIGACTION_MASK_SIZE = 128;
const SIGACTION_FLAGS_OFFSET = 136;

/** Instructions and list are on pages of their own, whatever the page size. */
const PAGE = 65536;
const WORD = 8;
/** Number, five arguments, and the result of whichever thread came last. */
const ENTRY_SIZE = 7 * WORD;
const ARGUMENT_COUNT_MAX = 5;

const ROUND_COUNT_MAX = 100;
const ROUND_LIMIT_ms = 2000;

/**
 * The list is at `code + PAGE`. It ends with a negative number, and behind that is the count of
 * threads that came to the end.
 */
const MACHINES: Readonly<Record<string, Machine>> = {
  x64: {
    tgkill: 234,
    code: [
      ...[0x48, 0x8d, 0x1d, 0xf9, 0xff, 0x00, 0x00], //       lea  rbx, [rip + PAGE - 7]
      ...[0x48, 0x8b, 0x03], //                         next: mov  rax, [rbx]
      ...[0x48, 0x85, 0xc0], //                               test rax, rax
      ...[0x78, 0x20], //                                     js   done
      ...[0x48, 0x8b, 0x7b, 0x08], //                         mov  rdi, [rbx + 8]
      ...[0x48, 0x8b, 0x73, 0x10], //                         mov  rsi, [rbx + 16]
      ...[0x48, 0x8b, 0x53, 0x18], //                         mov  rdx, [rbx + 24]
      ...[0x4c, 0x8b, 0x53, 0x20], //                         mov  r10, [rbx + 32]
      ...[0x4c, 0x8b, 0x43, 0x28], //                         mov  r8, [rbx + 40]
      ...[0x0f, 0x05], //                                     syscall
      ...[0x48, 0x89, 0x43, 0x30], //                         mov  [rbx + 48], rax
      ...[0x48, 0x83, 0xc3, 0x38], //                         add  rbx, 56
      ...[0xeb, 0xd8], //                                     jmp  next
      ...[0xf0, 0xff, 0x43, 0x08], //                   done: lock inc dword [rbx + 8]
      0xc3, //                                                ret
    ],
  },
  arm64: {
    tgkill: 131,
    code: words([
      0x10080009, //       adr   x9, code + PAGE
      0xf9400128, // next: ldr   x8, [x9]
      0xb7f80108, //       tbnz  x8, #63, done
      0xa9408520, //       ldp   x0, x1, [x9, #8]
      0xa9418d22, //       ldp   x2, x3, [x9, #24]
      0xf9401524, //       ldr   x4, [x9, #40]
      0xd4000001, //       svc   #0
      0xf9001920, //       str   x0, [x9, #48]
      0x9100e129, //       add   x9, x9, #56
      0x17fffff8, //       b     next
      0x91002129, // done: add   x9, x9, #8
      0x885ffd2b, // count: ldaxr w11, [x9]
      0x1100056b, //       add   w11, w11, #1
      0x880cfd2b, //       stlxr w12, w11, [x9]
      0x35ffffac, //       cbnz  w12, count
      0xd65f03c0, //       ret
    ]),
  },
};

function words(values: readonly number[]): number[] {
  return [...new Uint8Array(Uint32Array.from(values).buffer)];
}

/** Ids of the threads of this process. Needs /proc. */
export function threadIds(): number[] {
  return readdirSync("/proc/self/task").map(Number);
}

/**
 * Makes these calls in every thread, in this order.
 * @param isDone whether a thread, by its id, shows that it has made them; true for one that is gone
 * @param architecture of this machine, as Node names it
 * @throws SystemError; Error where a thread does not come to it, or the machine is a strange one
 */
export function callInAllThreads(
  sys: Libc,
  calls: readonly RawCall[],
  isDone: (thread: number) => boolean,
  architecture: string = arch(),
): void {
  const machine = MACHINES[architecture];
  if (machine === undefined) throw new Error(`Change all threads: not on "${architecture}"`);
  const routine = new Routine(sys, machine, calls);
  try {
    for (let round = 0; round < ROUND_COUNT_MAX; round += 1) {
      const waiting = threadIds().filter((thread) => !isDone(thread));
      if (waiting.length === 0) return;
      if (routine.run(waiting)) continue;
      const stuck = waiting.find((thread) => !isDone(thread));
      if (stuck !== undefined) throw new Error(`Change all threads: ${stuck} takes no signal`);
    }
    throw new Error(`Change all threads: some are left after ${ROUND_COUNT_MAX} rounds`);
  } finally {
    routine.close();
  }
}

/** The instructions in memory, with their list, as the handler of the signal. */
class Routine {
  readonly #sys: Libc;
  readonly #tgkill: number;
  readonly #address: number;
  readonly #view: DataView;
  readonly #countOffset: number;
  readonly #old: Block;
  #sent = 0;

  constructor(sys: Libc, machine: Machine, calls: readonly RawCall[]) {
    this.#sys = sys;
    this.#tgkill = machine.tgkill;
    this.#countOffset = PAGE + calls.length * ENTRY_SIZE + WORD;
    if (this.#countOffset + WORD > 2 * PAGE) throw new RangeError("too many calls");
    const access = PROT_READ | PROT_WRITE;
    const address = sys.mmap(0, 2 * PAGE, access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    this.#address = check(address, "Map the memory that changes all threads");
    const buffer = sys.view(address, 2 * PAGE);
    this.#view = new DataView(buffer);
    new Uint8Array(buffer).set(machine.code);
    calls.forEach((call, index) => {
      if (call.length > 1 + ARGUMENT_COUNT_MAX) throw new RangeError("too many arguments");
      call.forEach((value, at) => {
        this.#set(PAGE + index * ENTRY_SIZE + at * WORD, value);
      });
    });
    this.#set(PAGE + calls.length * ENTRY_SIZE, -1);
    const result = sys.mprotect(address, PAGE, PROT_READ | PROT_EXEC);
    if (result < 0) sys.munmap(address, 2 * PAGE);
    check(result, "Make the memory that changes all threads executable");
    this.#old = this.#install();
  }

  #set(offset: number, value: number): void {
    this.#view.setBigInt64(offset, BigInt(value), true);
  }

  /** Makes it the handler; what was before. */
  #install(): Block {
    const [action, old] = [
      new Block(this.#sys, SIGACTION_SIZE),
      new Block(this.#sys, SIGACTION_SIZE),
    ];
    action.setU64(0, this.#address);
    action.bytes.fill(0xff, SIGACTION_MASK_OFFSET, SIGACTION_MASK_OFFSET + SIGACTION_MASK_SIZE);
    action.setI32(SIGACTION_FLAGS_OFFSET, SA_RESTART);
    const result = this.#sys.sigaction(SIGSYS, action.address, old.address);
    if (result < 0) this.#sys.munmap(this.#address, 2 * PAGE);
    check(result, "Handle the signal that changes all threads");
    return old;
  }

  /** How many handlers have come to their end. */
  get #count(): number {
    return this.#view.getInt32(this.#countOffset, true);
  }

  /** Signals these threads and waits until all of them have made the calls; false = not in time. */
  run(threads: readonly number[]): boolean {
    const pid = this.#sys.getpid();
    for (const thread of threads) {
      const result = this.#sys.syscall(this.#tgkill, pid, thread, SIGSYS, 0, 0);
      if (result === -ESRCH) continue; // it has ended meanwhile
      check(result, `Signal thread ${thread}`);
      this.#sent += 1;
    }
    for (let waited_ms = 0; this.#count < this.#sent; waited_ms += 1) {
      if (waited_ms >= ROUND_LIMIT_ms) return false;
      this.#sys.poll(0, 0, 1);
    }
    return true;
  }

  close(): void {
    this.#sys.sigaction(SIGSYS, this.#old.address, 0);
    // A thread that ended with the signal pending is never counted: then the memory stays.
    if (this.#count === this.#sent) this.#sys.munmap(this.#address, 2 * PAGE);
  }
}
