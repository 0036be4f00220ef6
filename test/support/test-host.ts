/** A host whose clock, chance and turns are the test's. */
import type { Host } from "../../src/network/host.ts";

const TURNS_MAX = 100_000;

export class TestHost implements Host {
  /** Microseconds. */
  time = 1_000_000;
  readonly #due: (() => void)[] = [];
  #timers: { readonly at: number; readonly run: () => void }[] = [];

  now(): number {
    return this.time;
  }

  random(octets: Uint8Array): void {
    octets.fill(7);
  }

  soon(run: () => void): void {
    this.#due.push(run);
  }

  after(microseconds: number, run: () => void): () => void {
    const timer = { at: this.time + microseconds, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Whether nothing is to be done now or later. */
  get isIdle(): boolean {
    return this.#due.length === 0 && this.#timers.length === 0;
  }

  /** Does what is due. */
  run(): void {
    for (let turn = 0; ; turn += 1) {
      const next = this.#due.shift();
      if (next === undefined) return;
      if (turn > TURNS_MAX) throw new Error("it does not come to rest");
      next();
    }
  }

  /** Lets so much time pass, timers in their order. */
  advance(microseconds: number): void {
    const end = this.time + microseconds;
    this.run();
    for (;;) {
      const [first] = this.#timers.toSorted((a, b) => a.at - b.at);
      if (first === undefined || first.at > end) break;
      this.#timers = this.#timers.filter((other) => other !== first);
      this.time = Math.max(this.time, first.at);
      first.run();
      this.run();
    }
    this.time = end;
  }
}
