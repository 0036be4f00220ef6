/**
 * Reads records (see `format.ts`) out of a file that may be anything: each length is checked before
 * it is believed, and what is wrong is told with its place in the file.
 */
import * as abi from "../../wasm/abi.ts";
import { Hash64 } from "../lib/hash64.ts";
import {
  abiHash,
  FILE_HEADER_SIZE,
  FORMAT_VERSION,
  HASH_SIZE,
  MAGIC,
  RECORD_HEADER_SIZE,
  RecordingError,
} from "./format.ts";

/** Where a recording is read from. */
export interface RecordingSource {
  /** Fills `target` from its start as far as there are octets; returns how many. May throw. */
  read(target: Uint8Array): number;
}

const SIZE_START = 65_536;

/** One record at a time: `next` reads it, the other methods take its content in order. */
export class RecordReader {
  /** Hash of the octets of the engine that was recorded. */
  readonly build: string;
  readonly #source: RecordingSource;
  readonly #check = new Hash64();
  #octets = new Uint8Array(SIZE_START);
  #words = new Int32Array(this.#octets.buffer);
  #view = new DataView(this.#octets.buffer);
  /** Place in the file of the record, and of what follows it. */
  #offset = 0;
  #following = 0;
  #at = 0;
  #end = 0;

  /** @throws RecordingError for a file that is no recording, or one for another ABI */
  constructor(source: RecordingSource) {
    this.#source = source;
    const got = this.#fill(0, FILE_HEADER_SIZE);
    const isOurs = MAGIC.every((octet, i) => this.#octets[i] === octet);
    if (got < MAGIC.length || !isOurs) throw new RecordingError("it is not a recording", 0);
    if (got < FILE_HEADER_SIZE) throw this.#short(got);
    const version = this.#view.getUint32(8, true);
    if (version !== FORMAT_VERSION) {
      const wanted = `wanted "${FORMAT_VERSION}"`;
      throw new RecordingError(`refuse a recording of version "${version}": ${wanted}`, 8);
    }
    const abiVersion = this.#view.getUint32(12, true);
    if (abiVersion !== abi.ABI_VERSION) {
      const wanted = `wanted "${abi.ABI_VERSION}"`;
      throw new RecordingError(`refuse a recording of ABI version "${abiVersion}": ${wanted}`, 12);
    }
    const text = (at: number): string =>
      String.fromCharCode(...this.#octets.subarray(at, at + HASH_SIZE));
    if (text(16) !== abiHash()) {
      throw new RecordingError("refuse a recording of an engine with another memory layout", 16);
    }
    this.build = text(16 + HASH_SIZE);
    this.#following = FILE_HEADER_SIZE;
    this.#check.mixWords(this.#words, 0, FILE_HEADER_SIZE >> 2);
  }

  /** Place of the record in the file. */
  get offset(): number {
    return this.#offset;
  }

  /** Octets of the record that were not taken. */
  get left(): number {
    return this.#end - this.#at;
  }

  /** Reads the next record and returns its kind. @throws RecordingError */
  next(): number {
    this.#offset = this.#following;
    const got = this.#fill(0, RECORD_HEADER_SIZE);
    if (got < RECORD_HEADER_SIZE) throw this.#short(this.#offset + got);
    const first = this.#words[0] ?? 0;
    const check = this.#words[1] ?? 0;
    const length = first >>> 8;
    // At most RECORD_SIZE_MAX: what the 24 bits of a length hold in whole words.
    if (length % 4 !== 0) throw this.#damaged();
    const body = this.#fill(RECORD_HEADER_SIZE, length);
    if (body < length) throw this.#short(this.#offset + RECORD_HEADER_SIZE + body);
    this.#at = RECORD_HEADER_SIZE;
    this.#end = RECORD_HEADER_SIZE + length;
    this.#following = this.#offset + this.#end;
    this.#check.mix(first);
    this.#check.mixWords(this.#words, this.#at >> 2, this.#end >> 2);
    if (this.#check.low !== check) throw this.#damaged();
    return first & 0xff;
  }

  /** Says that nothing may follow. @throws RecordingError */
  finish(): void {
    if (this.#fill(0, 1) > 0) {
      throw new RecordingError("octets follow the end of the recording", this.#following);
    }
  }

  /** A word, as a number of at least 0. */
  word(): number {
    return this.integer() >>> 0;
  }

  /** A word with a sign. */
  integer(): number {
    const at = this.#take(4);
    return this.#words[at >> 2] ?? 0;
  }

  float(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  /** Octets that stay valid until `next`. */
  blob(max: number): Uint8Array {
    const length = this.word();
    if (length > max) throw this.wrong(`${length} octets, at most ${max} can be`);
    const at = this.#take((length + 3) & ~3);
    return this.#octets.subarray(at, at + length);
  }

  /** An error about what is in this record. */
  wrong(problem: string): RecordingError {
    return new RecordingError(`the recording contradicts itself: ${problem}`, this.#offset);
  }

  #take(size: number): number {
    const at = this.#at;
    if (at + size > this.#end) throw this.wrong("a record is shorter than what it holds");
    this.#at += size;
    return at;
  }

  #damaged(): RecordingError {
    return new RecordingError("the recording is damaged", this.#offset);
  }

  #short(at: number): RecordingError {
    return new RecordingError("the recording is cut short", at);
  }

  /** Reads up to `size` octets to `at` of the buffer. */
  #fill(at: number, size: number): number {
    this.#grow(at + size);
    let got = 0;
    while (got < size) {
      const part = this.#source.read(this.#octets.subarray(at + got, at + size));
      if (part <= 0) break;
      got += part;
    }
    return got;
  }

  #grow(size: number): void {
    if (size <= this.#octets.length) return;
    const larger = new Uint8Array(2 ** Math.ceil(Math.log2(size)));
    larger.set(this.#octets);
    this.#octets = larger;
    this.#words = new Int32Array(larger.buffer);
    this.#view = new DataView(larger.buffer);
  }
}
