/**
 * What a runtime's loader has to deliver: the C functions by name and what only a runtime can do.
 *
 * The symbol table is the one list of C functions this project calls.
 * Source: declarations of glibc 2.31 and later.
 */

/** C types a symbol takes or returns. `size` and `address` are 64 bits wide, `i32` is 32. */
export type NativeType = "i32" | "size" | "address" | "i64";

const FD = "i32";
const INT = "i32";

/** Result type first, then the arguments, as glibc declares them. */
export const SYMBOLS = {
  accept4: ["i32", FD, "address", "address", INT],
  bind: ["i32", FD, "address", INT],
  clock_gettime: ["i32", INT, "address"],
  close: ["i32", FD],
  connect: ["i32", FD, "address", INT],
  epoll_create1: ["i32", INT],
  epoll_ctl: ["i32", FD, INT, FD, "address"],
  epoll_wait: ["i32", FD, "address", INT, INT],
  eventfd: ["i32", INT, INT],
  fcntl: ["i32", FD, INT, "size"],
  ftruncate: ["i32", FD, "size"],
  getpeername: ["i32", FD, "address", "address"],
  getpid: ["i32"],
  getsockname: ["i32", FD, "address", "address"],
  getsockopt: ["i32", FD, INT, INT, "address", "address"],
  getuid: ["i32"],
  ioctl: ["i32", FD, "size", "address"],
  listen: ["i32", FD, INT],
  madvise: ["i32", "address", "size", INT],
  memcpy: ["i32", "address", "address", "size"],
  mmap: ["i64", "address", "size", INT, INT, FD, "size"],
  mprotect: ["i32", "address", "size", INT],
  munmap: ["i32", "address", "size"],
  open: ["i32", "address", INT, INT],
  openat: ["i32", FD, "address", INT, INT],
  pipe2: ["i32", "address", INT],
  poll: ["i32", "address", "size", INT],
  pread: ["i32", FD, "address", "size", "size"],
  prctl: ["i32", INT, "size", "size", "size", "size"],
  prlimit: ["i32", INT, INT, "address", "address"],
  process_vm_readv: ["i32", INT, "address", "size", "address", "size", "size"],
  process_vm_writev: ["i32", INT, "address", "size", "address", "size", "size"],
  read: ["i32", FD, "address", "size"],
  readv: ["i32", FD, "address", INT],
  recv: ["i32", FD, "address", "size", INT],
  recvmmsg: ["i32", FD, "address", INT, INT, "address"],
  recvmsg: ["i32", FD, "address", INT],
  sched_yield: ["i32"],
  send: ["i32", FD, "address", "size", INT],
  sendmmsg: ["i32", FD, "address", INT, INT],
  sendmsg: ["i32", FD, "address", INT],
  setns: ["i32", FD, INT],
  setsockopt: ["i32", FD, INT, INT, "address", INT],
  shutdown: ["i32", FD, INT],
  sigaction: ["i32", INT, "address", "address"],
  socket: ["i32", INT, INT, INT],
  socketpair: ["i32", INT, INT, INT, "address"],
  statx: ["i32", FD, "address", INT, INT, "address"],
  syscall: ["i32", "size", "size", "size", "size", "size", "size", "size"],
  timerfd_create: ["i32", INT, INT],
  timerfd_settime: ["i32", FD, INT, "address", "address"],
  unlink: ["i32", "address"],
  write: ["i32", FD, "address", "size"],
  writev: ["i32", FD, "address", INT],
} as const satisfies Record<string, readonly [NativeType, ...NativeType[]]>;

export type SymbolName = keyof typeof SYMBOLS;
export type NativeCall = (...args: number[]) => number;
export type NativeSymbols = Readonly<Record<SymbolName, NativeCall>>;

/** What a runtime's loader gives: raw C functions and the three things only a runtime can do. */
export interface Native {
  readonly runtime: "bun" | "deno";
  readonly symbols: NativeSymbols;
  /** errno of this thread, positive. Meaningful only straight after a call that failed. */
  errno(): number;
  /** Address of the first octet. The caller keeps the buffer alive while the address is in use. */
  address(buffer: ArrayBufferLike | Uint8Array): number;
  /** A window on foreign memory. The caller keeps the mapping alive while the window is in use. */
  view(address: number, length: number): ArrayBuffer;
}
