/** Lines to a descriptor, queued while it cannot be written. */

import { ByteRing } from "./byte-ring.ts";
import { type Outlet, Pump } from "./pump.ts";

const QUEUE_SIZE = 64 * 1024;

/** Lines on their way to an outlet. */
export class LineOutput {
  readonly #ring: ByteRing;
  readonly #pump: Pump;
  readonly #encoder = new TextEncoder();
  #lost = 0;
  /** Hears of each line that it is given, also where that is lost. */
  onLine: (line: Uint8Array) => void = () => {};
  /** Told how many lines were lost, when lines are taken again. */
  onLost: (count: number) => void = () => {};

  constructor(outlet: Outlet, size = QUEUE_SIZE) {
    this.#ring = ByteRing.create(size);
    this.#pump = new Pump({
      ring: this.#ring,
      outlet,
      onError: () => {
        this.#lost += 1; // perhaps another reader comes: FIFOs of containers are such
        return "go on";
      },
      onWritten: () => this.#tell(),
    });
  }

  /** Takes a line, line end included. */
  write(line: string): void {
    this.writeOctets(this.#encoder.encode(line));
  }

  /** The same for a line in UTF-8. */
  writeOctets(line: Uint8Array): void {
    this.onLine(line);
    if (this.#ring.put(line)) this.#pump.kick();
    else this.#lost += 1;
  }

  /** Counts lines that were lost before they came here. */
  lose(count: number): void {
    this.#lost += count;
    this.#tell();
  }

  /** Waits until all is out, but not after nothing has moved for `still_ms`. */
  async flush(still_ms: number, most_ms: number): Promise<void> {
    await this.#pump.drain(still_ms, most_ms);
  }

  #tell(): void {
    // Half of it: told at once, the number would be lost with the next lines.
    if (this.#lost === 0 || this.#ring.room < this.#ring.size / 2) return;
    const lost = this.#lost;
    this.#lost = 0;
    this.onLost(lost);
  }
}
