/**
 * A split virtqueue from the driver's side, in memory that the device has mapped: descriptors are
 * filled and made available, used ones taken back, and each side tells the other when it wants to
 * hear. Written from the standard, and not from the device's code.
 *
 * Source: virtio 1.2 §2.7.
 */
import type { Random } from "../random.ts";
import type { QueuePlan } from "./card-plan.ts";
import type { MachineFile } from "./machine.ts";

const DESCRIPTOR_SIZE = 16;
const [NEXT, WRITE, INDIRECT] = [1, 2, 4];
const INDEX_MASK = 0xffff;
const PAGE_SIZE = 4096;
const USED_ENTRY_SIZE = 8;
/** Flags and index. */
const ENTRIES_AT = 4;
const NO_CALL = 1;
const NO_KICK = 1;

export interface Buffer {
  /** Guest address. */
  readonly address: number;
  readonly length: number;
}

export interface RingFiles {
  readonly descriptors: MachineFile;
  readonly available: MachineFile;
  readonly used: MachineFile;
}

export class GuestRing {
  readonly size: number;
  readonly start: number;
  readonly files: RingFiles;
  /** Chains that are with the device, the oldest first. */
  readonly #out: { readonly head: number; readonly entries: readonly number[] }[] = [];
  readonly #free: number[];
  readonly #descriptors: DataView;
  readonly #available: DataView;
  readonly #used: DataView;
  readonly #isWritable: boolean;
  readonly #hasEventIndex: boolean;
  /** Available index as filled, as published, and at the last question whether to kick. */
  #filled: number;
  #published: number;
  #asked: number;
  /** Used entries that were taken back. */
  #seen: number;

  constructor(
    plan: QueuePlan,
    random: Random,
    kind: { isWritable: boolean; hasEventIndex: boolean; isSealed: boolean },
    fault: (text: string) => void,
  ) {
    const { size, start } = plan;
    this.size = size;
    this.start = start;
    this.#isWritable = kind.isWritable;
    this.#hasEventIndex = kind.hasEventIndex;
    const part = (name: string, octets: number, mayWrite: boolean): MachineFile => ({
      bytes: new Uint8Array(Math.ceil(octets / PAGE_SIZE) * PAGE_SIZE),
      isSealed: kind.isSealed,
      check: (at, length, isWrite) => {
        if (isWrite && !mayWrite) fault(`the device writes to the ${name}`);
        if (at + length > octets) fault(`the device reads or writes behind the ${name}`);
      },
    });
    this.files = {
      descriptors: part("descriptors", size * DESCRIPTOR_SIZE, false),
      available: part("available ring", ENTRIES_AT + 2 * size + 2, false),
      used: part("used ring", ENTRIES_AT + USED_ENTRY_SIZE * size + 2, true),
    };
    this.#descriptors = new DataView(this.files.descriptors.bytes.buffer);
    this.#available = new DataView(this.files.available.bytes.buffer);
    this.#used = new DataView(this.files.used.bytes.buffer);
    this.#free = shuffled(size, random);
    this.#filled = start;
    this.#published = start;
    this.#asked = start;
    this.#seen = start;
    this.#available.setUint16(2, start, true);
    this.#used.setUint16(2, start, true);
  }

  get freeCount(): number {
    return this.#free.length;
  }

  /** Chains with the device, those that it has given back and nobody has seen included. */
  get outCount(): number {
    return this.#out.length;
  }

  /** Chains that are published and not given back. */
  get waitingCount(): number {
    return (this.#published - this.usedIndex) & INDEX_MASK;
  }

  /** Chains that are given back and not taken. */
  get unseenCount(): number {
    return (this.usedIndex - this.#seen) & INDEX_MASK;
  }

  get usedIndex(): number {
    return this.#used.getUint16(2, true);
  }

  get publishedIndex(): number {
    return this.#published;
  }

  // -------------------------------------------------------------- towards the device

  /**
   * Fills a chain of buffers, for which there are free entries: the last `inTable` of them in an
   * indirect table, whose octets are returned and are to lie at `table`.
   */
  fill(buffers: readonly Buffer[], inTable = 0, table = 0): Uint8Array {
    const own = buffers.length - inTable;
    const entries = this.#free.splice(0, own + (inTable > 0 ? 1 : 0));
    const write = this.#isWritable ? WRITE : 0;
    buffers.slice(0, own).forEach(({ address, length }, i) => {
      const next = entries[i + 1];
      const flags = write | (next === undefined ? 0 : NEXT);
      this.#describe(entries[i] ?? 0, address, length, flags, next ?? 0);
    });
    const octets = new Uint8Array(inTable * DESCRIPTOR_SIZE);
    if (inTable > 0) {
      const view = new DataView(octets.buffer);
      buffers.slice(own).forEach(({ address, length }, i) => {
        const flags = write | (i === inTable - 1 ? 0 : NEXT);
        describe(view, i, address, length, flags, i + 1);
      });
      this.#describe(entries[own] ?? 0, table, octets.length, INDIRECT, 0);
    }
    const head = entries[0] ?? 0;
    this.#available.setUint16(ENTRIES_AT + 2 * (this.#filled % this.size), head, true);
    this.#filled = (this.#filled + 1) & INDEX_MASK;
    this.#out.push({ head, entries });
    return octets;
  }

  #describe(i: number, address: number, length: number, flags: number, next: number): void {
    describe(this.#descriptors, i, address, length, flags, next);
  }

  /** Shows the device what was filled. */
  publish(): void {
    this.#published = this.#filled;
    this.#available.setUint16(2, this.#published, true);
  }

  /** Whether the device wants to hear of what was published since this was asked last. */
  mustKick(): boolean {
    const [before, now] = [this.#asked, this.#published];
    this.#asked = now;
    if (before === now) return false;
    if (!this.#hasEventIndex) return (this.#used.getUint16(0, true) & NO_KICK) === 0;
    const event = this.#used.getUint16(ENTRIES_AT + USED_ENTRY_SIZE * this.size, true);
    return passes(event, before, now);
  }

  // -------------------------------------------------------------- from the device

  /** The next chain that was given back: what the device has written; undefined = none. */
  takeUsed(fault: (text: string) => void): number | undefined {
    if (this.unseenCount === 0) return undefined;
    const at = ENTRIES_AT + USED_ENTRY_SIZE * (this.#seen % this.size);
    const head = this.#used.getUint32(at, true);
    const oldest = this.#out.shift();
    if (oldest === undefined) {
      fault("a chain is given back that the device does not have");
      return undefined;
    }
    if (head !== oldest.head) fault(`chain ${head} is given back, and ${oldest.head} is the next`);
    this.#seen = (this.#seen + 1) & INDEX_MASK;
    this.#free.push(...oldest.entries);
    return this.#used.getUint32(at + 4, true);
  }

  /** Asks for a call when `more` chains beyond what was seen have been given back; 0 = the next. */
  wantCall(more: number): void {
    if (this.#hasEventIndex) {
      const event = (this.#seen + more) & INDEX_MASK;
      this.#available.setUint16(ENTRIES_AT + 2 * this.size, event, true);
    } else this.#available.setUint16(0, 0, true);
  }

  /** Calls are of no use now; by event indexes they just are not asked for. */
  wantNoCall(): void {
    if (!this.#hasEventIndex) this.#available.setUint16(0, NO_CALL, true);
  }

  /** Whether a driver that fell asleep at this used index is to be called by now. */
  isCallDue(asleepAt: number): boolean {
    const now = this.usedIndex;
    if (!this.#hasEventIndex) return now !== asleepAt;
    return passes(this.#available.getUint16(ENTRIES_AT + 2 * this.size, true), asleepAt, now);
  }
}

/** Whether the entry `event` is among those from `before` on, up to and without `now`. */
function passes(event: number, before: number, now: number): boolean {
  return ((event - before) & INDEX_MASK) < ((now - before) & INDEX_MASK);
}

function describe(
  view: DataView,
  i: number,
  address: number,
  length: number,
  flags: number,
  next: number,
): void {
  const at = i * DESCRIPTOR_SIZE;
  view.setBigUint64(at, BigInt(address), true);
  view.setUint32(at + 8, length, true);
  view.setUint16(at + 12, flags, true);
  view.setUint16(at + 14, next, true);
}

/** The numbers below `count`, in any order. */
function shuffled(count: number, random: Random): number[] {
  const numbers = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i -= 1) {
    const other = random.below(i + 1);
    const [a = 0, b = 0] = [numbers[i], numbers[other]];
    numbers[i] = b;
    numbers[other] = a;
  }
  return numbers;
}
