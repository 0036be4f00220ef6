/** Flows as rows of a table and as objects of JSON, chosen and in order. */

import type { FlowValues } from "../../admin/flow-octets.ts";
import { FlowKind, Waiting } from "../../admin/gen/slirp_binding/admin/v1/admin_pb.js";
import type { FlowSort } from "../../config/inspect.ts";
import type { Column } from "./table.ts";
import { durationText, endText, octetsText } from "./units.ts";

const KINDS: Readonly<Record<FlowKind, string>> = {
  [FlowKind.UNSPECIFIED]: "",
  [FlowKind.TCP]: "tcp",
  [FlowKind.UDP]: "udp",
  [FlowKind.PING]: "ping",
  [FlowKind.DNS]: "dns",
};

/** What a flow waits for: the word of JSON, and what people read. */
const WAITS: Readonly<Record<Waiting, readonly [word: string, text: string]>> = {
  [Waiting.UNSPECIFIED]: ["", ""],
  [Waiting.IDLE]: ["idle", "-"],
  [Waiting.CONNECT]: ["connect", "far side to answer"],
  [Waiting.GUEST_ACCEPT]: ["guest_accept", "guest to answer"],
  [Waiting.HOST_WRITE]: ["host_write", "far side to take data"],
  [Waiting.GUEST_WINDOW]: ["guest_window", "guest to open its window"],
  [Waiting.GUEST_ACK]: ["guest_ack", "guest to acknowledge"],
  [Waiting.GUEST_CLOSE]: ["guest_close", "guest to close"],
  [Waiting.HOST_CLOSE]: ["host_close", "far side to close"],
  [Waiting.TIME_WAIT]: ["time_wait", "late segments"],
};

/** Of an address of IPv4 and a port: those are never cut. */
const END_WIDTH = 21;

/** Columns of `flows`, and of `top` behind its own. */
export const FLOW_COLUMNS: readonly Column<FlowValues>[] = [
  { title: "KIND", cell: ({ kind }) => kindText(kind) },
  { title: "DIR", cell: ({ isInbound }) => (isInbound ? "in" : "out"), leave: 5 },
  { title: "STATE", cell: ({ state }) => state.toLowerCase(), leave: 2 },
  {
    title: "GUEST",
    cell: (flow) => endText(flow.guestAddress, flow.guestPort),
    least: END_WIDTH,
    leave: 1,
  },
  { title: "PEER", cell: (flow) => endText(flow.peerAddress, flow.peerPort), least: END_WIDTH },
  { title: "REACHED AS", cell: reachedAs, least: END_WIDTH, leave: 8 },
  { title: "SENT", cell: (flow) => octetsText(flow.bytesToHost), isRight: true, leave: 3 },
  {
    title: "RECEIVED",
    cell: (flow) => octetsText(flow.bytesToGuest),
    isRight: true,
    leave: 3,
  },
  { title: "AGE", cell: ({ ageUs }) => durationText(ageUs), isRight: true, leave: 4 },
  { title: "IDLE", cell: ({ idleUs }) => durationText(idleUs), isRight: true, leave: 6 },
  {
    title: "RTT",
    cell: ({ rttUs }) => (rttUs === 0 ? "" : durationText(rttUs)),
    isRight: true,
    leave: 7,
  },
  {
    title: "RESENT",
    cell: ({ retransmits }) => (retransmits === 0 ? "" : String(retransmits)),
    isRight: true,
    leave: 9,
  },
  { title: "WAITS FOR", cell: ({ waiting }) => WAITS[waiting]?.[1] ?? "", least: 9, leave: 4 },
  { title: "INTERFACE", cell: ({ network }) => network, leave: 10 },
];

/** The host's side, where the guest's does not say it already. */
function reachedAs(flow: FlowValues): string {
  if (flow.hostAddress === flow.peerAddress && flow.hostPort === flow.peerPort) return "";
  return endText(flow.hostAddress, flow.hostPort);
}

export function kindText(kind: FlowKind): string {
  return KINDS[kind] ?? "";
}

/** A flow as an object whose keys stay: those of the protocol, with underscores. */
export function flowRecord(flow: FlowValues): Readonly<Record<string, unknown>> {
  return {
    network: flow.network,
    id: flow.id,
    kind: kindText(flow.kind),
    state: flow.state,
    guest_address: flow.guestAddress,
    guest_port: flow.guestPort,
    peer_address: flow.peerAddress,
    peer_port: flow.peerPort,
    local_address: flow.localAddress,
    local_port: flow.localPort,
    host_address: flow.hostAddress,
    host_port: flow.hostPort,
    is_inbound: flow.isInbound,
    bytes_to_host: flow.bytesToHost,
    bytes_to_guest: flow.bytesToGuest,
    age_us: flow.ageUs,
    idle_us: flow.idleUs,
    rtt_us: flow.rttUs,
    window_for_guest: flow.windowForGuest,
    window_of_guest: flow.windowOfGuest,
    congestion_window: flow.congestionWindow,
    in_flight: flow.inFlight,
    retransmits: flow.retransmits,
    waiting: WAITS[flow.waiting]?.[0] ?? "",
  };
}

/** A check of a flow's state. @param states none = every flow passes */
export function hasState(states: readonly string[]): (flow: FlowValues) => boolean {
  if (states.length === 0) return () => true;
  const wanted = new Set(states.map(lettersOf));
  return ({ state }) => wanted.has(lettersOf(state));
}

/** `SYN-SENT`, `syn_sent` and `SynSent` are one. */
function lettersOf(state: string): string {
  return state.replace(/[^a-z0-9]/gi, "").toLowerCase();
}

/** Flows with the largest first; those that are equal stay in their order. */
export function sortFlows<T extends FlowValues>(
  flows: readonly T[],
  by: FlowSort | undefined,
): T[] {
  if (by === undefined) return [...flows];
  const key = KEYS[by];
  return [...flows].sort((one, other) => key(other) - key(one));
}

const KEYS: Readonly<Record<FlowSort, (flow: FlowValues) => number>> = {
  bytes: ({ bytesToHost, bytesToGuest }) => bytesToHost + bytesToGuest,
  age: ({ ageUs }) => ageUs,
  idle: ({ idleUs }) => idleUs,
  rtt: ({ rttUs }) => rttUs,
  retransmits: ({ retransmits }) => retransmits,
};
