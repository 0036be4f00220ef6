/**
 * Any state of the rings: seeded descriptors, indirect tables, indexes and event indexes, in
 * regions that end where a page begins that nobody may touch, or have octets before and behind
 * them whose change is seen.
 */
import { REQUEST } from "../../../src/link/vhost-user/messages.ts";
import type { Libc } from "../../../src/sys/libc.ts";
import { testFrame } from "../../link/suite.ts";
import {
  addressOctets,
  F,
  MODERN,
  tableOctets,
  u32,
  u64,
} from "../../link/vhost-user/front-end.ts";
import { Stage } from "../../link/vhost-user/stage.ts";
import { Random } from "../random.ts";
import type { Scribbler } from "./scribbler.ts";

/** States of one front end's memory. */
const STATES_OF_A_STAGE = 500;
const RESTART = 8;
/** Of each queue's ring, from the region's beginning on. */
const RING_SPAN = 0x8000;
const [DESCRIPTORS, AVAILABLE, USED, TABLE] = [0, 0x4000, 0x5000, 0x7400];
const RINGS_SIZE = 2 * RING_SPAN;
/** Octets before and behind a region that does not take the whole file. */
const MARGIN = 0x4000;
const POISON = 0xa5;
const HEADER = new Uint8Array(12);
const LENGTHS = [
  0, 1, 10, 12, 14, 16, 60, 64, 160, 1526, 4096, 65_536, 0x11000, 0xffffffff,
] as const;
const USUAL = [12, 26, 60, 72, 1526, 9012] as const;
const FLAGS = [0, 1, 2, 3, 4, 6, 0, 1, 2, 3, 0xffff] as const;
const SIZES = [1, 2, 4, 8, 8, 64, 256, 1024] as const;
const FEATURES = [0n, F.indirect, F.eventIndex, F.indirect | F.eventIndex] as const;

export interface StatesSeen {
  states: number;
  broken: number;
  fromGuest: number;
  toGuest: number;
}

/** One stage of states. @throws {Error} where memory outside of the regions was written */
export function fuzzStates(
  sys: Libc,
  seed: number,
  seen: StatesSeen,
  scribbler: Scribbler | undefined,
): void {
  const random = new Random(seed, 1);
  const stage = new Stage(sys, !random.oneIn(4));
  try {
    new StateFuzz(stage, random, seen).run(scribbler);
  } finally {
    stage.close();
  }
}

class StateFuzz {
  readonly #stage: Stage;
  readonly #random: Random;
  readonly #seen: StatesSeen;
  /** Of all regions together, in the file. */
  readonly #from: number;
  readonly #end: number;
  /** Where one region ends and the next one begins. */
  readonly #seam: number;
  readonly #sizes = [8, 8];
  readonly #indexes = [0, 0];
  #frames = 0;

  constructor(stage: Stage, random: Random, seen: StatesSeen) {
    this.#stage = stage;
    this.#random = random;
    this.#seen = seen;
    const { length } = stage.front.ram.bytes;
    const hasMargin = random.oneIn(2);
    this.#from = hasMargin ? MARGIN : 0;
    this.#end = hasMargin ? length - MARGIN : length;
    this.#seam = random.oneIn(2) ? this.#end : this.#from + RINGS_SIZE + random.between(1, 0x10000);
  }

  run(scribbler: Scribbler | undefined): void {
    const stage = this.#stage;
    const random = this.#random;
    const { front, link } = stage;
    const { ram } = front;
    ram.bytes.fill(POISON, 0, this.#from);
    ram.bytes.fill(POISON, this.#end);
    const mode = random.pick([MODERN, MODERN, F.protocol]);
    front.say(REQUEST.setFeatures, u64(mode | random.pick(FEATURES)));
    this.#sendMemory();
    // The margin before the region would be rewritten, too.
    const writer = this.#from === 0 ? scribbler : undefined;
    writer?.start(ram.fd, RINGS_SIZE);
    const before = link.peers.brokenQueues;
    for (let i = 0; i < STATES_OF_A_STAGE; i += 1) {
      if (i % RESTART === 0) this.#restart();
      this.#state();
      this.#seen.states += 1;
    }
    writer?.stop();
    this.#seen.broken += link.peers.brokenQueues - before;
    const isWhole = (octet: number): boolean => octet === POISON;
    const margins = [ram.bytes.subarray(0, this.#from), ram.bytes.subarray(this.#end)];
    if (!margins.every((margin) => margin.every(isWhole))) {
      throw new Error("memory outside of the regions was written");
    }
    if (link.peers.badPeers > 0) throw new Error(`a sound front end was lost: ${stage.news}`);
    if (ram.canShrink) this.#shrink();
  }

  /** Whoever touches the memory directly from now on is killed. */
  #shrink(): void {
    this.#stage.front.ram.shrink();
    for (let i = 0; i < 4; i += 1) this.#move();
    this.#restart(false);
    this.#move();
  }

  #sendMemory(): void {
    const { front } = this.#stage;
    const { ram } = front;
    const part = (from: number, end: number) => ({
      guestAddress: ram.guest(from),
      userAddress: ram.user(from),
      size: end - from,
      offset: from,
    });
    const parts = [part(this.#from, this.#seam)];
    if (this.#seam < this.#end) parts.push(part(this.#seam, this.#end));
    const fds = parts.map(() => ram.fd);
    front.say(REQUEST.setMemTable, tableOctets(parts), fds);
  }

  /** @param isThere the memory, which is prepared then */
  #restart(isThere = true): void {
    const stage = this.#stage;
    const { front } = stage;
    const random = this.#random;
    for (const index of [0, 1]) {
      front.say(REQUEST.getVringBase, u32(index, 0));
      const size = random.pick(SIZES);
      this.#sizes[index] = size;
      const base = random.pick([0, 1, 65_530, random.below(0x10000)]);
      this.#indexes[index] = base;
      const at = this.#from + index * RING_SPAN;
      const places = {
        ...{ index, isLogged: false, log: 0 },
        descriptors: front.ram.user(at + DESCRIPTORS),
        available: front.ram.user(at + AVAILABLE),
        used: front.ram.user(at + USED),
      };
      const { view } = front.ram;
      if (isThere) view.setUint16(at + AVAILABLE + 2, base, true);
      if (isThere) view.setUint16(at + USED + 2, base, true);
      front.say(REQUEST.setVringNum, u32(index, size));
      front.say(REQUEST.setVringBase, u32(index, base));
      front.say(REQUEST.setVringAddr, addressOctets(places));
      const { kick, call, err } = front.queues[index === 0 ? 0 : 1];
      front.say(REQUEST.setVringErr, u64(index), [err.number]);
      front.say(REQUEST.setVringCall, u64(index), [call.number]);
      front.say(REQUEST.setVringKick, u64(index), [kick.number]);
      front.say(REQUEST.setVringEnable, u32(index, 1));
    }
    stage.pump();
    while (front.reply() !== undefined);
    stage.news.length = 0;
  }

  #state(): void {
    for (const index of [0, 1]) if (!this.#random.oneIn(8)) this.#scramble(index);
    this.#move();
  }

  #scramble(index: number): void {
    const random = this.#random;
    const { view } = this.#stage.front.ram;
    const ring = this.#from + index * RING_SPAN;
    const size = this.#sizes[index] ?? 1;
    for (let i = random.between(1, 6); i > 0; i -= 1) {
      this.#describe(ring + DESCRIPTORS + 16 * random.below(size), index, size);
    }
    for (let i = random.below(4); i > 0; i -= 1) {
      this.#describe(ring + TABLE + 16 * random.below(8), index, 8);
    }
    const much = random.oneIn(24) ? random.below(0x10000) : size;
    const more = random.pick([0, 1, 1, 2, 3, much]);
    const old = this.#indexes[index] ?? 0;
    for (let i = 0; i < Math.min(more, 4); i += 1) {
      const head = random.oneIn(64) ? random.below(0x10000) : random.below(size);
      view.setUint16(ring + AVAILABLE + 4 + 2 * ((old + i) % size), head, true);
    }
    const next = (old + more) & 0xffff;
    this.#indexes[index] = next;
    view.setUint16(ring + AVAILABLE + 2, next, true);
    view.setUint16(ring + AVAILABLE, random.pick([0, 0, 1, 0xffff]), true);
    view.setUint16(ring + AVAILABLE + 4 + 2 * size, random.below(0x10000), true);
    if (random.oneIn(32)) view.setUint16(ring + USED + 2, random.below(0x10000), true);
  }

  /** A descriptor, mostly of a kind that the queue takes, whose buffer lies anywhere. */
  #describe(at: number, index: number, entries: number): void {
    const random = this.#random;
    const { view } = this.#stage.front.ram;
    const isTable = random.oneIn(8);
    const usual = random.oneIn(4) ? random.pick(LENGTHS) : random.pick(USUAL);
    const length = isTable ? 16 * random.between(0, 9) : usual;
    const wanted = index === 0 ? 2 : 0;
    const flags = random.oneIn(24) ? random.pick(FLAGS) : wanted | (random.oneIn(3) ? 1 : 0);
    view.setBigUint64(at, this.#address(index, length, isTable), true);
    view.setUint32(at + 8, length, true);
    view.setUint16(at + 12, isTable ? 4 : flags, true);
    const next = random.oneIn(64) ? random.below(0x10000) : random.below(entries);
    view.setUint16(at + 14, next, true);
  }

  #address(index: number, length: number, isTable: boolean): bigint {
    const random = this.#random;
    const { ram } = this.#stage.front;
    const near = (place: number): bigint =>
      BigInt(ram.guest(place - Math.min(length, 0x11000) + random.between(-2, 2)));
    if (isTable && !random.oneIn(8)) {
      return BigInt(ram.guest(this.#from + index * RING_SPAN + TABLE));
    }
    switch (random.below(24)) {
      case 0:
        return near(this.#end);
      case 1:
        return near(this.#seam);
      case 2:
        return BigInt(ram.guest(this.#from + random.between(-2, 2)));
      case 3:
        return (BigInt(random.u32()) << 32n) | BigInt(random.u32());
      default:
        return BigInt(ram.guest(this.#from + random.below(this.#end - this.#from)));
    }
  }

  /** Frames both ways. */
  #move(): void {
    const { link, memory } = this.#stage;
    const random = this.#random;
    if (this.#frames === 0 || random.oneIn(16)) {
      const sizes = [60, random.pick([60, 1514]), random.pick([1514, 9000, 65_000])];
      this.#frames = memory.putFrames(sizes.map((size, i) => [HEADER, testFrame(size, i)]));
    }
    const before = link.refused;
    const got = link.receive(memory, random.pick([1, 8, 32]));
    const given = link.transmit(memory, 0, this.#frames);
    if (got < 0 || given < 0) throw new Error(`the link is gone: ${got}, ${given}`);
    this.#seen.fromGuest += got;
    this.#seen.toGuest += Math.max(0, given - (link.refused - before));
    if (random.oneIn(8)) this.#stage.pump();
  }
}
