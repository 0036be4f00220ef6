/**
 * A guest that rewrites its rings all the time, as a thread: `Scribbler` starts it, and has it work
 * on one memory after the other.
 */
import { ForeignMemory } from "../../../src/sys/foreign-memory.ts";
import { type Libc, loadLibc } from "../../../src/sys/libc.ts";
import { Random } from "../random.ts";

/** Of the words that are shared: what is to be done, in which file, in how many octets. */
const [STATE, FILE, SIZE] = [0, 1, 2];
const [IDLE, BUSY, STOP, END] = [0, 1, 2, 3];
const WORDS = 4;
const BURST = 256;
const VALUES = [0, 1, 2, 3, 4, 5, 8, 16, 60, 0x100, 0x1000, 0x8000, 0xffff] as const;

export class Scribbler {
  readonly #words = new Int32Array(new SharedArrayBuffer(4 * WORDS));
  readonly #worker = new Worker(new URL("./scribbler.ts", import.meta.url), { type: "module" });

  constructor() {
    this.#worker.postMessage(this.#words.buffer);
  }

  /** Rewrites the first octets of a file from now on. */
  start(fd: number, size: number): void {
    this.#words[FILE] = fd;
    this.#words[SIZE] = size;
    this.#tell(BUSY);
  }

  /** Stops, and waits until the file is no longer touched. */
  stop(): void {
    this.#tell(STOP);
    while (Atomics.load(this.#words, STATE) !== IDLE);
  }

  close(): void {
    this.#tell(END);
    this.#worker.terminate();
  }

  #tell(state: number): void {
    Atomics.store(this.#words, STATE, state);
    Atomics.notify(this.#words, STATE);
  }
}

function work(sys: Libc, words: Int32Array): void {
  const random = new Random(1);
  for (;;) {
    Atomics.wait(words, STATE, IDLE);
    if (Atomics.load(words, STATE) === END) return;
    const size = words[SIZE] ?? 0;
    const memory = ForeignMemory.map(sys, words[FILE] ?? -1, 0, size);
    if (typeof memory === "number") throw new Error(`mmap gave ${memory}`);
    const fields = new Uint16Array(sys.view(memory.address, size));
    while (Atomics.load(words, STATE) === BUSY) {
      for (let i = 0; i < BURST; i += 1) {
        const value = random.oneIn(4) ? random.below(0x10000) : random.pick(VALUES);
        Atomics.store(fields, random.below(fields.length), value);
      }
    }
    memory.close();
    Atomics.compareExchange(words, STATE, STOP, IDLE);
  }
}

addEventListener("message", async (event: MessageEvent<unknown>) => {
  if (event.data instanceof SharedArrayBuffer) work(await loadLibc(), new Int32Array(event.data));
});
