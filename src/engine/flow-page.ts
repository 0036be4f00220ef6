/**
 * Flows by the hundred, for whoever lists them: records are copied as they are in one go, between
 * two turns, and read later by another thread. A page costs the thread that carries packets about a
 * tenth of a millisecond, however long its reader takes.
 */
import * as abi from "../../wasm/abi.ts";
import { formatIpv4 } from "../lib/addr.ts";
import { formatIpv6, groupsOfOctets } from "../lib/addr6.ts";
import { type FlowInfo, readFlow } from "./flows.ts";
import { readTcpRecord, type TcpFlow } from "./tcp-flow.ts";

/** Flows of a page. */
const PAGE_FLOW_COUNT = 256;
/** Slots that are looked at for one page: a table that is nearly empty takes several. */
const LOOKED_AT_COUNT = 16_384;
const US_PER_BEGAN_TICK = 2 ** abi.TRACE_BEGAN_SHIFT;
const ADDRESS_OCTETS = 16;
/** Of a record: where it has numbers that stand for addresses. */
const ADDRESS_OFFSETS = [
  abi.FLOW_GUEST_ADDRESS_OFFSET,
  abi.FLOW_PEER_ADDRESS_OFFSET,
  abi.FLOW_HOST_ADDRESS_OFFSET,
] as const;

/** What of an engine a page is copied from. */
export interface FlowSource {
  readonly octets: Uint8Array;
  readonly bases: { readonly flows: number; readonly addresses: number };
  readonly flowCount: number;
}

/** Plain values, to be sent to another thread. */
export interface FlowPage {
  /** Slots of the records, in the same order. */
  readonly slots: Uint32Array<ArrayBuffer>;
  /** FLOW_SIZE octets of each flow. */
  readonly records: Uint8Array<ArrayBuffer>;
  /** IPv6 addresses that the records have numbers for, by those numbers; 16 octets each. */
  readonly addresses: ReadonlyMap<number, Uint8Array<ArrayBuffer>>;
  /** When it was copied, as the engine has the time, microseconds. */
  readonly now: number;
  /** Where the next page begins; undefined: this is the last one. */
  readonly next: number | undefined;
}

/** A flow as it is listed. */
export interface ListedFlow extends FlowInfo {
  readonly isInbound: boolean;
  /** Microseconds, in steps of 4096. */
  readonly age: number;
  /** Microseconds. */
  readonly idle: number;
  readonly tcp: (TcpFlow & ListedTcp) | undefined;
  /** Texts of the addresses, which in `FlowInfo` are numbers. */
  readonly texts: { readonly guest: string; readonly peer: string; readonly host: string };
}

interface ListedTcp {
  /** Segments sent to the guest again. */
  readonly resent: number;
  /** The far side takes no more for now. */
  readonly isBlocked: boolean;
}

/**
 * Copies a page of flows.
 * @param from slot it begins at
 * @param now the engine's time, microseconds
 */
export function copyFlowPage(engine: FlowSource, from: number, now: number): FlowPage {
  const { octets, bases } = engine;
  const kindAt = bases.flows + abi.FLOW_KIND_OFFSET;
  const end = Math.min(abi.FLOW_CAPACITY_COUNT, from + LOOKED_AT_COUNT);
  const found: number[] = [];
  let slot = from;
  for (; slot < end && found.length < PAGE_FLOW_COUNT; slot += 1) {
    if (octets[kindAt + slot * abi.FLOW_SIZE] !== abi.KIND_FREE) found.push(slot);
  }
  const records = copyRecords(engine, found);
  const addresses = copyAddresses(engine, records);
  const next = slot < abi.FLOW_CAPACITY_COUNT ? slot : undefined;
  return { slots: Uint32Array.from(found), records, addresses, now, next };
}

/** Records of slots, which rise; those that lie side by side are copied in one go. */
function copyRecords(
  { octets, bases }: FlowSource,
  slots: readonly number[],
): Uint8Array<ArrayBuffer> {
  const records = new Uint8Array(slots.length * abi.FLOW_SIZE);
  for (let i = 0; i < slots.length; ) {
    const first = slots[i] ?? 0;
    let count = 1;
    while (slots[i + count] === first + count) count += 1;
    const at = bases.flows + first * abi.FLOW_SIZE;
    records.set(octets.subarray(at, at + count * abi.FLOW_SIZE), i * abi.FLOW_SIZE);
    i += count;
  }
  return records;
}

function copyAddresses({ octets, bases }: FlowSource, records: Uint8Array<ArrayBuffer>) {
  const words = new Uint32Array(records.buffer);
  const addresses = new Map<number, Uint8Array<ArrayBuffer>>();
  for (let record = 0; record < records.length; record += abi.FLOW_SIZE) {
    for (const offset of ADDRESS_OFFSETS) {
      const number = words[(record + offset) >> 2] ?? 0;
      const place = placeOf(number);
      if (place < 0 || addresses.has(number)) continue;
      const at = bases.addresses + place * abi.ADDRESS_SIZE;
      addresses.set(number, octets.slice(at, at + ADDRESS_OCTETS));
    }
  }
  return addresses;
}

/** Place in the table of IPv6 addresses; below 0: it is an IPv4 address. */
function placeOf(address: number): number {
  return address - (abi.ADDRESS_SIX >>> 0);
}

/** Reads a page; flows as they were when it was copied. */
export function readFlowPage(page: FlowPage): ListedFlow[] {
  const { records, slots, addresses, now } = page;
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  const text = (address: number): string => {
    if (placeOf(address) < 0) return formatIpv4(address);
    return formatIpv6(groupsOfOctets(addresses.get(address) ?? new Uint8Array(ADDRESS_OCTETS)));
  };
  const flows: ListedFlow[] = [];
  slots.forEach((slot, i) => {
    const base = i * abi.FLOW_SIZE;
    const flow = readFlow(view, base, slot);
    if (flow === undefined) return;
    const { guestAddress, peerAddress, hostAddress } = flow;
    flows.push({
      ...flow,
      isInbound: isInbound(view, base),
      age: ageOf(view, base, now),
      idle: Math.max(0, now - lastActiveOf(view, base)),
      tcp: flow.kind === "tcp" ? listedTcp(view, base) : undefined,
      texts: { guest: text(guestAddress), peer: text(peerAddress), host: text(hostAddress) },
    });
  });
  return flows;
}

function isInbound(view: DataView, base: number): boolean {
  const share = view.getUint8(base + abi.TRACE_FLOW_SHARE_OFFSET);
  return share === abi.TRACE_SHARE_OUTSIDE || share === abi.TRACE_SHARE_PUBLISHED;
}

function lastActiveOf(view: DataView, base: number): number {
  return Number(view.getBigInt64(base + abi.TRACE_FLOW_LAST_ACTIVE_OFFSET, true));
}

function ageOf(view: DataView, base: number, now: number): number {
  const began = view.getUint32(base + abi.TRACE_FLOW_BEGAN_OFFSET, true);
  const ticks = Math.floor(now / US_PER_BEGAN_TICK) % 2 ** 32;
  return ((ticks - began) >>> 0) * US_PER_BEGAN_TICK;
}

function listedTcp(view: DataView, base: number): TcpFlow & ListedTcp {
  const flags = view.getUint32(base + abi.FLOW_FLAGS_OFFSET, true);
  return {
    ...readTcpRecord(view, base),
    resent: view.getUint32(base + abi.TRACE_FLOW_RESENT_OFFSET, true),
    isBlocked: (flags & abi.TRACE_FLAG_BLOCKED) !== 0,
  };
}
