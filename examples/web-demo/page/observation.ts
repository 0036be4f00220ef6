/** What is looked at once a second, and the rates between two looks. Pure. */
import type { Figures } from "../../../src/ui/browser/figures.ts";
import type { Point, View } from "../../../src/ui/browser/store.ts";

const POINTS_MAX = 300;
const NETWORK = "guest";

export interface FlowLine {
  readonly id: number;
  readonly kind: string;
  readonly state: string;
  /** The guest's end and the far one. */
  readonly guest: string;
  readonly peer: string;
  readonly bytesToHost: number;
  readonly bytesToGuest: number;
}

/** Counters since the network began. */
export interface Counters {
  readonly framesFromGuest: number;
  readonly framesToGuest: number;
  readonly bytesFromGuest: number;
  readonly bytesToGuest: number;
  readonly retransmits: number;
  readonly drops: number;
  /** Times that the guest's card had no room. */
  readonly waits: number;
}

export interface Observation {
  readonly time_ms: number;
  readonly counters: Counters;
  readonly flows: readonly FlowLine[];
}

/** Figures of the time between two looks. */
export function figuresBetween(before: Observation, now: Observation): Figures {
  const seconds = Math.max(0.001, (now.time_ms - before.time_ms) / 1000);
  const rate = (name: keyof Counters): number =>
    Math.max(0, now.counters[name] - before.counters[name]) / seconds;
  return {
    toGuest: rate("bytesToGuest") * 8,
    fromGuest: rate("bytesFromGuest") * 8,
    framesToGuest: rate("framesToGuest"),
    framesFromGuest: rate("framesFromGuest"),
    rtt_us: null,
    drops: rate("drops"),
    retransmits: rate("retransmits"),
    buffers: 0,
    buffersMax: 0,
  };
}

/** Keeps figures of the last minutes as the charts of the live page take them. */
export class Course {
  #points: Point[] = [];
  #last: Observation | undefined;

  /** @returns undefined at the first look, which has nothing to compare with */
  add(now: Observation): View | undefined {
    const before = this.#last;
    this.#last = now;
    if (before === undefined) return undefined;
    const figures = figuresBetween(before, now);
    const time_us = now.time_ms * 1000;
    const point = { time_us, byNetwork: new Map([[NETWORK, figures]]) };
    this.#points = [...this.#points.slice(1 - POINTS_MAX), point];
    return viewOf(this.#points, time_us, figures);
  }
}

function viewOf(points: readonly Point[], time_us: number, figures: Figures): View {
  const nothing = { flows: [], ports: [], drops: [], captures: [], families: new Map() };
  const told = { instance: undefined, isWhole: true, level: "", lastEvent: 0, lastLine: 0 };
  return {
    moment: { time_us, ...nothing, ...told },
    isLive: true,
    latest_us: time_us,
    network: NETWORK,
    figures,
    drops: [],
    events: [],
    lines: [],
    points,
    networks: [NETWORK],
  };
}
