/**
 * Many guests' TCP connections at once, driven without memory allocation: enough of TCP to get into
 * every state (the engine's sequence numbers are learnt from what it sends), and enough mischief to
 * leave no rule untested.
 */
import * as abi from "../../wasm/abi.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { get16, get32, set16, set32 } from "./mutate.ts";
import type { Random } from "./random.ts";

export const CROWD_PORT = 41000;
const CROWD_SIZE = 64;
const GUEST = 0x0a00020f;
const PEER = 0xc6336450;
const HEADERS = 54;
const FIN = 1;
const SYN = 2;
const RST = 4;
const PSH = 8;
const ACK = 16;

const FLAGS_USUAL = [ACK, ACK, ACK, ACK | PSH, ACK | PSH, ACK | PSH, ACK | FIN, ACK | FIN | PSH] as const;
const FLAGS_ODD = [0, SYN, RST, RST | ACK, FIN, SYN | ACK, SYN | FIN, 0x3f, ACK | 0xe0, 0xff] as const;
const WINDOWS = [0, 1, 100, 512, 4096, 29200, 65535, 65535] as const;
/** MSS 1460, SACK permitted, timestamps, NOP, window scale 7. */
const SYN_OPTIONS = Uint8Array.of(
  ...[2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7],
);

export class TcpCrowd {
  readonly #sent = new Uint32Array(CROWD_SIZE);
  readonly #acknowledged = new Uint32Array(CROWD_SIZE);
  /** 0 = unknown to the engine, 1 = SYN sent, 2 = SYN of the engine seen. */
  readonly #phase = new Uint8Array(CROWD_SIZE);
  /** Offers timestamps, so every segment carries them. */
  readonly #timestamps = new Uint8Array(CROWD_SIZE);
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
      if (index < 0 || index >= CROWD_SIZE) continue;
      this.#learn(octets, frame, index);
    }
  }

  #learn(octets: Uint8Array, frame: number, index: number): void {
    const flags = octets[frame + 47] ?? 0;
    const sequence = get32(octets, frame + 38);
    if ((flags & RST) !== 0) {
      this.#phase[index] = 0;
      return;
    }
    const headers = 20 + ((octets[frame + 46] ?? 0) >> 4) * 4;
    const span = get16(octets, frame + 16) - headers + ((flags & (SYN | FIN)) !== 0 ? 1 : 0);
    if ((flags & SYN) !== 0) {
      this.#phase[index] = 2;
      this.#acknowledged[index] = sequence + 1;
    } else if (sequence === this.#acknowledged[index]) this.#acknowledged[index] = sequence + span;
  }

  /** Writes a segment of some connection at `base`; returns the frame's length. */
  write(octets: Uint8Array, base: number, room: number): number {
    const random = this.#random;
    const index = random.oneIn(3) ? random.below(8) : random.below(CROWD_SIZE);
    const open = this.#phase[index] === 2;
    const opening = (!open && !random.oneIn(8)) || random.oneIn(200);
    if (opening && this.#phase[index] !== 1) {
      this.#sent[index] = random.u32();
      this.#timestamps[index] = random.below(2);
    }
    if (opening) this.#phase[index] = 1;
    const flags = opening ? SYN : random.oneIn(60) ? random.pick(FLAGS_ODD) : random.pick(FLAGS_USUAL);
    const options = this.#writeOptions(octets, base + HEADERS, index, opening);
    const limit = room - HEADERS - options;
    const payload = (flags & (PSH | FIN)) === 0 || opening ? 0 : random.skewed(Math.min(limit, 1447));
    const sequence = this.#sequence(index, payload + ((flags & (SYN | FIN)) === 0 ? 0 : 1), opening);
    set32(octets, base + 38, sequence);
    set32(octets, base + 42, (flags & ACK) === 0 ? 0 : this.#acknowledgment(index));
    octets[base + 46] = (20 + options) << 2;
    octets[base + 47] = flags;
    set16(octets, base + 48, random.pick(WINDOWS));
    set32(octets, base + 50, 0);
    this.#writeHeaders(octets, base, index, 40 + options + payload);
    return HEADERS + options + payload;
  }

  #writeHeaders(octets: Uint8Array, base: number, index: number, length: number): void {
    octets.set([0x52, 0x55, 0x0a, 0, 2, 2, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 0], base);
    octets.set([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0], base + 14);
    set16(octets, base + 16, length);
    set32(octets, base + 26, GUEST);
    set32(octets, base + 30, PEER);
    set16(octets, base + 34, CROWD_PORT + index);
    set16(octets, base + 36, 80);
  }

  #writeOptions(octets: Uint8Array, at: number, index: number, opening: boolean): number {
    const random = this.#random;
    const kind = random.below(40);
    if (kind === 0) {
      // Whatever lies there, as options.
      return 4 * random.below(11);
    }
    if (opening) {
      if (this.#timestamps[index] === 0) {
        octets.set(SYN_OPTIONS.subarray(0, 4), at);
        return 4;
      }
      octets.set(SYN_OPTIONS, at);
      return 20;
    }
    let size = 0;
    this.#clock += 1;
    if (this.#timestamps[index] !== 0 && kind !== 1) {
      octets.set([1, 1, 8, 10], at);
      set32(octets, at + 4, random.oneIn(50) ? random.u32() : this.#clock);
      set32(octets, at + 8, random.u32());
      size = 12;
    }
    if (kind > 30) {
      const edge = (this.#acknowledged[index] ?? 0) + random.between(-3000, 3000);
      octets.set([1, 1, 5, 10], at + size);
      set32(octets, at + size + 4, edge);
      set32(octets, at + size + 8, edge + random.skewed(5000));
      size += 12;
    }
    return size;
  }

  /** Mostly what is due, sometimes again, ahead, partly old, or anywhere. */
  #sequence(index: number, span: number, opening: boolean): number {
    const due = this.#sent[index] ?? 0;
    const kind = this.#random.below(20);
    if (opening || kind > 5) {
      this.#sent[index] = due + (opening ? 1 : span);
      return due;
    }
    if (kind === 0) return this.#random.u32();
    if (kind < 3) return due - this.#random.skewed(5000);
    return due + this.#random.skewed(20000);
  }

  #acknowledgment(index: number): number {
    const due = this.#acknowledged[index] ?? 0;
    const kind = this.#random.below(24);
    if (kind > 3) return due;
    if (kind === 0) return this.#random.u32();
    return due - this.#random.skewed(20000);
  }
}
