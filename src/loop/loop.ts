/**
 * The loop: the one scheduler of a guest network.
 *
 * Theory of operation
 *   One thread, one epoll set: the link, every host socket, the published ports, an eventfd for
 *   control. A turn is: wait; report socket events to the engine; take at most GUEST_BATCH frames
 *   from the link, or as many as it says; let the engine step; then alternate between writing
 *   frames to the guest and carrying out operations until neither is left. All decisions are the
 *   engine's; the loop moves records between it and the kernel.
 *
 *   Bounds. A turn takes a bounded number of events and frames, and the engine bounds its own
 *   receives, so control is looked at again within about a millisecond whatever the load. The link
 *   is level-triggered: what was not taken shows again. Host sockets are edge-triggered: the engine
 *   remembers.
 *
 *   Balance. A guest answers at once what it is given, and its queue is short: 500 frames of a tap.
 *   A turn that gave it more than it took takes more, a batch at a time, each worked off before the
 *   next one, up to BATCHES_MAX; without that, the answers to many small frames (a flood of
 *   connections and their resets) push the guest's own packets out of that queue.
 *
 *   Loans. A link whose guest shares its memory may leave payload there (`LinkLoans`). It gets it
 *   back (`release`) when all operations of the batch have been carried out, within the turn.
 *
 *   The rule. A level-triggered source is served, or no longer watched, within the turn that hears
 *   of it: listeners rest while the link is full and while nothing can be accepted, and whatever
 *   else is told of over and over without effect rests too, counted and told of (`rest.ts`).
 *
 *   A full link. When the link does not take all frames, those that are left wait until it is
 *   writable. All else goes on: frames are taken from the guest, whose acknowledgments shorten its
 *   queue and which may be unable to read before it has written; operations are carried out;
 *   control and time are looked at. The engine asks no socket for more meanwhile and appends to its
 *   list while that has room, so nothing is queued beyond what its rings hold; host sockets fill up
 *   and slow their peers down. A socket that has news again and again is no longer heard until
 *   there is room (`quieten`), and deadlines are looked at every FULL_PAUSE_US only: a loop that
 *   can do nothing turns ten times a second.
 */
import * as abi from "../../wasm/abi.ts";
import type { Engine } from "../engine/engine.ts";
import type { Link, LinkLoans, LinkMemory } from "../link/link.ts";
import type { LentFrames } from "../upstream/lent.ts";
import {
  EVENT_OF_ADDRESSES,
  EVENT_OF_ALARM,
  EVENT_OF_CONTROL,
  EVENT_OF_FLOW,
  EVENT_OF_LINK,
  EVENT_OF_LISTENER,
  EVENT_OF_PORT,
  EVENT_OF_SERVICE,
} from "../upstream/upstream.ts";
import { BATCHES_MAX, EVENT_BATCH, FULL_PAUSE_US, GUEST_BATCH } from "./budget.ts";
import { sleepTime } from "./deadline.ts";
import { RestingSources, type RestReport } from "./rest.ts";
import type { SourceSwitch } from "./sources.ts";

const US_PER_SECOND = 1_000_000;

/** Where events come from. The kernel's epoll in production. */
export interface EventSource {
  /** Waits at most `microseconds`; returns the number of events. Throws where it cannot wait. */
  wait(max: number, microseconds: number): number;
  eventBits(i: number): number;
  dataLo(i: number): number;
  dataHi(i: number): number;
}

/** Takes one measured value. */
export interface Observer {
  observe(seconds: number): void;
}

/** What of the loop's time is measured. */
export interface LoopMeters {
  /** From hearing of something to being ready for more. */
  readonly turn: Observer;
  /** How long the link had no room. */
  readonly blocked: Observer;
}

/** What a loop is made of. */
export interface LoopParts {
  readonly engine: Engine;
  readonly link: Link;
  readonly memory: LinkMemory;
  readonly events: EventSource;
  readonly upstream: {
    execute(base: number, count: number): void;
    /** The flow has news while the link is full: more of it need not be heard. */
    quieten(handle: number): void;
    /** The link has room: all news counts again. */
    heed(): void;
  };
  readonly listeners: {
    /** Connections that were dealt with; or the negative errno: none can be for now. */
    accept(index: number, now: number): number;
    /** Something has come in at a published UDP port that no flow has. */
    arrived?(index: number, now: number): void;
  };
  /** What the link lends, where it does: the same as in `memory`. */
  readonly lent?: Pick<LentFrames, "count" | "copy" | "settle"> | undefined;
  /** Leaves level-triggered sources alone. */
  readonly sources: SourceSwitch;
  /** Hears of those that rest, other than for a full link. */
  readonly onRest?: RestReport;
  /** Carries out a command of the control channel; false = stop. */
  readonly control: () => boolean;
  /** Where times go, in seconds, for whoever watches; absent: nobody does. */
  readonly meters?: LoopMeters | undefined;
  /** Work that has nothing to do with packets. */
  readonly housekeeping: {
    wait(now: number): number | undefined;
    poll(engine: Engine, now: number): void;
    /** An edge-triggered source of news has spoken; `poll` is called within this turn or later. */
    notice?(kind: number): void;
  };
  readonly clock: () => number;
  /** Another loop had the link before and may not have taken all that it heard of. */
  readonly resumes?: boolean;
}

/**
 * Engine memory as links see it.
 * @param base its address in this process; 0 where the engine was told none
 * @param loans takes what a link lends
 */
export function linkMemoryOf(
  { bases, words, octets }: Engine,
  base = 0,
  loans?: LinkLoans,
): LinkMemory {
  const { rxDescriptors, rxBuffers, txRecords } = bases;
  return { buffer: octets.buffer, base, u32: words, rxDescriptors, rxBuffers, txRecords, loans };
}

export class Loop {
  readonly #parts: LoopParts;
  readonly #readyWord: number;
  readonly #rest: RestingSources;
  #linkReadable = false;
  /** Tokens of the link that this turn heard of, and frames that it moved. */
  readonly #linkTokens: number[] = [];
  #moved = 0;
  /** Frames that this turn gave the guest, less those it took from it. */
  #owed = 0;
  /** Frames of the engine's list that the link has taken; -1 = the link is not full. */
  #blockedAt = -1;
  /** Since when the link is full, and since when this turn runs; 0 = it does not. */
  #blockedSince = 0;
  #turnSince = 0;
  #running = true;
  #failure = 0;
  #hasServed = false;

  constructor(parts: LoopParts) {
    this.#parts = parts;
    this.#linkReadable = parts.resumes === true;
    this.#readyWord = (parts.engine.bases.control + abi.CONTROL_READY_OFFSET) >> 2;
    this.#rest = new RestingSources(parts.sources, parts.onRest);
  }

  /** How often a source was told of over and over for nothing; 0 in the order of things. */
  get broken(): number {
    return this.#rest.broken;
  }

  /** Whether there was a turn that moved a frame, and came to its end. */
  get hasServed(): boolean {
    return this.#hasServed;
  }

  /** Turns until told to stop (0) or the link is gone (the negative errno). */
  run(): number {
    while (this.#running) this.turn(this.sleep);
    return this.#failure;
  }

  /** How long the next turn may wait, microseconds. */
  get sleep(): number {
    const { engine, clock, housekeeping } = this.#parts;
    const isFull = this.#blockedAt >= 0;
    if (this.#linkReadable || (!isFull && this.#ready() !== 0)) return 0;
    const now = clock();
    this.#endTurn(now);
    const sleep = sleepTime(now, engine.nextDeadline(), housekeeping.wait(now));
    const soonest = Math.min(sleep, this.#rest.wait(now) ?? sleep);
    return isFull ? Math.max(soonest, FULL_PAUSE_US) : soonest;
  }

  /**
   * One turn; waits at most `microseconds` for something to happen.
   * @throws what the event source does where waiting is not possible
   */
  turn(microseconds: number): void {
    const { engine, events, housekeeping, clock } = this.#parts;
    const n = events.wait(EVENT_BATCH, microseconds);
    const now = clock();
    this.#endTurn(now); // the one before, where it was followed at once
    this.#turnSince = now;
    this.#moved = 0;
    this.#rest.wake(now);
    for (let i = 0; i < n; i += 1) this.#event(i, now);
    if (this.#running && this.#blockedAt >= 0) this.#transmit(now);
    if (!this.#running) return;
    housekeeping.poll(engine, now);
    this.#owed = 0;
    let batches = 0;
    do {
      const mustFlush = this.#blockedAt < 0 && (this.#ready() & abi.READY_FLUSH) !== 0;
      if (this.#linkReadable && !mustFlush) this.#receive(now);
      engine.step(now);
      this.#parts.lent?.copy();
      this.#drain(now);
      this.#release();
      batches += 1;
    } while (this.#owed > 0 && this.#linkReadable && this.#running && batches < BATCHES_MAX);
    this.#judgeLink(now);
  }

  /** Notes how long a turn has taken, with a time that is read anyway. */
  #endTurn(now: number): void {
    if (this.#turnSince > 0)
      this.#parts.meters?.turn.observe((now - this.#turnSince) / US_PER_SECOND);
    this.#turnSince = 0;
  }

  #ready(): number {
    return this.#parts.engine.words[this.#readyWord] ?? 0;
  }

  #event(i: number, now: number): void {
    const { engine, events, link, control, upstream } = this.#parts;
    const kind = events.dataHi(i);
    const token = events.dataLo(i);
    if (kind === EVENT_OF_FLOW) {
      engine.upstreamEvent(token, events.eventBits(i), now);
      if (this.#blockedAt >= 0) upstream.quieten(token);
    } else if (kind === EVENT_OF_LINK) {
      const news = link.event(token, events.eventBits(i));
      if (news === "served") this.#rest.served(token, kind);
      else {
        if (news) this.#linkReadable = true;
        this.#linkTokens.push(token);
      }
    } else if (kind === EVENT_OF_CONTROL) {
      if (!control()) this.#running = false;
    } else if (kind === EVENT_OF_ADDRESSES || kind === EVENT_OF_SERVICE) {
      this.#parts.housekeeping.notice?.(kind);
    } else if (kind === EVENT_OF_PORT) {
      this.#parts.listeners.arrived?.(token, now);
    } else if (kind === EVENT_OF_LISTENER) this.#accept(token, now);
    else if (kind !== EVENT_OF_ALARM) this.#rest.idle(token, kind, now);
  }

  /** Between turns all operations are done: a new flow's slot is free of an older flow's socket. */
  #accept(token: number, now: number): void {
    if (this.#blockedAt >= 0) {
      this.#rest.untilRoom(token, EVENT_OF_LISTENER);
      return;
    }
    const count = this.#parts.listeners.accept(token, now);
    if (count > 0) this.#rest.served(token, EVENT_OF_LISTENER);
    else if (count === 0) this.#rest.idle(token, EVENT_OF_LISTENER, now);
    else this.#rest.later(token, EVENT_OF_LISTENER, now, count);
  }

  /** Whether anything came of what the link told of. */
  #judgeLink(now: number): void {
    if (this.#moved > 0) this.#hasServed = true;
    for (const token of this.#linkTokens) {
      if (this.#moved > 0) this.#rest.served(token, EVENT_OF_LINK);
      else this.#rest.idle(token, EVENT_OF_LINK, now);
    }
    this.#linkTokens.length = 0;
  }

  #receive(now: number): void {
    const { engine, link, memory } = this.#parts;
    const batch = link.batchFrames ?? GUEST_BATCH;
    const n = link.receive(memory, batch);
    if (n < batch) this.#linkReadable = false;
    if (n > 0) {
      this.#moved += n;
      this.#owed -= n;
      engine.guestRx(n, now);
      this.#parts.lent?.copy();
      link.handled?.(memory, n);
    } else if (n < 0) this.#stop(n);
    else if (this.#blockedAt >= 0) this.#transmit(now); // with its peer gone the link takes all
  }

  /** Alternates between frames, while the link takes them, and operations, until none is left. */
  #drain(now: number): void {
    const { engine, upstream } = this.#parts;
    while (this.#running) {
      if (this.#blockedAt < 0) this.#transmit(now);
      const count = engine.opCount;
      if (count === 0 || !this.#running) return;
      upstream.execute(engine.opBase, count);
      engine.complete(now);
      this.#parts.lent?.copy();
    }
  }

  /** Gives back what the link has lent. Where lists were full the engine has not used it all. */
  #release(): void {
    const { link, memory, lent } = this.#parts;
    if (lent === undefined || lent.count === 0) return;
    if (this.#blockedAt < 0 && (this.#ready() & abi.READY_FLUSH) !== 0) lent.settle();
    link.release?.(memory);
  }

  /** Offers the link what it has not taken yet. */
  #transmit(now: number): void {
    const { engine, link, memory } = this.#parts;
    const count = engine.txCount;
    const isFull = this.#blockedAt >= 0;
    const first = isFull ? this.#blockedAt : 0;
    if (count === first && !isFull) return;
    const taken = link.transmit(memory, first, count);
    if (taken < 0) {
      this.#stop(taken);
      return;
    }
    this.#moved += taken;
    this.#owed += taken;
    if (first + taken < count) {
      if (!isFull) {
        link.wantRoom(true);
        this.#blockedSince = now;
      }
      this.#blockedAt = first + taken;
      return;
    }
    if (isFull) this.#roomAgain(now);
    engine.txDone();
  }

  #roomAgain(now: number): void {
    const { link, upstream } = this.#parts;
    this.#blockedAt = -1;
    this.#parts.meters?.blocked.observe((now - this.#blockedSince) / US_PER_SECOND);
    link.wantRoom(false);
    upstream.heed();
    this.#rest.room(now);
  }

  #stop(errno: number): void {
    this.#running = false;
    this.#failure = errno;
  }
}
