/**
 * The latest frames of the guest that were dropped: when, why, how long they were, their headers.
 *
 * Theory of operation
 *   All memory is made at the start: SAMPLE_COUNT places of HEADERS_SIZE octets, used in turns.
 *   Of a batch the first BATCH_SAMPLES frames that were dropped are kept, so a flood of them costs
 *   the copies of a few headers a batch. Payload of TCP, UDP and ICMP
 *   is no header and is not kept, nor what lies behind headers nobody knows.
 *
 *   What is dropped on its way to the guest is only counted, and so is what the host refuses later:
 *   the engine marks frames while it looks at them (`wasm/trace.ts`).
 */
import { emptyFrameHeaders, readFrameHeaders } from "../config/frame-headers.ts";
import { rxDropReason, rxLength, rxLent, rxPointer } from "./frames.ts";
import type { LinkMemory } from "./link.ts";

const SAMPLE_COUNT = 64;
const HEADERS_SIZE = 160;
const BATCH_SAMPLES = 8;

export interface DropSample {
  /** Microseconds since 1970. */
  readonly time: number;
  /** DROP_*. */
  readonly reason: number;
  /** Octets of the frame as it was. */
  readonly length: number;
  readonly headers: Uint8Array;
}

export class DropSamples {
  readonly #now: () => number;
  readonly #octets = new Uint8Array(SAMPLE_COUNT * HEADERS_SIZE);
  readonly #times = new Float64Array(SAMPLE_COUNT);
  readonly #reasons = new Uint8Array(SAMPLE_COUNT);
  readonly #lengths = new Uint32Array(SAMPLE_COUNT);
  readonly #sizes = new Uint8Array(SAMPLE_COUNT);
  readonly #found = emptyFrameHeaders();
  /** The engine's memory as octets. */
  #memory = new Uint8Array(0);
  #count = 0;

  /** @param now microseconds since 1970 */
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * Keeps those of the first `count` frames that the engine has dropped.
   * @param skip octets before the frame in its slot
   */
  handled(memory: LinkMemory, count: number, skip: number): void {
    let kept = 0;
    for (let i = 0; i < count && kept < BATCH_SAMPLES; i += 1) {
      const reason = rxDropReason(memory, i);
      if (reason === 0) continue;
      this.#keep(memory, i, skip, reason);
      kept += 1;
    }
  }

  /** What there is, the oldest first. */
  list(): DropSample[] {
    const first = Math.max(0, this.#count - SAMPLE_COUNT);
    return Array.from({ length: this.#count - first }, (_, i) => {
      const place = (first + i) % SAMPLE_COUNT;
      const start = place * HEADERS_SIZE;
      return {
        time: this.#times[place] ?? 0,
        reason: this.#reasons[place] ?? 0,
        length: this.#lengths[place] ?? 0,
        headers: this.#octets.slice(start, start + (this.#sizes[place] ?? 0)),
      };
    });
  }

  #keep(memory: LinkMemory, i: number, skip: number, reason: number): void {
    if (this.#memory.buffer !== memory.buffer) this.#memory = new Uint8Array(memory.buffer);
    const length = Math.max(0, rxLength(memory, i) - skip);
    const present = rxLent(memory, i) === 0 ? length : rxLent(memory, i) - skip;
    const start = rxPointer(memory, i) + skip;
    readFrameHeaders(this.#memory, start, present, this.#found);
    const size = Math.max(0, Math.min(this.#found.end - start, HEADERS_SIZE));
    const place = this.#count % SAMPLE_COUNT;
    const to = place * HEADERS_SIZE;
    for (let j = 0; j < size; j += 1) this.#octets[to + j] = this.#memory[start + j] ?? 0;
    this.#sizes[place] = size;
    this.#times[place] = this.#now();
    this.#reasons[place] = reason;
    this.#lengths[place] = length;
    this.#count += 1;
  }
}
