/**
 * Messages of the vhost-user protocol: octets to values and back, every length checked.
 *
 *     request u32 | flags u32: version in bits 0 and 1, 4 = reply, 8 = wants a reply | size u32
 *     payload of `size` octets; descriptors come along by SCM_RIGHTS
 *
 * Numbers of 64 bits are read as doubles: an address above 2^53 loses its last bits and is then an
 * address that no region has, since regions end below that (`regions.ts`). Feature bits are BigInt.
 *
 * Source: the vhost-user protocol of QEMU's documentation (interop/vhost-user).
 */

export const HEADER_SIZE = 12;
/** The largest message that is answered: a table of REGIONS_PER_TABLE regions. */
const PAYLOAD_SIZE_MAX = 264;
const REGIONS_PER_TABLE = 8;
const REGION_SIZE = 32;

const VERSION = 1;
const VERSION_MASK = 3;
const FLAG_REPLY = 4;
export const FLAG_NEED_REPLY = 8;

export const REQUEST = {
  getFeatures: 1,
  setFeatures: 2,
  setOwner: 3,
  resetOwner: 4,
  setMemTable: 5,
  setLogBase: 6,
  setLogFd: 7,
  setVringNum: 8,
  setVringAddr: 9,
  setVringBase: 10,
  getVringBase: 11,
  setVringKick: 12,
  setVringCall: 13,
  setVringErr: 14,
  getProtocolFeatures: 15,
  setProtocolFeatures: 16,
  getQueueNum: 17,
  setVringEnable: 18,
  sendRarp: 19,
  netSetMtu: 20,
  getMaxMemSlots: 36,
  addMemReg: 37,
  remMemReg: 38,
} as const;

/** A message as it came; its descriptors are the receiver's to close. */
export interface Message {
  readonly request: number;
  readonly flags: number;
  readonly payload: Uint8Array;
  readonly fds: number[];
}

/** The other end does not keep to the protocol; the text says how. */
export class ProtocolError extends Error {}

/** What a header says. */
export interface Header {
  readonly request: number;
  readonly flags: number;
  readonly size: number;
}

/** A part of guest memory, and where the front end and its descriptor have it. */
export interface RegionLayout {
  readonly guestAddress: number;
  readonly size: number;
  readonly userAddress: number;
  /** Of the descriptor's content. */
  readonly offset: number;
}

/** Number of a ring and what is said of it. */
export interface VringState {
  readonly index: number;
  readonly value: number;
}

/** Where the parts of a ring are, by the front end's addresses. */
export interface VringAddress {
  readonly index: number;
  /** VRING_FLAG_LOG: what is written to the used ring goes into the log, at `log`. */
  readonly isLogged: boolean;
  readonly descriptors: number;
  readonly used: number;
  readonly available: number;
  readonly log: number;
}

/** An event descriptor of a ring, or none. */
export interface VringEvent {
  readonly index: number;
  readonly hasFd: boolean;
}

const VRING_FLAG_LOG = 1;
const EVENT_INDEX_MASK = 0xff;
const EVENT_NO_FD = 0x100;

/** @throws ProtocolError */
export function readHeader(octets: Uint8Array): Header {
  const view = viewOf(octets);
  const flags = view.getUint32(4, true);
  const header = { request: view.getUint32(0, true), flags, size: view.getUint32(8, true) };
  if ((flags & VERSION_MASK) !== VERSION) {
    throw new ProtocolError(`version ${flags & VERSION_MASK} of the protocol, wanted ${VERSION}`);
  }
  if ((flags & FLAG_REPLY) !== 0) {
    throw new ProtocolError(`a reply ${header.request} that nobody has asked for`);
  }
  if (header.size > PAYLOAD_SIZE_MAX) {
    throw new ProtocolError(
      `request ${header.request} of ${header.size} octets, wanted at most ${PAYLOAD_SIZE_MAX}`,
    );
  }
  return header;
}

/** The reply to a request. */
export function replyTo(request: number, payload: Uint8Array): Uint8Array {
  const octets = new Uint8Array(HEADER_SIZE + payload.length);
  const view = viewOf(octets);
  view.setUint32(0, request, true);
  view.setUint32(4, VERSION | FLAG_REPLY, true);
  view.setUint32(8, payload.length, true);
  octets.set(payload, HEADER_SIZE);
  return octets;
}

export function encodeU64(value: bigint): Uint8Array {
  const octets = new Uint8Array(8);
  viewOf(octets).setBigUint64(0, value, true);
  return octets;
}

export function encodeVringState({ index, value }: VringState): Uint8Array {
  const octets = new Uint8Array(8);
  viewOf(octets).setUint32(0, index, true);
  viewOf(octets).setUint32(4, value, true);
  return octets;
}

/** @throws ProtocolError, as all of the following */
export function readNothing(message: Message): undefined {
  sized(message, 0);
}

export function readU64(message: Message): bigint {
  return sized(message, 8).getBigUint64(0, true);
}

export function readVringState(message: Message): VringState {
  const view = sized(message, 8);
  return { index: view.getUint32(0, true), value: view.getUint32(4, true) };
}

export function readVringAddress(message: Message): VringAddress {
  const view = sized(message, 40);
  return {
    index: view.getUint32(0, true),
    isLogged: (view.getUint32(4, true) & VRING_FLAG_LOG) !== 0,
    descriptors: u64(view, 8),
    used: u64(view, 16),
    available: u64(view, 24),
    log: u64(view, 32),
  };
}

/** With one descriptor, or with none where it says so. */
export function readVringEvent(message: Message): VringEvent {
  const value = Number(readU64(message));
  const hasFd = (value & EVENT_NO_FD) === 0;
  wantFds(message, hasFd ? 1 : 0);
  return { index: value & EVENT_INDEX_MASK, hasFd };
}

/** A table with a descriptor for each region. */
export function readMemTable(message: Message): RegionLayout[] {
  const { payload } = message;
  const count = payload.length < 8 ? 0 : viewOf(payload).getUint32(0, true);
  if (count > REGIONS_PER_TABLE) {
    throw new ProtocolError(`table of ${count} regions, wanted at most ${REGIONS_PER_TABLE}`);
  }
  const view = sized(message, 8 + count * REGION_SIZE);
  wantFds(message, count);
  return Array.from({ length: count }, (_, i) => region(view, 8 + i * REGION_SIZE));
}

/** One region; a descriptor comes with one that is added, and may with one that is removed. */
export function readMemReg(message: Message): RegionLayout {
  const view = sized(message, 8 + REGION_SIZE);
  if (message.request === REQUEST.addMemReg) wantFds(message, 1);
  return region(view, 8);
}

/** Size and offset of the log of written pages, whose descriptor comes along. */
export function readLogBase(message: Message): { size: number; offset: number } {
  const view = sized(message, 16);
  wantFds(message, 1);
  return { size: u64(view, 0), offset: u64(view, 8) };
}

function region(view: DataView, at: number): RegionLayout {
  return {
    guestAddress: u64(view, at),
    size: u64(view, at + 8),
    userAddress: u64(view, at + 16),
    offset: u64(view, at + 24),
  };
}

function u64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

function sized({ request, payload }: Message, size: number): DataView {
  if (payload.length !== size) {
    throw new ProtocolError(`request ${request} of ${payload.length} octets, wanted ${size}`);
  }
  return viewOf(payload);
}

function wantFds({ request, fds }: Message, count: number): void {
  if (fds.length !== count) {
    throw new ProtocolError(`request ${request} with ${fds.length} descriptors, wanted ${count}`);
  }
}

function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}
