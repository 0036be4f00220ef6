/**
 * The driver's side that sends: puts frames into chains, and looks for used ones whenever it wants
 * room. It sleeps only while a frame waits for which there is none.
 */
import type { QueuePlan } from "./card-plan.ts";
import { type Chain, type DriverParts, DriverQueue } from "./driver-queue.ts";

const ANY = { entries: Number.POSITIVE_INFINITY, pieces: Number.POSITIVE_INFINITY };

export class Sender {
  readonly queue: DriverQueue;
  readonly #parts: DriverParts;
  readonly #headerSize: number;
  readonly #waitingMax: number;
  /** Header and frame of each, the oldest first: those in no chain yet, */
  #waiting: Uint8Array[] = [];
  /** those whose chain has not come back, */
  readonly #sent: Uint8Array[] = [];
  /** and those that the engine has not got. */
  readonly #awaited: Uint8Array[] = [];

  /** @param waitingMax frames that wait at most */
  constructor(
    parts: Omit<DriverParts, "wake">,
    plan: QueuePlan,
    size: 10 | 12,
    waitingMax: number,
  ) {
    this.#parts = { ...parts, wake: () => this.pump() };
    this.#headerSize = size;
    this.#waitingMax = waitingMax;
    this.queue = new DriverQueue(this.#parts, plan);
  }

  /** Sends a frame behind a header of twelve octets; false = too many wait already. */
  send(octets: Uint8Array): boolean {
    if (this.#waiting.length >= this.#waitingMax) return false;
    const whole = new Uint8Array(octets.length - 12 + this.#headerSize);
    whole.set(octets.subarray(0, this.#headerSize));
    whole.set(octets.subarray(12), this.#headerSize);
    this.#waiting.push(whole);
    this.pump();
    return true;
  }

  /** Frames that the device has not taken. */
  get count(): number {
    return this.#waiting.length + this.#awaited.length;
  }

  /** Takes used chains back, and moves frames on as far as there is room. */
  pump(): void {
    const { queue } = this;
    queue.stay();
    while (queue.take((chain, written) => this.#returned(chain, written)));
    let [frame] = this.#waiting;
    while (frame !== undefined && queue.add(frame.length, ANY, frame) !== undefined) {
      this.#sent.push(frame);
      this.#awaited.push(frame);
      this.#waiting.shift();
      [frame] = this.#waiting;
    }
    queue.publish();
    if (this.#waiting.length > 0) queue.sleep(this.#parts.plan.callAt);
  }

  #returned(chain: Chain, written: number): void {
    const frame = this.#sent.shift();
    if (frame === undefined) return;
    if (written !== 0) this.queue.fault(`${written} octets are said to be written to a frame`);
    let done = 0;
    for (const piece of chain.pieces) {
      const part = frame.subarray(done, done + piece.length);
      if (!this.#parts.space.isUnchanged(piece.at, part)) this.queue.fault("a frame was changed");
      done += piece.length;
    }
  }

  /** The engine has got a frame behind its twelve octets: is it the next one? */
  took(octets: Uint8Array): void {
    const frame = this.#awaited.shift();
    if (frame === undefined) return void this.queue.fault("a frame comes that was not sent");
    const skip = this.#headerSize;
    const isHeaderSame = frame.subarray(0, 10).every((octet, i) => octet === octets[i]);
    const isFrameSame =
      frame.length - skip === octets.length - 12 &&
      frame.subarray(skip).every((octet, i) => octet === octets[12 + i]);
    if (!isHeaderSame || !isFrameSame) this.queue.fault("a frame comes otherwise than it was sent");
  }

  /** The device has looked. What it has given back, the engine has got. */
  check(): void {
    this.queue.check();
    if (this.#awaited.length > this.#sent.length) {
      this.queue.fault("a chain is given back, and the engine has not got its frame");
      this.#awaited.length = this.#sent.length;
    }
  }

  /**
   * The device will look no more by itself: of all that it has not taken, a kick has to tell.
   * @param hasKick there has been one that it has not heard
   */
  rests(hasKick: boolean): void {
    const left = this.queue.ring.waitingCount;
    if (left > 0 && !hasKick && !this.queue.isKicking) {
      this.queue.fault(`the kick is lost: ${left} chains wait, and the device does not look`);
    }
    this.queue.isWanted = !hasKick;
  }

  /** Begins anew with another ring. What the device has not taken is sent again. */
  reset(plan: QueuePlan): void {
    while (this.queue.take((chain, written) => this.#returned(chain, written)));
    if (this.#awaited.length !== this.#sent.length) {
      this.queue.fault("frames were read, and their chains are not given back");
    }
    this.#sent.length = 0;
    this.#waiting = [...this.#awaited.splice(0), ...this.#waiting];
    this.queue.reset(plan);
  }
}
