/**
 * Writes records (see `format.ts`) to a sink in pieces of FLUSH_SIZE or more, whole records each.
 * Never throws for what the sink does: the recording ends then, and `stopped` says why. Nothing is
 * allocated for a record unless it is the longest so far.
 */
import * as abi from "../../wasm/abi.ts";
import { Hash64 } from "../lib/hash64.ts";
import type { OutputSink } from "../lib/output-file.ts";
import { CopyBuffer, type NativeCopy } from "../link/copy-buffer.ts";
import type { LinkMemory } from "../link/link.ts";
import {
  abiHash,
  ENDINGS,
  FILE_HEADER_SIZE,
  FORMAT_VERSION,
  KIND,
  MAGIC,
  RECORD_HEADER_SIZE,
  RECORD_SIZE_MAX,
  type RecordingEnding,
} from "./format.ts";

const FLUSH_SIZE = 256 * 1024;
const SIZE_START = 2 * FLUSH_SIZE;
/** END without frames: kept free until the end. */
const END_SIZE = RECORD_HEADER_SIZE + 8;

export class RecordWriter {
  readonly #sink: OutputSink;
  readonly #limit: number;
  readonly #check = new Hash64();
  readonly #native: NativeCopy | undefined;
  #buffer: CopyBuffer;
  #words: Int32Array;
  /** Octets of whole records in the buffer, where the open record begins and how far it is. */
  #start = 0;
  #used = 0;
  #kind = 0;
  #flushed = 0;
  #stopped: "" | RecordingEnding | "error" = "";
  #failure: Error | undefined;

  /**
   * @param build hash of the engine's octets, 16 digits
   * @param limit octets of the file; records that would be beyond are left out
   * @param native copies where there are system calls
   */
  constructor(sink: OutputSink, build: string, limit: number, native?: NativeCopy) {
    this.#sink = sink;
    this.#limit = limit;
    this.#native = native;
    this.#buffer = new CopyBuffer(SIZE_START, native);
    this.#words = new Int32Array(this.#buffer.octets.buffer);
    const { octets, view } = this.#buffer;
    octets.set(MAGIC);
    view.setUint32(8, FORMAT_VERSION, true);
    view.setUint32(12, abi.ABI_VERSION, true);
    octets.set(new TextEncoder().encode(abiHash() + build), 16);
    this.#used = FILE_HEADER_SIZE;
    this.#start = FILE_HEADER_SIZE;
    this.#check.mixWords(this.#words, 0, FILE_HEADER_SIZE >> 2);
  }

  /** Why nothing is recorded any more; "" while it is. */
  get stopped(): "" | RecordingEnding | "error" {
    return this.#stopped;
  }

  /** What the sink has thrown. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Octets of the file so far, those in the buffer included. */
  get size(): number {
    return this.#flushed + this.#start;
  }

  begin(kind: number): void {
    this.#kind = kind;
    this.#used = this.#start;
    this.#reserve(RECORD_HEADER_SIZE);
    this.#used += RECORD_HEADER_SIZE;
  }

  word(value: number): void {
    this.#reserve(4);
    this.#words[this.#used >> 2] = value;
    this.#used += 4;
  }

  /** A time or deadline. */
  float(value: number): void {
    this.#reserve(8);
    this.#buffer.view.setFloat64(this.#used, value, true);
    this.#used += 8;
  }

  /** Octets, preceded by their number. */
  blob(octets: Uint8Array): void {
    const at = this.#blobOf(octets.length);
    this.#buffer.octets.set(octets, at);
  }

  /** The same for a part of engine memory. */
  part(memory: LinkMemory, from: number, length: number): void {
    const at = this.#blobOf(length);
    this.#buffer.copy(memory, from, length, at);
  }

  /** The same for the first `length` octets of words that are zero behind them. */
  words(words: Int32Array, length: number): void {
    const at = this.#blobOf(length) >> 2;
    for (let i = 0; i < (length + 3) >> 2; i += 1) this.#words[at + i] = words[i] ?? 0;
  }

  /** The record is whole. */
  commit(): void {
    if (this.#stopped !== "") return;
    const length = this.#used - this.#start - RECORD_HEADER_SIZE;
    const spare = this.#kind === KIND.end ? 0 : END_SIZE;
    const total = this.#flushed + this.#used + spare;
    if (length > RECORD_SIZE_MAX || total > this.#limit) {
      this.#end("limit");
      return;
    }
    this.#seal(length);
    if (this.#start >= FLUSH_SIZE) this.flush();
  }

  #seal(length: number): void {
    const first = this.#start >> 2;
    this.#words[first] = (length << 8) | this.#kind;
    this.#check.mix(this.#words[first] ?? 0);
    this.#check.mixWords(this.#words, first + 2, this.#used >> 2);
    this.#words[first + 1] = this.#check.low;
    this.#start = this.#used;
  }

  /** Hands what is buffered to the sink. */
  flush(): void {
    const length = this.#start;
    this.#start = 0;
    this.#used = 0;
    this.#flushed += length;
    if (length === 0 || this.#stopped === "error") return;
    try {
      this.#sink.write(this.#buffer.octets.subarray(0, length));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Ends the recording with what `finish` adds to its last record. Idempotent. */
  close(finish: () => void): void {
    if (this.#stopped === "") {
      this.begin(KIND.end);
      this.word(ENDINGS.indexOf("closed"));
      finish();
      this.commit();
      if (this.#stopped === "") this.#stopped = "closed";
    }
    this.flush();
    this.#closeSink();
  }

  #end(reason: RecordingEnding): void {
    this.begin(KIND.end);
    this.word(ENDINGS.indexOf(reason));
    this.word(0);
    this.#seal(END_SIZE - RECORD_HEADER_SIZE);
    this.#stopped = reason;
    this.flush();
    this.#closeSink();
  }

  #isClosed = false;

  #closeSink(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      this.#sink.close();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#stopped = "error";
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
  }

  /** Room for so many octets preceded by their number; returns where they go. */
  #blobOf(length: number): number {
    this.word(length);
    const size = (length + 3) & ~3;
    this.#reserve(size);
    if (size > 0) this.#words[(this.#used + size - 4) >> 2] = 0;
    const at = this.#used;
    this.#used += size;
    return at;
  }

  #reserve(size: number): void {
    const wanted = this.#used + size;
    const { octets } = this.#buffer;
    if (wanted <= octets.length) return;
    const larger = new CopyBuffer(2 ** Math.ceil(Math.log2(wanted)), this.#native);
    larger.octets.set(octets.subarray(0, this.#used));
    this.#buffer = larger;
    this.#words = new Int32Array(larger.octets.buffer);
  }
}
