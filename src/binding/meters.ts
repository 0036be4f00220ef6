/**
 * What a worker measures for whoever watches it: counts by kind and state, and histograms of times.
 * One shared memory; the worker writes, the main thread reads at any time.
 *
 * Times of the loop are noted as they pass. What concerns connections is looked at once a second,
 * while there are any (`Sampler`): a histogram of round trips then says how long they were over
 * time, not how often segments were sent. Without a watcher there is no memory, and none of this is
 * done.
 */
import * as abi from "../../wasm/abi.ts";
import { KIND_NAMES, TCP_STATE_NAMES } from "../engine/flows.ts";
import type { HostEngine } from "../engine/host-engine.ts";
import { readTcpFlow, tcpHandle } from "../engine/tcp-flow.ts";
import { Histogram } from "../lib/histogram.ts";
import type { Watch } from "./housekeeping.ts";

const US_PER_SECOND = 1_000_000;
const SAMPLE_US = 1_000_000;

/** Upper ends of ranges, seconds. */
const TURN_BOUNDS = [20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000, 100_000].map(seconds);
const BLOCKED_BOUNDS = [100, 1000, 10_000, 100_000, 1_000_000, 10_000_000].map(seconds);
const CONNECT_BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30];
const RTT_BOUNDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1];

const HISTOGRAMS = {
  turn: TURN_BOUNDS,
  blocked: BLOCKED_BOUNDS,
  connect: CONNECT_BOUNDS,
  guestRtt: RTT_BOUNDS,
} as const;

export type HistogramName = keyof typeof HISTOGRAMS;

/** Kinds of flow, then the states of TCP connections. */
const FLOW_CELLS = KIND_NAMES.length + TCP_STATE_NAMES.length;
const WINDOW_LIMITED = FLOW_CELLS;
const FLOWS_LIMIT = FLOW_CELLS + 1;
const CHUNKS_LIMIT = FLOW_CELLS + 2;
const CELLS = FLOW_CELLS + 3;
const CELL_SIZE = 8;
const CELL_COUNT =
  CELLS + Object.values(HISTOGRAMS).reduce((sum, bounds) => sum + Histogram.cellsOf(bounds), 0);

/** Octets of the shared memory. */
export const METERS_SIZE = CELL_COUNT * CELL_SIZE;

export class Meters {
  readonly histograms: Readonly<Record<HistogramName, Histogram>>;
  readonly #cells: Float64Array;

  constructor(memory: SharedArrayBuffer) {
    this.#cells = new Float64Array(memory);
    let at = CELLS;
    const histogram = (bounds: readonly number[]): Histogram => {
      const size = Histogram.cellsOf(bounds);
      at += size;
      return new Histogram(this.#cells.subarray(at - size, at), bounds);
    };
    this.histograms = {
      turn: histogram(HISTOGRAMS.turn),
      blocked: histogram(HISTOGRAMS.blocked),
      connect: histogram(HISTOGRAMS.connect),
      guestRtt: histogram(HISTOGRAMS.guestRtt),
    };
  }

  /** Worker: counts the flows that there are, and notes what there may be. */
  look(engine: HostEngine): void {
    const cells = this.#cells;
    cells.fill(0, 0, FLOW_CELLS);
    const { flowsMax, chunksMax } = engine.limits;
    cells[FLOWS_LIMIT] = flowsMax;
    cells[CHUNKS_LIMIT] = chunksMax;
    const { octets, bases } = engine;
    eachFlow(engine, (slot, kind) => {
      cells[kind] = (cells[kind] ?? 0) + 1;
      if (kind !== abi.KIND_TCP) return;
      const at = bases.flows + slot * abi.FLOW_SIZE + abi.FLOW_STATE_OFFSET;
      const state = KIND_NAMES.length + (octets[at] ?? 0);
      cells[state] = (cells[state] ?? 0) + 1;
    });
  }

  /** Flows there may be. */
  get flowsLimit(): number {
    return this.#cells[FLOWS_LIMIT] ?? 0;
  }

  /** Chunks of payload there may be. */
  get chunksLimit(): number {
    return this.#cells[CHUNKS_LIMIT] ?? 0;
  }

  /** Flows of a kind (`KIND_NAMES`) when they were last counted. */
  flowsOfKind(kind: number): number {
    return this.#cells[kind] ?? 0;
  }

  /** TCP connections in a state (`TCP_STATE_NAMES`) when they were last counted. */
  flowsInState(state: number): number {
    return this.#cells[KIND_NAMES.length + state] ?? 0;
  }

  /** Worker: so many connections had to wait for the guest's window, each for so long. */
  addWindowLimited(seconds: number): void {
    this.#cells[WINDOW_LIMITED] = this.windowLimited + seconds;
  }

  /** Seconds that connections had to wait for the guest's window, all together. */
  get windowLimited(): number {
    return this.#cells[WINDOW_LIMITED] ?? 0;
  }
}

/**
 * Looks at connections once a second, while anything of them is under way to the guest. It wakes
 * nobody up for connections at rest, which tell nothing new.
 */
export class Sampler implements Watch {
  readonly #meters: Meters;
  #last = 0;
  /** Something was under way when it last looked. */
  #isBusy = false;

  constructor(meters: Meters) {
    this.#meters = meters;
  }

  wait(now: number): number | undefined {
    return this.#isBusy ? Math.max(0, this.#last + SAMPLE_US - now) : undefined;
  }

  poll(engine: HostEngine, now: number): void {
    if (now < this.#last + SAMPLE_US) return;
    // A longer pause is one in which nothing was under way.
    const interval = seconds(Math.min(now - this.#last, 2 * SAMPLE_US));
    this.#last = now;
    this.#isBusy = false;
    eachFlow(engine, (slot, kind) => {
      if (kind === abi.KIND_TCP) this.#look(engine, slot, interval);
    });
  }

  #look(engine: HostEngine, slot: number, interval: number): void {
    const handle = tcpHandle(engine, slot);
    const flow = handle === undefined ? undefined : readTcpFlow(engine, handle);
    if (flow === undefined || flow.inFlight === 0) return;
    this.#isBusy = true;
    if (flow.srtt > 0) this.#meters.histograms.guestRtt.observe(seconds(flow.srtt));
    if (flow.inFlight >= flow.windowOfGuest) this.#meters.addWindowLimited(interval);
  }
}

/** Calls `visit` with the slot and the kind (KIND_…) of each flow; stops behind the last one. */
function eachFlow(engine: HostEngine, visit: (slot: number, kind: number) => void): void {
  let left = engine.flowCount;
  for (let slot = 0; left > 0 && slot < abi.FLOW_CAPACITY_COUNT; slot += 1) {
    const at = engine.bases.flows + slot * abi.FLOW_SIZE + abi.FLOW_KIND_OFFSET;
    const kind = engine.octets[at] ?? abi.KIND_FREE;
    if (kind === abi.KIND_FREE) continue;
    left -= 1;
    visit(slot, kind);
  }
}

function seconds(microseconds: number): number {
  return microseconds / US_PER_SECOND;
}
