/**
 * Octets on their way from a pump to a caller: of a capture, as the caller takes them. While more
 * than QUEUE_SIZE wait, the pump is told nothing, so it gives no more.
 */
import type { Outlet, Written } from "../lib/pump.ts";

const QUEUE_SIZE = 256 * 1024;

export class OctetQueue implements Outlet {
  #pieces: Uint8Array<ArrayBuffer>[] = [];
  #size = 0;
  #isClosed = false;
  /** What the pump waits for, and what the reader waits for. */
  #written: (() => void) | undefined;
  #wake: (() => void) | undefined;

  write(octets: Uint8Array, done: Written): void {
    const { length } = octets;
    if (this.#isClosed) {
      done(new Error("nobody reads any more"));
      return;
    }
    const piece = new Uint8Array(length);
    piece.set(octets); // those are in shared memory, and the pump's again afterwards
    this.#pieces.push(piece);
    this.#size += length;
    this.#wake?.();
    if (this.#size <= QUEUE_SIZE) done(length);
    else this.#written = () => done(length);
  }

  /** What was written is on its way: half a frame cannot be taken back. */
  cut(): void {}

  /** Nothing more comes, and nobody waits. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#release();
    this.#wake?.();
  }

  /** All there is, as it comes, until the queue is closed and empty. */
  async *pieces(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) {
        this.#size -= piece.length;
        if (this.#size <= QUEUE_SIZE) this.#release();
        yield piece;
      } else if (this.#isClosed) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    }
  }

  #release(): void {
    const written = this.#written;
    this.#written = undefined;
    written?.();
  }
}
