/**
 * The packet thread's side of a file that another thread writes. Two tempers:
 *
 *   LossySink     for captures: what finds no room is refused, and whoever captures counts it. For
 *                 a file it waits first, as long as the writer moves, so a capture is whole and
 *                 traffic as fast as the disk; after STILL_ms without a move it refuses, and does
 *                 not wait again for CALM_us. So a disk that stalls costs traffic a twentieth of
 *                 its time at most. For a FIFO it never waits.
 *   PatientSink   for recordings, which are worth nothing with a hole: waits as long as the writer
 *                 moves, and gives up, once and for all, when nothing has moved for STALL_ms.
 */
import type { ByteRing } from "./byte-ring.ts";
import type { OutputSink } from "./output-file.ts";

/** How long a capture waits for a move of its file, and for how long not again after that. */
const STILL_ms = 100;
const CALM_us = 2_000_000;
/** Longer than the kernel lets a writer wait in one go for a disk that is busy (200 ms). */
const STALL_ms = 400;
/** Octets that a batch takes in the ring besides its own. */
const BATCH_HEADER_SIZE = 4;

export interface RingSinkOptions {
  readonly ring: ByteRing;
  /** Tells the consumer that there is something. */
  readonly tell: () => void;
}

/** The other side has failed, and tells of it. */
export class OutputClosed extends Error {
  override readonly name = "OutputClosed";
}

export class LossySink implements OutputSink {
  readonly #ring: ByteRing;
  readonly #tell: () => void;
  readonly #clock: (() => number) | undefined;
  /** When it may wait again. */
  #calmUntil = Number.NEGATIVE_INFINITY;

  /** @param clock microseconds; given where a wait is worth it */
  constructor({ ring, tell }: RingSinkOptions, clock?: () => number) {
    this.#ring = ring;
    this.#tell = tell;
    this.#clock = clock;
  }

  get isPaused(): boolean {
    return this.#ring.isPaused;
  }

  isReady(octets: number): boolean {
    const ring = this.#ring;
    const size = octets + BATCH_HEADER_SIZE;
    if (ring.room >= size || ring.isClosed || ring.isPaused) return true;
    this.#tell();
    return this.#clock !== undefined && this.#wait(size, this.#clock);
  }

  /** @throws OutputClosed */
  write(octets: Uint8Array): boolean {
    if (this.#ring.isClosed) throw new OutputClosed();
    if (this.#ring.isPaused) return true;
    const isTaken = this.#ring.put(octets);
    if (isTaken) this.#tell();
    return isTaken;
  }

  close(): void {
    this.#tell(); // the ring is the consumer's to close, once it has all
  }

  #wait(size: number, clock: () => number): boolean {
    const ring = this.#ring;
    if (clock() < this.#calmUntil) return false;
    while (ring.waitForRoom(size, STILL_ms)) {
      if (ring.room >= size || ring.isClosed) return true;
    }
    this.#calmUntil = clock() + CALM_us;
    return false;
  }
}

export class PatientSink implements OutputSink {
  readonly #ring: ByteRing;
  readonly #tell: () => void;

  constructor({ ring, tell }: RingSinkOptions) {
    this.#ring = ring;
    this.#tell = tell;
  }

  /**
   * Takes all, in pieces where it is more than the ring holds.
   * @throws OutputClosed
   * @throws {Error} when the writer does not move
   */
  write(octets: Uint8Array): boolean {
    if (octets.length === 0) return true;
    while (!this.#ring.open(octets.length)) this.#wait(BATCH_HEADER_SIZE);
    for (let at = 0; at < octets.length; ) {
      const taken = this.#ring.add(octets, at);
      at += taken;
      if (taken === 0) this.#wait(1);
      else this.#tell();
    }
    if (this.#ring.isClosed) throw new OutputClosed();
    return true;
  }

  close(): void {
    this.#tell();
  }

  #wait(room: number): void {
    this.#tell();
    if (this.#ring.isClosed) throw new OutputClosed();
    if (!this.#ring.waitForRoom(room, STALL_ms)) {
      throw new Error(`nothing was written for ${STALL_ms} ms`);
    }
    if (this.#ring.isClosed) throw new OutputClosed();
  }
}
