/** What the loop does between packets: looks at the engine's surroundings, and other chores. */
import type { HostEngine } from "../engine/host-engine.ts";
import type { Chore } from "./worker-outputs.ts";

/** Looks at something now and then, on behalf of the engine. Times in microseconds. */
export interface Watch {
  /** Until there is something to do; undefined: nothing worth waking up for. */
  wait(now: number): number | undefined;
  poll(engine: HostEngine, now: number): void;
  /** A source of this kind (EVENT_OF_*), that it may have put into the loop, has news. */
  notice?(kind: number): void;
}

export class Housekeeping {
  readonly #watches: readonly Watch[];
  readonly #chores: readonly Chore[];

  constructor(watches: readonly Watch[], chores: readonly Chore[]) {
    this.#watches = watches;
    this.#chores = chores;
  }

  /** Microseconds until there is something to do; undefined: never. */
  wait(now: number): number | undefined {
    let soonest: number | undefined;
    for (const each of [...this.#watches, ...this.#chores]) {
      const wait = each.wait(now);
      if (wait !== undefined && (soonest === undefined || wait < soonest)) soonest = wait;
    }
    return soonest;
  }

  poll(engine: HostEngine, now: number): void {
    for (const watch of this.#watches) watch.poll(engine, now);
    for (const chore of this.#chores) chore.poll(now);
  }

  notice(kind: number): void {
    for (const watch of this.#watches) watch.notice?.(kind);
  }
}
