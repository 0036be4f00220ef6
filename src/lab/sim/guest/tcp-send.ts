/**
 * The sending half of a connection: a ring of octets addressed by sequence number, what the peer
 * has reported, congestion control, and the choice of what goes out next.
 *
 *     una ...... next ...... end (+ 1 for FIN)        max: the highest ever sent
 *
 * Congestion control is NewReno with SACK (RFC 5681, 6582, in the spirit of 6675): octets in the
 * pipe are those sent, less those reported, less those taken for lost and not sent again yet.
 * Without SACK each duplicate acknowledgment counts as one segment reported.
 * Timer: RFC 6298, with Karn's rule unless timestamps tell (RFC 7323 §4). Windows: RFC 9293 §3.8.6.
 */
import { OctetRing } from "./octet-ring.ts";
import { seqDiff } from "./octets.ts";
import { insertRange } from "./ranges.ts";
import type { Segment } from "./tcp-segment.ts";

const RTO_INITIAL = 1_000_000;
const RTO_MAX = 60_000_000;
const DUPLICATES = 3;
const RANGES_MAX = 64;

export interface SendSettings {
  /** Octets not yet acknowledged that are held. */
  readonly size: number;
  readonly rtoMin: number;
  /** First congestion window in segments. */
  readonly initialSegments: number;
  /** Segments that one frame may carry (segmentation offload); 1 = no offload. */
  readonly offloadSegments: number;
}

export class SendSide {
  readonly #ring: OctetRing;
  readonly #settings: SendSettings;
  una = 0;
  next = 0;
  max = 0;
  #end = 0;
  finQueued = false;
  /** The peer's window, scaled, and the largest ever. */
  window = 0;
  #windowMax = 0;
  #wl1 = 0;
  #wl2 = 0;
  /** Payload of a full segment. */
  mss = 536;
  cwnd = 0;
  ssthresh = 0x7fffffff;
  rto = RTO_INITIAL;
  srtt = 0;
  #rttVariance = 0;
  #timedSeq = 0;
  #timedAt = -1;
  /** Timeouts in a row. */
  backoffs = 0;
  #duplicates = 0;
  #recovering = false;
  #recover = 0;
  #holeNext = 0;
  #forced = false;
  /** Set by the persist timer: a small window may be used once. */
  override = false;
  readonly #sacked: number[] = [];
  #sackedOctets = 0;
  retransmits = 0;
  /** What `choose` has chosen. */
  pickAt = 0;
  pickLength = 0;
  pickFin = false;

  constructor(settings: SendSettings) {
    // The SYN takes a sequence number too, until it is acknowledged.
    this.#ring = new OctetRing(settings.size + 1);
    this.#settings = settings;
  }

  /** @param iss initial sequence number, that of the SYN */
  start(iss: number): void {
    this.una = iss;
    this.next = (iss + 1) >>> 0;
    this.max = this.next;
    this.#end = this.next;
    this.#recover = iss;
  }

  /** After the handshake: first congestion window. */
  open(mss: number): void {
    this.mss = mss;
    this.cwnd = mss * this.#settings.initialSegments;
  }

  get unsent(): number {
    return Math.max(seqDiff(this.#limit, this.next), 0);
  }

  /** Octets sent and not acknowledged. */
  get flight(): number {
    return seqDiff(this.next, this.una);
  }

  get room(): number {
    return this.#settings.size - seqDiff(this.#end, this.una);
  }

  /** Sequence number after the last octet, FIN included. */
  get #limit(): number {
    return (this.#end + (this.finQueued ? 1 : 0)) >>> 0;
  }

  get finAcked(): boolean {
    return this.finQueued && this.una === this.#limit;
  }

  /** Takes as much of `octets` as there is room for. */
  write(octets: Uint8Array): number {
    const count = Math.min(this.room, octets.length);
    this.#ring.put(this.una, this.#end, octets, 0, count);
    this.#end = (this.#end + count) >>> 0;
    return count;
  }

  /** Copies payload to be sent. */
  copy(sequence: number, length: number, target: Uint8Array, at: number): void {
    this.#ring.copy(sequence, length, target, at);
  }

  // -------------------------------------------------------------- what to send

  #lost(): number {
    if (!this.#recovering || this.#sacked.length === 0) return 0;
    const from = this.#holeFrom();
    const high = this.#sacked[this.#sacked.length - 1] ?? 0;
    if (seqDiff(high, from) <= 0) return 0;
    let reported = 0;
    for (let i = 0; i < this.#sacked.length; i += 2) {
      const left = this.#sacked[i] ?? 0;
      const right = this.#sacked[i + 1] ?? 0;
      if (seqDiff(right, from) > 0)
        reported += seqDiff(right, seqDiff(left, from) > 0 ? left : from);
    }
    return seqDiff(high, from) - reported;
  }

  #pipe(): number {
    const reported = this.#sacked.length > 0 ? this.#sackedOctets : this.#duplicates * this.mss;
    return Math.max(this.flight - reported - this.#lost(), 0);
  }

  #holeFrom(): number {
    return seqDiff(this.#holeNext, this.una) > 0 ? this.#holeNext : this.una;
  }

  /** Decides what goes out now, if anything does; see `pickAt`. `sent` must follow. */
  choose(): boolean {
    return (this.#recovering && this.#chooseHole()) || this.#chooseNew();
  }

  #chooseHole(): boolean {
    let from = this.#holeFrom();
    let to = (this.una + this.mss) >>> 0;
    if (this.#sacked.length > 0) {
      let i = 0;
      for (; i < this.#sacked.length; i += 2) {
        if (seqDiff(from, this.#sacked[i] ?? 0) < 0) break;
        if (seqDiff(from, this.#sacked[i + 1] ?? 0) < 0) from = this.#sacked[i + 1] ?? 0;
      }
      if (i >= this.#sacked.length) return false;
      to = this.#sacked[i] ?? 0;
    }
    if (seqDiff(to, this.max) > 0) to = this.max;
    if (seqDiff(to, from) <= 0) return false;
    if (!this.#forced && this.#pipe() + this.mss > this.cwnd) return false;
    this.#pick(from, Math.min(seqDiff(to, from), this.mss));
    return true;
  }

  #chooseNew(): boolean {
    const { unsent } = this;
    if (unsent === 0) return false;
    const windowRoom = this.window - this.flight;
    const again = seqDiff(this.max, this.next) > 0;
    const room = Math.min(windowRoom, this.cwnd - this.#pipe());
    const most = this.mss * this.#settings.offloadSegments;
    let length = Math.min(unsent, most, room);
    if (length <= 0) return false;
    if (length > this.mss && length < unsent) length -= length % this.mss;
    const silly = length < this.mss && length < unsent && length < this.#windowMax >> 1;
    if (silly && !this.override && !again) return false;
    this.#pick(this.next, length);
    return true;
  }

  #pick(at: number, length: number): void {
    const data = Math.max(seqDiff(this.#end, at), 0);
    this.pickAt = at;
    this.pickLength = Math.min(length, data);
    // FIN takes a sequence number but no room in a segment.
    const room = seqDiff((this.una + this.window) >>> 0, (at + data) >>> 0);
    this.pickFin = this.finQueued && length >= data && (length > data || room > 0);
  }

  /**
   * Chooses a probe of a shut window: one octet, or FIN, that the peer need not take. It counts as
   * sent only when it is acknowledged, so neither `sent` nor the timer follows.
   */
  probe(): boolean {
    if (this.unsent === 0) return false;
    this.pickAt = this.next;
    this.pickLength = this.next === this.#end ? 0 : 1;
    this.pickFin = this.pickLength === 0 && this.finQueued;
    const end = (this.next + 1) >>> 0;
    if (seqDiff(end, this.max) > 0) this.max = end;
    return true;
  }

  /** What was chosen has gone out. */
  sent(now: number): void {
    const end = (this.pickAt + this.pickLength + (this.pickFin ? 1 : 0)) >>> 0;
    this.override = false;
    const again = seqDiff(this.pickAt, this.max) < 0;
    if (again) {
      this.retransmits += 1;
      if (seqDiff(this.#timedSeq, this.pickAt) > 0) this.#timedAt = -1;
    } else if (this.#timedAt < 0) {
      this.#timedSeq = end;
      this.#timedAt = now;
    }
    if (this.pickAt === this.next) this.next = end;
    else {
      this.#holeNext = end;
      this.#forced = false;
    }
    if (seqDiff(this.next, this.max) > 0) this.max = this.next;
  }

  // -------------------------------------------------------------- what came back

  /** Takes the peer's window, unless the segment is older than the one that told the last. */
  takeWindow(segment: Segment, window: number): boolean {
    const newer = seqDiff(segment.seq, this.#wl1);
    const advances = seqDiff(segment.ack, this.una) > 0;
    const isNews = newer > 0 || (newer === 0 && seqDiff(segment.ack, this.#wl2) >= 0);
    if (!advances && !isNews) return false;
    const grown = window > this.window;
    this.window = window;
    if (window > this.#windowMax) this.#windowMax = window;
    if (newer > 0) this.#wl1 = segment.seq;
    this.#wl2 = segment.ack;
    return grown;
  }

  /** The first window, of a SYN. */
  firstWindow(segment: Segment): void {
    this.window = segment.window;
    this.#windowMax = segment.window;
    this.#wl1 = segment.seq;
    this.#wl2 = segment.ack;
  }

  /**
   * Takes an acceptable acknowledgment; returns octets of sequence space newly acknowledged.
   * @param rtt round trip that a timestamp tells, microseconds; -1 = it tells none
   */
  acked(segment: Segment, sameWindow: boolean, now: number, rtt = -1): number {
    const count = seqDiff(segment.ack, this.una);
    if (count > 0 && rtt >= 0) {
      this.#timedAt = -1;
      this.#sample(rtt);
    }
    const news = this.#takeSack(segment);
    if (count > 0) this.#advance(segment.ack, count, now);
    else if (count === 0 && this.flight > 0 && segment.span === 0 && (sameWindow || news)) {
      this.#duplicates += 1;
      this.#maybeRecover();
    }
    return Math.max(count, 0);
  }

  #advance(ack: number, count: number, now: number): void {
    if (this.#timedAt >= 0 && seqDiff(ack, this.#timedSeq) >= 0) {
      this.#sample(now - this.#timedAt);
      this.#timedAt = -1;
    }
    this.una = ack;
    if (seqDiff(ack, this.next) > 0) this.next = ack;
    this.backoffs = 0;
    this.#trimSacked();
    this.#duplicates = 0;
    if (this.#recovering) {
      if (seqDiff(ack, this.#recover) >= 0) {
        this.#recovering = false;
        this.cwnd = this.ssthresh;
      } else if (this.#sacked.length === 0) {
        this.#holeNext = ack; // RFC 6582: a partial acknowledgment names the next hole
        this.#forced = true;
      }
    } else if (this.cwnd < this.ssthresh) this.cwnd += Math.min(count, this.mss);
    else this.cwnd += Math.max(Math.floor((this.mss * this.mss) / this.cwnd), 1);
    this.cwnd = Math.min(this.cwnd, this.#settings.size * 2);
    if (!this.#recovering) this.#maybeRecover();
  }

  #maybeRecover(): void {
    const reported = this.#sackedOctets > (DUPLICATES - 1) * this.mss;
    if (this.#recovering || (this.#duplicates < DUPLICATES && !reported)) return;
    if (seqDiff(this.una, this.#recover) <= 0) return;
    this.ssthresh = Math.max(this.flight >> 1, 2 * this.mss);
    this.cwnd = this.ssthresh;
    this.#recovering = true;
    this.#recover = this.max;
    this.#holeNext = this.una;
    this.#forced = true;
  }

  /** The retransmission timer went off: everything not acknowledged is sent again. */
  timeout(): void {
    this.ssthresh = Math.max(this.flight >> 1, 2 * this.mss);
    this.cwnd = this.mss;
    this.next = this.una;
    this.#sacked.length = 0;
    this.#sackedOctets = 0;
    this.#duplicates = 0;
    this.#recovering = false;
    this.#recover = this.max;
    this.#timedAt = -1;
    this.backOff();
  }

  backOff(): void {
    this.backoffs += 1;
    this.rto = Math.min(this.rto * 2, RTO_MAX);
  }

  #sample(rtt: number): void {
    if (this.srtt === 0) {
      this.srtt = rtt;
      this.#rttVariance = rtt >> 1;
    } else {
      this.#rttVariance += (Math.abs(this.srtt - rtt) - this.#rttVariance) / 4;
      this.srtt += (rtt - this.srtt) / 8;
    }
    const rto = Math.ceil(this.srtt + Math.max(1000, 4 * this.#rttVariance));
    this.rto = Math.min(Math.max(rto, this.#settings.rtoMin), RTO_MAX);
  }

  /** Adds the blocks of a segment; true where they said something new. */
  #takeSack(segment: Segment): boolean {
    if (segment.sackCount === 0) return false;
    const before = this.#sackedOctets;
    for (let i = 0; i < segment.sackCount; i += 1) {
      const left = segment.sack[i * 2] ?? 0;
      const right = segment.sack[i * 2 + 1] ?? 0;
      const sound = seqDiff(right, left) > 0 && seqDiff(right, this.max) <= 0;
      if (sound && seqDiff(left, this.una) >= 0) this.#addSacked(left, right);
    }
    this.#countSacked();
    return this.#sackedOctets > before;
  }

  #addSacked(left: number, right: number): void {
    const ranges = this.#sacked;
    if (ranges.length >= RANGES_MAX * 2) return;
    insertRange(ranges, left, right);
  }

  #trimSacked(): void {
    const ranges = this.#sacked;
    while (ranges.length > 0 && seqDiff(ranges[1] ?? 0, this.una) <= 0) ranges.splice(0, 2);
    if (ranges.length > 0 && seqDiff(ranges[0] ?? 0, this.una) < 0) ranges[0] = this.una;
    this.#countSacked();
  }

  #countSacked(): void {
    let total = 0;
    for (let i = 0; i < this.#sacked.length; i += 2) {
      total += seqDiff(this.#sacked[i + 1] ?? 0, this.#sacked[i] ?? 0);
    }
    this.#sackedOctets = total;
  }
}
