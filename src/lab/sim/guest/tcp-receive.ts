/**
 * The receiving half of a connection: a ring of octets addressed by sequence number, the ranges
 * that came out of order, and the window.
 *
 *     read ...... next ...... (ranges) ...... edge <= read + size
 *     waits for   RCV.NXT                     right edge told to the peer; never moves left
 *     the reader
 *
 * Source: RFC 9293 §3.8.6 (windows, silly window avoidance), RFC 2018 (blocks: latest first).
 */
import { OctetRing } from "./octet-ring.ts";
import { seqDiff } from "./octets.ts";
import { insertRange } from "./ranges.ts";

const RANGES_MAX = 64;

export class ReceiveSide {
  readonly #ring: OctetRing;
  /** Octets the window may span at most. */
  readonly #windowMax: number;
  /** RCV.NXT, of data. */
  next = 0;
  #read = 0;
  #edge = 0;
  /** Left and right edges in turn, ascending. */
  readonly #ranges: number[] = [];
  /** A sequence number in the range that grew last. */
  #latest = 0;

  /** @param size octets; the window never exceeds it */
  constructor(size: number) {
    this.#ring = new OctetRing(size);
    this.#windowMax = size;
  }

  /** Begins with the first octet after the peer's SYN. */
  start(sequence: number): void {
    this.next = sequence;
    this.#read = sequence;
    this.#edge = sequence;
  }

  /** Octets that can be read. */
  get available(): number {
    return seqDiff(this.next, this.#read);
  }

  get hasGaps(): boolean {
    return this.#ranges.length > 0;
  }

  /** Right edge told to the peer. */
  get edge(): number {
    return this.#edge;
  }

  /** Window to tell, octets. Moves the edge right, by a segment or half of the buffer at least. */
  advertise(mss: number, limit: number): number {
    const room = Math.min(this.#windowMax - this.available, limit);
    const edge = (this.next + room) >>> 0;
    const growth = seqDiff(edge, this.#edge);
    if (growth >= Math.min(mss, this.#windowMax >> 1)) this.#edge = edge;
    return Math.max(seqDiff(this.#edge, this.next), 0);
  }

  /** How far the edge would move if it were told now. */
  growth(limit: number): number {
    const room = Math.min(this.#windowMax - this.available, limit);
    return seqDiff((this.next + room) >>> 0, this.#edge);
  }

  /**
   * Whether a segment of `span` sequence numbers lies in the window (RFC 9293 §3.10.7.4); `next` is
   * what comes next, FIN allowed for.
   */
  admits(next: number, sequence: number, span: number): boolean {
    const window = Math.max(seqDiff(this.#edge, next), 0);
    const first = seqDiff(sequence, next);
    const last = first + span - 1;
    const isInside = (at: number): boolean => at >= 0 && at < window;
    if (span === 0) return window === 0 ? first === 0 : isInside(first);
    // A segment may also lie around the whole window.
    const isAround = window > 0 && first < 0 && last >= 0;
    return isInside(first) || isInside(last) || isAround;
  }

  /** Takes payload inside the window; returns the octets that are newly in order. */
  accept(sequence: number, octets: Uint8Array, at: number, length: number): number {
    const skip = Math.max(0, seqDiff(this.next, sequence));
    const beyond = Math.max(0, seqDiff((sequence + length) >>> 0, this.#edge));
    const count = length - skip - beyond;
    if (count <= 0) return 0;
    const left = (sequence + skip) >>> 0;
    const right = (left + count) >>> 0;
    if (left !== this.next && this.#ranges.length >= RANGES_MAX * 2) return 0;
    this.#ring.put(this.#read, left, octets, at + skip, count);
    const before = this.next;
    if (left === this.next && this.#ranges.length === 0) this.next = right;
    else this.#insert(left, right);
    return seqDiff(this.next, before);
  }

  #insert(left: number, right: number): void {
    const ranges = this.#ranges;
    insertRange(ranges, left, right);
    this.#latest = left;
    if (ranges[0] === this.next) {
      this.next = ranges[1] ?? 0;
      ranges.splice(0, 2);
    }
  }

  /** Edges of at most `max` blocks, the one that grew last first. */
  blocks(max: number): readonly number[] {
    const ranges = this.#ranges;
    if (ranges.length <= 2) return ranges;
    let first = 0;
    for (let i = 0; i < ranges.length; i += 2) {
      const inside = seqDiff(this.#latest, ranges[i] ?? 0) >= 0;
      if (inside && seqDiff(this.#latest, ranges[i + 1] ?? 0) < 0) first = i;
    }
    const found = ranges.slice(first, first + 2);
    for (let i = 0; i < ranges.length && found.length < max * 2; i += 2) {
      if (i !== first) found.push(ranges[i] ?? 0, ranges[i + 1] ?? 0);
    }
    return found;
  }

  /** Copies what can be read into `target`; returns how much. */
  read(target: Uint8Array): number {
    const count = Math.min(this.available, target.length);
    this.#ring.copy(this.#read, count, target, 0);
    this.#read = (this.#read + count) >>> 0;
    return count;
  }
}
