/**
 * What the main thread and a worker share: a few words of memory and an eventfd that the worker's
 * epoll watches. A worker that waits in the kernel gets no messages, so commands go this way.
 *
 *     0 command | 1 answered command number | 2 flows | 3 chunks | 4.. counters, two words each
 */
import { DROP_COUNT, STAT_COUNT } from "../../wasm/abi.ts";
import type { Engine } from "../engine/engine.ts";

const COMMAND_NONE = 0;
export const COMMAND_STOP = 1;
export const COMMAND_STATS = 2;

const COMMAND = 0;
const ANSWERED = 1;
const FLOWS = 2;
const CHUNKS = 3;
const COUNTERS = 4;
const COUNTER_WORDS = (STAT_COUNT + DROP_COUNT) * 2;

/** Octets of the shared buffer. */
export const MAILBOX_SIZE = (COUNTERS + COUNTER_WORDS) * 4;

export class Mailbox {
  readonly #words: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
  }

  /**
   * Main thread: leaves a command; the caller then signals the eventfd. To stop takes the place of
   * what was asked before and answers it too; nothing takes the place of that.
   */
  put(command: number): void {
    if (command === COMMAND_STOP) Atomics.store(this.#words, COMMAND, command);
    else Atomics.compareExchange(this.#words, COMMAND, COMMAND_NONE, command);
  }

  /** Worker: takes the command. */
  take(): number {
    return Atomics.exchange(this.#words, COMMAND, COMMAND_NONE);
  }

  /** Worker: copies counters for whoever asked. */
  publish(engine: Engine): void {
    const from = engine.bases.stats >> 2;
    this.#words.set(engine.integers.subarray(from, from + COUNTER_WORDS), COUNTERS);
    this.#words[FLOWS] = engine.flowCount;
    this.#words[CHUNKS] = engine.chunkCount;
    Atomics.add(this.#words, ANSWERED, 1);
  }

  /** How often counters were published. */
  get answered(): number {
    return Atomics.load(this.#words, ANSWERED);
  }

  /** Main thread: counter `index` (STAT_*, or STAT_COUNT + DROP_*) as last published. */
  counter(index: number): number {
    const at = COUNTERS + index * 2;
    return ((this.#words[at] ?? 0) >>> 0) + ((this.#words[at + 1] ?? 0) >>> 0) * 2 ** 32;
  }

  get flows(): number {
    return this.#words[FLOWS] ?? 0;
  }

  get chunks(): number {
    return this.#words[CHUNKS] ?? 0;
  }
}
