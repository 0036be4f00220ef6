/**
 * Empties a ring into an outlet, one write at a time and without ever waiting: whoever fills the
 * ring and whoever runs the pump go on, whatever the outlet does.
 *
 * An outlet that is full (EAGAIN) is tried again after RETRY_ms; what another error means is for
 * the owner to decide.
 */
import type { ByteRing } from "./byte-ring.ts";

/** Pause before an outlet that is full is tried again, milliseconds. */
const RETRY_ms = 20;
/** How often `drain` looks, milliseconds. */
const LOOK_ms = 5;

/** Called once for each write, at once or later: octets taken, or what went wrong. */
export type Written = (result: number | Error) => void;

/** Where octets go. */
export interface Outlet {
  /** Begins to write the octets, which stay as they are until `done` is called. */
  write(octets: Uint8Array, done: Written): void;
  /** Cuts off the last octets that were written, where that can be done. */
  cut(octets: number): void;
  close(): void;
}

/** What to do after an error that is not EAGAIN. */
export type AfterError = "end" | "go on" | "pause";

export interface PumpOptions {
  readonly ring: ByteRing;
  readonly outlet: Outlet;
  /**
   * Decides after an error: `end` closes the ring, after half a batch has been cut off; `go on`
   * throws the batch away; `pause` throws all away and stops until `resume`.
   */
  readonly onError: (error: Error) => AfterError;
  /** Octets have been taken. */
  readonly onWritten?: () => void;
}

export class Pump {
  readonly #options: PumpOptions;
  #isWriting = false;
  #isPaused = false;
  #isOver = false;
  #mustClose = false;
  /** Octets of the batch under way that the outlet has. */
  #ofBatch = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** Writes that have succeeded, to see whether it moves. */
  #moves = 0;

  constructor(options: PumpOptions) {
    this.#options = options;
  }

  /** The ring may have something. */
  kick(): void {
    if (this.#retry !== undefined) return;
    while (this.#writeOne());
  }

  /** Writes again after a pause. */
  resume(): void {
    this.#isPaused = false;
    this.kick();
  }

  /**
   * Waits until the ring is empty, but not after nothing has moved for `still_ms`, nor longer than
   * `most_ms`. Resolves to whether it is empty.
   */
  drain(still_ms: number, most_ms: number): Promise<boolean> {
    this.kick();
    const isEmpty = (): boolean =>
      this.#isOver || this.#isPaused || (!this.#isWriting && this.#options.ring.used === 0);
    if (isEmpty()) return Promise.resolve(true);
    return new Promise((resolve) => {
      let moves = this.#moves;
      let still = 0;
      let waited = 0;
      const timer = setInterval(() => {
        still = moves === this.#moves ? still + LOOK_ms : 0;
        moves = this.#moves;
        waited += LOOK_ms;
        if (!isEmpty() && still < still_ms && waited < most_ms) return;
        clearInterval(timer);
        resolve(isEmpty());
      }, LOOK_ms);
    });
  }

  /** Ends it: half a batch is cut off, the outlet closed, as soon as no write is under way. */
  close(): void {
    this.#mustClose = true;
    if (!this.#isWriting) this.#end();
  }

  /** Returns whether the next may follow at once. */
  #writeOne(): boolean {
    const { ring, outlet } = this.#options;
    if (this.#isWriting || this.#isPaused || this.#isOver) return false;
    let octets = ring.next();
    if (octets.length === 0) {
      ring.ask();
      octets = ring.next(); // what came before the question has told nobody
      if (octets.length === 0) return false;
    }
    this.#isWriting = true;
    let isWithin = true;
    let follows = false;
    outlet.write(octets, (result) => {
      this.#isWriting = false;
      follows = this.#after(result);
      if (!isWithin && follows) this.kick();
    });
    isWithin = false;
    return follows;
  }

  #after(result: number | Error): boolean {
    const { ring } = this.#options;
    if (typeof result !== "number") {
      this.#failed(result);
    } else {
      ring.take(result);
      this.#moves += 1;
      this.#ofBatch = ring.isBetween ? 0 : this.#ofBatch + result;
      this.#options.onWritten?.();
    }
    if (this.#mustClose) this.#end();
    return !this.#isOver && this.#retry === undefined;
  }

  #failed(error: Error): void {
    if ("code" in error && (error.code === "EAGAIN" || error.code === "EINTR")) {
      this.#retry = setTimeout(() => {
        this.#retry = undefined;
        this.kick();
      }, RETRY_ms);
      return;
    }
    const { ring } = this.#options;
    switch (this.#options.onError(error)) {
      case "end":
        this.#end();
        return;
      case "pause":
        this.#isPaused = true;
        ring.discard();
        this.#ofBatch = 0;
        return;
      case "go on":
        for (let rest = ring.next(); !ring.isBetween && rest.length > 0; rest = ring.next()) {
          ring.take(rest.length);
        }
        this.#ofBatch = 0;
    }
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#retry);
    this.#options.ring.close();
    if (this.#ofBatch > 0) this.#options.outlet.cut(this.#ofBatch);
    this.#options.outlet.close();
  }
}
