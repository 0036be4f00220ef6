/**
 * Standard output for much text: in large pieces, at once, and without harm when whoever reads has
 * gone. What is written after that is thrown away; `isClosed` tells.
 */
import { writeSync } from "node:fs";

const FD = 1;
const PIECE = 64 * 1024;
/** A reader that is slower than we are: how long to wait before the next attempt. */
const PAUSE_MS = 2;

export class StandardOutput {
  #parts: string[] = [];
  #held = 0;
  isClosed = false;

  /** Text is held until a piece is full; `flush` writes what is left. */
  write(text: string): void {
    if (this.isClosed) return;
    this.#parts.push(text);
    this.#held += text.length;
    if (this.#held >= PIECE) this.flush();
  }

  line(text: string): void {
    this.write(`${text}\n`);
  }

  flush(): void {
    const octets = new TextEncoder().encode(this.#parts.join(""));
    this.#parts = [];
    this.#held = 0;
    for (let at = 0; at < octets.length && !this.isClosed; ) at += this.#attempt(octets, at);
  }

  #attempt(octets: Uint8Array, at: number): number {
    try {
      return writeSync(FD, octets, at, octets.length - at);
    } catch (error) {
      if (codeOf(error) !== "EAGAIN") {
        // EPIPE, a full disk: there is nobody to tell.
        this.isClosed = true;
        return 0;
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
      return 0;
    }
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
