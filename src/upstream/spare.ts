/**
 * A descriptor that is kept for the moment when there is no other: in its place a connection is
 * accepted and closed at once, so that its peer learns that nobody is there for it.
 */
import type { Libc } from "../sys/libc.ts";
import { EFD_CLOEXEC } from "../sys/linux.ts";
import { accept, setLinger } from "../sys/socket.ts";

const NONE = -1;

/** Closes a connection there is no place for, so that its peer does not take it for an answer. */
export function reset(sys: Libc, fd: number): void {
  setLinger(sys, fd, true, 0);
  sys.close(fd);
}

export class SpareDescriptor {
  readonly #sys: Libc;
  #fd = NONE;
  #refused = 0;

  constructor(sys: Libc) {
    this.#sys = sys;
  }

  /** Connections closed unseen. */
  get refusedCount(): number {
    return this.#refused;
  }

  /** Has one again, if there is one to be had; any kind will do. */
  reserve(): void {
    if (this.#fd < 0) this.#fd = this.#sys.eventfd(0, EFD_CLOEXEC);
  }

  /** Accepts a connection in its place and closes it; false = it cannot. */
  refuse(listener: number): boolean {
    this.close();
    const accepted = accept(this.#sys, listener);
    if (accepted >= 0) {
      reset(this.#sys, accepted);
      this.#refused += 1;
    }
    this.reserve();
    return accepted >= 0;
  }

  close(): void {
    if (this.#fd >= 0) this.#sys.close(this.#fd);
    this.#fd = NONE;
  }
}
