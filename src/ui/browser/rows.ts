/** The flows table's columns, its order and its search. Pure. */
import { formatUnit } from "../../lib/units.ts";
import { endpoint, type FlowInfo } from "./model.ts";

export interface Column {
  readonly id: string;
  readonly title: string;
  /** What the title alone does not say. */
  readonly hint: string;
  readonly isNumber: boolean;
  /** 1 = always shown, 3 = where there is much room. */
  readonly priority: 1 | 2 | 3;
  readonly text: (flow: FlowInfo, now_us: number) => string;
  /** What it is sorted by. */
  readonly key: (flow: FlowInfo, now_us: number) => number | string;
}

export interface Order {
  readonly column: string;
  readonly isDescending: boolean;
}

/** What a flow waits for: a word for the table, a sentence for its details. */
export const WAITING: Readonly<Record<string, readonly [word: string, sentence: string]>> = {
  IDLE: ["–", "Nothing is under way: either side may speak."],
  CONNECT: ["connect", "The far side has not answered the connection's begin."],
  GUEST_ACCEPT: ["guest accept", "The guest has not answered the connection's begin."],
  HOST_WRITE: ["far side", "The far side does not take what the guest has sent."],
  GUEST_WINDOW: ["guest window", "The guest's window is closed: its program does not read."],
  GUEST_ACK: ["guest ack", "The guest has not acknowledged yet what is on its way."],
  GUEST_CLOSE: ["guest close", "The far side is done; the guest has not closed its side."],
  HOST_CLOSE: ["far close", "The guest is done; the far side has not closed its side."],
  TIME_WAIT: ["time", "Both sides are done; late segments are waited for."],
};

/** What it waits for in a word; what a younger instance says stays as it is. */
export function waitingWord(waiting: string): string {
  return WAITING[waiting]?.[0] ?? (waiting.toLowerCase().replaceAll("_", " ") || "–");
}

/** Microseconds in two units at most: 250 ms, 12 s, 3 min 5 s, 2 h 4 min. */
export function formatSpan(span_us: number): string {
  const seconds = Math.max(0, span_us) / 1e6;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Octets per second as bits per second; a flow at rest has none. */
export function formatRate(octets: number): string {
  return octets === 0 ? "–" : formatUnit("rate", octets * 8);
}

function span(value: (flow: FlowInfo, now_us: number) => number): Pick<Column, "text" | "key"> {
  return { text: (flow, now_us) => formatSpan(value(flow, now_us)), key: value };
}

function rate(value: (flow: FlowInfo) => number): Pick<Column, "text" | "key"> {
  return { text: (flow) => formatRate(value(flow)), key: value };
}

function octets(value: (flow: FlowInfo) => number): Pick<Column, "text" | "key"> {
  return { text: (flow) => formatUnit("octets", value(flow)), key: value };
}

function words(value: (flow: FlowInfo) => string): Pick<Column, "text" | "key"> {
  return { text: value, key: value };
}

/** What an ended flow is like, instead of its state. */
const ENDED = "ended";

export const COLUMNS: readonly Column[] = [
  {
    ...{ id: "guest", title: "Guest", hint: "address and port of the guest's side" },
    ...{ isNumber: false, priority: 2 },
    ...words(({ guest, guestPort }) => endpoint(guest, guestPort)),
  },
  {
    ...{ id: "peer", title: "Far side", hint: "address and port as the guest sees them" },
    ...{ isNumber: false, priority: 1 },
    ...words(
      ({ peer, peerPort, isInbound }) => `${isInbound ? "← " : ""}${endpoint(peer, peerPort)}`,
    ),
  },
  {
    ...{ id: "kind", title: "Kind", hint: "protocol", isNumber: false, priority: 2 },
    ...words(({ kind }) => kind),
  },
  {
    ...{ id: "state", title: "State", hint: "state of TCP", isNumber: false, priority: 3 },
    ...words(({ state, ended_us }) => (ended_us === undefined ? state : ENDED)),
  },
  {
    ...{ id: "waiting", title: "Waits for", hint: "whom or what it waits for" },
    ...{ isNumber: false, priority: 1 },
    ...words(({ waiting, ended_us }) => (ended_us === undefined ? waitingWord(waiting) : ENDED)),
  },
  {
    ...{ id: "up", title: "Rate ↑", hint: "from the guest, in the last second" },
    ...{ isNumber: true, priority: 2 },
    ...rate(({ rateToHost }) => rateToHost),
  },
  {
    ...{ id: "down", title: "Rate ↓", hint: "to the guest, in the last second" },
    ...{ isNumber: true, priority: 1 },
    ...rate(({ rateToGuest }) => rateToGuest),
  },
  {
    ...{ id: "sent", title: "Sent ↑", hint: "payload from the guest since it began" },
    ...{ isNumber: true, priority: 3 },
    ...octets(({ toHost }) => toHost),
  },
  {
    ...{ id: "received", title: "Sent ↓", hint: "payload to the guest since it began" },
    ...{ isNumber: true, priority: 3 },
    ...octets(({ toGuest }) => toGuest),
  },
  {
    ...{ id: "rtt", title: "RTT", hint: "round trip to the guest", isNumber: true, priority: 3 },
    text: ({ rtt_us }) => (rtt_us === 0 ? "–" : formatUnit("duration", rtt_us)),
    key: ({ rtt_us }) => rtt_us,
  },
  {
    ...{ id: "again", title: "Again", hint: "segments sent to the guest again" },
    ...{ isNumber: true, priority: 3 },
    text: ({ retransmits }) => (retransmits === 0 ? "–" : String(retransmits)),
    key: ({ retransmits }) => retransmits,
  },
  {
    ...{ id: "age", title: "Age", hint: "time since it began", isNumber: true, priority: 3 },
    ...span(({ born_us, ended_us }, now_us) => (ended_us ?? now_us) - born_us),
  },
  {
    ...{ id: "idle", title: "Idle", hint: "time since a packet of it moved" },
    ...{ isNumber: true, priority: 3 },
    ...span(({ active_us, ended_us }, now_us) => (ended_us ?? now_us) - active_us),
  },
];

/** Every word has to be found somewhere. */
export function searched(flows: readonly FlowInfo[], search: string): readonly FlowInfo[] {
  const wanted = search
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  if (wanted.length === 0) return flows;
  return flows.filter(({ text }) => wanted.every((word) => text.includes(word)));
}

/** A new list; flows that are equal stay in the order of their age, so that rows do not jump. */
export function ordered(
  flows: readonly FlowInfo[],
  { column, isDescending }: Order,
  now_us: number,
): FlowInfo[] {
  const key = COLUMNS.find(({ id }) => id === column)?.key ?? (({ born_us }) => born_us);
  const sign = isDescending ? -1 : 1;
  const keyed = flows.map((flow) => ({ flow, key: key(flow, now_us) }));
  keyed.sort((a, b) => sign * compare(a.key, b.key) || a.flow.born_us - b.flow.born_us);
  return keyed.map(({ flow }) => flow);
}

function compare(a: number | string, b: number | string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A capture's filter for one flow. */
export function filterOf({ kind, peer, peerPort, guestPort }: FlowInfo): string {
  if (kind === "ping") return `icmp and host ${peer}`;
  const protocol = kind === "dns" ? "udp" : kind;
  return `${protocol} and host ${peer} and port ${peerPort} and port ${guestPort}`;
}
