/**
 * The system calls this project makes: one typed function for each.
 *
 * Contract: every argument is a number (descriptors, flags, lengths, addresses); a call returns
 * zero or more as the C function did, or the NEGATIVE errno. Nothing here throws after loading and
 * nothing allocates, so the hot path may call straight into it. Addresses are doubles: Linux hands
 * out at most 47 bits to user space, and a double holds 53 exactly.
 *
 * Loaded once per thread: `errno` and the network namespace belong to a thread.
 * Source: POSIX.1-2017 and the Linux manual pages of section 2.
 */

import { Block } from "./block.ts";
import type { Libc } from "./calls.ts";
import type { Native, NativeCall } from "./native.ts";

export type { Libc } from "./calls.ts";

/** The same number on every architecture: calls added since Linux 5.1 share one table. */
const SYS_EPOLL_PWAIT2 = 441;
const SCRATCH_SIZE = 512;

/** Wraps a loader's raw functions into the contract above. */
function createLibc(native: Native): Libc {
  return {
    runtime: native.runtime,
    scratch: new Block(native, SCRATCH_SIZE),
    address: (buffer) => native.address(buffer),
    view: (address, length) => native.view(address, length),
    ...dataCalls(native),
    ...memoryCalls(native),
    ...epollCalls(native),
    ...socketCalls(native),
    ...controlCalls(native),
  };
}

/**
 * Written out one by one on purpose: closures made by one shared wrapper share one inline cache,
 * which then sees dozens of targets and no call is inlined.
 */
function dataCalls(native: Native) {
  const errno = native.errno;
  const { read, write, readv, writev, recv, send, sendmsg, recvmsg } = native.symbols;
  const { sendmmsg, recvmmsg } = native.symbols;
  return {
    read(fd: number, address: number, length: number): number {
      const n = read(fd, address, length);
      return n < 0 ? -errno() : n;
    },
    write(fd: number, address: number, length: number): number {
      const n = write(fd, address, length);
      return n < 0 ? -errno() : n;
    },
    readv(fd: number, iovecs: number, count: number): number {
      const n = readv(fd, iovecs, count);
      return n < 0 ? -errno() : n;
    },
    writev(fd: number, iovecs: number, count: number): number {
      const n = writev(fd, iovecs, count);
      return n < 0 ? -errno() : n;
    },
    recv(fd: number, address: number, length: number, flags: number): number {
      const n = recv(fd, address, length, flags);
      return n < 0 ? -errno() : n;
    },
    send(fd: number, address: number, length: number, flags: number): number {
      const n = send(fd, address, length, flags);
      return n < 0 ? -errno() : n;
    },
    sendmsg(fd: number, message: number, flags: number): number {
      const n = sendmsg(fd, message, flags);
      return n < 0 ? -errno() : n;
    },
    recvmsg(fd: number, message: number, flags: number): number {
      const n = recvmsg(fd, message, flags);
      return n < 0 ? -errno() : n;
    },
    sendmmsg(fd: number, messages: number, count: number, flags: number): number {
      const n = sendmmsg(fd, messages, count, flags);
      return n < 0 ? -errno() : n;
    },
    recvmmsg(fd: number, messages: number, count: number, flags: number): number {
      const n = recvmmsg(fd, messages, count, flags, 0);
      return n < 0 ? -errno() : n;
    },
  };
}

/** Calls of the loop, written out for the same reason. */
function epollCalls(native: Native) {
  const errno = native.errno;
  const { epoll_ctl, epoll_wait, syscall } = native.symbols;
  return {
    epoll_ctl(epoll: number, operation: number, fd: number, event: number): number {
      const n = epoll_ctl(epoll, operation, fd, event);
      return n < 0 ? -errno() : n;
    },
    epoll_wait(epoll: number, events: number, max: number, milliseconds: number): number {
      const n = epoll_wait(epoll, events, max, milliseconds);
      return n < 0 ? -errno() : n;
    },
    epoll_pwait2(epoll: number, events: number, max: number, timespec: number): number {
      // By number and not by name: glibc has the function only since 2.35.
      const n = syscall(SYS_EPOLL_PWAIT2, epoll, events, max, timespec, 0, 0);
      return n < 0 ? -errno() : n;
    },
  };
}

/** Copies of memory. */
function memoryCalls(native: Native) {
  const errno = native.errno;
  const { memcpy, process_vm_readv, process_vm_writev } = native.symbols;
  return {
    process_vm_readv(pid: number, to: number, toCount: number, from: number, fromCount: number) {
      const n = process_vm_readv(pid, to, toCount, from, fromCount, 0);
      return n < 0 ? -errno() : n;
    },
    process_vm_writev(pid: number, from: number, fromCount: number, to: number, toCount: number) {
      const n = process_vm_writev(pid, from, fromCount, to, toCount, 0);
      return n < 0 ? -errno() : n;
    },
    memcpy(to: number, from: number, length: number): number {
      memcpy(to, from, length); // its result is `to`, cut to 32 bits
      return 0;
    },
  };
}

/** Calls made once or a few times per flow. */
function socketCalls(native: Native) {
  const errno = native.errno;
  const { close, socket, connect, shutdown, accept4, setsockopt, getsockopt } = native.symbols;
  return {
    close(fd: number): number {
      return close(fd) < 0 ? -errno() : 0;
    },
    socket(domain: number, type: number, protocol: number): number {
      const n = socket(domain, type, protocol);
      return n < 0 ? -errno() : n;
    },
    connect(fd: number, address: number, length: number): number {
      return connect(fd, address, length) < 0 ? -errno() : 0;
    },
    shutdown(fd: number, how: number): number {
      return shutdown(fd, how) < 0 ? -errno() : 0;
    },
    accept4(fd: number, address: number, lengthAddress: number, flags: number): number {
      const n = accept4(fd, address, lengthAddress, flags);
      return n < 0 ? -errno() : n;
    },
    setsockopt(fd: number, level: number, name: number, value: number, length: number): number {
      return setsockopt(fd, level, name, value, length) < 0 ? -errno() : 0;
    },
    getsockopt(fd: number, level: number, name: number, value: number, length: number): number {
      return getsockopt(fd, level, name, value, length) < 0 ? -errno() : 0;
    },
  };
}

/** Set-up and tear-down, where a few nanoseconds do not matter. */
function controlCalls(native: Native) {
  const raw = native.symbols;
  const checked = (call: NativeCall): NativeCall => {
    return (...args) => {
      const n = call(...args);
      // Only -1 is an error: mmap returns an address as wide as a double holds.
      return n === -1 ? -native.errno() : n;
    };
  };
  return {
    open: checked(raw.open),
    openat: checked(raw.openat),
    pread: checked(raw.pread),
    statx: checked(raw.statx),
    bind: checked(raw.bind),
    listen: checked(raw.listen),
    getsockname: checked(raw.getsockname),
    getpeername: checked(raw.getpeername),
    ioctl: checked(raw.ioctl),
    fcntl: checked(raw.fcntl),
    epoll_create1: checked(raw.epoll_create1),
    eventfd: checked(raw.eventfd),
    timerfd_create: checked(raw.timerfd_create),
    timerfd_settime: checked(raw.timerfd_settime),
    pipe2: checked(raw.pipe2),
    socketpair: checked(raw.socketpair),
    poll: checked(raw.poll),
    setns: checked(raw.setns),
    prctl: checked(raw.prctl),
    prlimit: checked(raw.prlimit),
    clock_gettime: checked(raw.clock_gettime),
    getpid: checked(raw.getpid),
    sched_yield: checked(raw.sched_yield),
    getuid: checked(raw.getuid),
    mmap: checked(raw.mmap),
    munmap: checked(raw.munmap),
    mprotect: checked(raw.mprotect),
    sigaction: checked(raw.sigaction),
    madvise: checked(raw.madvise),
    ftruncate: checked(raw.ftruncate),
    unlink: checked(raw.unlink),
    syscall: syscallOf(checked(raw.syscall)),
  };
}

function syscallOf(call: NativeCall): Libc["syscall"] {
  // All of the arguments are always passed: a runtime may want as many as were declared.
  return (number, a, b, c, d, e, f = 0) => call(number, a, b, c, d, e, f);
}

let loaded: Promise<Libc> | undefined;

/**
 * This thread's system calls, loaded on first use and then shared.
 * @throws Error where the runtime has no foreign function interface (Node) or no glibc.
 */
export function loadLibc(): Promise<Libc> {
  loaded ??= loadNative().then(createLibc);
  return loaded;
}

/** True where this runtime makes system calls; Node, which does not, is for development. */
export function hasSystemCalls(): boolean {
  return "Bun" in globalThis || "Deno" in globalThis;
}

async function loadNative(): Promise<Native> {
  // Each loader is imported only where it can work, so the others never see a foreign module name.
  if ("Bun" in globalThis) return (await import("./bun.ts")).loadBun();
  if ("Deno" in globalThis) return (await import("./deno.ts")).loadDeno();
  throw new Error('Run with Bun or Deno: this command needs system calls that "Node" cannot make');
}
