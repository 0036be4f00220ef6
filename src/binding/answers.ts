/** Those who wait for a worker's answer: they hear that it came, or did not come in time. */

/** A worker answers between two turns of its loop, a millisecond away as a rule. */
const PATIENCE_ms = 1000;

export class Answers {
  #waiting: ((came: boolean) => void)[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Resolves to whether an answer has come: within PATIENCE_ms of the first that waits for it. */
  wait(): Promise<boolean> {
    this.#timer ??= setTimeout(() => this.#tell(false), PATIENCE_ms);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** It has come. */
  came(): void {
    this.#tell(true);
  }

  /** None will come any more. */
  end(): void {
    this.#tell(false);
  }

  #tell(came: boolean): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve(came);
  }
}
