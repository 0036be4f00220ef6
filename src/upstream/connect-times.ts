/** How long connections to the outside take to come up, for whoever watches. */
import { FLOW_CAPACITY_COUNT } from "../../wasm/abi.ts";

const US_PER_SECOND = 1_000_000;

export class ConnectTimes {
  readonly #observe: (seconds: number) => void;
  readonly #clock: () => number;
  /** By slot: when it began; 0 = nothing is under way. */
  readonly #since = new Float64Array(FLOW_CAPACITY_COUNT);

  /** @param clock microseconds, above 0 */
  constructor(observe: (seconds: number) => void, clock: () => number) {
    this.#observe = observe;
    this.#clock = clock;
  }

  /** connect(2) is about to be called for the flow in a slot. */
  begin(slot: number): void {
    this.#since[slot] = this.#clock();
  }

  /** It has come to an end, which is noted once. Zero or above: the connection is up. */
  end(slot: number, result: number): void {
    const since = this.#since[slot] ?? 0;
    this.#since[slot] = 0;
    if (since > 0 && result >= 0) this.#observe((this.#clock() - since) / US_PER_SECOND);
  }
}
