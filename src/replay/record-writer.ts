/**
 * Writes records (see `format.ts`) to a sink in pieces of 1 MiB or more. Never throws for what the
 * sink does: the recording ends then, and `stopped` says why.
 */
import * as abi from "../../wasm/abi.ts";
import { Hash64 } from "../lib/hash64.ts";
import type { OutputSink } from "../lib/output-file.ts";
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

const FLUSH_SIZE = 1 << 20;
const SIZE_START = 2 * FLUSH_SIZE;
/** END without frames: kept free until the end. */
const END_SIZE = RECORD_HEADER_SIZE + 8;

export class RecordWriter {
  readonly #sink: OutputSink;
  readonly #limit: number;
  readonly #check = new Hash64();
  #octets = new Uint8Array(SIZE_START);
  #view = new DataView(this.#octets.buffer);
  #words = new Int32Array(this.#octets.buffer);
  /** Octets of whole records in the buffer, where the open record begins and how far it is. */
  #start = 0;
  #used = 0;
  #kind = 0;
  #flushed = 0;
  #stopped: "" | RecordingEnding | "error" = "";

  /**
   * @param build hash of the engine's octets, 16 digits
   * @param limit octets of the file; records that would be beyond are left out
   */
  constructor(sink: OutputSink, build: string, limit: number) {
    this.#sink = sink;
    this.#limit = limit;
    this.#octets.set(MAGIC);
    this.#view.setUint32(8, FORMAT_VERSION, true);
    this.#view.setUint32(12, abi.ABI_VERSION, true);
    this.#octets.set(new TextEncoder().encode(abiHash() + build), 16);
    this.#used = FILE_HEADER_SIZE;
    this.#start = FILE_HEADER_SIZE;
    this.#check.mixWords(this.#words, 0, FILE_HEADER_SIZE >> 2);
  }

  /** Why nothing is recorded any more; "" while it is. */
  get stopped(): "" | RecordingEnding | "error" {
    return this.#stopped;
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
    this.#view.setFloat64(this.#used, value, true);
    this.#used += 8;
  }

  /** Octets, preceded by their number. */
  blob(octets: Uint8Array): void {
    this.word(octets.length);
    const size = (octets.length + 3) & ~3;
    this.#reserve(size);
    if (size > 0) this.#words[(this.#used + size - 4) >> 2] = 0;
    this.#octets.set(octets, this.#used);
    this.#used += size;
  }

  /** The record is whole. */
  commit(): void {
    if (this.#stopped !== "") return;
    const length = this.#used - this.#start - RECORD_HEADER_SIZE;
    const total = this.#flushed + this.#used;
    if (length > RECORD_SIZE_MAX || total + END_SIZE > this.#limit) {
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
      this.#sink.write(this.#octets.subarray(0, length));
    } catch {
      this.#stopped = "error";
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
    } catch {
      this.#stopped = "error";
    }
  }

  #reserve(size: number): void {
    const wanted = this.#used + size;
    if (wanted <= this.#octets.length) return;
    const larger = new Uint8Array(2 ** Math.ceil(Math.log2(wanted)));
    larger.set(this.#octets.subarray(0, this.#used));
    this.#octets = larger;
    this.#view = new DataView(larger.buffer);
    this.#words = new Int32Array(larger.buffer);
  }
}
