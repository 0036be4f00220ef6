/**
 * How a TCP connection of the engine is doing: congestion window, windows, round trip. Read from
 * the flow record as it is between two turns; nothing here writes.
 *
 * A slot's `tcpHandle` finds connections; `readTcpFlow` follows one until its slot is reused.
 */
import * as abi from "../../wasm/abi.ts";
import type { Engine } from "./engine.ts";
import { handleOf, TCP_STATE_NAMES, type TcpStateName } from "./flows.ts";

/** The record's value for "no loss yet". */
const SSTHRESH_NONE = 0x7fffffff;

export interface TcpFlow {
  readonly state: TcpStateName | undefined;
  readonly guestPort: number;
  readonly peerAddress: number;
  readonly peerPort: number;
  /** Octets of payload the host socket has taken, and given. */
  readonly bytesToHost: number;
  readonly bytesToGuest: number;
  /** Towards the guest, in octets. */
  readonly cwnd: number;
  /** Undefined until the first loss. */
  readonly ssthresh: number | undefined;
  readonly inFlight: number;
  /** What the guest offers, and what it is offered. */
  readonly windowOfGuest: number;
  readonly windowForGuest: number;
  /** Chunks of payload: of the guest that the host has not taken, and on the way to the guest. */
  readonly held: number;
  readonly sending: number;
  /** Smoothed round trip between engine and guest, microseconds; 0 = not measured yet. */
  readonly srtt: number;
}

/** Handle of the TCP flow in a slot; undefined = the slot is free or another kind's. */
export function tcpHandle(engine: Engine, slot: number): number | undefined {
  const base = engine.bases.flows + slot * abi.FLOW_SIZE;
  if (engine.octets[base + abi.FLOW_KIND_OFFSET] !== abi.KIND_TCP) return undefined;
  return handleOf(engine.view, base, slot);
}

/** Undefined when the flow has ended. */
export function readTcpFlow(engine: Engine, handle: number): TcpFlow | undefined {
  const slot = handle % 2 ** abi.HANDLE_SLOT_BITS;
  if (tcpHandle(engine, slot) !== handle) return undefined;
  return readTcpRecord(engine.view, engine.bases.flows + slot * abi.FLOW_SIZE);
}

/** The connection whose record begins at octet `base`. */
export function readTcpRecord(view: DataView, base: number): TcpFlow {
  const word = (offset: number): number => view.getUint32(base + offset, true);
  const half = (offset: number): number => view.getUint16(base + offset, true);
  const span = (from: number, to: number): number => (word(to) - word(from)) >>> 0;
  const ssthresh = word(abi.FLOW_TCP_SSTHRESH_OFFSET);
  return {
    state: TCP_STATE_NAMES[view.getUint8(base + abi.FLOW_STATE_OFFSET)],
    guestPort: half(abi.FLOW_GUEST_PORT_OFFSET),
    peerAddress: word(abi.FLOW_PEER_ADDRESS_OFFSET),
    peerPort: half(abi.FLOW_PEER_PORT_OFFSET),
    bytesToHost: Number(view.getBigUint64(base + abi.FLOW_BYTES_TO_HOST_OFFSET, true)),
    bytesToGuest: Number(view.getBigUint64(base + abi.FLOW_BYTES_TO_GUEST_OFFSET, true)),
    cwnd: word(abi.FLOW_TCP_CWND_OFFSET),
    ssthresh: ssthresh === SSTHRESH_NONE ? undefined : ssthresh,
    inFlight: span(abi.FLOW_TCP_SND_UNA_OFFSET, abi.FLOW_TCP_SND_MAX_OFFSET),
    windowOfGuest: word(abi.FLOW_TCP_SND_WINDOW_OFFSET),
    windowForGuest: span(abi.FLOW_TCP_RCV_ACK_OFFSET, abi.FLOW_TCP_RCV_EDGE_OFFSET),
    held: word(abi.FLOW_TCP_HELD_COUNT_OFFSET),
    sending: word(abi.FLOW_TCP_SEND_COUNT_OFFSET),
    srtt: word(abi.FLOW_TCP_SRTT_OFFSET),
  };
}
