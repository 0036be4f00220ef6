/**
 * One of the two queues of a network card: what the front end has said of it, its event
 * descriptors, and its ring while all that is needed is there.
 *
 *        stopped ──size, places, kick and enable──▶ running ──base asked for, disabled──▶ stopped
 *                                                     │
 *                                                     └──the driver breaks a rule──▶ broken
 *
 * It stays broken until the front end stops it. Whatever changes of it while it runs, memory
 * included, it goes on with a new view of the ring at the entry where it was.
 *
 * A driver is called when its queue begins to run, and when it is to be called by another
 * descriptor: whoever served the queue before (a program that has died, the host that a guest has
 * moved from) may have given buffers back and not called, and a driver that waits for that call
 * makes nothing available by which it would get another one.
 */
import { Block } from "../../sys/block.ts";
import { EINVAL } from "../../sys/errno.ts";
import { signalEventFd } from "../../sys/fd.ts";
import type { Negotiated } from "./features.ts";
import type { Machine } from "./machine.ts";
import type { VringAddress } from "./messages.ts";
import type { GuestMemory } from "./regions.ts";
import { Ring } from "./ring.ts";
import { isAligned, openRingMemory, ringSizes } from "./ring-memory.ts";

/** Of virtio 1.2 §2.7. */
const SIZE_MAX = 32768;
const NONE = -1;
/** Octets of an event descriptor's counter. */
const EVENT_SIZE = 8;

export type EventName = "kick" | "call" | "err";

export class Queue {
  /** Buffers of it are for us to write to: it takes frames to the guest. */
  readonly #isWritable: boolean;
  readonly #sys: Machine;
  readonly #guest: GuestMemory;
  /** What is written to event descriptors. */
  readonly #word: Block;
  readonly #fds: Record<EventName, number> = { kick: NONE, call: NONE, err: NONE };
  #hasKick = false;
  #isEnabled = false;
  #size = 0;
  #base = 0;
  #places: VringAddress | undefined;
  #ring: Ring | undefined;
  #isBroken = false;

  constructor(sys: Machine, guest: GuestMemory, isWritable: boolean) {
    this.#sys = sys;
    this.#guest = guest;
    this.#word = new Block(sys, EVENT_SIZE);
    this.#isWritable = isWritable;
  }

  /** The ring, while the queue runs. */
  get ring(): Ring | undefined {
    return this.#ring;
  }

  /** Descriptor of an event; -1 = none. */
  fd(name: EventName): number {
    return this.#fds[name];
  }

  /** Takes a descriptor, or NONE, in place of the one before, which is closed. */
  setFd(name: EventName, fd: number): void {
    if (this.#fds[name] >= 0) this.#sys.close(this.#fds[name]);
    this.#fds[name] = fd;
    if (name === "kick") this.#hasKick = true;
    if (name === "call" && this.#ring !== undefined) this.#call();
  }

  /** Zero, or -EINVAL for what is no size of a ring. */
  setSize(size: number): number {
    if (size < 1 || size > SIZE_MAX || (size & (size - 1)) !== 0) return -EINVAL;
    this.#size = size;
    return 0;
  }

  setBase(base: number): void {
    this.#stop();
    this.#base = base & 0xffff;
  }

  setPlaces(places: VringAddress): void {
    this.#places = places;
  }

  setEnabled(on: boolean): void {
    this.#isEnabled = on;
  }

  /** Stops it; the entry it would have taken next. */
  end(): number {
    this.#stop();
    this.#isBroken = false;
    this.setFd("kick", NONE);
    this.#hasKick = false;
    return this.#base;
  }

  /**
   * Runs it, with what is known by now, if it can be run, and stops it else.
   * @returns what of the ring is not as it has to be; empty: nothing
   */
  update(features: Negotiated): string {
    this.#stop();
    const places = this.#places;
    const isEnabled = this.#isEnabled || !features.hasProtocolFeatures;
    const isWanted = isEnabled && this.#hasKick && this.#size > 0 && !this.#isBroken;
    if (!isWanted || places === undefined) return "";
    const { hasEventIndex, hasIndirect } = features;
    const sizes = ringSizes(this.#size, hasEventIndex);
    const found = {
      descriptors: this.#guest.place(places.descriptors, sizes.descriptors),
      available: this.#guest.place(places.available, sizes.available),
      used: this.#guest.place(places.used, sizes.used),
    };
    const { descriptors, available, used } = found;
    if (descriptors === undefined || available === undefined || used === undefined) {
      return "the ring is not in guest memory";
    }
    const there = { descriptors, available, used };
    if (!isAligned(there)) return "the ring is not aligned";
    const memory = openRingMemory(this.#sys, there, this.#size, hasEventIndex);
    this.#ring = new Ring(this.#sys, this.#guest, memory, {
      size: this.#size,
      base: this.#base,
      isWritable: this.#isWritable,
      hasEventIndex,
      hasIndirect,
      log: places.isLogged ? places.log : NONE,
    });
    this.#call();
    return "";
  }

  /** Stops it if its driver has broken a rule; what it did, or empty. */
  takeProblem(): string {
    const problem = this.#ring?.problem ?? "";
    if (problem === "") return "";
    this.#stop();
    this.#isBroken = true;
    if (this.#fds.err >= 0) signalEventFd(this.#sys, this.#fds.err, this.#word);
    return problem;
  }

  /** Shows the driver what was given back, and calls it if it wants that. */
  publish(): void {
    if (this.#ring?.publish() === true) this.#call();
  }

  /**
   * Whoever took chains out of the ring is there no longer (`Ring.release`). The driver may take
   * our silence since for inattention: it is asked for kicks, as if the ring had been found empty.
   * @returns how many were given back unread
   */
  release(): number {
    const ring = this.#ring;
    if (ring === undefined) return 0;
    const count = ring.release();
    if (count > 0) this.publish();
    ring.listen();
    return count;
  }

  /** Idempotent. */
  close(): void {
    this.#stop();
    for (const name of ["kick", "call", "err"] as const) this.setFd(name, NONE);
  }

  #call(): void {
    if (this.#fds.call >= 0) signalEventFd(this.#sys, this.#fds.call, this.#word);
  }

  #stop(): void {
    if (this.#ring !== undefined) this.#base = this.#ring.next;
    this.#ring = undefined;
  }
}
