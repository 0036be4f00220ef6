/**
 * errno of Linux: number to name and text, and the one error that set-up code throws.
 *
 * Hot calls return the negative number; set-up code turns it into a `SystemError` with `check`.
 * Numbers are those of asm-generic/errno.h, shared by x86_64 and arm64.
 */

export const EPERM = 1;
export const ENOENT = 2;
export const ESRCH = 3;
export const EINTR = 4;
export const EIO = 5;
export const ENOEXEC = 8;
export const EBADF = 9;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EFAULT = 14;
export const EBUSY = 16;
export const EEXIST = 17;
export const EXDEV = 18;
export const ENODEV = 19;
export const ENOTDIR = 20;
export const EISDIR = 21;
export const EINVAL = 22;
export const ENFILE = 23;
export const EMFILE = 24;
export const ENOSPC = 28;
export const EPIPE = 32;
export const ENAMETOOLONG = 36;
export const ENOSYS = 38;
export const ELOOP = 40;
export const EPROTO = 71;
export const EBADFD = 77;
export const EMSGSIZE = 90;
export const EOPNOTSUPP = 95;
export const EAFNOSUPPORT = 97;
export const EADDRINUSE = 98;
export const EADDRNOTAVAIL = 99;
export const ENETUNREACH = 101;
export const ECONNABORTED = 103;
export const ECONNRESET = 104;
export const ENOBUFS = 105;
export const ENOTCONN = 107;
export const ETIMEDOUT = 110;
export const ECONNREFUSED = 111;
export const EHOSTUNREACH = 113;
export const EALREADY = 114;
export const EINPROGRESS = 115;

/** Name and, where a user may meet it, what it says to them. */
const TABLE: Readonly<Record<number, readonly [name: string, text: string]>> = {
  1: ["EPERM", "not permitted"],
  2: ["ENOENT", "no such file or directory"],
  3: ["ESRCH", "no such process"],
  4: ["EINTR", "interrupted by a signal"],
  5: ["EIO", "input or output failed"],
  6: ["ENXIO", "no such device or address"],
  7: ["E2BIG", "argument list is too long"],
  8: ["ENOEXEC", "no program"],
  9: ["EBADF", "not an open descriptor"],
  10: ["ECHILD", "no child process"],
  11: ["EAGAIN", "not ready, try again"],
  12: ["ENOMEM", "out of memory"],
  13: ["EACCES", "permission denied"],
  14: ["EFAULT", "bad address"],
  16: ["EBUSY", "device or resource is busy"],
  17: ["EEXIST", "exists already"],
  18: ["EXDEV", "crosses a file system border"],
  19: ["ENODEV", "no such device"],
  20: ["ENOTDIR", "not a directory"],
  21: ["EISDIR", "is a directory"],
  22: ["EINVAL", "invalid argument"],
  23: ["ENFILE", "the system has too many open files"],
  24: ["EMFILE", "this process has too many open files"],
  25: ["ENOTTY", "the device does not know this request"],
  27: ["EFBIG", "file is too large"],
  28: ["ENOSPC", "no space left on the device"],
  29: ["ESPIPE", "cannot seek"],
  30: ["EROFS", "file system is read-only"],
  32: ["EPIPE", "the other side has closed"],
  34: ["ERANGE", "result is out of range"],
  36: ["ENAMETOOLONG", "name is too long"],
  38: ["ENOSYS", "this kernel does not have the call"],
  40: ["ELOOP", "too many symbolic links"],
  42: ["ENOMSG", "no message of that type"],
  71: ["EPROTO", "protocol error"],
  75: ["EOVERFLOW", "value is too large"],
  77: ["EBADFD", "descriptor is in a bad state"],
  88: ["ENOTSOCK", "not a socket"],
  89: ["EDESTADDRREQ", "destination address is missing"],
  90: ["EMSGSIZE", "message is too long"],
  91: ["EPROTOTYPE", "wrong protocol for this socket"],
  92: ["ENOPROTOOPT", "protocol option is not available"],
  93: ["EPROTONOSUPPORT", "protocol is not supported"],
  94: ["ESOCKTNOSUPPORT", "socket type is not supported"],
  95: ["EOPNOTSUPP", "operation is not supported"],
  97: ["EAFNOSUPPORT", "address family is not supported"],
  98: ["EADDRINUSE", "address in use"],
  99: ["EADDRNOTAVAIL", "address is not one of this host"],
  100: ["ENETDOWN", "network is down"],
  101: ["ENETUNREACH", "network is unreachable"],
  102: ["ENETRESET", "network dropped the connection"],
  103: ["ECONNABORTED", "connection was aborted"],
  104: ["ECONNRESET", "connection was reset by the peer"],
  105: ["ENOBUFS", "no buffer space left"],
  106: ["EISCONN", "socket is connected already"],
  107: ["ENOTCONN", "socket is not connected"],
  108: ["ESHUTDOWN", "socket was shut down"],
  110: ["ETIMEDOUT", "timed out"],
  111: ["ECONNREFUSED", "connection refused"],
  112: ["EHOSTDOWN", "host is down"],
  113: ["EHOSTUNREACH", "host is unreachable"],
  114: ["EALREADY", "operation is under way already"],
  115: ["EINPROGRESS", "operation has begun"],
  116: ["ESTALE", "file handle is stale"],
  122: ["EDQUOT", "disk quota is used up"],
  125: ["ECANCELED", "operation was cancelled"],
};

/** `ECONNREFUSED` for 111; takes the number with either sign. */
export function errnoName(errno: number): string {
  return TABLE[Math.abs(errno)]?.[0] ?? `E${Math.abs(errno)}`;
}

/** What to tell a user; takes the number with either sign. */
export function errnoText(errno: number): string {
  return TABLE[Math.abs(errno)]?.[1] ?? `system error ${Math.abs(errno)}`;
}

/** The call failed only for now: the same call may work later without anything else changing. */
export function isRetryable(errno: number): boolean {
  const number = Math.abs(errno);
  return number === EAGAIN || number === EINTR;
}

/** A failed system call of set-up code. */
export class SystemError extends Error {
  override readonly name = "SystemError";
  /** Positive errno. */
  readonly errno: number;
  /** Its name, as `code` of Node's own errors. */
  readonly code: string;

  /**
   * @param action what was tried, imperative, with quotes round values
   * @param remedy what to do about it, imperative
   */
  constructor(action: string, errno: number, remedy?: string) {
    const advice = remedy === undefined ? "" : `; ${remedy}`;
    super(`${action}: ${errnoText(errno)} (${errnoName(errno)})${advice}`);
    this.errno = Math.abs(errno);
    this.code = errnoName(errno);
  }
}

/** What to do about an error, by its number. */
export type Remedies = Readonly<Record<number, string>>;

/**
 * Passes a result of zero or more through.
 * @throws SystemError where it is a negative errno
 */
export function check(result: number, action: string, remedies?: Remedies): number {
  if (result < 0) throw new SystemError(action, result, remedies?.[-result]);
  return result;
}
