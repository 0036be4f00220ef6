/**
 * The driver's side that receives: keeps buffers with the device, and puts frames together from
 * those that come back. It sleeps when it has looked at all there is; while too many frames wait
 * for the guest it leaves the others in the ring.
 */
import type { Random } from "../random.ts";
import { type CardPlan, FRAME_MAX, type QueuePlan } from "./card-plan.ts";
import { type DriverParts, DriverQueue } from "./driver-queue.ts";
import { isSame } from "./guest-space.ts";

const HEADER = 12;
const BUFFERS_AT = 10;
const MILLE = 1000;
/** Chains and pieces of a frame that the device takes without fail. */
const CHAINS_MAX = 900;
const PARTS_MAX = 1000;
/** Frames that wait for the guest at most. */
const DELIVERED_MAX = 64;

export class Receiver {
  readonly queue: DriverQueue;
  readonly #parts: DriverParts;
  readonly #headerSize: 10 | 12;
  readonly #onFrames: () => void;
  readonly #delivered: Uint8Array[] = [];
  /** What the engine has written, header and frame, and the driver has not seen. */
  readonly #expected: Uint8Array[] = [];
  #isHungry = false;
  #capacity = 0;

  constructor(
    parts: Omit<DriverParts, "wake">,
    plan: QueuePlan,
    size: 10 | 12,
    onFrames: () => void,
  ) {
    this.#parts = { ...parts, wake: () => this.poll() };
    this.#headerSize = size;
    this.#onFrames = onFrames;
    this.queue = new DriverQueue(this.#parts, plan);
  }

  /** Frames that the guest has not got. */
  get count(): number {
    return this.#delivered.length + this.#expected.length;
  }

  /** Frames that the guest can have. */
  get deliveredCount(): number {
    return this.#delivered.length;
  }

  /** The next frame behind twelve octets of header, as the engine has written both. */
  receive(): Uint8Array | undefined {
    const frame = this.#delivered.shift();
    if (this.#isHungry && this.#delivered.length === 0) this.queue.wakeSoon();
    return frame;
  }

  /** Frames that the device is about to take, and then those of them that it has not taken. */
  expect(frames: readonly Uint8Array[]): void {
    this.#expected.push(...frames);
  }

  forget(count: number): void {
    this.#expected.length -= count;
  }

  /** Looks at the used ring; @param isForced however many frames wait */
  poll(isForced = false): void {
    const { queue } = this;
    queue.stay();
    const before = this.#delivered.length;
    while (isForced || this.#delivered.length < DELIVERED_MAX) {
      const frame = this.#next();
      if (frame === undefined) break;
      this.#delivered.push(frame);
    }
    this.refill();
    this.#isHungry = queue.ring.unseenCount > 0;
    if (!this.#isHungry) queue.sleep();
    if (this.#delivered.length > before) this.#onFrames();
  }

  /** Gives the device buffers, if it has few. */
  refill(): void {
    const { queue } = this;
    const { plan, random } = this.#parts;
    const { freeCount, size } = queue.ring;
    const limits = limitsOf(plan, size);
    const isTime = freeCount * MILLE >= plan.refillAt * size;
    if (!isTime && this.#capacity >= Math.min(plan.receiveRoom, 2 * FRAME_MAX)) return;
    while (this.#capacity < plan.receiveRoom) {
      const chain = queue.add(sizeOf(random, plan, limits.octets), limits);
      if (chain === undefined) break;
      this.#capacity += chain.capacity;
    }
    queue.publish();
  }

  /** A frame from as many chains as its header says. */
  #next(): Uint8Array | undefined {
    const first = this.#chain();
    if (first === undefined) return undefined;
    const size = this.#headerSize;
    if (first.length < size) return void this.queue.fault(`a frame of ${first.length} octets`);
    const count =
      size === HEADER ? (first[BUFFERS_AT] ?? 0) + (first[BUFFERS_AT + 1] ?? 0) * 256 : 1;
    const octets = [first];
    for (let i = 1; i < count; i += 1) {
      const next = this.#chain();
      if (next === undefined) {
        this.queue.fault(`a frame of ${count} buffers, of which ${i} are given back`);
        return undefined;
      }
      octets.push(next);
    }
    return this.#compare(join(octets), count);
  }

  #chain(): Uint8Array | undefined {
    let octets: Uint8Array | undefined;
    this.queue.take((chain, written) => {
      this.#capacity -= chain.capacity;
      octets = this.#parts.space.written(chain.pieces, written);
    });
    return octets;
  }

  #compare(octets: Uint8Array, count: number): Uint8Array | undefined {
    const expected = this.#expected.shift();
    if (expected === undefined) return void this.queue.fault("a frame that nobody has written");
    if (count > 1 && !this.#parts.plan.isMergeable) this.queue.fault("a frame in several buffers");
    const size = this.#headerSize;
    const isHeaderSame = isSame(octets.subarray(0, 10), expected.subarray(0, 10));
    if (!isHeaderSame) this.queue.fault("a header comes otherwise than it was written");
    if (!isSame(octets.subarray(size), expected.subarray(HEADER))) {
      this.queue.fault("a frame comes otherwise than it was written");
    }
    return expected;
  }

  /** The device has found too few buffers: it has to hear of the next one. */
  rests(hasKick: boolean): void {
    this.queue.isWanted = !hasKick;
  }

  /** Begins anew with another ring. */
  reset(plan: QueuePlan): void {
    this.poll(true);
    this.queue.reset(plan);
    this.#capacity = 0;
  }
}

/** A chain that can be merged is of any size from the least one on; else it holds any frame. */
function sizeOf(random: Random, { isMergeable, receiveSizes }: CardPlan, least: number): number {
  return isMergeable ? Math.max(least, random.between(...receiveSizes)) : least + random.below(64);
}

/** Of each chain in a ring: octets at least, entries and pieces at most, so that a frame fits. */
function limitsOf({ isMergeable, receiveSizes }: CardPlan, size: number) {
  if (!isMergeable) return { octets: FRAME_MAX, entries: size, pieces: PARTS_MAX };
  const octets = Math.max(receiveSizes[0], Math.ceil(FRAME_MAX / Math.min(size, CHAINS_MAX)));
  const chains = Math.ceil(FRAME_MAX / octets);
  return {
    octets,
    entries: Math.max(1, Math.floor(size / chains)),
    pieces: Math.max(1, Math.floor(PARTS_MAX / chains)),
  };
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
