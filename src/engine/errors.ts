/**
 * The one kind of failure that loading and starting an engine has. Nothing here happens while
 * packets flow: a bad packet is a counter, and a trap is a `WebAssembly.RuntimeError`.
 */

/** What is wrong with the engine or with how it was started; stable, for programs. */
export type EngineErrorCode =
  /** The octets are no WebAssembly module this runtime can compile. */
  | "MODULE"
  /** The module wants imports; an engine has none. */
  | "IMPORTS"
  /** An export is missing or has another shape. */
  | "EXPORTS"
  /** The memory can grow, so its views and its address in the process would not stay valid. */
  | "MEMORY"
  /** The control block is not one, or of another ABI version. */
  | "ABI"
  /** The region table points outside the memory, overlaps or has other sizes than the ABI says. */
  | "REGIONS"
  /** The engine was started twice, or it refused its configuration. */
  | "START";

/** An engine cannot be loaded or started. The message is one line without a trailing period. */
export class EngineError extends Error {
  override readonly name: string = "EngineError";
  readonly code: EngineErrorCode;

  constructor(code: EngineErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
