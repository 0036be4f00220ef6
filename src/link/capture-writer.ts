/**
 * Records of frames, on their way to a capture.
 *
 * Theory of operation
 *   Frames are copied into a buffer of BUFFER_SIZE octets, which is handed to the sink when
 *   FLUSH_SIZE octets are in it, or the oldest has been there for FLUSH_us (`poll`), so that
 *   whoever reads along sees them. Nothing is allocated for a frame, and nothing waits: a sink that
 *   does not take the buffer keeps it full, and frames that find no room are left out and counted.
 *   A capture ends at a limit and after a failed write; from then on the link costs a comparison
 *   a batch. What the sink gets is whole blocks of pcapng, so it always ends with one; the last one
 *   is the statistics, where the sink still takes it.
 *
 *   A frame of the guest is recorded when the engine has looked at it, which has noted why it was
 *   dropped and which flow it is of (`wasm/trace.ts`); payload that is lent is copied from where
 *   the guest has it. The virtio_net_hdr is left out, so offload frames show as one large packet
 *   with an unfinished checksum.
 */
import { type Filter, matchesFrame } from "../config/filter.ts";
import type { OutputSink } from "../lib/output-file.ts";
import { CopyBuffer, type NativeCopy } from "./copy-buffer.ts";
import {
  gatherTx,
  rxDropReason,
  rxFlow,
  rxLength,
  rxLent,
  rxPointer,
  txFlow,
  txSize,
} from "./frames.ts";
import type { LinkMemory } from "./link.ts";
import { COMMENTS_SIZE_MAX, PacketComments } from "./packet-comments.ts";
import {
  ENHANCED_PACKET,
  EPB_DATA_OFFSET,
  EPB_FLAGS,
  FLAG_INBOUND,
  FLAG_OUTBOUND,
  OPTION_HEADER_SIZE,
  pcapngHeader,
  pcapngStatistics,
  SNAP_LENGTH_MAX,
  STATISTICS_SIZE,
  TRAILER_SIZE,
} from "./pcapng.ts";

/** What becomes of a capture, once for each time it happens. */
export type CaptureEvent =
  | { readonly kind: "ended"; readonly reason: "limit" | "error"; readonly octets: number }
  | { readonly kind: "losing" }
  | { readonly kind: "lost"; readonly frames: number };

export interface CaptureWriterOptions {
  readonly sink: OutputSink;
  /** Microseconds since 1970, with fractions. */
  readonly now: () => number;
  /** Octets of the header, which somebody else writes. */
  readonly headerSize?: number;
  /** Octets kept of each frame; 262144 unless told otherwise, which is also the most. */
  readonly snapLength?: number | undefined;
  /** Octets, frames and seconds after which the capture ends; no limit unless told otherwise. */
  readonly maxBytes?: number | undefined;
  readonly framesMax?: number | undefined;
  readonly secondsMax?: number | undefined;
  /** What is recorded; absent = everything. */
  readonly filter?: Filter | undefined;
  /** What reasons of drops are called, by DROP_*. */
  readonly reasons?: readonly string[];
  /** Copies frames where there are system calls. */
  readonly native?: NativeCopy;
  /** Hears what becomes of it. */
  readonly tell?: (event: CaptureEvent) => void;
}

/** Octets of a record besides the frame, its padding and its comments. */
const RECORD_SIZE = EPB_DATA_OFFSET + 2 * OPTION_HEADER_SIZE + 4 + TRAILER_SIZE;
const FLUSH_SIZE = 256 * 1024;
const BUFFER_SIZE =
  FLUSH_SIZE + RECORD_SIZE + COMMENTS_SIZE_MAX + SNAP_LENGTH_MAX + STATISTICS_SIZE;
/** Microseconds that a frame waits for others before it is handed on. */
const FLUSH_us = 50_000;
const US_PER_SECOND = 1e6;
const SIZE_32 = 2 ** 32;
/** Octets of a frame that a filter looks at: all headers that are not made to be long. */
const LOOK_SIZE = 256;
const NO_OCTETS = new Uint8Array(0);

function padded(length: number): number {
  return (length + 3) & ~3;
}

/** The records and the bounds. */
export class CaptureWriter {
  readonly #options: CaptureWriterOptions;
  readonly #snapLength: number;
  readonly #maxBytes: number;
  readonly #buffer: CopyBuffer;
  /** Head of a frame that a filter looks at. */
  readonly #look: CopyBuffer;
  /** The memory of frames, as octets. */
  #memory = NO_OCTETS;
  readonly #comments: PacketComments;
  readonly #facts = { fromGuest: false, dropped: false };
  readonly #began: number;
  #used = 0;
  #total: number;
  #isClosed = false;
  #ended: "" | "limit" | "error" = "";
  /** When what is in the buffer is handed on; 0: not known yet. */
  #due = 0;
  /** When it ends, by the clock of `poll`; 0: not known yet. */
  #endsAt = 0;
  #seen = 0;
  #recorded = 0;
  #lost = 0;
  /** Of the lost frames, those that were told of. */
  #lostTold = 0;

  constructor(options: CaptureWriterOptions) {
    this.#options = options;
    this.#snapLength = Math.min(options.snapLength || SNAP_LENGTH_MAX, SNAP_LENGTH_MAX);
    this.#maxBytes = options.maxBytes || Number.POSITIVE_INFINITY;
    this.#total = options.headerSize ?? pcapngHeader().length;
    this.#buffer = new CopyBuffer(BUFFER_SIZE, options.native);
    this.#look = new CopyBuffer(LOOK_SIZE, options.native);
    this.#began = options.now();
    this.#comments = new PacketComments(options.reasons ?? []);
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

  /** Frames in it. */
  get frames(): number {
    return this.#recorded;
  }

  /** Whether lent payload can be recorded. */
  get canBorrow(): boolean {
    return this.#options.native !== undefined;
  }

  /**
   * Records received frame `i` without its first `skip` octets.
   * @param isMarked the engine has noted what became of it
   */
  received(memory: LinkMemory, i: number, skip: number, isMarked: boolean): void {
    const length = rxLength(memory, i) - skip;
    if (length <= 0 || this.#ended !== "") return;
    const reason = isMarked ? rxDropReason(memory, i) : 0;
    const from = rxPointer(memory, i) + skip;
    const lentFrom = rxLent(memory, i);
    const present = lentFrom === 0 ? length : Math.min(length, lentFrom - skip);
    if (!this.#passes(memory, from, present, reason)) return;
    const flow = isMarked ? rxFlow(memory, i) : 0;
    const kept = Math.min(length, this.#snapLength);
    if (!this.#makeRoom(kept, reason, flow)) return;
    const at = this.#used + EPB_DATA_OFFSET;
    const head = Math.min(kept, present);
    this.#buffer.copy(memory, from, head, at);
    if (kept > head) this.#buffer.borrow(memory, i, kept - head, at + head);
    this.#finish(kept, length, FLAG_INBOUND, reason, flow);
  }

  /** The same of frame `i` that was transmitted. */
  transmitted(memory: LinkMemory, i: number, skip: number): void {
    const length = txSize(memory, i) - skip;
    if (length <= 0 || this.#ended !== "" || !this.#passesSent(memory, i, skip)) return;
    const flow = txFlow(memory, i);
    const kept = Math.min(length, this.#snapLength);
    if (!this.#makeRoom(kept, 0, flow)) return;
    const at = this.#used + EPB_DATA_OFFSET;
    const copied = gatherTx(memory, i, skip, this.#buffer, at, kept);
    if (copied >= 0) this.#finish(copied, length, FLAG_OUTBOUND, 0, flow);
  }

  /** Hands on what has waited long enough. `now` is of any clock in microseconds. */
  poll(now: number): void {
    if (this.#endsIn(now) === 0) this.#end("limit");
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
    const end = this.#endsIn(now);
    let next: number | undefined;
    if (this.#used > 0) next = this.#due === 0 ? FLUSH_us : Math.max(0, this.#due - now);
    else if (this.#lost !== this.#lostTold) next = 0;
    return end === undefined ? next : Math.min(end, next ?? end);
  }

  /** Microseconds until the last of its seconds is over; undefined: it has no such limit. */
  #endsIn(now: number): number | undefined {
    const { secondsMax } = this.#options;
    if (!secondsMax || this.#ended !== "" || this.#isClosed) return undefined;
    if (this.#endsAt === 0) this.#endsAt = now + secondsMax * US_PER_SECOND;
    return Math.max(0, this.#endsAt - now);
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
    if (this.#ended === "") this.#summarize();
    this.flush();
    this.#dropBuffer();
    this.#isClosed = true;
    this.#tellLost();
    try {
      this.#options.sink.close();
    } catch {
      this.#end("error");
    }
  }

  /** Whether the filter lets a received frame through, of which `length` octets are `from` on. */
  #passes(memory: LinkMemory, from: number, length: number, reason: number): boolean {
    this.#seen += 1;
    const { filter } = this.#options;
    if (filter === undefined || filter.kind === "all") return true;
    if (this.#memory.buffer !== memory.buffer) this.#memory = new Uint8Array(memory.buffer);
    this.#facts.fromGuest = true;
    this.#facts.dropped = reason !== 0;
    return matchesFrame(filter, this.#memory, this.#facts, from, Math.min(length, LOOK_SIZE));
  }

  /** The same of frame `i` that was sent. */
  #passesSent(memory: LinkMemory, i: number, skip: number): boolean {
    this.#seen += 1;
    const { filter } = this.#options;
    if (filter === undefined || filter.kind === "all") return true;
    const length = gatherTx(memory, i, skip, this.#look, 0, LOOK_SIZE);
    this.#facts.fromGuest = false;
    this.#facts.dropped = false;
    return length >= 0 && matchesFrame(filter, this.#look.octets, this.#facts, 0, length);
  }

  /** Makes room for a frame of which so many octets are kept; false: it is left out. */
  #makeRoom(kept: number, reason: number, flow: number): boolean {
    const size = RECORD_SIZE + padded(kept) + this.#comments.size(reason, flow);
    const { framesMax } = this.#options;
    const isFull = framesMax !== undefined && framesMax > 0 && this.#recorded >= framesMax;
    if (isFull || this.#total + size + STATISTICS_SIZE > this.#maxBytes) {
      this.#end("limit");
      return false;
    }
    if (this.#used < FLUSH_SIZE) return true;
    this.flush();
    if (this.#used + size + STATISTICS_SIZE <= BUFFER_SIZE) return this.#ended === "";
    this.#lost += 1;
    if (this.#lost === this.#lostTold + 1) this.#options.tell?.({ kind: "losing" });
    return false;
  }

  /** Writes what stands before and behind a frame whose octets are in their place. */
  #finish(kept: number, length: number, flags: number, reason: number, flow: number): void {
    const { view } = this.#buffer;
    const start = this.#used;
    const nanoseconds = this.#options.now() * 1000;
    const high = Math.floor(nanoseconds / SIZE_32);
    view.setUint32(start, ENHANCED_PACKET, true);
    view.setUint32(start + 8, 0, true);
    view.setUint32(start + 12, high, true);
    view.setUint32(start + 16, Math.floor(nanoseconds - high * SIZE_32), true);
    view.setUint32(start + 20, kept, true);
    view.setUint32(start + 24, length, true);
    let at = start + EPB_DATA_OFFSET + kept;
    for (; (at & 3) !== 0; at += 1) view.setUint8(at, 0);
    view.setUint32(at, EPB_FLAGS | (4 << 16), true);
    view.setUint32(at + 4, flags, true);
    at += OPTION_HEADER_SIZE + 4;
    at = this.#comments.write(view, at, reason, flow);
    view.setUint32(at, 0, true);
    const size = at + 4 + TRAILER_SIZE - start;
    view.setUint32(at + 4, size, true);
    view.setUint32(start + 4, size, true);
    this.#used += size;
    this.#total += size;
    this.#recorded += 1;
  }

  /** Appends the statistics, if there is something they are about. */
  #summarize(): void {
    if (this.#options.sink.isPaused === true) return;
    const block = pcapngStatistics({
      began: this.#began,
      ended: this.#options.now(),
      seen: this.#seen,
      accepted: this.#recorded + this.#lost,
      lost: this.#lost,
    });
    this.#buffer.octets.set(block, this.#used);
    this.#used += block.length;
    this.#total += block.length;
  }

  /** What is left in the buffer is lost. */
  #dropBuffer(): void {
    const { view } = this.#buffer;
    let frames = 0;
    for (let at = 0; at < this.#used; at += view.getUint32(at + 4, true)) {
      if (view.getUint32(at, true) === ENHANCED_PACKET) frames += 1;
    }
    this.#total -= this.#used;
    this.#recorded -= frames;
    this.#lost += frames;
    this.#used = 0;
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
    if (reason === "limit") {
      this.#summarize();
      this.flush();
    }
    this.#options.tell?.({ kind: "ended", reason, octets: this.#total });
  }
}
