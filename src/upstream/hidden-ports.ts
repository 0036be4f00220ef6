/**
 * TCP ports of this machine's loopback that no guest may reach, for all networks of a process.
 *
 * A guest that reached a link's port would be its own neighbour, or another guest's: its connection
 * comes from our own user, so the link would let it in. One memory is shared by all workers, so
 * that a port that is opened later is hidden from guests that are there already.
 *
 * Contract: a port is hidden while it was added more often than removed (at different addresses);
 * at most 255 times at once.
 */

const PORT_COUNT = 65536;

export class HiddenPorts {
  /** For another thread's `HiddenPorts`. */
  readonly memory: SharedArrayBuffer;
  readonly #counts: Uint8Array;

  constructor(memory = new SharedArrayBuffer(PORT_COUNT)) {
    this.memory = memory;
    this.#counts = new Uint8Array(memory);
  }

  add(port: number): void {
    Atomics.add(this.#counts, port, 1);
  }

  remove(port: number): void {
    Atomics.sub(this.#counts, port, 1);
  }

  has(port: number): boolean {
    return Atomics.load(this.#counts, port) > 0;
  }
}
