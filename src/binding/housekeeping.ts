/** Work of the loop that has nothing to do with packets, of several kinds at once. */
import type { Engine } from "../engine/engine.ts";
import type { LoopParts } from "../loop/loop.ts";

type Housekeeping = LoopParts["housekeeping"];

/** All of them as one: called when any of them wants to be. */
export function together(...parts: readonly Housekeeping[]): Housekeeping {
  return {
    wait(now: number): number | undefined {
      let least: number | undefined;
      for (const part of parts) {
        const wait = part.wait(now);
        if (wait !== undefined && (least === undefined || wait < least)) least = wait;
      }
      return least;
    },
    poll(engine: Engine, now: number): void {
      for (const part of parts) part.poll(engine, now);
    },
    notice(): void {
      for (const part of parts) part.notice?.();
    },
  };
}
