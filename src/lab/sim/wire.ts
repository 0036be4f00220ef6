/**
 * One direction of a link with faults: frames go in, and come out later, damaged, twice, in another
 * order, or never, as the generator decides.
 *
 * A frame takes `size / rate` to be sent, then `delay` plus at most `jitter` to arrive; the queue
 * in front of it holds `queueFrames` and drops what is more, as a network card does. Frames keep
 * their order unless one is picked to be late. Corruption flips one bit behind the Ethernet header
 * of an IPv4 packet: what a link's own check lets through, a checksum of the packet must find.
 */
import type { VirtualClock } from "./clock.ts";
import type { Random } from "./random.ts";

/** Chances are in a million, times in microseconds. */
export interface WireFaults {
  readonly loss: number;
  readonly duplicate: number;
  /** Held back by up to `lateness`. */
  readonly late: number;
  readonly lateness: number;
  readonly corrupt: number;
  /** Chance per frame that nothing gets through for `outage`. */
  readonly outages: number;
  readonly outage: number;
}

export interface WireOptions {
  readonly faults: WireFaults;
  readonly delay: number;
  readonly jitter: number;
  /** Octets per second; 0 = no limit. */
  readonly rate: number;
  readonly queueFrames: number;
}

export const NO_FAULTS: WireFaults = {
  loss: 0,
  duplicate: 0,
  late: 0,
  lateness: 0,
  corrupt: 0,
  outages: 0,
  outage: 0,
};

export interface WireCounts {
  sent: number;
  delivered: number;
  lost: number;
  duplicated: number;
  late: number;
  corrupted: number;
  /** Dropped because the queue was full. */
  overflowed: number;
}

const ETHERNET = 14;

/** Takes what arrives; `isIntact` = no bit was changed on the way. */
export type Arrival = (frame: Uint8Array, isIntact: boolean) => void;

export class Wire {
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #options: WireOptions;
  readonly #arrive: Arrival;
  /** What goes wrong now; `calm` ends it. */
  #faults: WireFaults;
  /** When the last octet of what was sent has left. */
  #freeAt = 0;
  /** Nothing arrives before: frames do not overtake each other. */
  #lastAt = 0;
  #outageUntil = 0;
  #queued = 0;
  /** Identification of the datagram of which a fragment was damaged last. */
  #spoilt = -1;
  readonly counts: WireCounts = {
    sent: 0,
    delivered: 0,
    lost: 0,
    duplicated: 0,
    late: 0,
    corrupted: 0,
    overflowed: 0,
  };

  constructor(clock: VirtualClock, random: Random, options: WireOptions, arrive: Arrival) {
    this.#clock = clock;
    this.#random = random;
    this.#options = options;
    this.#faults = options.faults;
    this.#arrive = arrive;
  }

  /** From now on nothing goes wrong, but for delay, rate and the queue. */
  calm(): void {
    this.#faults = NO_FAULTS;
    this.#outageUntil = 0;
  }

  /** Frames on their way. */
  get queued(): number {
    return this.#queued;
  }

  /** Copies the frame and sends it on its way. */
  send(frame: Uint8Array): void {
    const random = this.#random;
    const faults = this.#faults;
    const { now } = this.#clock;
    this.counts.sent += 1;
    if (this.#queued >= this.#options.queueFrames) {
      this.counts.overflowed += 1;
      return;
    }
    if (random.chance(faults.outages)) this.#outageUntil = now + random.between(1, faults.outage);
    if (now < this.#outageUntil || random.chance(faults.loss)) {
      this.counts.lost += 1;
      return;
    }
    this.#dispatch(frame.slice());
    if (random.chance(faults.duplicate)) {
      this.counts.duplicated += 1;
      this.#dispatch(frame.slice());
    }
  }

  #dispatch(frame: Uint8Array): void {
    const random = this.#random;
    const faults = this.#faults;
    const { rate, delay, jitter } = this.#options;
    const { now } = this.#clock;
    const begin = Math.max(now, this.#freeAt);
    this.#freeAt = rate === 0 ? begin : begin + Math.ceil((frame.length * 1_000_000) / rate);
    let at = this.#freeAt + delay + (jitter > 0 ? random.below(jitter) : 0);
    if (random.chance(faults.late)) {
      this.counts.late += 1;
      at += random.between(1, faults.lateness);
    } else {
      at = Math.max(at, this.#lastAt);
      this.#lastAt = at;
    }
    const isIntact = !(random.chance(faults.corrupt) && this.#corrupt(frame));
    this.#queued += 1;
    this.#clock.at(at, () => {
      this.#queued -= 1;
      this.counts.delivered += 1;
      this.#arrive(frame, isIntact);
    });
  }

  /** Two bits of one datagram, in two fragments, can leave its checksum as it was. */
  #wouldCancel(frame: Uint8Array): boolean {
    const isFragment = ((frame[20] ?? 0) & 0x3f) !== 0 || frame[21] !== 0;
    if (!isFragment) return false;
    const identifier = ((frame[18] ?? 0) << 8) | (frame[19] ?? 0);
    if (identifier === this.#spoilt) return true;
    this.#spoilt = identifier;
    return false;
  }

  #corrupt(frame: Uint8Array): boolean {
    // Only IPv4: nothing in ARP would tell.
    if (frame.length <= ETHERNET + 20 || frame[12] !== 8 || frame[13] !== 0) return false;
    const bit = this.#random.below((frame.length - ETHERNET) * 8);
    if (this.#wouldCancel(frame)) return false;
    const at = ETHERNET + (bit >> 3);
    frame[at] = (frame[at] ?? 0) ^ (1 << (bit & 7));
    this.counts.corrupted += 1;
    return true;
  }
}
