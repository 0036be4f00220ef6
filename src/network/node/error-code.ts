/** Errors of Node's sockets by the names that an upstream tells them by. */
import { type ErrorCode, isErrorCode } from "../error-numbers.ts";

/** The code of an error; EIO for what the runtime has a name of its own for. */
export function codeOf(error: unknown): ErrorCode {
  if (typeof error !== "object" || error === null || !("code" in error)) return "EIO";
  const { code } = error;
  return typeof code === "string" && isErrorCode(code) ? code : "EIO";
}
