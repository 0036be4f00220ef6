/**
 * What `top` shows: the flows that a watch has told of so far, their rates, and what keys do. Pure;
 * `top.ts` has the terminal.
 *
 * A watch tells of flows that have changed. What has not is as it was, with no octets a second, and
 * older by the time that went by.
 */
import type { FlowNews } from "../../admin/flow-calls.ts";
import type { FlowValues } from "../../admin/flow-octets.ts";
import { FlowKind } from "../../admin/gen/slirp_binding/admin/v1/admin_pb.js";
import { FLOW_SORTS, type FlowSort } from "../../config/inspect.ts";
import { FLOW_COLUMNS, kindText, sortFlows } from "./flow-table.ts";
import { type Column, cut, tableLines } from "./table.ts";
import { octetsText, US_PER_SECOND } from "./units.ts";

const KINDS = [FlowKind.TCP, FlowKind.UDP, FlowKind.DNS, FlowKind.PING] as const;
/** Octets a second first: that is what the busiest flows are. */
const SORTS = ["rate", ...FLOW_SORTS] as const;
export type TopSort = "rate" | FlowSort;
/** Lines above the first flow. */
const HEAD_LINES = 3;

/** A flow and what moves of it, octets a second. */
export interface Busy extends FlowValues {
  readonly toHost: number;
  readonly toGuest: number;
}

interface Known {
  flow: FlowValues;
  /** When it was told of last, the program's clock. */
  told_us: number;
  toHost: number;
  toGuest: number;
}

const RATE_COLUMNS: readonly Column<Busy>[] = [
  { title: "SENT/S", cell: ({ toHost }) => rateText(toHost), isRight: true, width: 6 },
  { title: "RECV/S", cell: ({ toGuest }) => rateText(toGuest), isRight: true, width: 6 },
];
const COLUMNS: readonly Column<Busy>[] = [...RATE_COLUMNS, ...FLOW_COLUMNS];

export class TopView {
  readonly #title: string;
  readonly #known = new Map<string, Known>();
  #sort: TopSort;
  #isReversed = false;
  #isPaused = false;
  #offset = 0;
  /** Of the latest interval, by the program's clock; 0 = none yet. */
  #now_us = 0;
  #shown: readonly Busy[] = [];

  constructor(title: string, sort: FlowSort | undefined) {
    this.#title = title;
    this.#sort = sort ?? "rate";
  }

  /** Takes what a watch tells of an interval; true when the screen is out of date. */
  update({ flows, ended, time }: FlowNews): boolean {
    const seconds = this.#now_us === 0 ? 0 : (time - this.#now_us) / US_PER_SECOND;
    this.#now_us = time;
    for (const known of this.#known.values()) {
      known.toHost = 0;
      known.toGuest = 0;
    }
    for (const { id, network } of ended) this.#known.delete(keyOf(network, id));
    for (const flow of flows) this.#take(flow, seconds);
    if (this.#isPaused) return false;
    this.#refresh();
    return true;
  }

  /** What a key does; "end" ends it all. */
  key(key: string, rows: number): "end" | "show" | undefined {
    const page = Math.max(rows - HEAD_LINES - 1, 1);
    switch (key) {
      case "q":
      case "\u0003":
        return "end";
      case "s":
        this.#sort = SORTS[(SORTS.indexOf(this.#sort) + 1) % SORTS.length] ?? "rate";
        break;
      case "r":
        this.#isReversed = !this.#isReversed;
        break;
      case "p":
      case " ":
        this.#isPaused = !this.#isPaused;
        break;
      case "\u001b[A":
      case "k":
        this.#offset -= 1;
        break;
      case "\u001b[B":
      case "j":
        this.#offset += 1;
        break;
      case "\u001b[5~":
        this.#offset -= page;
        break;
      case "\u001b[6~":
        this.#offset += page;
        break;
      default:
        return undefined;
    }
    this.#refresh();
    return "show";
  }

  /** The whole screen, as many lines as it has at most, none wider. */
  lines(columns: number, rows: number): string[] {
    const room = Math.max(rows - HEAD_LINES, 0);
    this.#offset = Math.max(Math.min(this.#offset, this.#shown.length - room), 0);
    const visible = this.#shown.slice(this.#offset, this.#offset + room);
    const table = tableLines(COLUMNS, visible, columns);
    return [cut(this.#summary(), columns), cut(this.#status(), columns), ...table].slice(0, rows);
  }

  #take(flow: FlowValues, seconds: number): void {
    const key = keyOf(flow.network, flow.id);
    const last = this.#known.get(key)?.flow;
    // What a flow moved before it was first told of has no time that it took.
    const rate = (now: number, before: number | undefined): number => {
      if (before === undefined || seconds <= 0) return 0;
      return Math.max(now - before, 0) / seconds;
    };
    this.#known.set(key, {
      flow,
      told_us: this.#now_us,
      toHost: rate(flow.bytesToHost, last?.bytesToHost),
      toGuest: rate(flow.bytesToGuest, last?.bytesToGuest),
    });
  }

  #refresh(): void {
    const flows = [...this.#known.values()].map(({ flow, told_us, toHost, toGuest }): Busy => {
      const passed = Math.max(this.#now_us - told_us, 0);
      const [ageUs, idleUs] = [flow.ageUs + passed, flow.idleUs + passed];
      return { ...flow, ageUs, idleUs, toHost, toGuest };
    });
    const by = this.#sort;
    const sorted =
      by === "rate"
        ? flows.sort((one, other) => rateOf(other) - rateOf(one))
        : sortFlows(flows, by);
    this.#shown = this.#isReversed ? sorted.reverse() : sorted;
  }

  #summary(): string {
    const counts = KINDS.map((kind) => {
      const count = this.#shown.filter((flow) => flow.kind === kind).length;
      return count === 0 ? "" : `${kindText(kind)} ${count}`;
    });
    const sum = (of: (flow: Busy) => number): string =>
      rateText(this.#shown.reduce((so, flow) => so + of(flow), 0)) || "0";
    const kinds = counts.filter((text) => text !== "").join(", ");
    const total = `${this.#shown.length} flows${kinds === "" ? "" : ` (${kinds})`}`;
    const [sent, received] = [sum(({ toHost }) => toHost), sum(({ toGuest }) => toGuest)];
    return `${this.#title}: ${total}, sent ${sent}/s, received ${received}/s`;
  }

  #status(): string {
    const order = `by ${this.#sort}${this.#isReversed ? ", least first" : ""}`;
    const state = this.#isPaused ? "PAUSED, " : "";
    return `${state}${order}   keys: q end, s order, r reverse, p pause, arrows scroll`;
  }
}

function keyOf(network: string, id: number): string {
  return `${id} ${network}`;
}

function rateOf({ toHost, toGuest }: Busy): number {
  return toHost + toGuest;
}

/** Nothing where nothing moves. */
function rateText(rate: number): string {
  return rate === 0 ? "" : octetsText(rate);
}
