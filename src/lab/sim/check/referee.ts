/**
 * Sees to it in a run in which several parties compete that each gets what it is promised. Looks
 * five times a second of virtual time, and only looks: a run with it does what it would do without.
 */

import type { Engine } from "../../../engine/engine.ts";
import type { AppSet } from "../app-set.ts";
import { START, type VirtualClock } from "../clock.ts";
import type { StreamSocket } from "../host/stream.ts";
import type { Plan, Promises } from "../plan.ts";
import { ProgressWatch } from "./progress-watch.ts";
import { ShareWatch } from "./share-watch.ts";

const LOOK = 200_000;
/** When the parties are gone only what is left of them is to end: that takes minutes. */
const LATE = 10_000_000;
const LATE_LOOK = 2_000_000;

export interface RefereeOwner {
  readonly clock: VirtualClock;
  readonly plan: Plan;
  readonly engine: Engine;
  violation(text: string): void;
  /** The guest does not read, so that nobody can be served. */
  readonly isSilent: boolean;
}

export class Referee {
  readonly #owner: RefereeOwner;
  readonly #progress: ProgressWatch;
  readonly #shares: ShareWatch;
  /** Time in which the guest read. */
  #now = 0;

  constructor(owner: RefereeOwner, promises: Promises) {
    this.#owner = owner;
    this.#shares = new ShareWatch(owner.plan.tcp, (text) => owner.violation(text));
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
    const { clock, isSilent, plan } = this.#owner;
    const pause = clock.now > START + plan.calmAt + LATE ? LATE_LOOK : LOOK;
    clock.after(pause, () => {
      const elapsed = isSilent || this.#owner.isSilent ? 0 : pause;
      this.#now += elapsed;
      this.#progress.look(elapsed, apps.questions);
      this.#shares.look(this.#owner.engine, this.#now);
      this.#schedule(apps);
    });
  }
}
