/**
 * errno of Linux: number to name and text, and the one error that set-up code throws.
 *
 * Hot calls return the negative number; set-up code turns it into a `SystemError` with `check`.
 * The numbers are in `wasm/errno.ts`.
 */
import * as numbers from "../../wasm/errno.ts";

export * from "../../wasm/errno.ts";

/** What the number says to a user, by its name. */
const TEXTS: Readonly<Record<keyof typeof numbers, string>> = {
  EPERM: "not permitted",
  ENOENT: "no such file or directory",
  ESRCH: "no such process",
  EINTR: "interrupted by a signal",
  EIO: "input or output failed",
  ENXIO: "no such device or address",
  E2BIG: "argument list is too long",
  ENOEXEC: "no program",
  EBADF: "not an open descriptor",
  ECHILD: "no child process",
  EAGAIN: "not ready, try again",
  ENOMEM: "out of memory",
  EACCES: "permission denied",
  EFAULT: "bad address",
  EBUSY: "device or resource is busy",
  EEXIST: "exists already",
  EXDEV: "crosses a file system border",
  ENODEV: "no such device",
  ENOTDIR: "not a directory",
  EISDIR: "is a directory",
  EINVAL: "invalid argument",
  ENFILE: "the system has too many open files",
  EMFILE: "this process has too many open files",
  ENOTTY: "the device does not know this request",
  EFBIG: "file is too large",
  ENOSPC: "no space left on the device",
  ESPIPE: "cannot seek",
  EROFS: "file system is read-only",
  EPIPE: "the other side has closed",
  ERANGE: "result is out of range",
  ENAMETOOLONG: "name is too long",
  ENOSYS: "this kernel does not have the call",
  ELOOP: "too many symbolic links",
  ENOMSG: "no message of that type",
  EPROTO: "protocol error",
  EOVERFLOW: "value is too large",
  EBADFD: "descriptor is in a bad state",
  ENOTSOCK: "not a socket",
  EDESTADDRREQ: "destination address is missing",
  EMSGSIZE: "message is too long",
  EPROTOTYPE: "wrong protocol for this socket",
  ENOPROTOOPT: "protocol option is not available",
  EPROTONOSUPPORT: "protocol is not supported",
  ESOCKTNOSUPPORT: "socket type is not supported",
  EOPNOTSUPP: "operation is not supported",
  EAFNOSUPPORT: "address family is not supported",
  EADDRINUSE: "address in use",
  EADDRNOTAVAIL: "address is not one of this host",
  ENETDOWN: "network is down",
  ENETUNREACH: "network is unreachable",
  ENETRESET: "network dropped the connection",
  ECONNABORTED: "connection was aborted",
  ECONNRESET: "connection was reset by the peer",
  ENOBUFS: "no buffer space left",
  EISCONN: "socket is connected already",
  ENOTCONN: "socket is not connected",
  ESHUTDOWN: "socket was shut down",
  ETIMEDOUT: "timed out",
  ECONNREFUSED: "connection refused",
  EHOSTDOWN: "host is down",
  EHOSTUNREACH: "host is unreachable",
  EALREADY: "operation is under way already",
  EINPROGRESS: "operation has begun",
  ESTALE: "file handle is stale",
  EDQUOT: "disk quota is used up",
  ECANCELED: "operation was cancelled",
};

const NAMES: ReadonlyMap<number, keyof typeof numbers> = new Map(
  (Object.entries(numbers) as [keyof typeof numbers, number][]).map(([name, n]) => [n, name]),
);

/** `ECONNREFUSED` for 111; takes the number with either sign. */
export function errnoName(errno: number): string {
  return NAMES.get(Math.abs(errno)) ?? `E${Math.abs(errno)}`;
}

/** What to tell a user; takes the number with either sign. */
export function errnoText(errno: number): string {
  const name = NAMES.get(Math.abs(errno));
  return name === undefined ? `system error ${Math.abs(errno)}` : TEXTS[name];
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
