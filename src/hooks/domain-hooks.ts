/**
 * What the hook services call: the work behind the protocol, injected by the command that serves.
 *
 * An implementation throws `HookError` for a caller's mistake; KubeVirt shows its text in an event
 * of the virtual machine. Any other error is a fault of this program: the caller gets INTERNAL, and
 * the details are in the log.
 */
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { escapeControls } from "../lib/controls.ts";
import type { Logger } from "../lib/log.ts";
import { CALL } from "./calls.ts";
import { HookError, type HookErrorCode } from "./domain/errors.ts";

export interface DomainHooks {
  /**
   * Returns the domain to define. `domain` is XML, `vmi` JSON of the VirtualMachineInstance, both
   * as they came. Called several times for one start, each time with another domain; throws
   * `HookError` when the request cannot be met. The signal aborts when the caller has gone.
   */
  onDefineDomain(
    domain: Uint8Array,
    vmi: Uint8Array,
    signal?: AbortSignal,
  ): Uint8Array | Promise<Uint8Array>;
  /** The virtual machine is gone. Must not wait for the server to close: the reply comes first. */
  shutdown(): Promise<void>;
}

const CODES: Readonly<Record<HookErrorCode, Code>> = Object.freeze({
  "invalid-argument": Code.InvalidArgument,
  "failed-precondition": Code.FailedPrecondition,
});

/** Longest error text sent; it travels in a header, whose size clients limit. */
const ERROR_TEXT_LENGTH_MAX = 1024;

/** Runs the work of one call; what it throws is turned into a `ConnectError`. */
export async function answer<T>(
  log: Logger,
  method: string,
  { values }: HandlerContext,
  work: () => Promise<T>,
): Promise<T> {
  const call = values.get(CALL);
  try {
    const result = await (call === undefined ? work() : call.work(work));
    log.debug({ method }, "hook answered");
    return result;
  } catch (error) {
    if (error instanceof HookError) {
      if (call?.mayLog() !== false)
        log.warn({ method, code: error.code, err: error }, "hook refused");
      throw new ConnectError(errorText(error.message), CODES[error.code]);
    }
    if (call?.mayLog() !== false) log.error({ method, err: error }, "hook failed");
    throw new ConnectError("internal error, see the log of the sidecar", Code.Internal);
  }
}

/** One line of limited length, without control characters, that fits in a header. */
function errorText(message: string): string {
  const line = escapeControls(message.replace(/\s+/g, " ").trim()).toWellFormed();
  if (line.length <= ERROR_TEXT_LENGTH_MAX) return line;
  // The cut may split a surrogate pair.
  return `${line.slice(0, ERROR_TEXT_LENGTH_MAX - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}
