/**
 * A TCP connection of Node's as a socket of an upstream.
 *
 * Theory of operation
 *   Towards the far side, what `send` takes is copied and written to the stream; what the kernel
 *   has not taken yet is counted by the callback of each write, and with SEND_ROOM octets of it
 *   nothing more is taken. Towards the guest, chunks wait in a queue; with RECEIVE_ROOM octets in
 *   it the stream is paused, so the kernel's buffer fills up and slows the far side down. A
 *   connection so holds at most SEND_ROOM and one call of the engine (512 KiB) one way, and
 *   RECEIVE_ROOM and a chunk of the runtime's (64 KiB; of Bun's, 512 KiB) the other way.
 *
 *   A connection that is closed in peace stays until the kernel has taken what was sent, and LINGER
 *   at most where the far side does not move; the end of its network ends it at once.
 *
 * Node's own limits: no octet of TOS, no urgent data; a reset that arrives together with data may
 * be seen as an end (libuv does not tell them apart there).
 */
import { Socket } from "node:net";
import { joined } from "../../upstream/messages.ts";
import { ChunkQueue } from "../chunk-queue.ts";
import { codeOf } from "../error-numbers.ts";
import { END, type ErrorCode, type TcpEvents, type TcpSocket } from "../upstream.ts";

/** Octets that the kernel has not taken, beyond which `send` takes none. */
const SEND_ROOM = 512 * 1024;
/** Octets that the engine has not taken, beyond which the stream is paused, and below which not. */
const RECEIVE_ROOM = 256 * 1024;
const RECEIVE_LOW = 64 * 1024;
const LINGER_MS = 60_000;
const MS_PER_SECOND = 1000;

export class NodeTcpSocket implements TcpSocket {
  readonly #socket: Socket;
  #events: TcpEvents | undefined;
  readonly #arrived = new ChunkQueue();
  #unsent = 0;
  #senderWaits = false;
  #isPaused = false;
  #hasEnded = false;
  #isShut = false;

  /** @param onGone the runtime has nothing of it any more */
  constructor(socket: Socket, events: TcpEvents, onGone: () => void) {
    this.#socket = socket;
    this.#events = events;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Uint8Array) => this.#data(chunk));
    socket.on("end", () => this.#end());
    socket.on("error", (error) => this.#fail(codeOf(error)));
    socket.on("close", () => {
      // One that was destroyed by somebody else tells no error.
      if (!this.#hasEnded) this.#fail("ECONNRESET");
      onGone();
    });
  }

  /** Octets that wait, both ways. */
  get held(): number {
    return this.#unsent + this.#arrived.length;
  }

  send(pieces: readonly Uint8Array[]): number {
    if (this.#unsent >= SEND_ROOM || this.#isShut) {
      this.#senderWaits = true;
      return 0;
    }
    const octets = joined(pieces);
    if (octets.length === 0) return 0;
    this.#unsent += octets.length;
    this.#socket.write(octets, () => this.#sent(octets.length));
    return octets.length;
  }

  #sent(length: number): void {
    this.#unsent -= length;
    if (!this.#senderWaits || this.#unsent >= SEND_ROOM) return;
    this.#senderWaits = false;
    this.#events?.writable();
  }

  receive(pieces: readonly Uint8Array[]): number {
    const filled = this.#arrived.read(pieces);
    if (this.#isPaused && this.#arrived.length < RECEIVE_LOW) {
      this.#isPaused = false;
      this.#socket.resume();
    }
    if (filled === 0) return this.#hasEnded ? END : 0;
    if (this.#hasEnded && this.#arrived.length === 0) this.#events?.readable(); // for the end
    return filled;
  }

  #data(chunk: Uint8Array): void {
    if (this.#events === undefined) return; // nobody hears it any more
    this.#arrived.push(chunk);
    if (this.#arrived.length >= RECEIVE_ROOM && !this.#isPaused) {
      this.#isPaused = true;
      this.#socket.pause();
    }
    this.#events.readable();
  }

  #end(): void {
    this.#hasEnded = true;
    this.#events?.readable();
  }

  shutdown(): void {
    if (this.#isShut) return;
    this.#isShut = true;
    this.#socket.end();
  }

  /** One that was closed in peace and lingers is ended by a second call, to abort it. */
  close(abort: boolean): void {
    const lingers = this.#events === undefined;
    this.#events = undefined;
    this.#arrived.clear();
    const socket = this.#socket;
    if (socket.destroyed) return; // it has failed, or both sides had ended
    if (abort) {
      // With all of it sent, Node may be telling the system of the end: a reset amid that fails,
      // and leaves a handle that keeps the process.
      if (lingers && this.#unsent === 0) socket.destroy();
      else reset(socket, this.#unsent > 0);
      return;
    }
    if (lingers) return;
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once("close", () => clearTimeout(timer));
    if (socket.writableFinished) socket.destroy();
    else socket.once("finish", () => socket.destroy());
    this.shutdown();
  }

  keepAlive(seconds: number): void {
    this.#socket.setKeepAlive(seconds > 0, seconds * MS_PER_SECOND);
  }

  #fail(code: ErrorCode): void {
    const events = this.#events;
    if (events === undefined) return;
    this.#events = undefined;
    this.#arrived.clear();
    events.failed(code);
  }
}

/**
 * Not before it is connected; a socket of the file system, which has no port, has no reset.
 * @param isFull something is unsent, which Node would wait for
 */
function reset(socket: Socket, isFull: boolean): void {
  if (!socket.connecting && socket.remotePort !== undefined) {
    socket.resetAndDestroy();
    if (!isFull) return;
  }
  socket.destroy();
}

/**
 * Opens a connection to an address.
 * @param onGone the runtime has nothing of it any more
 */
export function connectTcp(
  address: string,
  port: number,
  events: TcpEvents,
  onGone: () => void,
): NodeTcpSocket {
  const socket = new Socket({ allowHalfOpen: true });
  const connection = new NodeTcpSocket(socket, events, onGone);
  socket.once("connect", () => events.connected());
  socket.connect({ host: address, port });
  return connection;
}
