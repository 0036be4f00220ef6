/** Flows as the engine has them in its memory, for counters, logs and tests. */
import * as abi from "../../wasm/abi.ts";
import { formatIpv4 } from "../lib/addr.ts";
import { formatIpv6, groupsOfOctets } from "../lib/addr6.ts";
import type { Engine } from "./engine.ts";

export type FlowKind = "tcp" | "udp" | "ping" | "dns";

export type TcpStateName = (typeof TCP_STATE_NAMES)[number];

/** States of RFC 9293 §3.3.2 by `STATE_*`; CONNECTING is ours, before SYN-RECEIVED. */
export const TCP_STATE_NAMES = [
  "CLOSED",
  "CONNECTING",
  "SYN_SENT",
  "SYN_RECEIVED",
  "ESTABLISHED",
  "FIN_WAIT_1",
  "FIN_WAIT_2",
  "CLOSE_WAIT",
  "CLOSING",
  "LAST_ACK",
  "TIME_WAIT",
] as const;

/** What is public of a flow, at the time of the call. */
export interface FlowInfo {
  readonly handle: number;
  readonly kind: FlowKind;
  /** Of TCP flows only. */
  readonly state: TcpStateName | undefined;
  readonly guestAddress: number;
  readonly guestPort: number;
  /** The far side as the guest sees it. */
  readonly peerAddress: number;
  readonly peerPort: number;
  /** Where the host socket goes. */
  readonly hostAddress: number;
  readonly hostPort: number;
  /** Octets of payload. */
  readonly bytesToHost: number;
  readonly bytesToGuest: number;
}

/** Kinds of flow by `KIND_*`; 0 is a free slot. */
export const KIND_NAMES: readonly (FlowKind | undefined)[] = [
  undefined,
  "tcp",
  "udp",
  "ping",
  "dns",
];

/**
 * The flow whose record begins at octet `base`; undefined: the slot is free.
 * @param slot number of the record, part of the flow's handle
 */
export function readFlow(view: DataView, base: number, slot: number): FlowInfo | undefined {
  const kind = KIND_NAMES[view.getUint8(base + abi.FLOW_KIND_OFFSET)];
  if (kind === undefined) return undefined;
  const state = TCP_STATE_NAMES[view.getUint8(base + abi.FLOW_STATE_OFFSET)];
  return {
    handle: handleOf(view, base, slot),
    kind,
    state: kind === "tcp" ? state : undefined,
    guestAddress: view.getUint32(base + abi.FLOW_GUEST_ADDRESS_OFFSET, true),
    guestPort: view.getUint16(base + abi.FLOW_GUEST_PORT_OFFSET, true),
    peerAddress: view.getUint32(base + abi.FLOW_PEER_ADDRESS_OFFSET, true),
    peerPort: view.getUint16(base + abi.FLOW_PEER_PORT_OFFSET, true),
    hostAddress: view.getUint32(base + abi.FLOW_HOST_ADDRESS_OFFSET, true),
    hostPort: view.getUint16(base + abi.FLOW_HOST_PORT_OFFSET, true),
    bytesToHost: Number(view.getBigUint64(base + abi.FLOW_BYTES_TO_HOST_OFFSET, true)),
    bytesToGuest: Number(view.getBigUint64(base + abi.FLOW_BYTES_TO_GUEST_OFFSET, true)),
  };
}

/** The handle of the flow whose record begins at octet `base`. */
export function handleOf(view: DataView, base: number, slot: number): number {
  const generation = view.getUint16(base + abi.FLOW_GENERATION_OFFSET, true);
  return generation * 2 ** abi.HANDLE_SLOT_BITS + slot;
}

/** Every flow in use. Cold. */
export function flowsOf({ config, flowCount, view, bases }: Engine): FlowInfo[] {
  const found: FlowInfo[] = [];
  for (let slot = 0; slot < config.flowsMax && found.length < flowCount; slot += 1) {
    const flow = readFlow(view, bases.flows + slot * abi.FLOW_SIZE, slot);
    if (flow !== undefined) found.push(flow);
  }
  return found;
}

/** Text of an address of either version, as in `FlowInfo`. */
export function addressText({ bases, octets }: Engine, address: number): string {
  const place = address - (abi.ADDRESS_SIX >>> 0);
  if (place < 0) return formatIpv4(address);
  const at = bases.addresses + place * abi.ADDRESS_SIZE;
  return formatIpv6(groupsOfOctets(octets.subarray(at, at + 16)));
}
