/**
 * What sender and receiver of the modelled driver have in common: a ring, room for buffers, kicks
 * that may be late, and sleep until a call.
 *
 *     awake    looks at the used ring by itself, and wants no call
 *     asleep   has said when it wants to be called, and does nothing until then
 *
 * A device that owes a call, or has not asked for the kick that it needs, is found at once: both
 * sides stand still in between, so what is missing then never comes.
 */
import type { VirtualClock } from "../clock.ts";
import type { Random } from "../random.ts";
import type { CardPlan, QueuePlan } from "./card-plan.ts";
import { type Buffer, GuestRing } from "./guest-ring.ts";
import { Arena, type GuestSpace, type Piece, SPACE_AT } from "./guest-space.ts";

export interface DriverParts {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly plan: CardPlan;
  readonly space: GuestSpace;
  /** Where its part of the space begins, and octets of it. */
  readonly room: { readonly from: number; readonly size: number };
  readonly isWritable: boolean;
  /** Which it is, for people. */
  readonly name: string;
  fault(text: string): void;
  /** Writes to the kick's event descriptor. */
  kick(): void;
  /** Does what is due after a call. */
  wake(): void;
}

/** A chain with the device: its buffers, and the block of the space that they are in. */
export interface Chain {
  readonly pieces: readonly Piece[];
  readonly capacity: number;
  readonly table: { readonly at: number; readonly octets: Uint8Array } | undefined;
  readonly block: Piece;
}

const DESCRIPTOR_SIZE = 16;
/** Descriptors of an indirect table at most. */
const TABLE_MAX = 64;
const MILLE = 1000;
/** Octets of the beginning of a frame, where cuts are of interest. */
const HEADERS = 70;

export class DriverQueue {
  ring: GuestRing;
  readonly chains: Chain[] = [];
  readonly #parts: DriverParts;
  #arena: Arena;
  #asleepAt: number | undefined;
  #isWaking = false;
  #kicksOnTheWay = 0;
  /** The device has found too little, and is to be told of the next chain. */
  isWanted = false;

  constructor(parts: DriverParts, plan: QueuePlan) {
    this.#parts = parts;
    this.#arena = this.#newArena();
    this.ring = this.#newRing(plan);
  }

  /** Another ring in place of this one, of whose chains none comes back. */
  reset(plan: QueuePlan): void {
    for (const chain of this.chains.splice(0)) this.#takeBack(chain);
    this.#arena = this.#newArena();
    this.ring = this.#newRing(plan);
    this.isWanted = false;
    this.stay();
  }

  #newArena(): Arena {
    const { from, size } = this.#parts.room;
    return new Arena(from, size);
  }

  #newRing(queue: QueuePlan): GuestRing {
    const { plan, random, isWritable } = this.#parts;
    const { hasEventIndex, hasSealedRings: isSealed } = plan;
    return new GuestRing(queue, random, { isWritable, hasEventIndex, isSealed }, (text) =>
      this.fault(text),
    );
  }

  fault(text: string): void {
    this.#parts.fault(`${this.#parts.name}: ${text}`);
  }

  // -------------------------------------------------------------- chains

  /**
   * Gives the device a chain of `capacity` octets; undefined = there is no room for it now.
   * @param entries of the ring that it may take
   * @param pieces that it may have
   */
  add(
    capacity: number,
    { entries, pieces }: { readonly entries: number; readonly pieces: number },
    lend?: Uint8Array,
  ): Chain | undefined {
    const { random, plan, space } = this.#parts;
    const hasTable = plan.hasIndirect && random.chance(plan.tables);
    const free = Math.min(this.ring.freeCount, entries);
    const most = Math.min(hasTable ? TABLE_MAX : free, pieces);
    if (free === 0) return undefined;
    const lengths = cut(random, capacity, Math.min(plan.pieces, most), {
      empties: plan.empties,
      most,
    });
    const own = hasTable ? random.below(Math.min(free, lengths.length)) : 0;
    const inTable = hasTable ? lengths.length - own : 0;
    const gap = random.below(16);
    const tableSize = inTable * DESCRIPTOR_SIZE;
    const size = gap + capacity + tableSize;
    const at = this.#arena.take(size);
    if (at < 0) return undefined;
    const chain = place(random, lengths, { at, gap, tableSize, size });
    const buffers = chain.pieces.map(
      ({ at: place_, length }): Buffer => ({
        address: SPACE_AT + place_,
        length,
      }),
    );
    let done = 0;
    for (const piece of chain.pieces) {
      if (lend === undefined) space.offer(piece);
      else space.lend(piece.at, lend.subarray(done, done + piece.length));
      done += piece.length;
    }
    const octets = this.ring.fill(buffers, inTable, SPACE_AT + (chain.table?.at ?? 0));
    chain.table?.octets.set(octets);
    if (chain.table !== undefined) space.lend(chain.table.at, octets);
    this.chains.push(chain);
    return chain;
  }

  /** The next chain that was given back, and what the device says it has written to it. */
  take(look: (chain: Chain, written: number) => void): boolean {
    const written = this.ring.takeUsed((text) => this.fault(text));
    const chain = written === undefined ? undefined : this.chains.shift();
    if (written === undefined || chain === undefined) return false;
    look(chain, written);
    const { table } = chain;
    if (table !== undefined && !this.#parts.space.isUnchanged(table.at, table.octets)) {
      this.fault("an indirect table was written to");
    }
    this.#takeBack(chain);
    this.#arena.release(chain.block.at, chain.block.length, this.chains.length === 0);
    return true;
  }

  #takeBack(chain: Chain): void {
    const { space } = this.#parts;
    for (const piece of chain.pieces) space.takeBack(piece);
    if (chain.table !== undefined) {
      space.takeBack({ at: chain.table.at, length: chain.table.octets.length });
    }
  }

  // -------------------------------------------------------------- kicks

  /** Shows the device what was filled, and kicks it if it wants that. */
  publish(): void {
    const before = this.ring.publishedIndex;
    this.ring.publish();
    if (this.ring.publishedIndex === before) return;
    if (this.ring.mustKick()) this.#kick();
    else if (this.isWanted && !this.isKicking) this.fault("the kick that the device needs is lost");
  }

  /** A kick is on its way. */
  get isKicking(): boolean {
    return this.#kicksOnTheWay > 0;
  }

  #kick(): void {
    const { plan, random, clock, kick } = this.#parts;
    this.isWanted = false;
    const delay = plan.kickDelay === 0 ? 0 : random.between(0, plan.kickDelay);
    if (delay === 0) return void kick();
    this.#kicksOnTheWay += 1;
    clock.after(delay, () => {
      this.#kicksOnTheWay -= 1;
      kick();
    });
  }

  // -------------------------------------------------------------- calls

  /** Awake from now on. */
  stay(): void {
    this.#asleepAt = undefined;
    this.ring.wantNoCall();
  }

  /** Sleeps until the device has given back something, or `perMille` of all that it has. */
  sleep(perMille = 0): void {
    const { ring } = this;
    const most = Math.max(ring.outCount - 1, 0);
    ring.wantCall(Math.min(most, Math.floor((ring.outCount * perMille) / MILLE)));
    this.#asleepAt = ring.usedIndex;
  }

  /** The device calls. */
  called(): void {
    if (this.#asleepAt === undefined) return;
    this.wakeSoon();
  }

  /** Has the driver look soon. */
  wakeSoon(): void {
    const { clock, random, plan, wake } = this.#parts;
    this.#asleepAt = undefined;
    if (this.#isWaking) return;
    this.#isWaking = true;
    clock.after(random.between(1, plan.callDelay), () => {
      this.#isWaking = false;
      wake();
    });
  }

  /** After each call of the device's. */
  check(): void {
    const asleepAt = this.#asleepAt;
    if (asleepAt === undefined || !this.ring.isCallDue(asleepAt)) return;
    this.fault(`the call is lost: asleep, with ${this.ring.unseenCount} chains given back`);
    this.wakeSoon();
  }
}

/** Lengths of the pieces of `size` octets, which are `wanted` at most, and those of no octets. */
function cut(
  random: Random,
  size: number,
  wanted: number,
  { empties, most }: { readonly empties: number; readonly most: number },
): number[] {
  const count = random.between(1, Math.max(1, Math.min(wanted, size)));
  const cuts = new Set<number>();
  for (let i = 1; i < count; i += 1) {
    cuts.add(1 + random.below(random.oneIn(2) ? Math.min(size - 1, HEADERS) || 1 : size - 1 || 1));
  }
  const places = [0, ...[...cuts].filter((at) => at < size).sort((a, b) => a - b), size];
  const lengths = places.slice(1).map((at, i) => at - (places[i] ?? 0));
  while (lengths.length < most && random.chance(empties)) {
    lengths.splice(random.below(lengths.length + 1), 0, 0);
  }
  return lengths;
}

/** Lays pieces out in a block: one behind the other, or the last one first; then the table. */
function place(
  random: Random,
  lengths: readonly number[],
  block: { at: number; gap: number; tableSize: number; size: number },
): Chain {
  const capacity = lengths.reduce((sum, length) => sum + length, 0);
  const isBackwards = random.oneIn(2);
  const first = block.at + block.gap;
  let done = 0;
  const pieces = lengths.map((length): Piece => {
    const at = isBackwards ? first + capacity - done - length : first + done;
    done += length;
    return { at, length };
  });
  const { tableSize } = block;
  const table =
    tableSize > 0 ? { at: first + capacity, octets: new Uint8Array(tableSize) } : undefined;
  return { pieces, capacity, table, block: { at: block.at, length: block.size } };
}
