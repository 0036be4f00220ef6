/**
 * What is to be done to the engine from outside of a turn: asked for at any time, done in the next
 * turn, when no operation is under way and the link has room.
 */
import type { Engine } from "../engine/engine.ts";
import type { SocketOperations } from "./socket-operations.ts";

/** Where an errand is run. */
export interface ErrandPlace {
  readonly engine: Engine;
  readonly operations: SocketOperations;
  /** Microseconds. */
  readonly now: number;
  /** How many there were before it. */
  readonly before: number;
}

export interface Errand {
  run(place: ErrandPlace): void;
  /** It will not be run: too many wait, or the network has ended. */
  drop(): void;
}

/** Errands that wait for their turn at most. */
const WAITING_MAX = 1024;

export class Errands {
  readonly #engine: Engine;
  readonly #operations: SocketOperations;
  readonly #waiting: Errand[] = [];
  #before = 0;
  #isClosed = false;

  constructor(engine: Engine, operations: SocketOperations) {
    this.#engine = engine;
    this.#operations = operations;
  }

  /** Whether it waits for the next turn; else it was dropped. */
  add(errand: Errand): boolean {
    if (this.#waiting.length < WAITING_MAX) return this.#waiting.push(errand) > 0;
    errand.drop();
    return false;
  }

  /** Runs those that wait; how many. */
  run(now: number): number {
    const errands = this.#waiting.splice(0);
    for (const errand of errands) {
      const before = this.#before;
      this.#before += 1;
      if (this.#isClosed)
        errand.drop(); // by what one before it has called
      else errand.run({ engine: this.#engine, operations: this.#operations, now, before });
    }
    return errands.length;
  }

  /** The network ends. */
  close(): void {
    this.#isClosed = true;
    for (const errand of this.#waiting.splice(0)) errand.drop();
  }
}
