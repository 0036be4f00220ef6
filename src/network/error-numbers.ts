/** Errors that an upstream may name, by name and by number. */
import * as errno from "../../wasm/errno.ts";

/** Those of sockets; a table of its own, so that a package carries no others. */
const NUMBERS = {
  EACCES: errno.EACCES,
  EADDRINUSE: errno.EADDRINUSE,
  EADDRNOTAVAIL: errno.EADDRNOTAVAIL,
  EAFNOSUPPORT: errno.EAFNOSUPPORT,
  ECONNABORTED: errno.ECONNABORTED,
  ECONNREFUSED: errno.ECONNREFUSED,
  ECONNRESET: errno.ECONNRESET,
  EHOSTDOWN: errno.EHOSTDOWN,
  EHOSTUNREACH: errno.EHOSTUNREACH,
  EINVAL: errno.EINVAL,
  EIO: errno.EIO,
  EMFILE: errno.EMFILE,
  EMSGSIZE: errno.EMSGSIZE,
  ENETDOWN: errno.ENETDOWN,
  ENETUNREACH: errno.ENETUNREACH,
  ENOBUFS: errno.ENOBUFS,
  ENOMEM: errno.ENOMEM,
  ENOTCONN: errno.ENOTCONN,
  EPERM: errno.EPERM,
  EPIPE: errno.EPIPE,
  EPROTO: errno.EPROTO,
  ETIMEDOUT: errno.ETIMEDOUT,
} as const;

/** Why something failed, as Linux and Node call it: `ECONNREFUSED`, `EHOSTUNREACH`, … */
export type ErrorCode = keyof typeof NUMBERS;

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(NUMBERS, code);
}

/** The `code` of a thrown value, as Node's errors have one; EIO for what is none of these. */
export function codeOf(error: unknown): ErrorCode {
  if (typeof error !== "object" || error === null || !("code" in error)) return "EIO";
  const { code } = error;
  return typeof code === "string" && isErrorCode(code) ? code : "EIO";
}

/** The number of an error that Linux and Node call so; EIO for a name that is none of these. */
export function errnoOf(code: unknown): number {
  return typeof code === "string" && isErrorCode(code) ? NUMBERS[code] : errno.EIO;
}

/** The number of a thrown value by its `code`. */
export function errnoOfThrown(error: unknown): number {
  return NUMBERS[codeOf(error)];
}
