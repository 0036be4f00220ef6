/** Loads the system call filter into this process. Source: seccomp(2). */

import { arch } from "node:os";
import { Block } from "./block.ts";
import { INSTRUCTION_SIZE } from "./bpf.ts";
import { check } from "./errno.ts";
import type { Libc } from "./libc.ts";
import { allowedCount, type FilterArch, filterProgram } from "./seccomp.ts";

const SECCOMP_SET_MODE_FILTER = 1;
const FLAG_TSYNC = 1;

/**
 * Without it, kernels before 5.16 switch a mitigation on that slows all compiled code of the
 * process down; it guards secrets of one sandbox in a process from another, and there is one here.
 */
const FLAG_SPEC_ALLOW = 4;
/** Other than the rest of `libc.ts`, by number: glibc has no wrapper. */
const SYS_SECCOMP: Readonly<Record<FilterArch, number>> = { x64: 317, arm64: 277 };
const PROGRAM_SIZE = 16;

/** This machine's architecture, if filters are made for it. */
export function filterArch(): FilterArch | undefined {
  const name = arch();
  return name === "x64" || name === "arm64" ? name : undefined;
}

/**
 * Loads the filter into all threads. There is no way back.
 * The calling thread has to have no_new_privs set; the other threads get it by this.
 * @returns how many system calls are left
 * @throws SystemError where the kernel, or a filter that is in force already, does not let us
 */
export function loadFilter(sys: Libc, architecture: FilterArch): number {
  const filter = filterProgram(architecture, sys.getpid());
  const code = new Block(sys, filter.length);
  code.bytes.set(filter);
  // struct sock_fprog: a count of 16 bits, padding, the address
  const program = new Block(sys, PROGRAM_SIZE);
  program.view.setUint16(0, filter.length / INSTRUCTION_SIZE, true);
  program.setU64(8, code.address);
  const flags = FLAG_TSYNC | FLAG_SPEC_ALLOW;
  const number = SYS_SECCOMP[architecture];
  const result = sys.syscall(number, SECCOMP_SET_MODE_FILTER, flags, program.address, 0, 0);
  check(result, "Load the system call filter");
  if (result > 0) throw new Error(`Load the system call filter: thread ${result} cannot take it`);
  return allowedCount(architecture);
}
