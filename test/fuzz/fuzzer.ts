/**
 * Feeds the engine mutated frames, odd events, failing sockets and jumps of time, and watches what
 * it must never do: trap, grow, exceed a bound, ask for nonsense, answer a broadcast, send a frame
 * that is malformed, leak a flow, a socket or a chunk.
 *
 * A run is a sequence of epochs. Each has an engine and a configuration of its own, and everything
 * in it follows from the seed and its number, so a failure is repeated by running its epoch alone.
 * At the end of an epoch the host goes quiet and time runs on until everything has expired.
 */

import { flowsOf } from "../../src/engine/flows.ts";
import { HostEngine } from "../../src/engine/host-engine.ts";
import { instantiateEngine } from "../../src/engine/instance.ts";
import { readStat } from "../../src/engine/stats.ts";
import { mappedOctetsOf } from "../../src/lib/addr6.ts";
import { messageOf } from "../../src/lib/message.ts";
import * as abi from "../../wasm/abi.ts";
import { engineModule } from "../support/engine-binary.ts";
import { gatherFrame } from "../support/engine-frame.ts";
import { START } from "../support/engine-harness.ts";
import { type WorldOptions, worldConfig } from "../support/engine-settings.ts";
import { decodeFrame } from "../support/packet-decode.ts";
import { ChaoticHost } from "./chaotic-host.ts";
import { epochOptions } from "./epoch-options.ts";
import { FrameSource } from "./frame-source.ts";
import { Random } from "./random.ts";
import { TcpCrowd } from "./tcp-crowd.ts";

/** Frames of a whole epoch. */
export const EPOCH_FRAMES = 25_000;
const BATCH_MAX = abi.RX_SLOT_COUNT;
/** One of so many frames for the guest is decoded strictly. */
const SAMPLE = 32;
/** Flows, the first of the table, whose states are noted in each turn. */
const LOOK_FLOWS = 128;
const ROUNDS_MAX = 100_000;
const HOUR = 3600e6;

/** What must stay as it is while frames to everybody come in. */
const REPLY_COUNTERS = [
  abi.STAT_TCP_OPENED,
  abi.STAT_TCP_RESET_SENT,
  abi.STAT_UDP_OPENED,
  abi.STAT_PING_LOCAL,
  abi.STAT_PING_TO_HOST,
  abi.STAT_ICMP_ERRORS_TO_GUEST,
] as const;

/** A run has failed; the message says what and in which epoch. */
export class FuzzFailure extends Error {
  override readonly name = "FuzzFailure";
  readonly epoch: number;

  constructor(message: string, epoch: number, options?: ErrorOptions) {
    super(message, options);
    this.epoch = epoch;
  }
}

export interface EpochResult {
  readonly frames: number;
  /** Frames for the guest, and how many of them were decoded. */
  readonly replies: number;
  readonly decoded: number;
  readonly operations: number;
  /** `STAT_*` and `DROP_*` as in the engine. */
  readonly counters: readonly number[];
  /** How often a TCP flow was seen in each `STATE_*`, at the end of a turn. */
  readonly states: readonly number[];
}

/** Runs one epoch. Throws `FuzzFailure`. */
export function fuzzEpoch(seed: number, epoch: number, frames = EPOCH_FRAMES): EpochResult {
  const run = new Epoch(seed, epoch);
  try {
    run.run(frames);
    run.drain();
    return run.result();
  } catch (cause) {
    const message = messageOf(cause);
    throw new FuzzFailure(`${message} (${run.description})`, epoch, { cause });
  }
}

class Epoch {
  readonly description: string;
  readonly #options: WorldOptions;
  readonly #random: Random;
  readonly #engine: HostEngine;
  readonly #host: ChaoticHost;
  readonly #crowd: TcpCrowd;
  readonly #frames: FrameSource;
  readonly #vnetSize: number;
  readonly #before = new Float64Array(REPLY_COUNTERS.length);
  #now = START;
  #fed = 0;
  #replies = 0;
  #decoded = 0;
  /** Flows that are to stay for ever. */
  #fixed = 0;
  readonly #states = new Array<number>(abi.STATE_COUNT).fill(0);

  constructor(seed: number, epoch: number) {
    this.#random = new Random(seed, epoch);
    this.#options = epochOptions(this.#random, epoch);
    const { variant = "simd", mtu, vnetSize = 0, linkFlags, flowsMax, chunksMax } = this.#options;
    this.#vnetSize = vnetSize;
    this.description =
      `epoch ${epoch}, ${variant}, vnet ${vnetSize}, link flags ${linkFlags}, mtu ${mtu}, ` +
      `${flowsMax} flows, ${chunksMax} chunks`;
    this.#engine = new HostEngine(instantiateEngine(engineModule(variant)));
    this.#engine.start(worldConfig(this.#options));
    this.#host = new ChaoticHost(this.#engine, this.#random);
    this.#crowd = new TcpCrowd(this.#random);
    this.#frames = new FrameSource(this.#engine, this.#random, this.#crowd, vnetSize);
  }

  result(): EpochResult {
    const counters = Array.from({ length: abi.STAT_COUNT + abi.DROP_COUNT }, (_, i) =>
      readStat(this.#engine, i),
    );
    return {
      frames: this.#fed,
      replies: this.#replies,
      decoded: this.#decoded,
      operations: this.#host.operations,
      counters,
      states: this.#states,
    };
  }

  run(frames: number): void {
    while (this.#fed < frames) {
      this.#passTime();
      this.#events();
      this.#batch(Math.min(frames - this.#fed, 1 + this.#random.below(BATCH_MAX)));
      this.#engine.step(this.#now);
      this.#finish();
      this.#checkBounds();
      this.#lookAtStates();
    }
    if (readStat(this.#engine, abi.STAT_GUEST_RX_FRAMES) !== this.#fed) {
      throw new Error("frames in were miscounted");
    }
  }

  /** The host goes quiet; flows, sockets and chunks have to be gone within a day. */
  drain(): void {
    const { flowCount } = this.#engine;
    this.#host.isQuiet = true;
    const end = this.#now + 24 * HOUR;
    for (let rounds = 0; this.#now < end; rounds += 1) {
      if (rounds > ROUNDS_MAX + 1000 * flowCount) throw new Error("deadlines without end");
      this.#engine.step(this.#now);
      this.#finish();
      const deadline = this.#engine.nextDeadline();
      // The router advertises itself for ever.
      if (deadline === 0 || (this.#engine.flowCount === this.#fixed && rounds > 1000)) break;
      this.#now = Math.max(this.#now, Math.min(deadline, end));
    }
    const left = flowsOf(this.#engine).filter((flow) => flow.kind !== "udp").length;
    if (left > 0 || this.#engine.flowCount > this.#fixed) {
      throw new Error(`${this.#engine.flowCount} flows are left: ${this.#leftovers()}`);
    }
    if (this.#host.open !== this.#engine.flowCount) {
      throw new Error(`${this.#host.open} sockets for ${this.#engine.flowCount} flows are left`);
    }
    if (this.#engine.chunkCount > 0) throw new Error(`${this.#engine.chunkCount} chunks are left`);
  }

  #leftovers(): string {
    const names = flowsOf(this.#engine).map((flow) => `${flow.kind} ${flow.state ?? ""}`.trim());
    return [...new Set(names)].join(", ");
  }

  #passTime(): void {
    const random = this.#random;
    const kind = random.below(512);
    // The machine leaves; it is back for the next frames, or so much later that it counts as gone.
    if (kind === 1 || kind === 511) this.#engine.guestGone(this.#now);
    if (kind === 0) this.#now += random.below(3 * HOUR);
    else if (kind < 4) this.#now += random.below(120e6);
    else if (kind < 64) this.#now += random.below(1e6);
    else this.#now += random.below(2000);
  }

  #events(): void {
    const random = this.#random;
    for (let n = random.below(8); n > 0; n -= 1) {
      this.#engine.upstreamEvent(this.#host.anyHandle(), this.#host.anyEvents(), this.#now);
    }
    // Peers that are heard of once and never again.
    for (let n = random.below(8); n > 0; n -= 1) this.#engine.addressSix(this.#stranger());
    if (random.oneIn(200)) this.#hostAddresses();
    if (random.oneIn(30)) {
      const port = random.pick([22, 80, random.below(65536)]);
      const peer = random.oneIn(2) ? 0xc6336450 : this.#engine.addressSix(this.#stranger());
      const handle = this.#engine.inboundTcp(port, peer, random.below(65536), this.#now);
      if (handle !== 0) this.#host.add(handle);
    }
    if (this.#fixed < 4 && random.oneIn(400)) {
      const handle = this.#engine.inboundUdp(5000 + this.#fixed, 6000 + this.#fixed, this.#now);
      if (handle !== 0) {
        this.#host.add(handle);
        this.#fixed += 1;
      }
    }
  }

  /** Other own addresses, and a port that is published. */
  #hostAddresses(): void {
    const random = this.#random;
    const four = [0xc6336450, 0xc6336451, 0x0a00020f, random.u32()].map(mappedOctetsOf);
    const own = [...four, ...Array.from({ length: random.below(9) }, () => this.#stranger())];
    this.#engine.setHostAddresses(random.oneIn(3) ? [] : own.slice(random.below(own.length)));
    const protocol = random.pick(["tcp", "udp"] as const);
    this.#engine.addHostPort(protocol, mappedOctetsOf(0), 1 + random.below(9000));
  }

  /** Any of 4,096 global addresses, loopback, or a link-local one. */
  #stranger(): Uint8Array {
    const random = this.#random;
    const octets = new Uint8Array(16);
    octets[15] = 1;
    if (random.oneIn(8)) return octets;
    octets.set(random.oneIn(8) ? [0xfe, 0x80] : [0x20, 0x01, 0x0d, 0xb8]);
    octets[14] = random.below(16);
    octets[15] = random.below(256);
    return octets;
  }

  #lookAtStates(): void {
    const { octets, bases } = this.#engine;
    for (let slot = 0; slot < LOOK_FLOWS; slot += 1) {
      const flow = bases.flows + slot * abi.FLOW_SIZE;
      if (octets[flow + abi.FLOW_KIND_OFFSET] !== abi.KIND_TCP) continue;
      const state = octets[flow + abi.FLOW_STATE_OFFSET] ?? 0;
      this.#states[state] = (this.#states[state] ?? 0) + 1;
    }
  }

  // -------------------------------------------------------------- frames in

  #batch(count: number): void {
    const toAll = this.#random.oneIn(64);
    for (let slot = 0; slot < count; slot += 1) this.#frames.write(slot, toAll);
    if (toAll) this.#remember();
    this.#engine.guestRx(count, this.#now);
    this.#fed += count;
    if (toAll) this.#checkNoReplies();
  }

  #remember(): void {
    REPLY_COUNTERS.forEach((counter, i) => {
      this.#before[i] = readStat(this.#engine, counter);
    });
  }

  #checkNoReplies(): void {
    REPLY_COUNTERS.forEach((counter, i) => {
      if (this.#before[i] !== readStat(this.#engine, counter)) {
        throw new Error(`a frame to everybody moved counter ${counter}`);
      }
    });
  }

  // -------------------------------------------------------------- the rest of the turn

  #finish(): void {
    const engine = this.#engine;
    for (let rounds = 0; ; rounds += 1) {
      if (rounds > ROUNDS_MAX) throw new Error("a turn without end");
      this.#transmit();
      if (engine.opCount > 0) {
        this.#host.execute();
        engine.complete(this.#now);
      } else if (engine.mustFlush) engine.step(this.#now);
      else return;
    }
  }

  #transmit(): void {
    const engine = this.#engine;
    const count = engine.txCount;
    if (count > abi.TX_CAPACITY_COUNT) throw new Error(`${count} frames for the guest`);
    this.#crowd.observe(engine, count, this.#vnetSize);
    for (let i = this.#random.below(SAMPLE); i < count; i += SAMPLE) {
      const { mtu = 1500 } = this.#options;
      decodeFrame(gatherFrame(engine, i), { vnetSize: this.#vnetSize, mtu });
      this.#decoded += 1;
    }
    this.#replies += count;
    engine.txDone();
  }

  #checkBounds(): void {
    const { flowCount, chunkCount, octets } = this.#engine;
    const { flowsMax = 0, chunksMax = 0 } = this.#options;
    if (octets.length === 0) throw new Error("the memory has grown");
    if (flowCount > flowsMax) throw new Error(`${flowCount} flows, ${flowsMax} allowed`);
    if (chunkCount > chunksMax) throw new Error(`${chunkCount} chunks, ${chunksMax} allowed`);
  }
}
