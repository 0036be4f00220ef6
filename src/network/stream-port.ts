/** A stream socket of an upstream as the engine's operations see it. */
import { EVENT_ERROR, EVENT_HANGUP, EVENT_READABLE, EVENT_WRITABLE } from "../../wasm/abi.ts";
import { EAGAIN, EPIPE } from "../../wasm/errno.ts";
import { errnoOf, errnoOfThrown } from "./error-numbers.ts";
import { END, type ErrorCode, type TcpEvents, type TcpSocket } from "./upstream.ts";

/** As epoll tells of a connection that has failed. */
const FAILED = EVENT_READABLE | EVENT_WRITABLE | EVENT_ERROR | EVENT_HANGUP;

export class StreamPort implements TcpEvents {
  readonly #news: (bits: number) => void;
  #socket: TcpSocket | undefined;
  #isConnected = false;
  /** Why it failed, until that is told; and whether it has. */
  #errno = 0;
  #hasFailed = false;

  constructor(news: (bits: number) => void) {
    this.#news = news;
  }

  /** 1 = connected already, 0 = under way, or the negative errno. */
  open(open: (events: TcpEvents) => TcpSocket): number {
    try {
      this.#socket = open(this);
    } catch (error) {
      return -errnoOfThrown(error);
    }
    if (!this.#hasFailed) return this.#isConnected ? 1 : 0;
    this.#socket.close(true);
    return this.takeError();
  }

  connected(): void {
    this.#isConnected = true;
    this.#news(EVENT_WRITABLE);
  }

  readable(): void {
    this.#news(EVENT_READABLE);
  }

  writable(): void {
    this.#news(EVENT_WRITABLE);
  }

  failed(code: ErrorCode): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#errno = errnoOf(code);
    this.#news(FAILED);
  }

  /** As SO_ERROR: told once. */
  takeError(): number {
    const told = this.#errno;
    this.#errno = 0;
    return told === 0 ? 0 : -told; // never -0
  }

  send(pieces: readonly Uint8Array[]): number {
    if (this.#hasFailed) return this.takeError() || -EPIPE;
    const taken = this.#socket?.send(pieces) ?? 0;
    if (this.#hasFailed) return this.takeError() || -EPIPE;
    return taken > 0 ? taken : -EAGAIN;
  }

  receive(pieces: readonly Uint8Array[]): number {
    // What came in before it failed is gone with it, as with the kernel's sockets after a reset.
    if (this.#hasFailed) return this.takeError();
    const filled = this.#socket?.receive(pieces) ?? 0;
    if (filled === END) return 0;
    return filled > 0 ? filled : -EAGAIN;
  }

  shutdown(): number {
    if (!this.#hasFailed) this.#socket?.shutdown();
    return 0;
  }

  keepAlive(seconds: number): number {
    this.#socket?.keepAlive?.(seconds);
    return 0;
  }

  /** Also while its socket is being opened, which is closed then. */
  close(abort: boolean): void {
    this.#hasFailed = true;
    this.#socket?.close(abort);
  }
}
