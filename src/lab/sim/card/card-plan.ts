/**
 * How a guest's vhost-user card is made and how its driver behaves, drawn from a seed. All times
 * are microseconds, chances in a million.
 */
import { Random } from "../random.ts";

/** Of one queue. */
export interface QueuePlan {
  /** Entries, a power of two from 1 to 1024. */
  readonly size: number;
  /** Where in the round of indexes it begins. */
  readonly start: number;
}

/**
 * What comes between: the front end stops the queues and starts them where they were (`resume`),
 * does so with the memory sent anew (`remap`), or the driver begins anew with other rings
 * (`reset`).
 */
export interface CardBreak {
  readonly at: number;
  readonly kind: "resume" | "remap" | "reset";
  /** Of a reset. */
  readonly queues: readonly [toGuest: QueuePlan, fromGuest: QueuePlan];
}

export interface CardPlan {
  readonly seed: number;
  readonly isModern: boolean;
  readonly isMergeable: boolean;
  readonly hasEventIndex: boolean;
  readonly hasIndirect: boolean;
  readonly queues: readonly [toGuest: QueuePlan, fromGuest: QueuePlan];
  /** Memory of the rings, and of the buffers, can never shrink: it is touched directly. */
  readonly hasSealedRings: boolean;
  readonly hasSealedBuffers: boolean;
  /** Octets that a chain for frames to the guest has: at least, at most. */
  readonly receiveSizes: readonly [number, number];
  /** Buffers of a chain at most, and how often one more is there that holds nothing. */
  readonly pieces: number;
  readonly empties: number;
  /** How often a chain with room for it is given by an indirect table. */
  readonly tables: number;
  /** From the wish to kick to the kick, and from a call until the driver looks: at most. */
  readonly kickDelay: number;
  readonly callDelay: number;
  /** How often the guest does something while the device copies. */
  readonly meanwhile: number;
  /** Octets of buffers that the driver gives the device at most, about. */
  readonly receiveRoom: number;
  /** Buffers are put back when so many per mille of the ring's entries are free. */
  readonly refillAt: number;
  /** The driver asks for a call when so many per mille of what it waits for have been used. */
  readonly callAt: number;
  readonly breaks: readonly CardBreak[];
}

/** The largest frame, with its header, and some more. */
export const FRAME_MAX = 66_000;
const HEADER_MAX = 12;
const SIZE_LOG_MAX = 10;
const STREAM = 9;
const INDEX_COUNT = 0x10000;
const BREAKS_MAX = 4;
const MILLION = 1_000_000;

/** @param duration time in which something may come between */
export function drawCard(seed: number, duration: number): CardPlan {
  const random = new Random(seed, STREAM);
  const queues = drawQueues(random);
  const count = random.oneIn(2) ? 0 : random.between(1, BREAKS_MAX);
  const isMergeable = !random.oneIn(4);
  const breaks = Array.from({ length: count }, () => ({
    at: random.between(1, duration),
    kind: random.pick(["resume", "remap", "reset"] as const),
    queues: drawQueues(random),
  }));
  const smallest = random.pick([HEADER_MAX, 64, 300, 1526]);
  return {
    seed,
    isModern: !random.oneIn(3),
    isMergeable,
    hasEventIndex: !random.oneIn(3),
    hasIndirect: random.oneIn(2),
    queues,
    hasSealedRings: !random.oneIn(3),
    hasSealedBuffers: !random.oneIn(3),
    receiveSizes: [smallest, Math.max(smallest, random.pick([64, 300, 300, 1526, 1526, 9000]))],
    pieces: random.pick([1, 2, 3, 8, 40]),
    empties: random.oneIn(3) ? 200_000 : 0,
    tables: random.pick([0, 300_000, MILLION]),
    kickDelay: random.pick([0, 0, 5, 200, 5000]),
    callDelay: random.pick([1, 200, 5000, 20_000, 20_000]),
    meanwhile: random.pick([0, 20_000, 200_000, 200_000]),
    receiveRoom: random.pick([FRAME_MAX, FRAME_MAX, 2 * FRAME_MAX, MILLION]),
    refillAt: random.pick([0, 0, 250, 500]),
    callAt: random.pick([0, 0, 500, 750]),
    breaks,
  };
}

function drawQueues(random: Random): [QueuePlan, QueuePlan] {
  return [drawQueue(random), drawQueue(random)];
}

/** Half of the queues wrap within what a run moves. */
function drawQueue(random: Random): QueuePlan {
  const size = 2 ** (random.oneIn(3) ? 8 : random.between(0, SIZE_LOG_MAX));
  const before = random.below(2 * size + 20);
  return { size, start: random.oneIn(2) ? 0 : (INDEX_COUNT - before) % INDEX_COUNT };
}
