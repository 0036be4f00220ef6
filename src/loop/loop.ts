/**
 * The loop: the one scheduler of a guest network.
 *
 * Theory of operation
 *   One thread, one epoll set: the link, every host socket, the published ports, an eventfd for
 *   control. A turn is: wait; report socket events to the engine; take at most GUEST_BATCH frames
 *   from the link; let the engine step; then alternate between writing frames to the guest and
 *   carrying out operations until neither is left. All decisions are the engine's; the loop moves
 *   records between it and the kernel.
 *
 *   Bounds. A turn takes a bounded number of events and frames, and the engine bounds its own
 *   receives, so control is looked at again within about a millisecond whatever the load. The link
 *   is level-triggered: what was not taken shows again. Host sockets are edge-triggered: the engine
 *   remembers.
 *
 *   A full link. When the link does not take all frames, the turn stops: no more frames are taken
 *   from the guest and no operation is carried out until it is writable. Nothing is queued beyond
 *   what the engine's rings hold; host sockets fill up and slow their peers down.
 */
import * as abi from "../../wasm/abi.ts";
import type { Engine } from "../engine/engine.ts";
import type { Link, LinkMemory } from "../link/link.ts";
import { EVENT_BATCH, GUEST_BATCH } from "./budget.ts";
import { sleepTime } from "./deadline.ts";

/** Where events come from. The kernel's epoll in production. */
export interface EventSource {
  /** Waits at most `microseconds`; returns the number of events, or the negative errno. */
  wait(max: number, microseconds: number): number;
  eventBits(i: number): number;
  dataLo(i: number): number;
  dataHi(i: number): number;
}

/** What a loop is made of. */
export interface LoopParts {
  readonly engine: Engine;
  readonly link: Link;
  readonly memory: LinkMemory;
  readonly events: EventSource;
  readonly upstream: { execute(base: number, count: number): void };
  readonly listeners: { accept(index: number, now: number): void };
  /** Carries out a command of the control channel; false = stop. */
  readonly control: () => boolean;
  /** Work that has nothing to do with packets. */
  readonly housekeeping: {
    wait(now: number): number | undefined;
    poll(engine: Engine, now: number): void;
    /** An edge-triggered source of news has spoken; `poll` is called within this turn or later. */
    notice?(): void;
  };
  readonly clock: () => number;
}

/**
 * Engine memory as links see it.
 * @param base its address in this process; 0 where the engine was told none
 */
export function linkMemoryOf({ bases, words, octets }: Engine, base = 0): LinkMemory {
  const { rxDescriptors, rxBuffers, txRecords } = bases;
  return { buffer: octets.buffer, base, u32: words, rxDescriptors, rxBuffers, txRecords };
}

/** What an event is about, `EVENT_OF_*` of the upstream. */
const OF_FLOW = 0;
const OF_LINK = 1;
const OF_CONTROL = 2;
const OF_LISTENER = 3;
const OF_NEWS = 5;

export class Loop {
  readonly #parts: LoopParts;
  readonly #readyWord: number;
  #linkReadable = false;
  /** Frames of the engine's list that the link has taken; -1 = the link is not full. */
  #blockedAt = -1;
  #running = true;
  #failure = 0;

  constructor(parts: LoopParts) {
    this.#parts = parts;
    this.#readyWord = (parts.engine.bases.control + abi.CONTROL_READY_OFFSET) >> 2;
  }

  /** Turns until told to stop (0) or the link is gone (the negative errno). */
  run(): number {
    const { engine, clock, housekeeping } = this.#parts;
    while (this.#running) {
      const now = clock();
      if (this.#blockedAt >= 0) this.turn(sleepTime(now, 0, undefined));
      else if (this.#linkReadable || this.#ready() !== 0) this.turn(0);
      else this.turn(sleepTime(now, engine.nextDeadline(), housekeeping.wait(now)));
    }
    return this.#failure;
  }

  /** One turn; waits at most `microseconds` for something to happen. */
  turn(microseconds: number): void {
    const { engine, events, housekeeping, clock } = this.#parts;
    const n = events.wait(EVENT_BATCH, microseconds);
    const now = clock();
    for (let i = 0; i < n; i += 1) this.#event(i, now);
    if (!this.#running || (this.#blockedAt >= 0 && !this.#drain(now))) return;
    housekeeping.poll(engine, now);
    if ((this.#ready() & abi.READY_FLUSH) === 0 && this.#linkReadable) this.#receive(now);
    engine.step(now);
    this.#drain(now);
  }

  #ready(): number {
    return this.#parts.engine.words[this.#readyWord] ?? 0;
  }

  #event(i: number, now: number): void {
    const { engine, events, link, listeners, control } = this.#parts;
    const kind = events.dataHi(i);
    if (kind === OF_FLOW) engine.upstreamEvent(events.dataLo(i), events.eventBits(i), now);
    else if (kind === OF_LINK) {
      if (link.event(events.dataLo(i), events.eventBits(i))) this.#linkReadable = true;
    } else if (kind === OF_CONTROL) {
      if (!control()) this.#running = false;
    } else if (kind === OF_NEWS) this.#parts.housekeeping.notice?.();
    else if (
      kind === OF_LISTENER &&
      this.#blockedAt < 0 &&
      (this.#ready() & abi.READY_FLUSH) === 0
    ) {
      // Only between turns: a new flow's slot must be free of an older flow's socket.
      listeners.accept(events.dataLo(i), now);
    }
  }

  #receive(now: number): void {
    const { engine, link, memory } = this.#parts;
    const n = link.receive(memory, GUEST_BATCH);
    if (n < GUEST_BATCH) this.#linkReadable = false;
    if (n > 0) engine.guestRx(n, now);
    else if (n < 0) this.#stop(n);
  }

  /** Alternates between frames and operations; false when the link is full. */
  #drain(now: number): boolean {
    const { engine, upstream } = this.#parts;
    for (;;) {
      if (!this.#transmit()) return false;
      const count = engine.opCount;
      if (count === 0) return true;
      upstream.execute(engine.opBase, count);
      engine.complete(now);
    }
  }

  #transmit(): boolean {
    const { engine, link, memory } = this.#parts;
    const count = engine.txCount;
    const first = Math.max(this.#blockedAt, 0);
    if (count === first && first === 0) return true;
    const taken = link.transmit(memory, first, count);
    if (taken < 0) {
      this.#stop(taken);
      return false;
    }
    if (first + taken < count) {
      if (this.#blockedAt < 0) link.wantRoom(true);
      this.#blockedAt = first + taken;
      return false;
    }
    if (this.#blockedAt >= 0) {
      this.#blockedAt = -1;
      link.wantRoom(false);
    }
    engine.txDone();
    return true;
  }

  #stop(errno: number): void {
    this.#running = false;
    this.#failure = errno;
  }
}
