/**
 * Numbers of system calls that glibc has no function for, or one that does more than the call.
 * Source: Linux arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h.
 */
import { arch } from "node:os";

const NUMBERS = {
  capset: { x64: 126, arm64: 91 },
  execve: { x64: 59, arm64: 221 },
  mount: { x64: 165, arm64: 40 },
  prctl: { x64: 157, arm64: 167 },
  rt_sigprocmask: { x64: 14, arm64: 135 },
  setgroups: { x64: 116, arm64: 159 },
  setresgid: { x64: 119, arm64: 149 },
  setresuid: { x64: 117, arm64: 147 },
} as const;

export type CallName = keyof typeof NUMBERS;

/**
 * @param architecture of this machine, as Node names it
 * @throws Error on another one
 */
export function callNumber(name: CallName, architecture: string = arch()): number {
  const numbers: Readonly<Record<string, number | undefined>> = NUMBERS[name];
  const number = numbers[architecture];
  if (number === undefined)
    throw new Error(`Call "${name}" of the kernel: not on "${architecture}"`);
  return number;
}
