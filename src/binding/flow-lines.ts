/**
 * Lines about single flows, at debug: one when a flow begins, one when it has ended.
 *
 * Theory of operation
 *   The engine says nothing of single flows; its table is in shared sight. While the log's level is
 *   debug, turns in which flows began or ended (four counters tell) have the table compared with
 *   what it was: a handle that is new has begun, one that is missing has ended. A record that is
 *   free keeps its octets until it is used again, so the last counts are exact but for slots that
 *   are used again in the same turn.
 *
 *     off       costs a comparison in each turn, and keeps nothing
 *     on        a table of up to FLOW_CAPACITY_COUNT slots is read in such a turn, PAUSE_us after
 *               the last time at the earliest: flows that begin and end in between are not told of
 *     lines     LINES_MOST of a kind in a second, then their number
 *   Addresses, ports and counts alone: no payload, and no names.
 */
import * as abi from "../../wasm/abi.ts";
import { addressText, type FlowInfo, handleOf, readFlow } from "../engine/flows.ts";
import type { HostEngine } from "../engine/host-engine.ts";
import { readStat } from "../engine/stats.ts";
import type { LevelledLogger, LogFields } from "../lib/log.ts";
import { type LimitedLogger, limitLogger } from "../lib/log-limit.ts";
import type { Watch } from "./housekeeping.ts";

const LINES_MOST = 100;
const SECOND_us = 1_000_000;
const PAUSE_us = 10_000;
const US_PER_MS = 1000;
const COUNTERS = [
  abi.STAT_TCP_OPENED,
  abi.STAT_TCP_CLOSED,
  abi.STAT_UDP_OPENED,
  abi.STAT_UDP_CLOSED,
];

interface Known {
  readonly began: number;
  readonly flow: FlowInfo;
  readonly slot: number;
  readonly fields: LogFields;
  /** Of the look that saw it last. */
  look: number;
  state: string | undefined;
}

export class FlowLines implements Watch {
  readonly #log: LimitedLogger;
  /** By handle. */
  readonly #known = new Map<number, Known>();
  #seen = -1;
  #due = 0;
  #look = 0;

  /** @param log without a limit of its own. @param clock microseconds */
  constructor(log: LevelledLogger, clock: () => number) {
    this.#log = limitLogger(log, { clock, burst: LINES_MOST, window_us: SECOND_us });
  }

  wait(now: number): number | undefined {
    return this.#log.wait(now);
  }

  poll(engine: HostEngine, now: number): void {
    if (!this.#log.threshold.admits("debug")) {
      if (this.#seen >= 0) this.#forget();
      return;
    }
    this.#log.poll(now);
    const seen = changesOf(engine);
    if (seen === this.#seen || now < this.#due) return;
    this.#seen = seen;
    this.#due = now + PAUSE_us;
    this.#compare(engine, now);
  }

  #forget(): void {
    this.#known.clear();
    this.#seen = -1;
  }

  #compare(engine: HostEngine, now: number): void {
    this.#look += 1;
    const { view, bases } = engine;
    let left = engine.flowCount;
    for (let slot = 0; left > 0 && slot < abi.FLOW_CAPACITY_COUNT; slot += 1) {
      const flow = readFlow(view, bases.flows + slot * abi.FLOW_SIZE, slot);
      if (flow === undefined) continue;
      left -= 1;
      const known = this.#known.get(flow.handle) ?? this.#begin(engine, flow, slot, now);
      known.look = this.#look;
      known.state = flow.state;
    }
    for (const [handle, known] of this.#known) {
      if (known.look === this.#look) continue;
      this.#known.delete(handle);
      this.#end(engine, known, now);
    }
  }

  #begin(engine: HostEngine, flow: FlowInfo, slot: number, now: number): Known {
    const end = (address: number, port: number): string => {
      const text = addressText(engine, address);
      return text.includes(":") ? `[${text}]:${port}` : `${text}:${port}`;
    };
    const fields = {
      flow: flow.handle,
      kind: flow.kind,
      guest: end(flow.guestAddress, flow.guestPort),
      // A socket of UDP serves all peers of a guest's port.
      ...(flow.peerPort > 0 && { peer: end(flow.peerAddress, flow.peerPort) }),
    };
    const known = { began: now, flow, slot, fields, look: 0, state: flow.state };
    this.#known.set(flow.handle, known);
    this.#log.debug(fields, "flow opened");
    return known;
  }

  #end(
    { view, bases }: HostEngine,
    { began, flow, slot, fields, state }: Known,
    now: number,
  ): void {
    const base = bases.flows + slot * abi.FLOW_SIZE;
    const isKept = handleOf(view, base, slot) === flow.handle;
    const octets = (offset: number): number => Number(view.getBigUint64(base + offset, true));
    const counts = isKept
      ? {
          octets_to_host: octets(abi.FLOW_BYTES_TO_HOST_OFFSET),
          octets_to_guest: octets(abi.FLOW_BYTES_TO_GUEST_OFFSET),
        }
      : {};
    const about = { duration_ms: Math.round((now - began) / US_PER_MS), ...counts };
    // How far it had come: CONNECTING was refused or given up, TIME_WAIT has ended in order.
    this.#log.debug({ ...fields, ...about, ...(state && { last_state: state }) }, "flow closed");
  }
}

/** Another number after a flow has begun or ended. */
function changesOf(engine: HostEngine): number {
  return COUNTERS.reduce((sum, index) => sum + readStat(engine, index), 0) * 2 + engine.flowCount;
}
