/** The system calls of `libc.ts` as types: for what never makes one in some of its hosts. */
import type { Block } from "./block.ts";

type Call1 = (a: number) => number;
type Call2 = (a: number, b: number) => number;
type Call3 = (a: number, b: number, c: number) => number;
type Call4 = (a: number, b: number, c: number, d: number) => number;
type Call5 = (a: number, b: number, c: number, d: number, e: number) => number;

/** One thread's system calls. Names and argument order are those of section 2 of the manual. */
export interface Libc {
  readonly runtime: "bun" | "deno";
  /** Small arguments of the helpers in `src/sys`; its content is gone after the next helper. */
  readonly scratch: Block;
  address(buffer: ArrayBufferLike | Uint8Array): number;
  view(address: number, length: number): ArrayBuffer;

  readonly read: Call3;
  readonly write: Call3;
  readonly readv: Call3;
  readonly writev: Call3;
  readonly recv: Call4;
  readonly send: Call4;
  readonly sendmsg: Call3;
  readonly recvmsg: Call3;
  readonly sendmmsg: Call4;
  /** Without the timeout of the C function, which Linux checks only after a datagram came. */
  readonly recvmmsg: Call4;
  readonly epoll_ctl: Call4;
  /** Timeout in milliseconds, -1 = none. */
  readonly epoll_wait: Call4;
  /** Fourth argument: address of a struct timespec, 0 = no timeout. */
  readonly epoll_pwait2: Call4;
  readonly close: Call1;
  readonly socket: Call3;
  readonly connect: Call3;
  readonly shutdown: Call2;
  readonly accept4: Call4;
  readonly setsockopt: Call5;
  readonly getsockopt: Call5;

  readonly open: Call3;
  readonly openat: Call4;
  /** Fourth argument: octets from the beginning of the file. */
  readonly pread: Call4;
  readonly statx: Call5;
  readonly bind: Call3;
  readonly listen: Call2;
  readonly getsockname: Call3;
  readonly getpeername: Call3;
  readonly ioctl: Call3;
  readonly fcntl: Call3;
  readonly epoll_create1: Call1;
  readonly eventfd: Call2;
  readonly timerfd_create: Call2;
  readonly timerfd_settime: Call4;
  readonly pipe2: Call2;
  readonly socketpair: Call4;
  readonly poll: Call3;
  readonly setns: Call2;
  readonly prctl: Call5;
  /** Third and fourth argument: addresses of struct rlimit, 0 = none. */
  readonly prlimit: Call4;
  readonly clock_gettime: Call2;
  readonly getpid: () => number;
  readonly sched_yield: () => number;
  readonly getuid: () => number;
  /**
   * Copies between arrays of struct iovec, the own one (address, count) and the process' (address,
   * count). Addresses behind which there is no memory give -EFAULT, and never a signal.
   */
  readonly process_vm_readv: Call5;
  readonly process_vm_writev: Call5;
  /** Copies octets from the second address to the first; both and all between must be ours. */
  readonly memcpy: Call3;
  /** Address of the mapping, or the negative errno. */
  readonly mmap: (
    address: number,
    length: number,
    protection: number,
    flags: number,
    fd: number,
    offset: number,
  ) => number;
  readonly munmap: Call2;
  readonly mprotect: Call3;
  readonly sigaction: Call3;
  readonly madvise: Call3;
  readonly ftruncate: Call2;
  readonly unlink: Call1;
  /** Any call, by its number on this architecture; what it returns has to fit 32 bits. */
  readonly syscall: (
    number: number,
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
    f?: number,
  ) => number;
}
