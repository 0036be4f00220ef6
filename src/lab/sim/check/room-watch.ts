/** Watches how much of its tables an engine uses: never more than the plan allows. */
import type { Engine } from "../../../engine/engine.ts";
import type { EngineLimits } from "../plan.ts";

export class RoomWatch {
  readonly #limits: EngineLimits;
  readonly #fault: (text: string) => void;
  /** The most in use so far. */
  flowsMax = 0;
  chunksMax = 0;

  constructor(limits: EngineLimits, fault: (text: string) => void) {
    this.#limits = limits;
    this.#fault = fault;
  }

  /** A turn is over. */
  turned({ flowCount, chunkCount }: Engine): void {
    if (flowCount > this.flowsMax) this.flowsMax = flowCount;
    if (chunkCount > this.chunksMax) this.chunksMax = chunkCount;
    if (flowCount > this.#limits.flowsMax) this.#fault(`${flowCount} flows`);
    if (chunkCount > this.#limits.chunksMax) this.#fault(`${chunkCount} chunks`);
  }
}
