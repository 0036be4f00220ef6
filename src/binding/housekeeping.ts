/** What the loop does between packets: resolvers, and chores that know nothing of the engine. */
import type { Engine } from "../engine/engine.ts";
import type { ResolverWatch } from "../upstream/resolver.ts";
import type { Chore } from "./worker-outputs.ts";

export class Housekeeping {
  readonly #resolver: Pick<ResolverWatch, "wait" | "poll">;
  readonly #chores: readonly Chore[];

  constructor(resolver: Pick<ResolverWatch, "wait" | "poll">, chores: readonly Chore[]) {
    this.#resolver = resolver;
    this.#chores = chores;
  }

  /** Microseconds until there is something to do; undefined: never. */
  wait(now: number): number | undefined {
    let soonest = this.#resolver.wait(now);
    for (const chore of this.#chores) {
      const wait = chore.wait(now);
      if (wait !== undefined && (soonest === undefined || wait < soonest)) soonest = wait;
    }
    return soonest;
  }

  poll(engine: Engine, now: number): void {
    this.#resolver.poll(engine, now);
    for (const chore of this.#chores) chore.poll(now);
  }
}
