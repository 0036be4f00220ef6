/** Errors of Node's sockets by the names that an upstream tells them by. */
import * as errno from "../../../wasm/errno.ts";
import type { ErrorCode } from "../upstream.ts";

const KNOWN: ReadonlySet<string> = new Set(Object.keys(errno));

/** The code of an error; EIO for what the runtime has a name of its own for. */
export function codeOf(error: unknown): ErrorCode {
  if (typeof error !== "object" || error === null || !("code" in error)) return "EIO";
  const { code } = error;
  return typeof code === "string" && isKnown(code) ? code : "EIO";
}

function isKnown(code: string): code is ErrorCode {
  return KNOWN.has(code);
}
