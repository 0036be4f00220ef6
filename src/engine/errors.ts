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
  | "START"
  /** A setting is out of its range, or says something that is not there. */
  | "CONFIG"
  /** A frame of no octets, or one that no receive slot holds. */
  | "FRAME"
  /** A batch of frames while another one is in work. */
  | "BUSY"
  /** The network was disposed of. */
  | "DISPOSED"
  /** The engine, or what it was given, has failed while packets moved; `cause` says how. */
  | "FAILED";

/** An engine cannot be loaded, started or used so. The message is one line without a period. */
export class EngineError extends Error {
  override readonly name: string = "EngineError";
  readonly code: EngineErrorCode;

  constructor(code: EngineErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
