/**
 * Everything the page has been told, and the last minute of it. Pure but for its own state.
 *
 * Theory of operation
 *   Lines of `/watch` change the present. With each line of figures, once a second, the present is
 *   kept as a moment: a list of the flows as they are (a flow is never changed, only replaced, so a
 *   moment of 10,000 flows is 10,000 references), the figures, and how far the log had come. Of
 *   moments the last minute is kept in full; of figures, which are small, ten minutes.
 *
 *   A view is one moment, live or past. Panels draw views and know of nothing else, so all of them
 *   go back in time together.
 *
 *   A flow that ends stays for ENDED_SHOWN_us as ended: most flows are shorter than a look. Moments
 *   are those of the instance's clock.
 */
import { type DropCount, dropCounts, type Figures, figuresOf } from "./figures.ts";
import {
  type CaptureInfo,
  type DropInfo,
  type EventInfo,
  type Families,
  type FlowInfo,
  flowKey,
  type InstanceInfo,
  type JsonFlow,
  type PortInfo,
  readCaptures,
  readDrops,
  readEvent,
  readFlow,
  readFlows,
  readInstance,
  readLevel,
  readLogLine,
  readPorts,
  readStats,
} from "./model.ts";

const REPLAY_SECONDS = 60;
const FIGURES_SECONDS = 600;
const EVENTS_MAX = 1024;
const LINES_MAX = 1000;
const ENDED_SHOWN_us = 5e6;

export interface LogEntry {
  /** Counts up. */
  readonly id: number;
  readonly text: string;
  readonly lost: number;
}

/** One second as it was. */
export interface Moment {
  readonly time_us: number;
  /** All flows had been told. */
  readonly isWhole: boolean;
  readonly instance: InstanceInfo | undefined;
  readonly flows: readonly FlowInfo[];
  readonly families: Families;
  readonly ports: readonly PortInfo[];
  readonly drops: readonly DropInfo[];
  readonly captures: readonly CaptureInfo[];
  readonly level: string;
  /** Ids of the latest event and line. */
  readonly lastEvent: number;
  readonly lastLine: number;
}

/** Figures of all networks together, under "", and of each. */
export interface Point {
  readonly time_us: number;
  readonly byNetwork: ReadonlyMap<string, Figures>;
}

/** What panels draw. */
export interface View {
  readonly moment: Moment;
  readonly isLive: boolean;
  /** Of the latest moment. */
  readonly latest_us: number;
  /** Empty = all. */
  readonly network: string;
  readonly figures: Figures | undefined;
  readonly drops: readonly DropCount[];
  readonly events: readonly EventInfo[];
  readonly lines: readonly LogEntry[];
  readonly points: readonly Point[];
  /** Names of all networks there are. */
  readonly networks: readonly string[];
}

export class Store {
  #instance: InstanceInfo | undefined;
  #flows = new Map<string, FlowInfo>();
  #ports: readonly PortInfo[] = [];
  #drops: readonly DropInfo[] = [];
  #captures: readonly CaptureInfo[] = [];
  #level = "";
  #events: EventInfo[] = [];
  #lines: LogEntry[] = [];
  #lastLine = 0;
  #moments: Moment[] = [];
  #points: Point[] = [];
  /** Told in this connection; what is not was there before it and is there no more. */
  #fresh: Set<string> | undefined;
  #moved = new Set<string>();
  #pending: JsonFlow[] = [];

  /** A connection begins: what it does not tell of is gone. */
  reconnect(): void {
    this.#fresh = new Set();
    this.#pending = [];
    this.#lines = [];
  }

  /** Takes a line apart. @returns whether there is a new moment */
  apply(message: Readonly<Record<string, unknown>>): boolean {
    const [[kind = "", json] = []] = Object.entries(message);
    switch (kind) {
      case "instance":
        this.#takeInstance(readInstance(json));
        return false;
      case "flows":
        this.#takeFlows(json);
        return false;
      case "stats":
        return this.#takeStats(json);
      case "event":
        this.#takeEvent(readEvent(json));
        return false;
      case "log":
        this.#takeLine(json);
        return false;
      case "ports":
        this.#ports = readPorts(json);
        return false;
      case "drops":
        this.#drops = readDrops(json);
        return false;
      case "captures":
        this.#captures = readCaptures(json);
        return false;
      case "level":
        this.#level = readLevel(json);
        return false;
      default:
        return false;
    }
  }

  /** How many seconds back a view may go. */
  get depth(): number {
    return Math.max(0, this.#moments.length - 1);
  }

  /** How many moments ago a time was; a time that is no longer kept is the oldest. */
  backOf(time_us: number): number {
    const place = this.#moments.findIndex((moment) => moment.time_us >= time_us);
    return place < 0 ? 0 : this.#moments.length - 1 - place;
  }

  /** Of so many moments ago; 0 = live. Undefined before the first. */
  view(back: number, network: string): View | undefined {
    const place = Math.max(0, this.#moments.length - 1 - back);
    const moment = this.#moments[place];
    if (moment === undefined) return undefined;
    const before = this.#moments[place - 1];
    const seconds = before === undefined ? 0 : (moment.time_us - before.time_us) / 1e6;
    const point = this.#points.findLast(({ time_us }) => time_us === moment.time_us);
    const isHere = (of: string): boolean => network === "" || of === network || of === "";
    return {
      moment,
      isLive: back === 0,
      latest_us: this.#moments.at(-1)?.time_us ?? moment.time_us,
      network,
      figures: point?.byNetwork.get(network),
      drops: dropCounts(moment.families, before?.families ?? moment.families, seconds, network),
      events: this.#events.filter(({ id, network }) => id <= moment.lastEvent && isHere(network)),
      lines: this.#lines.filter(({ id }) => id <= moment.lastLine),
      points: this.#points,
      networks: (moment.instance?.networks ?? []).map(({ name }) => name),
    };
  }

  /** A program that was started in place of another one has nothing of the other's. */
  #takeInstance(instance: InstanceInfo): void {
    const { pid, started_us } = this.#instance ?? instance;
    if (pid !== instance.pid || started_us !== instance.started_us) {
      this.#flows.clear();
      this.#events = [];
      this.#drops = [];
    }
    this.#instance = instance;
  }

  /** An answer may come in several messages; the last one has the time of all of them. */
  #takeFlows(json: unknown): void {
    const { flows, ended, isComplete, time_us } = readFlows(json);
    this.#pending.push(...flows);
    if (!isComplete) return;
    for (const each of this.#pending) {
      const key = flowKey(each);
      const before = this.#flows.get(key);
      // A number that is used again is another flow.
      const same = before?.ended_us === undefined ? before : undefined;
      this.#flows.set(key, readFlow(each, time_us, same));
      this.#moved.add(key);
      this.#fresh?.add(key);
    }
    this.#pending = [];
    for (const key of ended) this.#endFlow(key, time_us);
    this.#completeFlows(time_us);
  }

  #completeFlows(time_us: number): void {
    const fresh = this.#fresh;
    if (fresh !== undefined) {
      for (const key of this.#flows.keys()) if (!fresh.has(key)) this.#endFlow(key, time_us);
      this.#fresh = undefined;
    }
    for (const [key, flow] of this.#flows) {
      if (flow.ended_us !== undefined) {
        if (time_us - flow.ended_us >= ENDED_SHOWN_us) this.#flows.delete(key);
      } else if (!this.#moved.has(key)) this.#restFlow(key, flow);
    }
    this.#moved.clear();
  }

  /** Nothing was told of it: nothing has moved. */
  #restFlow(key: string, flow: FlowInfo): void {
    if (flow.rateToHost === 0 && flow.rateToGuest === 0) return;
    this.#flows.set(key, { ...flow, rateToHost: 0, rateToGuest: 0 });
  }

  #endFlow(key: string, time_us: number): void {
    const flow = this.#flows.get(key);
    if (flow === undefined || flow.ended_us !== undefined) return;
    this.#flows.set(key, { ...flow, rateToHost: 0, rateToGuest: 0, ended_us: time_us });
  }

  #takeEvent(event: EventInfo): void {
    if (event.id <= (this.#events.at(-1)?.id ?? 0)) return;
    this.#events.push(event);
    if (this.#events.length > EVENTS_MAX) this.#events.shift();
  }

  #takeLine(json: unknown): void {
    this.#lastLine += 1;
    this.#lines.push({ id: this.#lastLine, ...readLogLine(json) });
    if (this.#lines.length > LINES_MAX) this.#lines.shift();
  }

  #takeStats(json: unknown): boolean {
    const { time_us, families } = readStats(json);
    const before = this.#moments.at(-1);
    if (before !== undefined && time_us <= before.time_us) return false;
    // Before all flows have been told once it looks as if there were none.
    if (before !== undefined && !before.isWhole) this.#moments.pop();
    this.#moments.push({
      time_us,
      isWhole: this.#fresh === undefined,
      families,
      instance: this.#instance,
      flows: [...this.#flows.values()],
      ports: this.#ports,
      drops: this.#drops,
      captures: this.#captures,
      level: this.#level,
      lastEvent: this.#events.at(-1)?.id ?? 0,
      lastLine: this.#lastLine,
    });
    const oldest_us = time_us - REPLAY_SECONDS * 1e6;
    while ((this.#moments[0]?.time_us ?? time_us) < oldest_us) this.#moments.shift();
    if (before !== undefined) this.#takePoint(time_us, families, before);
    return true;
  }

  #takePoint(time_us: number, families: Families, before: Moment): void {
    const seconds = (time_us - before.time_us) / 1e6;
    const names = ["", ...(this.#instance?.networks ?? []).map(({ name }) => name)];
    const byNetwork = new Map(
      names.map((name) => [name, figuresOf(families, before.families, seconds, name)]),
    );
    this.#points.push({ time_us, byNetwork });
    const oldest_us = time_us - FIGURES_SECONDS * 1e6;
    while ((this.#points[0]?.time_us ?? time_us) < oldest_us) this.#points.shift();
  }
}
