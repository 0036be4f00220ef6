/**
 * What the hook services call: the work behind the protocol, injected by the command that serves.
 *
 * An implementation tells a caller's mistake by throwing `HookError`; its text is shown to users as
 * an event of the virtual machine. Whatever else it throws is our fault: the caller learns only
 * that, and the log has the rest.
 */
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { escapeControls, type Logger } from "../lib/log.ts";
import { CALL } from "./calls.ts";
import { HookError, type HookErrorCode } from "./domain/errors.ts";

export interface DomainHooks {
  /**
   * Returns the domain to define. `domain` is XML, `vmi` JSON of the VirtualMachineInstance, both
   * as they came. Called several times for one start, each time with another domain; throws
   * `HookError` when the request cannot be met. Nobody waits for it once the signal is aborted.
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
export const ERROR_TEXT_LENGTH_MAX = 1024;

/** Does the work of one call, so that only errors of the protocol leave it. */
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
      const isNews = call?.mayLog() !== false;
      if (isNews) log.warn({ method, code: error.code, err: error }, "hook refused");
      throw new ConnectError(errorText(error.message), CODES[error.code]);
    }
    if (call?.mayLog() !== false) log.error({ method, err: error }, "hook failed");
    throw new ConnectError("internal error, see the log of the sidecar", Code.Internal);
  }
}

/** One line of limited length that every header can carry and no terminal obeys. */
function errorText(message: string): string {
  const line = escapeControls(message.replace(/\s+/g, " ").trim()).toWellFormed();
  if (line.length <= ERROR_TEXT_LENGTH_MAX) return line;
  // The cut may go through a pair of surrogates.
  return `${line.slice(0, ERROR_TEXT_LENGTH_MAX - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}
