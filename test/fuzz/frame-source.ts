/**
 * The frames that an epoch of the fuzzer feeds: of the crowd or of the corpus, mutated, with
 * checksums and offload headers that are right or wrong.
 */
import type { Engine } from "../../src/engine/engine.ts";
import * as abi from "../../wasm/abi.ts";
import { corpus } from "./corpus.ts";
import { broadcast, fixChecksums, fixIpChecksum, mutate, set16 } from "./mutate.ts";
import type { Random } from "./random.ts";
import type { TcpCrowd } from "./tcp-crowd.ts";

const ETHERNET_FRAME = 1514;
const LARGE_FRAME = 65549;

const CORPUS = corpus();

export class FrameSource {
  readonly #engine: Engine;
  readonly #random: Random;
  readonly #crowd: TcpCrowd;
  readonly #vnetSize: number;

  constructor(engine: Engine, random: Random, crowd: TcpCrowd, vnetSize: number) {
    this.#engine = engine;
    this.#random = random;
    this.#crowd = crowd;
    this.#vnetSize = vnetSize;
  }

  /** Writes a frame into a receive slot; `toAll` = to everybody, and nothing that is served. */
  write(slot: number, toAll: boolean): void {
    const random = this.#random;
    const { octets, words, bases } = this.#engine;
    const pointer = bases.rxBuffers + slot * abi.RX_SLOT_SIZE;
    const base = pointer + this.#vnetSize;
    const room = abi.RX_SLOT_SIZE - this.#vnetSize;
    // As large as offload frames are, sometimes.
    const large = this.#vnetSize > 0 && random.oneIn(32);
    let length: number;
    if (large || random.below(5) < 3) {
      length = this.#crowd.write(octets, base, large ? LARGE_FRAME : ETHERNET_FRAME);
      if (random.oneIn(8)) length = mutate(random, octets, base, length, room, this.#any());
    } else {
      const template = this.#any();
      octets.set(template, base);
      length = template.length;
      if (!random.oneIn(6)) length = mutate(random, octets, base, length, room, this.#any());
    }
    if (toAll) broadcast(random, octets, base, length);
    else if (!large && random.below(10) < 8) fixChecksums(octets, base, length);
    if (toAll && isServed(octets, base)) length = 0;
    if (this.#vnetSize > 0) this.#vnetHeader(octets, pointer, length, large);
    const descriptor = (bases.rxDescriptors + slot * abi.RX_DESCRIPTOR_SIZE) >> 2;
    words[descriptor] = pointer;
    words[descriptor + 1] = this.#vnetSize + length;
  }

  #any(): Uint8Array {
    return CORPUS[this.#random.below(CORPUS.length)] ?? new Uint8Array(0);
  }

  #vnetHeader(octets: Uint8Array, at: number, length: number, large: boolean): void {
    const random = this.#random;
    octets.fill(0, at, at + this.#vnetSize);
    const kind = large ? 19 : random.below(20);
    if (kind < 12) return;
    if (kind === 12) {
      for (let i = 0; i < this.#vnetSize; i += 1) octets[at + i] = random.below(256);
      return;
    }
    const frame = at + this.#vnetSize;
    const isSix = octets[frame + 12] === 0x86;
    const isUdp = octets[frame + (isSix ? 20 : 23)] === 17;
    octets[at] = 1;
    octets[at + 6] = isSix ? 54 : 34;
    octets[at + 8] = isUdp ? 6 : 16;
    if (kind < 17) return;
    octets[at + 1] = isUdp ? 5 : isSix ? 4 : 1;
    octets[at + 2] = isSix ? 74 : 54;
    const size = random.pick([1, 100, 536, 1400, 1460, 65535]);
    octets[at + 4] = size;
    octets[at + 5] = size >> 8;
    // The IP header's checksum is the guest's business, whatever the link offloads.
    if (length < 60) return;
    const ip = frame + 14;
    if (isSix) {
      set16(octets, ip + 4, length - 54);
      return;
    }
    set16(octets, ip + 2, length - 14);
    fixIpChecksum(octets, ip);
  }
}

/** ARP, DHCP and what IPv6 has in their place are answered although sent to everybody. */
function isServed(octets: Uint8Array, base: number): boolean {
  if (octets[base + 12] === 0x86 && octets[base + 13] === 0xdd) return true;
  if (octets[base + 12] === 8 && octets[base + 13] === 6) return true;
  const words = (octets[base + 14] ?? 0) & 15;
  const port = base + 14 + 4 * words + 2;
  return octets[base + 23] === 17 && octets[port] === 0 && octets[port + 1] === 67;
}
