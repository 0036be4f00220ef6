/**
 * A TCP connection whose far side is this very program: one end is a socket of an upstream, the
 * other a pair of web streams.
 *
 *     guest ── engine ──send──▶ [ at most ROOM ] ──▶ readable
 *                     ◀receive─ [ at most ROOM ] ◀── writable
 *
 * Each way holds at most ROOM octets, and one chunk of the writer beyond it: a reader that does not
 * read stops the guest, a guest that does not read has the writer wait.
 */
import { joined } from "../upstream/messages.ts";
import { ChunkQueue } from "./chunk-queue.ts";
import { END, type ErrorCode, type TcpEvents, type TcpSocket } from "./upstream.ts";

/** Octets that wait each way. */
const ROOM = 512 * 1024;

/** A connection as a program has it. */
export interface Connection {
  /** What the guest sends; ends with the guest's last octet, fails where the connection does. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** What the guest gets; closing it tells the guest that nothing follows (half-close). */
  readonly writable: WritableStream<Uint8Array>;
  /** Resets the connection. */
  abort(): void;
}

/** A connection that was ended by the other side or by the network. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode) {
    super(`the connection has failed: ${code}`);
    this.code = code;
  }
}

export class StreamPair implements TcpSocket {
  readonly connection: Connection;
  #events: TcpEvents | undefined;
  // Towards the program.
  #toReader: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined;
  #readerEnded = false;
  #senderWaits = false;
  // Towards the guest.
  readonly #chunks = new ChunkQueue();
  #hasEnded = false;
  #toWriter: WritableStreamDefaultController | undefined;
  #writerWaits: (() => void) | undefined;
  #isOver = false;

  constructor() {
    const readable = new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        start: (controller) => {
          this.#toReader = controller;
        },
        pull: () => this.#room(),
        cancel: () => this.#reset("ECONNRESET"),
      },
      { highWaterMark: ROOM, size: (chunk) => chunk?.length ?? 0 },
    );
    const writable = new WritableStream<Uint8Array>({
      start: (controller) => {
        this.#toWriter = controller;
      },
      write: (chunk) => this.#write(chunk),
      close: () => this.#end(),
      abort: () => this.#reset("ECONNRESET"),
    });
    this.connection = { readable, writable, abort: () => this.#reset("ECONNRESET") };
  }

  /** Ties it to its flow, which it tells that the connection is up. */
  open(events: TcpEvents): this {
    if (this.#isOver) {
      events.failed("ECONNRESET"); // given up before its turn came
      return this;
    }
    this.#events = events;
    events.connected();
    if (this.#chunks.length > 0 || this.#hasEnded) events.readable();
    return this;
  }

  // -------------------------------------------------------------- the engine's side

  send(pieces: readonly Uint8Array[]): number {
    const room = this.#toReader?.desiredSize ?? 0;
    if (this.#isOver || room <= 0) {
      this.#senderWaits = true;
      return 0;
    }
    // All of it: at most one call of the engine beyond ROOM.
    const octets = joined(pieces);
    if (octets.length > 0) this.#toReader?.enqueue(octets);
    return octets.length;
  }

  receive(pieces: readonly Uint8Array[]): number {
    const filled = this.#chunks.read(pieces);
    if (filled > 0 && this.#chunks.length < ROOM) {
      this.#writerWaits?.();
      this.#writerWaits = undefined;
    }
    if (filled > 0) {
      if (this.#hasEnded && this.#chunks.length === 0) this.#events?.readable(); // for the end
      return filled;
    }
    return this.#hasEnded ? END : 0;
  }

  shutdown(): void {
    if (this.#readerEnded) return;
    this.#readerEnded = true;
    this.#toReader?.close();
  }

  close(abort: boolean): void {
    if (this.#isOver) return;
    if (!abort) this.shutdown();
    // What the writer still has to say, nobody hears.
    this.#fail(abort ? "ECONNRESET" : "EPIPE", abort);
  }

  // -------------------------------------------------------------- the program's side

  #room(): void {
    if (!this.#senderWaits) return;
    this.#senderWaits = false;
    this.#events?.writable();
  }

  /** What has been written is the writer's again at once: it may use its buffer for the next. */
  #write(chunk: Uint8Array): Promise<void> | undefined {
    if (!(chunk instanceof Uint8Array)) {
      this.#reset("ECONNRESET"); // what came before would look like all of it
      throw new TypeError("write chunks of Uint8Array to a connection");
    }
    if (chunk.length === 0) return undefined;
    this.#chunks.push(new Uint8Array(chunk));
    this.#events?.readable();
    if (this.#chunks.length < ROOM) return undefined;
    return new Promise((resolve) => {
      this.#writerWaits = resolve;
    });
  }

  #end(): void {
    this.#hasEnded = true;
    this.#events?.readable();
  }

  #reset(code: ErrorCode): void {
    if (this.#isOver) return;
    this.#events?.failed(code);
    this.#fail(code, true);
  }

  #fail(code: ErrorCode, both: boolean): void {
    this.#isOver = true;
    this.#events = undefined;
    const error = new ConnectionError(code);
    if (both && !this.#readerEnded) {
      this.#readerEnded = true;
      this.#toReader?.error(error);
    }
    this.#chunks.clear();
    this.#writerWaits?.();
    this.#writerWaits = undefined;
    if (!this.#hasEnded) this.#toWriter?.error(error);
  }
}
