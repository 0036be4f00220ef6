/**
 * Sees to it in a run in which several parties compete that each gets what it is promised. Looks
 * five times a second of virtual time, and only looks: a run with it does what it would do without.
 */
import type { AppSet } from "../app-set.ts";
import type { VirtualClock } from "../clock.ts";
import type { StreamSocket } from "../host/stream.ts";
import type { Promises } from "../plan.ts";
import { ProgressWatch } from "./progress-watch.ts";

const LOOK = 200_000;

export interface RefereeOwner {
  readonly clock: VirtualClock;
  violation(text: string): void;
  /** The guest does not read, so that nobody can be served. */
  readonly isSilent: boolean;
}

export class Referee {
  readonly #owner: RefereeOwner;
  readonly #progress: ProgressWatch;

  constructor(owner: RefereeOwner, promises: Promises) {
    this.#owner = owner;
    this.#progress = new ProgressWatch(promises, (text) => owner.violation(text));
  }

  opened(socket: StreamSocket): void {
    this.#progress.opened(socket);
  }

  /** The applications have been made: watches them from now on. */
  start(apps: AppSet): void {
    for (const app of apps.connections) this.#progress.add(app);
    this.#schedule(apps);
  }

  #schedule(apps: AppSet): void {
    const { clock, isSilent } = this.#owner;
    clock.after(LOOK, () => {
      this.#progress.look(isSilent || this.#owner.isSilent ? 0 : LOOK, apps.questions);
      this.#schedule(apps);
    });
  }
}
