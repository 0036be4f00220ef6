/**
 * Notices that a guest has come to rest: it has moved frames, and for some seconds it has moved no
 * more. What the work has left in memory can go then, without anybody waiting for it.
 */
import { STAT_GUEST_RX_FRAMES, STAT_GUEST_TX_FRAMES } from "../../wasm/abi.ts";
import type { HostEngine } from "../engine/host-engine.ts";
import { readStat } from "../engine/stats.ts";
import type { Watch } from "./housekeeping.ts";

const REST_US = 5_000_000;
/** A guest at rest still says something now and then: that is no work. */
const FRAMES_MIN = 1000;

export class RestWatch implements Watch {
  readonly #onRest: () => void;
  /** Frames that had been moved when it last looked, and when it last rested. */
  #frames = 0;
  #rested = 0;
  /** When that number last changed. */
  #since = 0;

  /** @param onRest hears of each rest once */
  constructor(onRest: () => void) {
    this.#onRest = onRest;
  }

  wait(now: number): number | undefined {
    if (this.#frames - this.#rested < FRAMES_MIN) return undefined;
    return Math.max(0, this.#since + REST_US - now);
  }

  poll(engine: HostEngine, now: number): void {
    const frames = readStat(engine, STAT_GUEST_RX_FRAMES) + readStat(engine, STAT_GUEST_TX_FRAMES);
    if (frames !== this.#frames) {
      this.#frames = frames;
      this.#since = now;
      return;
    }
    if (frames - this.#rested < FRAMES_MIN || now < this.#since + REST_US) return;
    this.#rested = frames;
    this.#onRest();
  }
}
