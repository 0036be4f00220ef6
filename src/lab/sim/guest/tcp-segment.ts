/**
 * TCP segments of the modelled guest: header and options, read and written (RFC 9293 §3.1, 3.2,
 * RFC 7323, RFC 2018). One record is reused for all that comes in.
 */
import { get16, get32, set16, set32 } from "./octets.ts";

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

const TCP_HEADER = 20;
/** SACK blocks that fit. */
const SACK_MAX = 4;

/** A segment that came in. */
export class Segment {
  sourcePort = 0;
  destinationPort = 0;
  seq = 0;
  ack = 0;
  flags = 0;
  /** As in the header, not scaled. */
  window = 0;
  payloadAt = 0;
  payloadLength = 0;
  /** Of a SYN; 0 = not given. */
  mss = 0;
  /** Of a SYN; -1 = not given. */
  scale = -1;
  sackPermitted = false;
  hasTimestamps = false;
  timestamp = 0;
  timestampEcho = 0;
  sackCount = 0;
  /** Left and right edges in turn. */
  readonly sack = new Uint32Array(2 * SACK_MAX);

  /** Octets of sequence space: payload, SYN and FIN. */
  get span(): number {
    return this.payloadLength + (this.flags & SYN ? 1 : 0) + (this.flags & FIN ? 1 : 0);
  }

  /** Reads the segment of `length` octets at `at`; returns what is wrong with it, if anything. */
  read(octets: Uint8Array, at: number, length: number): string | undefined {
    if (length < TCP_HEADER) return `TCP segment of ${length} octets`;
    const header = ((octets[at + 12] ?? 0) >> 4) * 4;
    if (header < TCP_HEADER || header > length) return `TCP header of ${header} octets`;
    this.sourcePort = get16(octets, at);
    this.destinationPort = get16(octets, at + 2);
    this.seq = get32(octets, at + 4);
    this.ack = get32(octets, at + 8);
    this.flags = octets[at + 13] ?? 0;
    this.window = get16(octets, at + 14);
    this.payloadAt = at + header;
    this.payloadLength = length - header;
    this.mss = 0;
    this.scale = -1;
    this.sackPermitted = false;
    this.hasTimestamps = false;
    this.sackCount = 0;
    return this.#readOptions(octets, at + TCP_HEADER, at + header);
  }

  #readOptions(octets: Uint8Array, from: number, end: number): string | undefined {
    for (let at = from; at < end; ) {
      const kind = octets[at] ?? 0;
      if (kind === 0) return undefined;
      if (kind === 1) {
        at += 1;
        continue;
      }
      const length = octets[at + 1] ?? 0;
      if (at + 1 >= end || length < 2 || at + length > end) return "TCP options of wrong length";
      const wrong = this.#readOption(octets, at, kind, length);
      if (wrong !== undefined) return wrong;
      at += length;
    }
    return undefined;
  }

  #readOption(octets: Uint8Array, at: number, kind: number, length: number): string | undefined {
    if (kind === 2 && length === 4) this.mss = get16(octets, at + 2);
    else if (kind === 3 && length === 3) this.scale = octets[at + 2] ?? 0;
    else if (kind === 4 && length === 2) this.sackPermitted = true;
    else if (kind === 8 && length === 10) {
      this.hasTimestamps = true;
      this.timestamp = get32(octets, at + 2);
      this.timestampEcho = get32(octets, at + 6);
    } else if (kind === 5 && length > 2 && (length - 2) % 8 === 0) {
      this.sackCount = Math.min((length - 2) / 8, SACK_MAX);
      for (let i = 0; i < this.sackCount * 2; i += 1) this.sack[i] = get32(octets, at + 2 + i * 4);
    } else return `TCP option ${kind} of ${length} octets`;
    return undefined;
  }
}

/** A header to be written; options that are undefined are left out. */
export interface Header {
  sourcePort: number;
  destinationPort: number;
  seq: number;
  ack: number;
  flags: number;
  window: number;
  mss: number;
  scale: number;
  sackPermitted: boolean;
  timestamps: boolean;
  timestamp: number;
  timestampEcho: number;
  /** Edges of the blocks to report, left and right in turn. */
  sack: readonly number[];
}

export function emptyHeader(): Header {
  return {
    sourcePort: 0,
    destinationPort: 0,
    seq: 0,
    ack: 0,
    flags: 0,
    window: 0,
    mss: 0,
    scale: -1,
    sackPermitted: false,
    timestamps: false,
    timestamp: 0,
    timestampEcho: 0,
    sack: [],
  };
}

/** Writes the header, its checksum 0; returns its length. */
export function writeHeader(octets: Uint8Array, at: number, header: Header): number {
  set16(octets, at, header.sourcePort);
  set16(octets, at + 2, header.destinationPort);
  set32(octets, at + 4, header.seq);
  set32(octets, at + 8, header.flags & ACK ? header.ack : 0);
  octets[at + 13] = header.flags;
  set16(octets, at + 14, header.window);
  set32(octets, at + 16, 0);
  let next = at + TCP_HEADER;
  if (header.mss > 0) {
    set16(octets, next, 0x0204);
    set16(octets, next + 2, header.mss);
    next += 4;
  }
  if (header.sackPermitted) {
    set32(octets, next, 0x01010402);
    next += 4;
  }
  if (header.timestamps) {
    set32(octets, next, 0x0101080a);
    set32(octets, next + 4, header.timestamp);
    set32(octets, next + 8, header.flags & (ACK | RST) ? header.timestampEcho : 0);
    next += 12;
  }
  if (header.scale >= 0) {
    set32(octets, next, 0x01030300 | header.scale);
    next += 4;
  }
  const { sack } = header;
  if (sack.length > 0) {
    set16(octets, next, 0x0101);
    set16(octets, next + 2, 0x0500 | (2 + sack.length * 4));
    for (let i = 0; i < sack.length; i += 1) set32(octets, next + 4 + i * 4, sack[i] ?? 0);
    next += 4 + sack.length * 4;
  }
  octets[at + 12] = ((next - at) >> 2) << 4;
  return next - at;
}
