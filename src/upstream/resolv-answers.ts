/**
 * The last answer of the process that reads resolv.conf for us, for all networks of this process.
 *
 *     0 state | 1 version | 2 size | 12.. octets of the answer
 *
 * The main thread writes, workers read. The version is odd while an answer is written, so a worker
 * that finds it odd, or another one after it has read, has read nothing and looks again later. All
 * words are atomic, the octets too: their order is what this rests on.
 */

const STATE = 0;
const VERSION = 1;
const SIZE = 2;
const WORDS = 3;
const IS_THERE = 1;

/** Octets of an answer, at most: 64 KiB of the file, and what came of it. */
export const ANSWER_SIZE_MAX = 65536 + 16;

export interface ResolvAnswer {
  /** Differs from that of every other answer. */
  readonly version: number;
  readonly text: string;
}

export class ResolvAnswers {
  /** For another thread's `ResolvAnswers`. */
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #octets: Uint8Array;

  constructor(memory = new SharedArrayBuffer(WORDS * 4 + ANSWER_SIZE_MAX)) {
    this.memory = memory;
    this.#words = new Int32Array(memory, 0, WORDS);
    this.#octets = new Uint8Array(memory, WORDS * 4);
  }

  /** Whether there is somebody to ask. */
  get isThere(): boolean {
    return Atomics.load(this.#words, STATE) === IS_THERE;
  }

  set isThere(is: boolean) {
    Atomics.store(this.#words, STATE, is ? IS_THERE : 0);
  }

  /** Of the last answer; 0 = there was none. */
  get version(): number {
    return Atomics.load(this.#words, VERSION);
  }

  /** Main thread: an answer, of at most ANSWER_SIZE_MAX octets. */
  write(octets: Uint8Array): void {
    Atomics.add(this.#words, VERSION, 1);
    Atomics.store(this.#words, SIZE, octets.length);
    for (const [at, octet] of octets.entries()) Atomics.store(this.#octets, at, octet);
    Atomics.add(this.#words, VERSION, 1);
  }

  /** Worker: the last answer; undefined = none, or just being written. */
  read(): ResolvAnswer | undefined {
    const { version } = this;
    if (version === 0 || version % 2 !== 0) return undefined;
    const octets = new Uint8Array(Atomics.load(this.#words, SIZE));
    for (const at of octets.keys()) octets[at] = Atomics.load(this.#octets, at);
    if (this.version !== version) return undefined;
    return { version, text: new TextDecoder().decode(octets) };
  }
}
