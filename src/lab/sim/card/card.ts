/**
 * A guest with a vhost-user card: its driver, and the product's own code that serves the rings, in
 * one simulated machine.
 *
 * Theory of operation
 *   What is run is what `src/link/vhost-user` has: guest memory, queues, rings, frames both ways.
 *   Socket and messages are left out; the card says to the queues what a session would. The driver
 *   (`sender`, `receiver`) is a model of its own whose habits the seed draws: how it cuts buffers,
 *   when it kicks, when it wants to be called, what it does while the device copies.
 *
 *        guest ─▶ sender ─▶ ring ─▶ FromGuest ─▶ slots of the engine
 *        guest ◀─ receiver ◀─ ring ◀─ ToGuest ◀─ records of the engine
 *               kick: an edge for the loop        call: the driver wakes up
 *
 *   Nothing wakes either side but a kick or a call, as in the machine that is modelled, so a lost
 *   one is a run that stands still; `driver-queue` finds it at once. The other checks:
 *
 *     frames      in order and unchanged both ways; headers too, and their number of buffers
 *     chains      each is given back once, in order, and after its frame has been read
 *     lengths     the octets told of are those that were written
 *     memory      read where it was made available, written where it was offered, not otherwise
 *     breaks      after the queues were stopped all that was taken has been given back
 */
import { EVENT_READABLE, EVENT_WRITABLE } from "../../../../wasm/abi.ts";
import { type CopyTarget, gatherTx, rxLength, rxPointer, txSize } from "../../../link/frames.ts";
import type { Link, LinkMemory } from "../../../link/link.ts";
import { type Negotiated, negotiated, VNET_SIZE } from "../../../link/vhost-user/features.ts";
import { FromGuest } from "../../../link/vhost-user/from-guest.ts";
import { Queue } from "../../../link/vhost-user/queue.ts";
import { GuestMemory } from "../../../link/vhost-user/regions.ts";
import { ToGuest } from "../../../link/vhost-user/to-guest.ts";
import { START, type VirtualClock } from "../clock.ts";
import { Random } from "../random.ts";
import type { CardBreak, CardPlan } from "./card-plan.ts";
import type { DriverParts } from "./driver-queue.ts";
import { ARENA_SIZE, GuestSpace, SPACE_AT } from "./guest-space.ts";
import { type MachineFile, SimMachine } from "./machine.ts";
import { Receiver } from "./receiver.ts";
import { Sender } from "./sender.ts";

/** The product's code that is run, or a copy of it with a bug. */
export interface CardCode {
  readonly GuestMemory: typeof GuestMemory;
  readonly Queue: typeof Queue;
  readonly FromGuest: typeof FromGuest;
  readonly ToGuest: typeof ToGuest;
  readonly negotiated: typeof negotiated;
}

const CARD_CODE: CardCode = { GuestMemory, Queue, FromGuest, ToGuest, negotiated };

/** The guest's end of a link. */
export interface LinkEnd {
  /** Frames that can be had. */
  readonly pending: number;
  /** False: there is no room. */
  send(frame: Uint8Array): boolean;
  receive(): Uint8Array | undefined;
}

interface CardEvents {
  fault(text: string): void;
  /** The guest can have frames. */
  onFrames(): void;
}

const MTU_MAX = 65520;
const STREAM = 10;
const TO_GUEST = 0;
const FROM_GUEST = 1;
const SEAM_MIN = 4096;
/** Where rings are; the front end's addresses are that much above the guest's. */
const RINGS_AT = 0x10_0000;
const RING_SPAN = 0x1_0000;
const USER_OFFSET = 0x7f00_0000_0000;

const [GUEST_CSUM, GUEST_TSO4, MERGEABLE, INDIRECT, EVENT_INDEX] = [1, 7, 15, 28, 29];
const [PROTOCOL, VERSION_1, GUEST_USO4] = [30, 32, 54];

interface Region {
  readonly file: MachineFile;
  readonly layout: {
    readonly guestAddress: number;
    readonly userAddress: number;
    readonly size: number;
    readonly offset: number;
  };
}

export class Card implements Link {
  readonly vnetSize = VNET_SIZE;
  readonly queueFrames: number;
  readonly mtuMax = MTU_MAX;
  readonly flags: number;
  refused = 0;
  /** Those of which the loop has heard, so far. */
  kicks = 0;
  readonly #plan: CardPlan;
  readonly #events: CardEvents;
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #machine = new SimMachine();
  readonly #memory: GuestMemory;
  readonly #features: Negotiated;
  readonly #queues: readonly [Queue, Queue];
  readonly #fromGuest: FromGuest;
  readonly #toGuest: ToGuest;
  readonly #space: GuestSpace;
  readonly #sender: Sender;
  readonly #receiver: Receiver;
  /** Kicks that the loop has not heard. */
  readonly #kicked = [false, false];
  /** Of the two rings' parts, as the front end has sent them. */
  #rings: readonly Region[] = [];

  constructor(
    clock: VirtualClock,
    plan: CardPlan,
    queueFrames: number,
    events: CardEvents,
    code: CardCode = CARD_CODE,
  ) {
    this.#clock = clock;
    this.#plan = plan;
    this.#events = events;
    this.queueFrames = queueFrames;
    this.#random = new Random(plan.seed, STREAM);
    this.#features = code.negotiated(featuresOf(plan));
    this.flags = this.#features.linkFlags;
    const seam = this.#random.between(SEAM_MIN, 2 * ARENA_SIZE - SEAM_MIN);
    const fault = (text: string): void => events.fault(`card: ${text}`);
    this.#space = new GuestSpace(seam, plan.hasSealedBuffers, fault);
    const machine = this.#machine;
    this.#memory = new code.GuestMemory(machine);
    this.#queues = [
      new code.Queue(machine, this.#memory, true),
      new code.Queue(machine, this.#memory, false),
    ];
    this.#fromGuest = new code.FromGuest(this.#memory);
    this.#toGuest = new code.ToGuest(machine, this.#memory);
    const headerSize = plan.isModern || plan.isMergeable ? 12 : 10;
    const [toGuest, fromGuest] = plan.queues;
    this.#sender = new Sender(this.#parts(FROM_GUEST), fromGuest, headerSize, queueFrames);
    this.#receiver = new Receiver(this.#parts(TO_GUEST), toGuest, headerSize, () =>
      this.#clock.after(0, () => events.onFrames()),
    );
    machine.onCopy = () => this.#meanwhile();
    this.#sendMemory();
    for (const index of [TO_GUEST, FROM_GUEST]) this.#start(index, plan.queues[index]?.start ?? 0);
    this.#receiver.poll();
    for (const each of plan.breaks) clock.at(START + each.at, () => this.#break(each));
  }

  #parts(index: number): Omit<DriverParts, "wake"> {
    const isToGuest = index === TO_GUEST;
    return {
      clock: this.#clock,
      random: this.#random,
      plan: this.#plan,
      space: this.#space,
      room: { from: isToGuest ? 0 : ARENA_SIZE, size: ARENA_SIZE },
      isWritable: isToGuest,
      name: isToGuest ? "to the guest" : "from the guest",
      fault: (text) => this.#events.fault(`card, ${text}`),
      kick: () => {
        this.#kicked[index] = true;
      },
    };
  }

  // -------------------------------------------------------------- as the loop has it

  /** Kicks that the loop has not heard, as it hears of them: frames, and room for frames. */
  takeKicks(): number {
    const [room, frames] = this.#kicked;
    this.kicks += this.#kicked.filter((isKicked) => isKicked).length;
    this.#kicked.fill(false);
    return (frames === true ? EVENT_READABLE : 0) | (room === true ? EVENT_WRITABLE : 0);
  }

  watch(): number {
    return 0;
  }

  event(): boolean {
    return true;
  }

  wantRoom(): void {
    // A kick tells of room.
  }

  receive(memory: LinkMemory, max: number): number {
    this.#machine.engineMemory = memory.buffer;
    const [, queue] = this.#queues;
    const { headerSize } = this.#features;
    this.#sender.queue.isWanted = false;
    const count = this.#fromGuest.receive(queue, headerSize, memory, max);
    for (let i = 0; i < count; i += 1) {
      const octets = new Uint8Array(memory.buffer, rxPointer(memory, i), rxLength(memory, i));
      this.#sender.took(octets);
    }
    this.#look(FROM_GUEST);
    if (count < max) this.#sender.rests(this.#kicked[FROM_GUEST] === true);
    return count;
  }

  transmit(memory: LinkMemory, first: number, count: number): number {
    this.#machine.engineMemory = memory.buffer;
    const [queue] = this.#queues;
    const frames: Uint8Array[] = [];
    for (let i = first; i < count; i += 1) frames.push(frameOf(memory, i));
    this.#receiver.expect(frames);
    this.#receiver.queue.isWanted = false;
    const taken = this.#toGuest.transmit(queue, this.#features, memory, first, count);
    this.#receiver.forget(frames.length - taken);
    this.#look(TO_GUEST);
    if (taken < frames.length) this.#receiver.rests(this.#kicked[TO_GUEST] === true);
    return taken;
  }

  close(): void {
    for (const queue of this.#queues) queue.close();
    this.#memory.close();
  }

  /** What the device has said of a queue, and what it owes. */
  #look(index: number): void {
    const problem = this.#queues[index]?.takeProblem() ?? "";
    if (problem !== "") this.#events.fault(`card: queue ${index} is broken: ${problem}`);
    const skipped = this.#fromGuest.skipped + this.#toGuest.skipped;
    if (skipped > this.refused) this.#events.fault("card: a frame was skipped");
    this.refused = skipped;
    this.#sender.check();
    this.#receiver.queue.check();
  }

  /** The guest's processor runs while the device copies. */
  #meanwhile(): void {
    const random = this.#random;
    if (!random.chance(this.#plan.meanwhile)) return;
    if (random.oneIn(2)) this.#sender.pump();
    else this.#receiver.poll();
  }

  // -------------------------------------------------------------- as the guest has it

  /** The guest's end: what it sends, and the frames that it can have, as the engine wrote them. */
  get guest(): LinkEnd {
    const [sender, receiver] = [this.#sender, this.#receiver];
    return {
      get pending() {
        return receiver.deliveredCount;
      },
      send: (frame) => sender.send(frame),
      receive: () => receiver.receive(),
    };
  }

  /** Frames in both directions that are on the card. */
  get held(): number {
    return this.#receiver.count + this.#sender.count;
  }

  /** Has the driver do now what it would do soon. */
  settle(): void {
    this.#sender.pump();
    this.#receiver.poll(true);
  }

  // -------------------------------------------------------------- as the front end has it

  /** Sends all regions, in any order. */
  #sendMemory(): void {
    this.#memory.clear();
    const [low, high] = this.#space.files;
    this.#rings = [...this.#ringRegions(TO_GUEST), ...this.#ringRegions(FROM_GUEST)];
    const regions = [
      region(low, SPACE_AT),
      region(high, SPACE_AT + low.bytes.length),
      ...this.#rings,
    ];
    for (const { file, layout } of regions) {
      const fd = this.#machine.openFile(file);
      const result = this.#memory.add(layout, fd);
      if (result < 0) this.#events.fault(`card: a region is refused: ${result}`);
      this.#machine.close(fd);
    }
  }

  #ringRegions(index: number): Region[] {
    const { queue } = index === TO_GUEST ? this.#receiver : this.#sender;
    const { descriptors, available, used } = queue.ring.files;
    return [descriptors, available, used].map((file, part) =>
      region(file, RINGS_AT + (3 * index + part) * RING_SPAN),
    );
  }

  #start(index: number, base: number): void {
    const queue = this.#queues[index];
    const { ring } = (index === TO_GUEST ? this.#receiver : this.#sender).queue;
    if (queue === undefined) return;
    const at = (part: number): number => this.#rings[3 * index + part]?.layout.userAddress ?? 0;
    queue.setSize(ring.size);
    queue.setBase(base);
    queue.setPlaces({
      ...{ index, isLogged: false, log: 0 },
      ...{ descriptors: at(0), available: at(1), used: at(2) },
    });
    queue.setFd(
      "call",
      this.#machine.openEvent(() => this.#called(index)),
    );
    queue.setFd(
      "kick",
      this.#machine.openEvent(() => {}),
    );
    queue.setEnabled(true);
    const problem = queue.update(this.#features);
    if (problem !== "") this.#events.fault(`card: a ring is refused: ${problem}`);
    // As the back end looks at a ring that begins.
    this.#kicked[index] = true;
  }

  #called(index: number): void {
    (index === TO_GUEST ? this.#receiver : this.#sender).queue.called();
  }

  /** Stops the queues, and starts them again where they were, or others. */
  #break({ kind, queues }: CardBreak): void {
    const bases = this.#queues.map((queue, index) => {
      const base = queue.end();
      const { ring } = (index === TO_GUEST ? this.#receiver : this.#sender).queue;
      if (base !== ring.usedIndex) {
        this.#events.fault(`card: queue ${index} stops at ${base}, and has used ${ring.usedIndex}`);
      }
      return base;
    });
    if (kind === "reset") {
      this.#receiver.reset(queues[TO_GUEST]);
      this.#sender.reset(queues[FROM_GUEST]);
    }
    if (kind !== "resume") this.#sendMemory();
    for (const index of [TO_GUEST, FROM_GUEST]) {
      const base = kind === "reset" ? queues[index]?.start : bases[index];
      this.#start(index, base ?? 0);
    }
    if (kind !== "reset") return;
    this.#receiver.poll();
    this.#sender.pump();
  }
}

function featuresOf(plan: CardPlan): bigint {
  const has = (on: boolean, bit: number): bigint => (on ? 1n << BigInt(bit) : 0n);
  const { isModern, isMergeable, hasEventIndex, hasIndirect } = plan;
  const offloads = [GUEST_CSUM, GUEST_TSO4, GUEST_USO4, PROTOCOL];
  return [
    ...offloads.map((bit) => has(true, bit)),
    has(isModern, VERSION_1),
    has(isMergeable, MERGEABLE),
    has(hasEventIndex, EVENT_INDEX),
    has(hasIndirect, INDIRECT),
  ].reduce((sum, bit) => sum | bit, 0n);
}

function region(file: MachineFile, guestAddress: number): Region {
  const userAddress = guestAddress + USER_OFFSET;
  return { file, layout: { guestAddress, userAddress, size: file.bytes.length, offset: 0 } };
}

function frameOf(memory: LinkMemory, i: number): Uint8Array {
  const octets = new Uint8Array(txSize(memory, i));
  gatherTx(memory, i, 0, new Copy(octets), 0, octets.length);
  return octets;
}

class Copy implements CopyTarget {
  readonly #octets: Uint8Array;

  constructor(octets: Uint8Array) {
    this.#octets = octets;
  }

  copy({ buffer }: LinkMemory, from: number, length: number, at: number): void {
    this.#octets.set(new Uint8Array(buffer, from, length), at);
  }
}
