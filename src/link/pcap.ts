/**
 * Decorator: a link that writes every frame passing through it to a capture.
 *
 * Theory of operation
 *   Frames are copied into a buffer of BUFFER_SIZE octets, which is handed to the sink when
 *   FLUSH_SIZE octets are in it, or the oldest has been there for FLUSH_us (`poll`), so that
 *   whoever reads along sees them. Nothing is allocated for a frame, and nothing waits: a sink that
 *   does not take the buffer keeps it full, and frames that find no room are left out and counted.
 *   A capture ends at the limit and after a failed write; from then on the link costs a comparison
 *   a batch. What the sink gets is whole records, so it always ends with one.
 *
 *   The format has nanosecond timestamps and link type Ethernet; the virtio_net_hdr is left out, so
 *   offload frames show as one large packet with an unfinished checksum. The file header is written
 *   by whoever opens the file (`pcapHeader`): a FIFO needs one for each reader.
 *   Source: draft-ietf-opsawg-pcap.
 */

import type { OutputSink } from "../lib/output-file.ts";
import { CopyBuffer, type NativeCopy } from "./copy-buffer.ts";
import { gatherTx, rxLength, rxPointer, txSize } from "./frames.ts";
import type { Link, LinkMemory, LinkWatcher } from "./link.ts";

/** What becomes of a capture, once for each time it happens. */
export type CaptureEvent =
  | { readonly kind: "ended"; readonly reason: "limit" | "error"; readonly octets: number }
  | { readonly kind: "losing" }
  | { readonly kind: "lost"; readonly frames: number };

export interface PcapOptions {
  readonly sink: OutputSink;
  /** Microseconds since 1970, with fractions. */
  readonly now: () => number;
  /** Octets kept of each frame; 262144 unless told otherwise, which is also the most. */
  readonly snapLength?: number;
  /** Octets after which the capture ends; no limit unless told otherwise. */
  readonly maxBytes?: number;
  /** Copies frames where there are system calls. */
  readonly native?: NativeCopy;
  /** Hears what becomes of it. */
  readonly tell?: (event: CaptureEvent) => void;
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
const FLUSH_SIZE = 256 * 1024;
const BUFFER_SIZE = FLUSH_SIZE + RECORD_HEADER_SIZE + SNAP_LENGTH_MAX;
/** Microseconds that a frame waits for others before it is handed on. */
const FLUSH_us = 50_000;
const MICROSECONDS_PER_SECOND = 1e6;

/** What a capture file begins with. */
export function pcapHeader(snapLength = SNAP_LENGTH_MAX): Uint8Array {
  const view = new DataView(new ArrayBuffer(FILE_HEADER_SIZE));
  view.setUint32(0, MAGIC_NANOSECONDS, true);
  view.setUint16(4, VERSION_MAJOR, true);
  view.setUint16(6, VERSION_MINOR, true);
  view.setUint32(16, Math.min(snapLength, SNAP_LENGTH_MAX), true);
  view.setUint32(20, LINKTYPE_ETHERNET, true);
  return new Uint8Array(view.buffer);
}

/** Wraps a link; closing the result closes it and the sink. */
export function createPcapLink(inner: Link, options: PcapOptions): PcapLink {
  return new CapturingLink(inner, new PcapWriter(options));
}

/** The records and the bounds. */
export class PcapWriter {
  readonly #options: PcapOptions;
  readonly #snapLength: number;
  readonly #maxBytes: number;
  readonly #buffer: CopyBuffer;
  #used = 0;
  #total = FILE_HEADER_SIZE;
  #isClosed = false;
  #ended: "" | "limit" | "error" = "";
  /** When what is in the buffer is handed on; 0: not known yet. */
  #due = 0;
  #lost = 0;
  /** Of the lost frames, those that were told of. */
  #lostTold = 0;

  constructor(options: PcapOptions) {
    this.#options = options;
    this.#snapLength = Math.min(options.snapLength ?? SNAP_LENGTH_MAX, SNAP_LENGTH_MAX);
    this.#maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
    this.#buffer = new CopyBuffer(BUFFER_SIZE, options.native);
  }

  /** Why nothing is recorded any more: "limit", "error", or "" while it is. */
  get stopped(): "" | "limit" | "error" {
    return this.#ended;
  }

  /** Whether a frame that passes now is to be recorded. */
  get isOn(): boolean {
    return this.#ended === "" && !this.#isClosed && this.#options.sink.isPaused !== true;
  }

  /** Octets of capture so far, the file header and buffered ones included. */
  get bytes(): number {
    return this.#total;
  }

  /** Frames left out because the sink took no more. */
  get lost(): number {
    return this.#lost;
  }

  /** Records received frame `i` without its first `skip` octets. */
  received(memory: LinkMemory, i: number, skip: number): void {
    const length = rxLength(memory, i) - skip;
    if (length <= 0 || !this.#makeRoom(length)) return;
    const kept = Math.min(length, this.#snapLength);
    const from = rxPointer(memory, i) + skip;
    this.#buffer.copy(memory, from, kept, this.#used + RECORD_HEADER_SIZE);
    this.#finish(kept, length);
  }

  /** The same of frame `i` that was transmitted. */
  transmitted(memory: LinkMemory, i: number, skip: number): void {
    const length = txSize(memory, i) - skip;
    if (length <= 0 || !this.#makeRoom(length)) return;
    const kept = Math.min(length, this.#snapLength);
    const at = this.#used + RECORD_HEADER_SIZE;
    const copied = gatherTx(memory, i, skip, this.#buffer, at, kept);
    if (copied >= 0) this.#finish(copied, length);
  }

  /** Hands on what has waited long enough. `now` is of any clock in microseconds. */
  poll(now: number): void {
    if (this.#used === 0) {
      this.#due = 0;
      this.#tellLost();
    } else if (this.#due === 0) this.#due = now + FLUSH_us;
    else if (now >= this.#due) {
      this.#due = now + FLUSH_us;
      this.flush();
    }
  }

  /** Microseconds until `poll` has something to do; undefined: nothing waits. */
  wait(now: number): number | undefined {
    if (this.#used === 0) return this.#lost === this.#lostTold ? undefined : 0;
    return this.#due === 0 ? FLUSH_us : Math.max(0, this.#due - now);
  }

  /** Hands what is buffered to the sink, if it takes it. */
  flush(): void {
    const { sink } = this.#options;
    if (this.#used === 0 || sink.isReady?.(this.#used) === false) return;
    try {
      if (sink.write(this.#buffer.octets.subarray(0, this.#used))) this.#used = 0;
    } catch {
      this.#used = 0;
      this.#end("error");
    }
  }

  /** Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.flush();
    this.#lost += this.#dropBuffer();
    this.#isClosed = true;
    this.#tellLost();
    try {
      this.#options.sink.close();
    } catch {
      this.#end("error");
    }
  }

  /** Makes room for a frame of that length; false: it is left out. */
  #makeRoom(length: number): boolean {
    if (this.#ended !== "") return false;
    const size = RECORD_HEADER_SIZE + Math.min(length, this.#snapLength);
    if (this.#total + size > this.#maxBytes) {
      this.#end("limit");
      this.flush();
      return false;
    }
    if (this.#used < FLUSH_SIZE) return true;
    this.flush();
    if (this.#used + size <= BUFFER_SIZE) return this.#ended === "";
    this.#lost += 1;
    if (this.#lost === this.#lostTold + 1) this.#options.tell?.({ kind: "losing" });
    return false;
  }

  #finish(kept: number, length: number): void {
    const { view } = this.#buffer;
    const at = this.#used;
    const now = this.#options.now();
    const seconds = Math.floor(now / MICROSECONDS_PER_SECOND);
    view.setUint32(at, seconds, true);
    view.setUint32(at + 4, Math.floor((now - seconds * MICROSECONDS_PER_SECOND) * 1000), true);
    view.setUint32(at + 8, kept, true);
    view.setUint32(at + 12, length, true);
    this.#used += RECORD_HEADER_SIZE + kept;
    this.#total += RECORD_HEADER_SIZE + kept;
  }

  /** Frames in the buffer, which is empty then. */
  #dropBuffer(): number {
    let frames = 0;
    for (let at = 0; at < this.#used; frames += 1) {
      at += RECORD_HEADER_SIZE + this.#buffer.view.getUint32(at + 8, true);
    }
    this.#used = 0;
    return frames;
  }

  #tellLost(): void {
    const frames = this.#lost - this.#lostTold;
    if (frames === 0) return;
    this.#lostTold = this.#lost;
    this.#options.tell?.({ kind: "lost", frames });
  }

  #end(reason: "limit" | "error"): void {
    if (this.#ended !== "") return;
    this.#ended = reason;
    this.#options.tell?.({ kind: "ended", reason, octets: this.#total });
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

  event(token: number, events: number): boolean | "served" {
    return this.inner.event(token, events);
  }

  wantRoom(on: boolean): void {
    this.inner.wantRoom(on);
  }

  receive(memory: LinkMemory, max: number): number {
    const { isOn } = this.capture;
    const n = this.inner.receive(isOn ? withoutLoans(memory) : memory, max);
    if (isOn) {
      for (let i = 0; i < n; i += 1) this.capture.received(memory, i, this.vnetSize);
    }
    return n;
  }

  transmit(memory: LinkMemory, first: number, count: number): number {
    const n = this.inner.transmit(memory, first, count);
    if (this.capture.isOn) {
      for (let i = first; i < first + n; i += 1) {
        this.capture.transmitted(memory, i, this.vnetSize);
      }
    }
    return n;
  }

  release(memory: LinkMemory): void {
    this.inner.release?.(memory);
  }

  close(): void {
    this.inner.close();
    this.capture.close();
  }
}

/** A frame that is captured has to be in its slot as a whole. */
function withoutLoans(memory: LinkMemory): LinkMemory {
  return { ...memory, loans: undefined };
}
