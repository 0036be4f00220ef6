/**
 * Errors that refuse a hook call. Contract: the message is one short line with the interface and
 * the invalid value in quotes, without a trailing period; KubeVirt shows it to the VM's owner in a
 * `SyncFailed` event. The code says which gRPC status it is sent with.
 */
import { ConfigError, quote } from "../../config/errors.ts";

/** `invalid-argument`: the input itself is wrong. `failed-precondition`: it cannot be done here. */
export type HookErrorCode = "invalid-argument" | "failed-precondition";

/** Input that cannot be served. Any other error is a fault of this program. */
export class HookError extends Error {
  override readonly name: string = "HookError";
  readonly code: HookErrorCode;

  constructor(code: HookErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The input itself is wrong. */
export function invalid(message: string): HookError {
  return new HookError("invalid-argument", message);
}

/** The input is well-formed, but this program cannot do what it asks for. */
export function unsupported(message: string): HookError {
  return new HookError("failed-precondition", message);
}

/** Runs `read`; a `ConfigError` becomes a `HookError` whose message begins with `what`. */
export function withContext<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ConfigError) throw invalid(`${what}: ${error.message}`);
    throw error;
  }
}

const QUOTED_SIZE_MAX = 80;

/** Quotes a value of any size, truncated to `QUOTED_SIZE_MAX` characters. */
export function quoteTruncated(value: string): string {
  return quote(value.length > QUOTED_SIZE_MAX ? `${value.slice(0, QUOTED_SIZE_MAX)}…` : value);
}
