/**
 * Decorator: a link that writes every frame passing through it to a capture file.
 *
 * The file has nanosecond timestamps and link type Ethernet; the virtio_net_hdr is left out, so
 * offload frames show as one large packet with an unfinished checksum. Capturing never disturbs
 * traffic: at the size limit and after a failed write it just ends. Records are buffered until
 * 1 MiB is there, `flush` or `close`.
 * Source: draft-ietf-opsawg-pcap.
 */

import type { OutputSink } from "../lib/output-file.ts";
import { gatherTx, rxLength, rxPointer, txSize } from "./frames.ts";
import type { Link, LinkMemory, LinkWatcher } from "./link.ts";

export interface PcapOptions {
  readonly sink: OutputSink;
  /** Microseconds since 1970, with fractions. */
  readonly now: () => number;
  /** Octets kept of each frame; 262144 unless told otherwise, which is also the most. */
  readonly snapLength?: number;
  /** Octets after which the capture ends; no limit unless told otherwise. */
  readonly maxBytes?: number;
}

/** A capturing link. */
export interface PcapLink extends Link {
  readonly capture: PcapWriter;
}

const MAGIC_NANOSECONDS = 0xa1b23c4d;
const VERSION_MAJOR = 2;
const VERSION_MINOR = 4;
const LINKTYPE_ETHERNET = 1;
const FILE_HEADER_SIZE = 24;
const RECORD_HEADER_SIZE = 16;
const SNAP_LENGTH_MAX = 262144;
const BUFFER_SIZE = 1024 * 1024;
const MICROSECONDS_PER_SECOND = 1e6;

/** Wraps a link; closing the result closes it and the sink. */
export function createPcapLink(inner: Link, options: PcapOptions): PcapLink {
  return new CapturingLink(inner, new PcapWriter(options));
}

/** The file format and the bounds. */
export class PcapWriter {
  private readonly sink: OutputSink;
  private readonly now: () => number;
  private readonly snapLength: number;
  private readonly maxBytes: number;
  private readonly buffer = new Uint8Array(BUFFER_SIZE);
  private readonly view = new DataView(this.buffer.buffer);
  private used = 0;
  private total = 0;
  private closed = false;
  private ended: "" | "limit" | "error" = "";

  constructor(options: PcapOptions) {
    this.sink = options.sink;
    this.now = options.now;
    this.snapLength = Math.min(options.snapLength ?? SNAP_LENGTH_MAX, SNAP_LENGTH_MAX);
    this.maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
    this.writeFileHeader();
  }

  /** Why nothing is recorded any more: "limit", "error", or "" while it is. */
  get stopped(): "" | "limit" | "error" {
    return this.ended;
  }

  /** Octets of capture so far, buffered ones included. */
  get bytes(): number {
    return this.total;
  }

  /**
   * Records one frame of `length` octets. `copy` writes up to `limit` of them to `offset` of
   * `target` and returns how many, or -1 to leave the frame out.
   */
  record(
    length: number,
    copy: (target: Uint8Array, offset: number, limit: number) => number,
  ): void {
    if (this.closed || this.ended !== "") return;
    const limit = Math.min(length, this.snapLength);
    if (this.total + RECORD_HEADER_SIZE + limit > this.maxBytes) {
      this.ended = "limit";
      this.flush();
      return;
    }
    if (this.used + RECORD_HEADER_SIZE + limit > BUFFER_SIZE) this.flush();
    const kept = copy(this.buffer, this.used + RECORD_HEADER_SIZE, limit);
    if (kept < 0) return;
    const now = this.now();
    const seconds = Math.floor(now / MICROSECONDS_PER_SECOND);
    this.view.setUint32(this.used, seconds, true);
    const nanoseconds = Math.floor((now - seconds * MICROSECONDS_PER_SECOND) * 1000);
    this.view.setUint32(this.used + 4, nanoseconds, true);
    this.view.setUint32(this.used + 8, kept, true);
    this.view.setUint32(this.used + 12, length, true);
    this.advance(RECORD_HEADER_SIZE + kept);
  }

  /** Hands what is buffered to the sink. */
  flush(): void {
    const used = this.used;
    this.used = 0;
    if (used === 0 || this.ended === "error") return;
    try {
      this.sink.write(this.buffer.subarray(0, used));
    } catch {
      this.ended = "error";
    }
  }

  /** Idempotent. */
  close(): void {
    if (this.closed) return;
    this.flush();
    this.closed = true;
    try {
      this.sink.close();
    } catch {
      this.ended = "error";
    }
  }

  private writeFileHeader(): void {
    this.view.setUint32(0, MAGIC_NANOSECONDS, true);
    this.view.setUint16(4, VERSION_MAJOR, true);
    this.view.setUint16(6, VERSION_MINOR, true);
    this.view.setUint32(16, this.snapLength, true);
    this.view.setUint32(20, LINKTYPE_ETHERNET, true);
    this.advance(FILE_HEADER_SIZE);
  }

  private advance(octets: number): void {
    this.used += octets;
    this.total += octets;
  }
}

class CapturingLink implements PcapLink {
  readonly capture: PcapWriter;
  readonly vnetSize: 0 | 10 | 12;
  readonly flags: number;
  readonly queueFrames: number;
  readonly mtuMax: number;
  private readonly inner: Link;

  constructor(inner: Link, capture: PcapWriter) {
    this.inner = inner;
    this.capture = capture;
    this.vnetSize = inner.vnetSize;
    this.flags = inner.flags;
    this.queueFrames = inner.queueFrames;
    this.mtuMax = inner.mtuMax;
  }

  get refused(): number {
    return this.inner.refused;
  }

  watch(watcher: LinkWatcher): number {
    return this.inner.watch(watcher);
  }

  event(token: number, events: number): boolean {
    return this.inner.event(token, events);
  }

  wantRoom(on: boolean): void {
    this.inner.wantRoom(on);
  }

  receive(memory: LinkMemory, max: number): number {
    const n = this.inner.receive(memory, max);
    const skip = this.vnetSize;
    for (let i = 0; i < n; i += 1) {
      const length = rxLength(memory, i);
      if (length <= skip) continue;
      const start = rxPointer(memory, i) + skip;
      this.capture.record(length - skip, (target, offset, limit) => {
        target.set(new Uint8Array(memory.buffer, start, limit), offset);
        return limit;
      });
    }
    return n;
  }

  transmit(memory: LinkMemory, first: number, count: number): number {
    const n = this.inner.transmit(memory, first, count);
    const skip = this.vnetSize;
    for (let i = first; i < first + n; i += 1) {
      const size = txSize(memory, i);
      if (size <= skip) continue;
      this.capture.record(size - skip, (target, offset, limit) =>
        gatherTx(memory, i, skip, target, offset, limit),
      );
    }
    return n;
  }

  close(): void {
    this.inner.close();
    this.capture.close();
  }
}
