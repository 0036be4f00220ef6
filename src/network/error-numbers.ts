/** Errors by name and by number. */
import * as errno from "../../wasm/errno.ts";

const NUMBERS: Readonly<Record<string, number>> = errno;

/** The number of an error that Linux and Node call so; EIO for a name that is none. */
export function errnoOf(code: unknown): number {
  return (typeof code === "string" ? NUMBERS[code] : undefined) ?? errno.EIO;
}

/** The number of a thrown value by its `code`, as Node's errors have one. */
export function errnoOfThrown(error: unknown): number {
  const hasCode = typeof error === "object" && error !== null && "code" in error;
  return errnoOf(hasCode ? error.code : undefined);
}
