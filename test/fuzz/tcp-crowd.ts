/**
 * Many guests' TCP connections at once, driven without memory allocation: enough of TCP to get into
 * every state (the engine's sequence numbers are learnt from what it sends), and enough mischief to
 * leave no rule untested.
 */

import type { Engine } from "../../src/engine/engine.ts";
import * as abi from "../../wasm/abi.ts";
import { get16, get32, set16, set32 } from "./mutate.ts";
import type { Random } from "./random.ts";

const CROWD_PORT = 41000;
const CROWD_SIZE = 64;
const GUEST = 0x0a00020f;
const PEER = 0xc6336450;
const HEADERS = 54;
const FIN = 1;
const SYN = 2;
const RST = 4;
const PSH = 8;
const ACK = 16;

const FLAGS_USUAL = [
  ...[ACK, ACK, ACK, ACK, ACK, ACK, ACK, ACK, ACK, ACK, ACK, ACK],
  ...[ACK | PSH, ACK | PSH, ACK | PSH, ACK | PSH, ACK | PSH, ACK | PSH, ACK | PSH, ACK | PSH],
  ACK | FIN | PSH,
] as const;
const FLAGS_ODD = [
  0,
  SYN,
  RST,
  RST | ACK,
  FIN,
  SYN | ACK,
  SYN | FIN,
  0x3f,
  ACK | 0xe0,
  0xff,
] as const;
const WINDOWS = [0, 1, 100, 512, 4096, 29200, 65535, 65535] as const;
/** MSS 1460, SACK permitted, NOP, NOP, then timestamps, NOP, NOP, NOP, window scale 7. */
const SYN_OPTIONS = Uint8Array.of(
  ...[2, 4, 5, 0xb4, 4, 2, 1, 1],
  ...[8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1, 3, 3, 7],
);
const TIMESTAMP_OPTION = Uint8Array.of(1, 1, 8, 10);
const SACK_OPTION = Uint8Array.of(1, 1, 5, 10);
const OPTIONS_MAX = 40;
/** From the guest to the gateway, IPv4 without options, TCP. */
const ETHERNET_IPV4 = Uint8Array.of(
  ...[0x52, 0x55, 0x0a, 0, 2, 2, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 0],
  ...[0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0],
);

function hasTimestamps(octets: Uint8Array, frame: number): boolean {
  const end = frame + 34 + ((octets[frame + 46] ?? 0) >> 4) * 4;
  for (let at = frame + 54; at < end; ) {
    const kind = octets[at] ?? 0;
    if (kind === 8) return true;
    at += kind < 2 ? 1 : Math.max(2, octets[at + 1] ?? 0);
  }
  return false;
}

/** What a connection of the crowd is, as far as its guest knows. */
const UNKNOWN = 0;
const OPENING = 1;
const OPEN = 2;

export class TcpCrowd {
  /** Sequence number to send next, and the one wanted from the engine next. */
  readonly #sent = new Uint32Array(CROWD_SIZE);
  readonly #wanted = new Uint32Array(CROWD_SIZE);
  readonly #phase = new Uint8Array(CROWD_SIZE);
  readonly #windows = new Uint16Array(CROWD_SIZE);
  /** Offers timestamps, so every segment carries them. */
  readonly #timestamps = new Uint8Array(CROWD_SIZE);
  /** Its FIN is out. */
  readonly #finished = new Uint8Array(CROWD_SIZE);
  /** Segments for which it acts as if something had been lost: duplicate acknowledgments. */
  readonly #deaf = new Uint8Array(CROWD_SIZE);
  /** TSval of everybody's next segment. */
  #clock = 2;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Learns from the first `count` waiting frames what each connection may acknowledge. */
  observe(engine: Engine, count: number, vnetSize: number): void {
    const { octets, words, bases } = engine;
    for (let i = 0; i < count; i += 1) {
      const iov = words[(bases.txRecords + i * abi.TX_RECORD_SIZE + abi.TX_IOV_OFFSET) >> 2] ?? 0;
      const frame = (words[iov >> 2] ?? 0) + vnetSize;
      if (get16(octets, frame + 12) !== 0x0800 || octets[frame + 23] !== 6) continue;
      const index = get16(octets, frame + 36) - CROWD_PORT;
      if (index >= 0 && index < CROWD_SIZE) this.#learn(octets, frame, index);
    }
  }

  #learn(octets: Uint8Array, frame: number, index: number): void {
    const flags = octets[frame + 47] ?? 0;
    const sequence = get32(octets, frame + 38);
    if ((flags & RST) !== 0) {
      this.#phase[index] = UNKNOWN;
      return;
    }
    if ((flags & SYN) !== 0) {
      this.#phase[index] = OPEN;
      this.#finished[index] = 0;
      this.#wanted[index] = sequence + 1;
      this.#sent[index] = get32(octets, frame + 42);
      this.#timestamps[index] = hasTimestamps(octets, frame) ? 1 : 0;
      return;
    }
    if (this.#phase[index] !== OPEN) {
      // A challenge ACK: the engine still has a connection that the guest has forgotten.
      this.#phase[index] = OPEN;
      this.#finished[index] = 0;
      this.#sent[index] = get32(octets, frame + 42);
      this.#wanted[index] = sequence;
      this.#timestamps[index] = hasTimestamps(octets, frame) ? 1 : 0;
    }
    // Now and then it goes back to what was acknowledged, as after a timeout.
    if (this.#random.oneIn(8)) this.#sent[index] = get32(octets, frame + 42);
    const headers = 20 + ((octets[frame + 46] ?? 0) >> 4) * 4;
    const span = get16(octets, frame + 16) - headers + ((flags & FIN) !== 0 ? 1 : 0);
    if (span > 0 && this.#deaf[index] === 0 && this.#random.oneIn(24)) this.#deaf[index] = 6;
    if (this.#deaf[index] === 0 && sequence === this.#wanted[index]) {
      this.#wanted[index] = sequence + span;
    }
  }

  /** Writes a segment of some connection at `base`, at most `limit` octets; returns its length. */
  write(octets: Uint8Array, base: number, limit: number): number {
    const random = this.#random;
    const index = random.oneIn(3) ? random.below(8) : random.below(CROWD_SIZE);
    this.#writeHeaders(octets, base, index);
    if (random.oneIn(64)) return this.#writeIcmp(octets, base, index);
    if (random.oneIn(12)) this.#windows[index] = random.pick(WINDOWS);
    const deaf = this.#deaf[index] ?? 0;
    if (this.#phase[index] === OPEN && deaf > 0) {
      this.#deaf[index] = deaf - 1;
      return this.#writeSegment(octets, base, index, ACK, 0);
    }
    if (this.#phase[index] !== OPEN && !random.oneIn(8)) return this.#open(octets, base, index);
    if (random.oneIn(this.#finished[index] === 0 ? 300 : 30)) {
      this.#phase[index] = UNKNOWN;
      return this.#writeSegment(octets, base, index, RST, 0);
    }
    const done = this.#finished[index] !== 0 && !random.oneIn(8);
    const flags = random.oneIn(60) ? random.pick(FLAGS_ODD) : done ? ACK : random.pick(FLAGS_USUAL);
    if ((flags & FIN) !== 0) this.#finished[index] = 1;
    const room = limit - HEADERS - OPTIONS_MAX;
    const size = random.oneIn(3) ? room : random.skewed(room + 1);
    return this.#writeSegment(octets, base, index, flags, (flags & (PSH | FIN)) === 0 ? 0 : size);
  }

  #open(octets: Uint8Array, base: number, index: number): number {
    if (this.#phase[index] === UNKNOWN) {
      this.#sent[index] = this.#random.u32();
      this.#timestamps[index] = this.#random.below(2);
      this.#windows[index] = 65535;
    }
    this.#phase[index] = this.#random.oneIn(16) ? UNKNOWN : OPENING;
    const options = this.#timestamps[index] === 0 ? SYN_OPTIONS.subarray(0, 8) : SYN_OPTIONS;
    octets.set(options, base + HEADERS);
    const sequence = this.#sent[index] ?? 0;
    this.#writeTcp(octets, base, sequence, 0, SYN, options.length);
    set16(octets, base + 48, this.#windows[index] ?? 0);
    set16(octets, base + 16, 40 + options.length);
    // A repeated SYN has the same sequence number; the first octet comes behind it.
    this.#sent[index] = this.#phase[index] === OPENING ? sequence : sequence + 1;
    return HEADERS + options.length;
  }

  #writeSegment(
    octets: Uint8Array,
    base: number,
    index: number,
    flags: number,
    payload: number,
  ): number {
    const options = this.#writeOptions(octets, base + HEADERS, index);
    const span = payload + ((flags & (SYN | FIN)) === 0 ? 0 : 1);
    const sequence = this.#sequence(index, span);
    const acknowledgment = (flags & ACK) === 0 ? 0 : this.#acknowledgment(index);
    this.#writeTcp(octets, base, sequence, acknowledgment, flags, options);
    set16(octets, base + 48, this.#windows[index] ?? 0);
    set16(octets, base + 16, 40 + options + payload);
    return HEADERS + options + payload;
  }

  #writeHeaders(octets: Uint8Array, base: number, index: number): void {
    octets.set(ETHERNET_IPV4, base);
    set32(octets, base + 26, GUEST);
    set32(octets, base + 30, PEER);
    set16(octets, base + 34, CROWD_PORT + index);
    set16(octets, base + 36, 80);
  }

  #writeTcp(
    octets: Uint8Array,
    base: number,
    sequence: number,
    acknowledgment: number,
    flags: number,
    options: number,
  ): void {
    set32(octets, base + 38, sequence);
    set32(octets, base + 42, acknowledgment);
    octets[base + 46] = (20 + options) << 2;
    octets[base + 47] = flags;
    set32(octets, base + 50, 0);
  }

  /** An ICMP error about a segment the engine has sent (or not). */
  #writeIcmp(octets: Uint8Array, base: number, index: number): number {
    const random = this.#random;
    const quote = base + 42;
    octets.copyWithin(quote, base + 14, base + 34);
    set16(octets, quote + 2, 1000);
    set32(octets, quote + 12, PEER);
    set32(octets, quote + 16, GUEST);
    set16(octets, quote + 20, 80);
    set16(octets, quote + 22, CROWD_PORT + index);
    set32(octets, quote + 24, (this.#wanted[index] ?? 0) - random.skewed(3000));
    octets[base + 23] = 1;
    octets[base + 34] = random.pick([3, 3, 3, 4, 11, 12]);
    octets[base + 35] = random.below(6);
    set32(octets, base + 38, random.pick([0, 68, 296, 576, 1280, 1500, 65535]));
    set16(octets, base + 16, 56);
    return 70;
  }

  #writeOptions(octets: Uint8Array, at: number, index: number): number {
    const random = this.#random;
    const kind = random.below(60);
    // Whatever lies there, as options.
    if (kind === 0) return 4 * random.below(1 + OPTIONS_MAX / 4);
    let size = 0;
    this.#clock += 1;
    if (this.#timestamps[index] !== 0 && kind !== 1) {
      octets.set(TIMESTAMP_OPTION, at);
      set32(octets, at + 4, random.oneIn(3000) ? random.u32() : this.#clock);
      set32(octets, at + 8, random.u32());
      size = 12;
    }
    if (kind > 50 || (this.#deaf[index] ?? 0) > 0) {
      const near = kind > 52 ? 200 : 3000;
      const edge = (this.#wanted[index] ?? 0) + random.between(near === 200 ? 1 : -3000, near);
      octets.set(SACK_OPTION, at + size);
      set32(octets, at + size + 4, edge);
      set32(octets, at + size + 8, edge + random.skewed(5000));
      size += 12;
    }
    return size;
  }

  /** Mostly what is due, sometimes again, ahead, partly old, or anywhere. */
  #sequence(index: number, span: number): number {
    const due = this.#sent[index] ?? 0;
    const kind = this.#random.below(24);
    if (kind === 0) return this.#random.u32();
    if (kind < 3) return due - this.#random.skewed(5000);
    if (kind < 5) return due + this.#random.skewed(20000);
    this.#sent[index] = due + span;
    return due;
  }

  #acknowledgment(index: number): number {
    const due = this.#wanted[index] ?? 0;
    const kind = this.#random.below(40);
    if ((this.#deaf[index] ?? 0) > 0 || kind > 3) return due;
    if (kind === 0) return this.#random.u32();
    return due - this.#random.skewed(20000);
  }
}
