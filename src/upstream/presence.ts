/**
 * Whether there is a guest, and with it whether published TCP ports answer.
 *
 * Theory of operation
 *   A port that accepts before there is anybody behind it tells lies: to a probe of the kubelet, a
 *   load balancer, a client that would try elsewhere. So ports are bound at start, where a conflict
 *   shows, and listen only while a guest is there:
 *
 *     nobody attached ──▶ attached ──heard of by ARP, DHCP, NDP or any IP packet──▶ there
 *           ▲                 ▲                                                       │
 *           │                 └──────────────── another one is attached ──────────────┤
 *           └───────────────────────── the link is down, its peer has gone ───────────┘
 *
 *   What is attached is the link's to say (`Attachment`); heard of is counted by the engine, at
 *   addresses that can be connected to. While somebody is attached and silent the engine asks for
 *   the guest's addresses (`askForGuest`), so one that never speaks unasked is found. Ports that no
 *   longer listen keep their number, and who waited to be accepted is reset; connections that were
 *   accepted are not touched.
 *
 *   A turn of the loop changes PORTS_PER_TURN ports at most, so that packets do not wait for a
 *   range of thousands. A guest of a tap has READY_PATIENCE to answer before the program says that
 *   it is ready: whoever connects then finds the ports as they will be.
 *
 *   Without published ports it looks as well, when there is a turn anyway: who is there is told all
 *   the same, but nobody is asked for. The first port that is published while the program runs
 *   begins that: the guest is asked, and heard of once it answers.
 *
 *   An engine that takes the place of one that failed has heard nothing yet. The guest counts as
 *   there if it was and is still attached: who connects to it is not sent away meanwhile.
 */
import type { HostEngine } from "../engine/host-engine.ts";

/** What a link knows of its other end. */
export interface Attachment {
  /** Who is there: 0 = nobody, else a number that another one changes. Microseconds of now. */
  peer(now: number): number;
  /** Until it is worth asking again, of a link that tells nobody; undefined = events say so. */
  readonly interval: number | undefined;
}

/** The ports, as `Listeners` are. */
export interface AnsweringPorts {
  readonly count: number;
  answer(on: boolean, most?: number): boolean;
}

/** Ports whose state one turn changes. */
const PORTS_PER_TURN = 256;
/** How long a guest that is attached from the start is waited for, microseconds. */
const READY_PATIENCE = 200_000;

export interface PresenceParts {
  readonly engine: HostEngine;
  readonly ports: AnsweringPorts;
  readonly attachment: Attachment;
  /** A guest has come, or has gone. */
  readonly onChange: (isThere: boolean) => void;
  /** Called once: the ports are as they will be, or the guest has had its time. */
  readonly onSettled: () => void;
  /** How it was with the engine before; absent: there was none. */
  readonly before?: PresenceState | undefined;
}

/** Who is there, for the next engine. */
export interface PresenceState {
  /** Number of the one that is attached; 0 = nobody. */
  readonly peer: number;
  readonly isThere: boolean;
  /** `onSettled` has been called. */
  readonly isSettled: boolean;
}

export class Presence {
  readonly #parts: PresenceParts;
  /** Who is attached, and what the engine had heard when that one was found. */
  #peer = 0;
  #heardBefore: number;
  #isThere = false;
  #isDone = true;
  #isSettled = false;
  #settleBy = 0;
  #lookAt = 0;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
    this.#heardBefore = parts.engine.heard;
    if (parts.before === undefined) return;
    this.#peer = parts.before.peer;
    this.#isThere = parts.before.isThere;
    this.#isDone = false; // some ports may not have followed by then
    this.#isSettled = parts.before.isSettled;
  }

  get state(): PresenceState {
    return { peer: this.#peer, isThere: this.#isThere, isSettled: this.#isSettled };
  }

  /** There are other ports than before: they follow as far as they can at once. */
  portsChanged(now: number): void {
    const { engine, ports } = this.#parts;
    this.#isDone = false;
    if (ports.count === 0) engine.askForGuest(false);
    this.poll(engine, now);
  }

  /** Microseconds until there is something to do; undefined = nothing that events do not tell. */
  wait(now: number): number | undefined {
    const { engine, ports, attachment } = this.#parts;
    if (!this.#isSettled && ports.count === 0) return 0;
    if (ports.count === 0) return undefined;
    const isNews = !this.#isThere && this.#peer !== 0 && engine.heard !== this.#heardBefore;
    if (!this.#isDone || isNews || attachment.peer(now) !== this.#peer) return 0;
    const waits = [
      ...(this.#isSettled ? [] : [Math.max(0, this.#settleBy - now)]),
      ...(attachment.interval === undefined ? [] : [Math.max(0, this.#lookAt - now)]),
    ];
    return waits.length === 0 ? undefined : Math.min(...waits);
  }

  /** Looks at who is there and has the ports follow. */
  poll(_engine: HostEngine, now: number): void {
    const { engine, ports, attachment } = this.#parts;
    this.#look(now);
    if (ports.count > 0) {
      if (!this.#isDone) this.#isDone = ports.answer(this.#isThere, PORTS_PER_TURN);
      engine.askForGuest(this.#peer !== 0 && !this.#isThere);
      this.#lookAt = now + (attachment.interval ?? 0);
    }
    if (!this.#isSettled) this.#settle(now);
  }

  #look(now: number): void {
    const { engine, attachment, onChange } = this.#parts;
    const peer = attachment.peer(now);
    if (peer !== this.#peer) {
      this.#peer = peer;
      this.#heardBefore = engine.heard;
      if (this.#isThere) this.#change(false, onChange);
    } else if (peer !== 0 && !this.#isThere && engine.heard !== this.#heardBefore) {
      this.#change(true, onChange);
    }
  }

  #change(isThere: boolean, onChange: (isThere: boolean) => void): void {
    this.#isThere = isThere;
    this.#isDone = false;
    onChange(isThere);
  }

  #settle(now: number): void {
    if (this.#settleBy === 0) this.#settleBy = now + READY_PATIENCE;
    const { ports } = this.#parts;
    const isAsItWillBe = ports.count === 0 || this.#peer === 0 || (this.#isThere && this.#isDone);
    if (!isAsItWillBe && now < this.#settleBy) return;
    this.#isSettled = true;
    this.#parts.onSettled();
  }
}
