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
  readonly #reader: OctetReader;
  readonly #length: BodyLength;
  readonly #max: number;
  #total = 0;
  /** Octets of the body, or of the chunk under way, that are still to come. */
  #left: number;
  #isFirstChunk = true;

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
  async next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
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
    this.#total += octets;
    if (this.#total > this.#max) throw new HttpError(413, "body too large");
  }

  /**
   * As a stream that reads nothing ahead.
   * @param onCancel nobody wants the rest
   */
  stream(
    onCancel: () => void,
    onEnd: () => void = () => {},
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        pull: async (controller) => {
          const piece = await this.next();
          if (piece !== undefined) controller.enqueue(piece);
          if (this.isComplete) {
            controller.close();
            onEnd();
          }
        },
        cancel: onCancel,
      },
      { highWaterMark: 0 },
    );
  }

  /** Reads what is left over, up to `max` octets; whether that was all. */
  async drain(max: number): Promise<boolean> {
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
