/**
 * The latest lines of the log, of all threads, and those who follow it.
 *
 * Kept from the start, as nobody knows beforehand that he will ask: LINES_MOST lines as octets, of
 * OCTETS_MOST altogether; nothing is decoded for nobody. A watcher has a queue of the same bounds.
 * What it does not take in time is lost for it, oldest first, and counted; whoever writes lines
 * never waits for a watcher.
 */

const LINES_MOST = 256;
const OCTETS_MOST = 64 * 1024;

/** A line as a watcher gets it. */
export interface WatchedLine {
  /** Without line end. */
  readonly text: string;
  /** Lines lost before this one, for this watcher. */
  readonly lost: number;
}

/** Lines, the latest ones. */
class Lines {
  readonly #lines: Uint8Array[] = [];
  #octets = 0;

  get all(): readonly Uint8Array[] {
    return this.#lines;
  }

  /** Returns how many older ones had to go. */
  push(line: Uint8Array): number {
    this.#lines.push(line);
    this.#octets += line.length;
    let gone = 0;
    while (this.#lines.length > LINES_MOST || this.#octets > OCTETS_MOST) {
      this.shift();
      gone += 1;
    }
    return gone;
  }

  shift(): Uint8Array | undefined {
    const line = this.#lines.shift();
    this.#octets -= line?.length ?? 0;
    return line;
  }
}

export class LogTail {
  readonly #kept = new Lines();
  readonly #watchers = new Set<LogWatcher>();

  /** @param line in UTF-8, line end included; not to be changed any more */
  take(line: Uint8Array): void {
    this.#kept.push(line);
    for (const watcher of this.#watchers) watcher.take(line);
  }

  /**
   * Follows the log until it is closed.
   * @param backlog how many of the latest lines come first
   */
  watch(backlog: number): LogWatcher {
    const watcher = new LogWatcher(() => this.#watchers.delete(watcher));
    const { all } = this.#kept;
    const first = Math.max(0, all.length - Math.max(0, backlog));
    for (const line of all.slice(first)) watcher.take(line);
    this.#watchers.add(watcher);
    return watcher;
  }
}

class LogWatcher {
  readonly #lines = new Lines();
  readonly #decoder = new TextDecoder();
  readonly #onClose: () => void;
  #lost = 0;
  #wake: () => void = () => {};
  #isClosed = false;

  constructor(onClose: () => void) {
    this.#onClose = onClose;
  }

  take(line: Uint8Array): void {
    this.#lost += this.#lines.push(line);
    this.#wake();
  }

  /** The next line; undefined: there is none yet. */
  next(): WatchedLine | undefined {
    const line = this.#lines.shift();
    if (line === undefined) return undefined;
    const lost = this.#lost;
    this.#lost = 0;
    return { text: this.#decoder.decode(line).replace(/\n$/, ""), lost };
  }

  /** Resolves once there may be one, or it is closed. */
  news(): Promise<void> {
    if (this.#lines.all.length > 0 || this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#onClose();
    this.#wake();
  }
}
