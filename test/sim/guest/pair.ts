/**
 * Two modelled guests at the two ends of a link with faults, in virtual time: what tests of the
 * guest's protocols stand on.
 */
import { VirtualClock } from "../../../src/lab/sim/clock.ts";
import { Guest, type GuestOptions } from "../../../src/lab/sim/guest/guest.ts";
import { Random } from "../../../src/lab/sim/random.ts";
import { NO_FAULTS, Wire, type WireFaults, type WireOptions } from "../../../src/lab/sim/wire.ts";

export const LEFT = "192.0.2.1";
export const RIGHT = "192.0.2.2";

export interface PairOptions {
  readonly seed?: number;
  readonly mtu?: number;
  readonly faults?: Partial<WireFaults>;
  readonly wire?: Partial<Omit<WireOptions, "faults">>;
  readonly left?: Partial<GuestOptions>;
  readonly right?: Partial<GuestOptions>;
}

export class Pair {
  readonly clock = new VirtualClock();
  readonly left: Guest;
  readonly right: Guest;
  readonly toLeft: Wire;
  readonly toRight: Wire;
  /** What the guests found that must not be, other than in damaged frames. */
  readonly faults: string[] = [];
  #isIntact = true;

  constructor(options: PairOptions = {}) {
    const { seed = 1, mtu = 1500 } = options;
    const faults = { ...NO_FAULTS, ...options.faults };
    const usual = { delay: 500, jitter: 0, rate: 0, queueFrames: 1000 };
    const wire: WireOptions = { ...usual, ...options.wire, faults };
    const onFault = (text: string): void => {
      if (this.#isIntact) this.faults.push(text);
    };
    const base = { mtu, onFault };
    this.toLeft = new Wire(this.clock, new Random(seed, 1), wire, (frame, isIntact) => {
      this.#isIntact = isIntact;
      this.left.input(frame, this.clock.now);
    });
    this.toRight = new Wire(this.clock, new Random(seed, 2), wire, (frame, isIntact) => {
      this.#isIntact = isIntact;
      this.right.input(frame, this.clock.now);
    });
    this.left = new Guest({
      ...{ ...base, mac: "52:54:00:00:00:01", seed: seed * 2 + 1 },
      transmit: (frame) => this.#carry(this.toRight, frame),
      ...options.left,
    });
    this.right = new Guest({
      ...{ ...base, mac: "52:54:00:00:00:02", seed: seed * 2 + 2 },
      transmit: (frame) => this.#carry(this.toLeft, frame),
      ...options.right,
    });
    this.left.configure({ address: LEFT, prefixLength: 24, gateway: RIGHT });
    this.right.configure({ address: RIGHT, prefixLength: 24, gateway: LEFT });
  }

  #carry(wire: Wire, frame: Uint8Array): boolean {
    wire.send(frame);
    return true;
  }

  /** Goes on until `isDone`, or for at most `microseconds`; true where it was done. */
  run(microseconds: number, isDone: () => boolean = () => false): boolean {
    const { clock, left, right } = this;
    const end = clock.now + microseconds;
    for (;;) {
      left.poll(clock.now);
      right.poll(clock.now);
      if (isDone()) return true;
      const due = Math.min(left.nextDeadline(), right.nextDeadline(), clock.next);
      if (due > end) return false;
      if (due === clock.next) clock.runNext(due);
      else clock.advance(due);
    }
  }
}

/** Octets that tell where in a stream they are. */
export function pattern(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => ((i + from) * 31 + ((i + from) >> 8) * 7) & 255);
}
