/**
 * Bodies of HTTP/1.1 messages as streams, read when they are asked for. Source: RFC 9112 §6, §7.
 */
import type { BodyLength } from "./http-head.ts";
import { HttpError, lineOf } from "./http-head.ts";
import { EndError, type OctetReader } from "./octet-reader.ts";

const PIECE_MAX = 64 * 1024;
/** A line with a chunk's size and extensions; all trailers. */
const CHUNK_LINE_MAX = 1024;
const TRAILERS_MAX = 16 * 1024;
const CHUNK_SIZE = /^([0-9A-Fa-f]{1,8})[\t ]*(?:;.*)?$/;

export class HttpBody {
  /** Everything of it was read. */
  isComplete: boolean;
  /** Called before the first octet is asked for. */
  onRead: (() => Promise<void>) | undefined;
  /** Called once its stream is of no more use; whether that has given everything. */
  onOver: ((isWhole: boolean) => void) | undefined;
  /** Octets that were read. */
  total = 0;
  readonly #reader: OctetReader;
  readonly #length: BodyLength;
  readonly #max: number;
  /** Octets of the body, or of the chunk under way, that are still to come. */
  #left: number;
  #isFirstChunk = true;
  #stream: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  #isOver = false;
  #isWithdrawn = false;
  /** The latest reading; one that its stream's reader gave up may still be under way. */
  #reading: Promise<unknown> | undefined;

  /** @param max octets beyond which it is refused (413) */
  constructor(reader: OctetReader, length: BodyLength, max = Number.POSITIVE_INFINITY) {
    this.#reader = reader;
    this.#length = length;
    this.#max = max;
    this.#left = typeof length === "number" ? length : 0;
    this.isComplete = length === 0;
    if (typeof length === "number" && length > max) throw new HttpError(413, "body too large");
  }

  /**
   * The next octets; undefined = the end. Throws `HttpError` for a malformed body, `EndError` for
   * one that is cut short.
   */
  next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const reading = this.#next();
    this.#reading = reading;
    return reading;
  }

  async #next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.isComplete) return undefined;
    const before = this.onRead;
    this.onRead = undefined;
    await before?.();
    if (this.#length === "close") return this.#untilClose();
    if (this.#length === "chunked" && this.#left === 0 && !(await this.#nextChunk())) {
      return undefined;
    }
    const piece = await this.#reader.piece(Math.min(this.#left, PIECE_MAX));
    if (piece === undefined) throw new EndError("the body is cut short");
    this.#left -= piece.length;
    this.#count(piece.length);
    if (this.#left === 0 && this.#length !== "chunked") this.isComplete = true;
    return piece;
  }

  async #untilClose(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const piece = await this.#reader.piece(PIECE_MAX);
    if (piece === undefined) this.isComplete = true;
    else this.#count(piece.length);
    return piece;
  }

  /** Whether there is another chunk; reads the trailers after the last one. */
  async #nextChunk(): Promise<boolean> {
    if (!this.#isFirstChunk && (await lineOf(this.#reader, 1, 400)) !== "") {
      throw new HttpError(400, "a chunk does not end with CR LF");
    }
    this.#isFirstChunk = false;
    const match = CHUNK_SIZE.exec(await lineOf(this.#reader, CHUNK_LINE_MAX, 400));
    if (match === null) throw new HttpError(400, "malformed size of a chunk");
    this.#left = Number.parseInt(match[1] ?? "", 16);
    if (this.#left > 0) return true;
    let room = TRAILERS_MAX;
    for (let line = " "; line !== ""; room -= line.length) {
      line = await lineOf(this.#reader, Math.max(0, room), 431);
    }
    this.isComplete = true;
    return false;
  }

  #count(octets: number): void {
    this.total += octets;
    if (this.total > this.#max) throw new HttpError(413, "body too large");
  }

  /** As a stream that reads nothing ahead. */
  stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    this.#stream = new ReadableStream<Uint8Array<ArrayBuffer>>(
      { pull: (controller) => this.#pull(controller), cancel: () => this.#over(false) },
      { highWaterMark: 0 },
    );
    return this.#stream;
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    try {
      if (this.#isWithdrawn) throw new Error("the request was answered before its body was read");
      const piece = await this.next();
      if (this.#isOver) return; // cancelled meanwhile
      if (piece !== undefined) controller.enqueue(piece);
      if (!this.isComplete) return;
      controller.close();
    } catch (error) {
      this.#over(false);
      throw error;
    }
    this.#over(true);
  }

  #over(isWhole: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.onOver?.(isWhole);
  }

  /**
   * Whether somebody may be reading its stream. Whoever reads one has it locked, clones and what is
   * made of it included.
   */
  get isHeld(): boolean {
    return this.#stream?.locked === true && !this.#isOver;
  }

  /** What is left over is not for its stream: who reads that from now on gets an error. */
  withdraw(): void {
    this.#isWithdrawn = true;
  }

  /** Reads what is left over, up to `max` octets; whether that was all. */
  async drain(max: number): Promise<boolean> {
    await this.#reading;
    let room = max;
    while (!this.isComplete && room >= 0) room -= (await this.next())?.length ?? 0;
    return this.isComplete;
  }

  /** All of it at once. Throws `HttpError` 413 beyond `max` octets. */
  async whole(max: number): Promise<Uint8Array<ArrayBuffer>> {
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    let size = 0;
    for (let piece = await this.next(); piece !== undefined; piece = await this.next()) {
      size += piece.length;
      if (size > max) throw new HttpError(413, "body too large");
      pieces.push(piece);
    }
    return new Uint8Array(await new Blob(pieces).arrayBuffer());
  }
}
