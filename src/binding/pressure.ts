/**
 * Memory and descriptors while a guest network runs: limits go down before the kernel says no.
 *
 * Theory of operation
 *   The limits of `config/limits` are what may be taken at most; this file looks at what really is
 *   left. Three states by what the control group has in use, without what the kernel can take back
 *   (`sys/cgroup`), L being its limit and R the reserve:
 *
 *     ample   below L - 2R          limits as derived; after a pressure they come back by a
 *                                   sixteenth of them at each look
 *     tight   below L - R           no growth: the flows there are may stay, a new one takes the
 *                                   place of the longest idle one
 *     short   above                 flows end until what is missing is free again (a cost of one
 *                                   flow each, a quarter of all in one look at most), payload
 *                                   memory is halved, idle sockets get small buffers
 *
 *   When it looks: with every OPENED sockets (they are 2 MiB), and in a turn that comes LOOK_us
 *   after the last look, LOOK_TIGHT_us while it is not ample. A network without traffic has no
 *   turns and is not looked at; only a pressure that has to end asks to be woken up for it. A look
 *   is two reads and takes some 50 microseconds.
 *
 *   Descriptors: whoever finds none left calls `shortOfSockets`. The flows' limit goes below the
 *   number there are, so that the engine ends some in this turn's step, and back up by a sixteenth
 *   a second.
 *
 *   A pressure is logged when it begins and when it has ended, whatever happens in between.
 */
import { FLOW_COST } from "../config/limits.ts";
import type { EngineLimits, HostEngine } from "../engine/host-engine.ts";
import type { Logger } from "../lib/log.ts";
import type { MemoryGroup } from "../sys/memory-group.ts";

const LOOK_us = 1_000_000;
const LOOK_TIGHT_us = 100_000;
/** Sockets opened since the last look that ask for another one. */
const OPENED = 512;
/** Flows that stay in any case. */
const FLOWS_LEAST = 64;
const CHUNKS_LEAST = 64;
/** Flows that end when no descriptor is left. */
const SOCKETS_FREED = 16;
const MIB = 1 << 20;

/** What is looked at and acted on. */
export interface PressureParts {
  readonly engine: Pick<HostEngine, "flowCount" | "chunkCount" | "setLimits">;
  readonly sockets: { readonly openedCount: number; tighten(): void };
  /** Nothing to look at where memory has no limit. */
  readonly memory: MemoryBound | undefined;
  /** Limits when nothing is scarce. */
  readonly limits: EngineLimits;
  readonly log: Pick<Logger, "warn" | "info">;
}

/** Memory that is bounded. */
export interface MemoryBound {
  readonly group: Pick<MemoryGroup, "limit">;
  readonly gauge: { used(): number | undefined };
  /** Octets that stay free. */
  readonly reserve: number;
}

/** What one look finds. */
type State = "ample" | "tight" | "short";

export class Pressure {
  readonly #parts: PressureParts;
  /** Limits as memory has them now. */
  #flows: number;
  #chunks: number;
  /** Limit of flows as descriptors have it. */
  #places: number;
  #dueAt = 0;
  #openedAt = 0;
  #wakeAt = 0;
  /** Limits are not as derived, or may soon not be. */
  #isPressed = false;
  /** The log has heard of it. */
  #isTold = false;
  #pressures = 0;
  #shortAt = Number.NEGATIVE_INFINITY;
  #shortCount = 0;

  constructor(parts: PressureParts) {
    this.#parts = parts;
    this.#flows = parts.limits.flowsMax;
    this.#chunks = parts.limits.chunksMax;
    this.#places = parts.limits.flowsMax;
  }

  /** Times memory or descriptors ran short. */
  get count(): number {
    return this.#pressures;
  }

  /** Microseconds until it wants to look again; undefined = with the next traffic. */
  wait(now: number): number | undefined {
    return this.#isPressed ? Math.max(0, this.#wakeAt - now) : undefined;
  }

  /** Looks, if it is time to. */
  poll(now: number): void {
    const { openedCount } = this.#parts.sockets;
    if (now < this.#dueAt && openedCount - this.#openedAt < OPENED) return;
    this.#openedAt = openedCount;
    const state = this.#look();
    const { flowsMax } = this.#parts.limits;
    if (now - this.#shortAt > LOOK_us) this.#places = grown(this.#places, flowsMax);
    this.#apply();
    const isOver = state === "ample" && this.#isWhole();
    if (isOver) this.#end();
    this.#dueAt = now + (state === "ample" ? LOOK_us : LOOK_TIGHT_us);
    this.#wakeAt = now + LOOK_us;
  }

  /**
   * No descriptor is left for what has to be opened.
   * @returns true = flows end in the next step, so try again after it; false = that has not helped
   */
  shortOfSockets(now: number): boolean {
    const { flowCount } = this.#parts.engine;
    if (now - this.#shortAt < LOOK_us && flowCount >= this.#shortCount) return false;
    this.#shortAt = now;
    this.#shortCount = flowCount;
    this.#places = Math.max(SOCKETS_FREED, flowCount - SOCKETS_FREED);
    this.#apply();
    this.#begin({}, "descriptors are short: idle flows end for new ones");
    this.#wakeAt = now + LOOK_us;
    return true;
  }

  #look(): State {
    const { memory, limits, engine } = this.#parts;
    const used = memory?.gauge.used();
    if (memory === undefined || used === undefined) return "ample";
    const bound = memory.group.limit - memory.reserve;
    if (used > bound) {
      this.#shrink(used - bound);
      const mib = (octets: number): number => Math.round(octets / MIB);
      const figures = { used_mib: mib(used), limit_mib: mib(memory.group.limit) };
      this.#begin({ ...figures, flows: engine.flowCount }, "memory is short: idle flows end");
      return "short";
    }
    if (used > bound - memory.reserve) {
      this.#flows = Math.min(this.#flows, Math.max(FLOWS_LEAST, engine.flowCount));
      this.#isPressed = true;
      return "tight";
    }
    this.#flows = grown(this.#flows, limits.flowsMax);
    this.#chunks = grown(this.#chunks, limits.chunksMax);
    return "ample";
  }

  /** Makes room for `missing` octets, as far as one look may. */
  #shrink(missing: number): void {
    const { engine, sockets } = this.#parts;
    const count = engine.flowCount;
    const ended = Math.min(Math.ceil(missing / FLOW_COST), count / 4);
    this.#flows = Math.max(FLOWS_LEAST, Math.floor(Math.min(this.#flows, count - ended)));
    const chunks = Math.min(this.#chunks, engine.chunkCount);
    this.#chunks = Math.max(CHUNKS_LEAST, Math.floor(chunks / 2));
    sockets.tighten();
  }

  #apply(): void {
    const { engine, limits } = this.#parts;
    engine.setLimits({
      flowsMax: Math.min(limits.flowsMax, this.#flows, this.#places),
      chunksMax: Math.min(limits.chunksMax, this.#chunks),
    });
  }

  /** Whether limits are as derived again. */
  #isWhole(): boolean {
    const { flowsMax, chunksMax } = this.#parts.limits;
    return this.#flows === flowsMax && this.#chunks === chunksMax && this.#places === flowsMax;
  }

  #begin(about: Record<string, number>, what: string): void {
    if (this.#isTold) return;
    this.#isPressed = true;
    this.#isTold = true;
    this.#pressures += 1;
    this.#parts.log.warn({ event: "limit_reached", ...about }, what);
  }

  #end(): void {
    if (this.#isTold) this.#parts.log.info({}, "shortage over, limits restored");
    this.#isTold = false;
    this.#isPressed = false;
  }
}

/** A sixteenth of `most` nearer to it. */
function grown(value: number, most: number): number {
  return Math.min(most, value + Math.ceil(most / 16));
}
