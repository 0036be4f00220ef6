/**
 * The log of pages that the back end has written, by which a machine is migrated while it runs: one
 * bit for each page of guest memory, in memory of the front end's. The front end takes bits out at
 * any time, so they are set atomically, and only after the page has been written: a bit that is
 * taken in between would have the page sent before it is as it will be.
 *
 * Source: the vhost-user protocol, "Migration".
 */
import type { ForeignMemory } from "../../sys/foreign-memory.ts";
import type { Machine } from "./machine.ts";

const PAGE_SIZE = 4096;

export class DirtyLog {
  readonly #memory: ForeignMemory;
  readonly #bits: Uint8Array;

  /** @param memory that cannot shrink; the log closes it */
  constructor(sys: Pick<Machine, "view">, memory: ForeignMemory) {
    this.#memory = memory;
    this.#bits = new Uint8Array(sys.view(memory.address, memory.length));
  }

  /** The range has been written. Pages that the log does not reach are the front end's fault. */
  mark(guestAddress: number, length: number): void {
    const first = Math.floor(guestAddress / PAGE_SIZE);
    const last = Math.floor((guestAddress + length - 1) / PAGE_SIZE);
    for (let page = first; page <= last; page += 1) {
      const at = Math.floor(page / 8);
      if (at >= this.#bits.length) return;
      Atomics.or(this.#bits, at, 1 << (page % 8));
    }
  }

  /** Nothing may be marked afterwards. */
  close(): void {
    this.#memory.close();
  }
}
