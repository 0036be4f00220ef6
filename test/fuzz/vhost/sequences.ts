/**
 * Any control messages: of every request and of none, in any order, with payloads that are right or
 * nearly right, with descriptors of every kind and number, from front ends that come and go; while
 * frames pass and memory is taken away.
 */
import { REQUEST } from "../../../src/link/vhost-user/messages.ts";
import { ECONNRESET, EPIPE, SystemError } from "../../../src/sys/errno.ts";
import type { Libc } from "../../../src/sys/libc.ts";
import { testFrame } from "../../link/suite.ts";
import { F, type FrontEnd, MODERN, message, P_REPLY_ACK } from "../../link/vhost-user/front-end.ts";
import { Stage } from "../../link/vhost-user/stage.ts";
import { Random } from "../random.ts";
import { FILE_SIZE, FilePool } from "./files.ts";
import { holdings } from "./leftovers.ts";

/** Sequences of one pool of files. */
export const SEQUENCES_OF_A_BATCH = 200;
const MESSAGES_MAX = 24;
const FDS_MAX = 8;
const HEADER = new Uint8Array(12);
const GUEST_AT = 0x1_0000_0000n;
const USER_AT = 0x7f00_0000_0000n;
const WORDS = [0n, 1n, 2n, 8n, 0x100n, 0x1000n, 0xffff_ffffn, 1n << 62n, (1n << 64n) - 1n] as const;
const SIZES = [0n, 1n, 4096n, 0x8000n, BigInt(FILE_SIZE), 1n << 40n, 1n << 63n] as const;
const KNOWN = Object.values(REQUEST);
const UNKNOWN = [0, 19, 21, 31, 99, 0xffffffff] as const;
/** Of a message, how seldom something of it is wrong for no reason. */
const SELDOM = 60;

export interface SequencesSeen {
  sequences: number;
  messages: number;
  /** Front ends that were lost for what they said. */
  lost: number;
}

/** One batch. @throws {Error} where something is left behind, or the next guest is not served */
export function fuzzSequences(sys: Libc, seed: number, count: number, seen: SequencesSeen): void {
  const random = new Random(seed, 2);
  const before = holdings();
  const files = new FilePool(sys);
  try {
    for (let i = 0; i < count; i += 1) {
      const stage = new Stage(sys, random.oneIn(2));
      try {
        new Conversation(stage, files, random, seen).run();
      } finally {
        stage.close();
      }
      seen.sequences += 1;
    }
  } finally {
    files.close();
  }
  const after = holdings();
  const { descriptors, mappings } = before;
  if (after.descriptors !== descriptors || after.mappings !== mappings) {
    throw new Error(`left behind: ${JSON.stringify(before)} became ${JSON.stringify(after)}`);
  }
}

class Conversation {
  readonly #stage: Stage;
  readonly #files: FilePool;
  readonly #random: Random;
  readonly #seen: SequencesSeen;

  constructor(stage: Stage, files: FilePool, random: Random, seen: SequencesSeen) {
    this.#stage = stage;
    this.#files = files;
    this.#random = random;
    this.#seen = seen;
  }

  run(): void {
    const stage = this.#stage;
    const random = this.#random;
    const { front } = stage;
    const features = random.pick([0n, F.indirect, F.eventIndex, F.logAll]);
    try {
      const replies = random.oneIn(8) ? 0n : P_REPLY_ACK;
      if (random.oneIn(2)) front.start(MODERN | features, replies);
      else front.say(REQUEST.setProtocolFeatures, words(replies));
      for (let i = random.between(1, MESSAGES_MAX); i > 0; i -= 1) {
        this.#say(front);
        this.#seen.messages += 1;
        if (random.oneIn(6)) this.#files.resize(random);
        if (!random.oneIn(4)) this.#move();
      }
      this.#move();
    } catch (error) {
      if (!isOver(error)) throw error;
      this.#seen.lost += 1;
    }
    front.close();
    stage.pump();
    if (random.oneIn(16)) this.#next();
  }

  /** The front end that comes afterwards is served. */
  #next(): void {
    const stage = this.#stage;
    stage.connect().start();
    stage.pump();
    stage.send(new Uint8Array([...HEADER, ...testFrame(60, 1)]));
    if (stage.receive().length !== 1) throw new Error("the next front end is not served");
  }

  #move(): void {
    const stage = this.#stage;
    const random = this.#random;
    stage.pump();
    if (random.oneIn(3)) {
      const { ram } = stage.front;
      // Of a front end that was started: its rings are in this part.
      for (let i = 0; i < 8; i += 1) {
        ram.view.setUint16(
          0x4000 + 2 * random.below(0x1000),
          random.pick([0, 1, 2, 60, 0x100]),
          true,
        );
      }
      stage.receive();
      stage.transmit([HEADER, testFrame(60, 1)]);
    }
    while (stage.front.reply() !== undefined);
  }

  #say(front: FrontEnd): void {
    const random = this.#random;
    const request = random.oneIn(SELDOM)
      ? random.pick(UNKNOWN)
      : (KNOWN[random.below(KNOWN.length)] ?? 0);
    const payload = random.oneIn(SELDOM) ? this.#noise() : this.#payload(request, front);
    const strange = random.pick([1, 5, 0, random.u32()]);
    const flags = random.oneIn(SELDOM) ? strange : 9;
    const octets = message(request, payload, flags);
    if (random.oneIn(2 * SELDOM)) new DataView(octets.buffer).setUint32(8, random.u32(), true);
    const part = random.oneIn(2 * SELDOM)
      ? octets.subarray(0, random.between(1, octets.length))
      : octets;
    front.send(part, this.#fds(request, payload));
  }

  #noise(): Uint8Array {
    const random = this.#random;
    const size = random.pick([0, 4, 8, 16, 24, 40, 72, 264, random.below(300)]);
    return Uint8Array.from({ length: size }, () => (random.oneIn(2) ? 0 : random.below(256)));
  }

  /** As many as the request takes, of the right kind, mostly. */
  #fds(request: number, payload: Uint8Array): number[] {
    const random = this.#random;
    const files = this.#files;
    const make = (count: number, one: () => number): number[] =>
      Array.from({ length: count }, () => (random.oneIn(SELDOM) ? files.any(random) : one()));
    if (random.oneIn(SELDOM)) return make(random.below(FDS_MAX + 1), () => files.any(random));
    switch (request) {
      case REQUEST.setMemTable:
        return make(Math.min(payload[0] ?? 0, FDS_MAX), () => random.pick(files.memories));
      case REQUEST.addMemReg:
      case REQUEST.remMemReg:
      case REQUEST.setLogBase:
        return make(1, () => random.pick(files.memories));
      case REQUEST.setVringKick:
      case REQUEST.setVringCall:
      case REQUEST.setVringErr:
        return make((payload[1] ?? 0) === 1 ? 0 : 1, () => random.pick(files.events));
      default:
        return [];
    }
  }

  #payload(request: number, front: FrontEnd): Uint8Array {
    const random = this.#random;
    const index = BigInt(random.oneIn(SELDOM) ? 2 : random.below(2));
    switch (request) {
      case REQUEST.setMemTable: {
        const count = random.pick([1, 1, 1, 2, 2, 3, 8, random.below(10)]);
        return words(
          BigInt(count),
          ...Array.from({ length: count }, () => this.#region(front)).flat(),
        );
      }
      case REQUEST.addMemReg:
      case REQUEST.remMemReg:
        return words(0n, ...this.#region(front));
      case REQUEST.setLogBase:
        return words(random.pick(SIZES), random.pick(WORDS));
      case REQUEST.setVringNum:
      case REQUEST.setVringBase:
      case REQUEST.setVringEnable:
      case REQUEST.getVringBase: {
        const small = request === REQUEST.setVringEnable ? random.below(2) : 8;
        const value = random.oneIn(8) ? random.pick([0, 1, 2, 3, 256, 32_768, 65_535]) : small;
        return words(index | (BigInt(value) << 32n));
      }
      case REQUEST.setVringAddr:
        return words(
          index | (BigInt(random.below(2)) << 32n),
          ...[this.#user(16n), this.#user(4n), this.#user(2n)],
          random.pick(WORDS),
        );
      case REQUEST.setVringKick:
      case REQUEST.setVringCall:
      case REQUEST.setVringErr:
        return words(index | (random.oneIn(4) ? 0x100n : 0n));
      case REQUEST.setFeatures:
        return words(MODERN | random.pick([0n, F.indirect, F.eventIndex, F.logAll, F.logAll]));
      case REQUEST.netSetMtu:
      case REQUEST.setProtocolFeatures:
        return words(random.pick([0n, 8n, 10n, 68n, 1500n, 0x8000n, 1n << 60n]));
      default:
        return words();
    }
  }

  /** A place of the front end's memory, of its own or of a region, aligned mostly. */
  #user(alignment: bigint): bigint {
    const random = this.#random;
    if (random.oneIn(8)) return random.pick(WORDS);
    const at =
      USER_AT + BigInt(random.pick([0x4000, 0x4400, 0x4800, 0x5000, random.below(FILE_SIZE)]));
    return random.oneIn(4) ? at : (at / alignment) * alignment;
  }

  /** Guest address, size, user address and offset: regions that overlap, wrap, and have holes. */
  #region(front: FrontEnd): bigint[] {
    const random = this.#random;
    if (random.oneIn(6)) {
      const { guestAddress, size, userAddress, offset } = front.ram.layout;
      return [guestAddress, size, userAddress, offset].map(BigInt);
    }
    const step = BigInt(random.below(8)) * 0x8000n;
    const place = (base: bigint): bigint => (random.oneIn(8) ? random.pick(WORDS) : base + step);
    const offset = random.pick([0n, 0n, 0n, 4096n, 1n, 0x8000n, 1n << 52n, (1n << 64n) - 4096n]);
    return [place(GUEST_AT), random.pick(SIZES), place(USER_AT), offset];
  }
}

function words(...values: readonly bigint[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values).buffer);
}

/** The front end has been closed, as it should be. */
function isOver(error: unknown): boolean {
  return error instanceof SystemError && [EPIPE, ECONNRESET].includes(error.errno);
}
