/**
 * The cable between guest and engine: a wire with faults each way, the guest's network card, and
 * the link that the engine's loop reads and writes: rings in memory, or a vhost-user card, whose
 * driver then stands between wire and link (`card/card.ts`).
 *
 *     guest - backlog - wire - [card] - link - LOOP
 *     guest ----------- wire - [card] - link - LOOP
 *
 * A guest may fall silent: it reads nothing for a while, the link fills, and what the engine has
 * for it waits. A guest with a backlog is a program on the other end of a stream socket: its writes
 * block when the engine does not read, and while one does it reads nothing either. What such a
 * guest sends waits instead of being lost.
 */
import { EVENT_READABLE, EVENT_WRITABLE } from "../../../wasm/abi.ts";
import type { Link, LinkMemory } from "../../link/link.ts";
import { Card, type CardCode, type LinkEnd } from "./card/card.ts";
import type { VirtualClock } from "./clock.ts";
import { createMemoryLink } from "./memory-link.ts";
import { Nic, VNET_SIZE } from "./nic.ts";
import type { Plan } from "./plan.ts";
import { Random } from "./random.ts";
import { ReceiveRing } from "./receive-ring.ts";
import { Wire, type WireCounts } from "./wire.ts";

export interface CableEvents {
  fault(text: string): void;
  /** A frame has left the link towards the guest, as the link carries it. */
  left(octets: Uint8Array): void;
  /** It sets out on the wire, cut to what the guest may get. */
  sent(frame: Uint8Array): void;
  /** A frame is at the guest; `isIntact` = as it was sent, as far as can be told. */
  arrived(frame: Uint8Array, isIntact: boolean): void;
  /** A guest whose writes blocked may write again. */
  roomy(): void;
}

export class Cable {
  /** The end that the loop has. */
  readonly link: Link;
  /** Octets of virtio_net_hdr in front of each frame of the link. */
  readonly vnetSize: 0 | 12;
  readonly #plan: Plan;
  readonly #events: CableEvents;
  readonly #toGuest: Wire;
  readonly #toEngine: Wire;
  readonly #end: LinkEnd;
  readonly #card: Card | undefined;
  readonly #nic: Nic;
  readonly #ring: ReceiveRing<boolean> | undefined;
  /** Frames queued on the link towards the engine: whether each is as it was sent. */
  readonly #intact: boolean[] = [];
  /** What the guest has written and the wire has not taken. */
  readonly #backlog: Uint8Array[] = [];
  #isSilent = false;
  /** Frames that found the link's queue towards the engine full. */
  #overflowed = 0;

  /** @param code what a vhost-user card runs, in place of the product's */
  constructor(clock: VirtualClock, plan: Plan, events: CableEvents, code?: CardCode) {
    this.#plan = plan;
    this.#events = events;
    this.#nic = new Nic(plan.limits.mtu, (text) => events.fault(text));
    this.vnetSize = plan.limits.offloads ? VNET_SIZE : 0;
    const { queueFrames } = plan.limits;
    if (plan.card === undefined) {
      const { link, guest } = createMemoryLink({ vnetSize: this.vnetSize, queueFrames });
      this.link = link;
      this.#end = guest;
    } else {
      this.#card = new Card(clock, plan.card, queueFrames, this.#cardEvents(), code);
      this.link = this.#card;
      this.#end = this.#card.guest;
    }
    this.#toEngine = new Wire(clock, new Random(plan.seed, 2), plan.toEngine, (frame, isIntact) =>
      this.#enqueue(frame, isIntact),
    );
    if (plan.guestRing !== undefined) {
      this.#ring = new ReceiveRing(clock, plan.guestRing, (frame, isIntact) =>
        events.arrived(frame, isIntact),
      );
    }
    this.#toGuest = new Wire(clock, new Random(plan.seed, 3), plan.toGuest, (frame, isIntact) =>
      this.#deliver(frame, isIntact),
    );
  }

  /** Frames that did not arrive as they were sent. */
  get lost(): number {
    const wires = [this.#toGuest.counts, this.#toEngine.counts];
    return wires.reduce(
      (sum, { overflowed, lost, corrupted }) => sum + overflowed + lost + corrupted,
      this.#overflowed,
    );
  }

  /** What became of the frames on the wires. */
  get wires(): { readonly toGuest: WireCounts; readonly toEngine: WireCounts } {
    return { toGuest: this.#toGuest.counts, toEngine: this.#toEngine.counts };
  }

  /** The guest reads nothing now. */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** Has the guest read no more, or again. */
  setSilent(isSilent: boolean): void {
    this.#isSilent = isSilent;
    this.#drain();
  }

  calm(): void {
    this.#toGuest.calm();
    this.#toEngine.calm();
  }

  /** Frames that wait on the link for the guest, and on a card for either side. */
  get pending(): number {
    return this.#card?.held ?? this.#end.pending;
  }

  /** Nothing is on a card; what is on a link in memory is asked for at the end. */
  get isSettled(): boolean {
    return (this.#card?.held ?? 0) === 0;
  }

  /**
   * What the loop hears of the link, EVENT_… bits, where it is watched for `interest`. Kicks of a
   * card are edges: they are heard once, whatever it is watched for.
   */
  takeNews(interest: number): number {
    if (this.#card !== undefined) return this.#card.takeKicks();
    const readable = this.#intact.length > 0 ? EVENT_READABLE : 0;
    const writable = this.#end.pending < this.#plan.limits.queueFrames ? EVENT_WRITABLE : 0;
    return (readable | writable) & interest;
  }

  /** Kicks of a card that were heard so far, each of which is a turn of its own. */
  get kicks(): number {
    return this.#card?.kicks ?? 0;
  }

  #cardEvents() {
    return {
      fault: (text: string) => this.#events.fault(text),
      onFrames: () => this.#drain(),
    };
  }

  // -------------------------------------------------------------- guest -> engine

  /** The guest sends a frame; false = its write would block. */
  transmit(frame: Uint8Array): boolean {
    const { guestBacklog } = this.#plan;
    if (guestBacklog === undefined) {
      this.#toEngine.send(frame);
      return true;
    }
    if (this.#backlog.length >= guestBacklog) return false;
    this.#backlog.push(frame.slice());
    this.#feed();
    return true;
  }

  /** Moves what the guest has written onto the wire, as far as the link will have room. */
  #feed(): void {
    const room = this.#plan.limits.queueFrames;
    while (this.#toEngine.queued + this.#intact.length < room) {
      const frame = this.#backlog.shift();
      if (frame === undefined) return;
      this.#toEngine.send(frame);
    }
  }

  #enqueue(frame: Uint8Array, isIntact: boolean): void {
    const whole = this.#plan.limits.offloads ? this.#nic.fromGuest(frame, isIntact) : frame;
    if (whole === undefined) return;
    if (this.#end.send(whole)) this.#intact.push(isIntact);
    else this.#overflowed += 1;
  }

  /** The loop has read a frame: whether it is as it was sent. */
  taken(): boolean {
    return this.#intact.shift() === true;
  }

  // -------------------------------------------------------------- engine -> guest

  /** Moves frames on, as far as there is room. */
  move(): void {
    const wasBlocked = this.#backlog.length > 0;
    this.#feed();
    if (wasBlocked && this.#backlog.length === 0) this.#events.roomy();
    this.#drain();
  }

  #drain(): void {
    const room = this.#plan.toGuest.queueFrames;
    if (this.#isSilent || this.#backlog.length > 0) return;
    while (this.#end.pending > 0 && this.#toGuest.queued < room) {
      const octets = this.#end.receive();
      if (octets === undefined) return;
      this.#events.left(octets);
      if (this.vnetSize === 0) this.#send(octets);
      else this.#nic.fromEngine(octets, (frame) => this.#send(frame));
    }
  }

  #send(frame: Uint8Array): void {
    this.#events.sent(frame);
    this.#toGuest.send(frame);
  }

  #deliver(frame: Uint8Array, isIntact: boolean): void {
    // A damaged fragment spoils the packet that another one completes.
    const isFragment = ((frame[20] ?? 0) & 0x3f) !== 0 || frame[21] !== 0;
    const mayBeSpoilt = isFragment && this.#toGuest.counts.corrupted > 0;
    const isWhole = isIntact && !mayBeSpoilt;
    if (this.#ring === undefined) this.#events.arrived(frame, isWhole);
    else this.#ring.put(frame, isWhole);
    this.#drain(); // there is room on the wire again
  }

  // -------------------------------------------------------------- restarts

  /** What is on the link is lost, in both directions; `lost` gets what was for the guest. */
  empty(memory: LinkMemory, most: number, lost: (octets: Uint8Array) => void): void {
    do {
      this.#card?.settle();
      for (let frame = this.#end.receive(); frame; frame = this.#end.receive()) lost(frame);
    } while (this.link.receive(memory, most) > 0);
    this.#intact.length = 0;
  }
}
