/**
 * Samples of a run at even distances of virtual time, for the report's plots.
 *
 * Theory of operation
 *   `World` starts the sampler; from then on it asks its clock to be called at every multiple of
 *   the interval. It only reads, so that a run with it does what the same run without it does, and
 *   both have the same trace hash. (An event of its own, and not a look in every turn of the loop:
 *   a loop that waits for a minute has no turns, and its rest would look like a slow slope.)
 *
 *   Counters are kept as they stand, not as rates: when every second sample goes, the rates between
 *   those that stay are still right. When `pointsMax` samples are there, every second one goes and
 *   the interval doubles, until fewer are left. Of a time in which nothing moves only both ends are
 *   kept, also then: the minute at the end of a run that TIME-WAIT takes costs two samples.
 *
 *   In such a time nothing is sampled either: the next turn that moves something ends it.
 *
 *   Up to 32 TCP connections are followed. When another one opens, the followed one that has ended
 *   and carried least makes room; the report shows the largest.
 */
import { STAT_COUNT, STAT_GUEST_RX_FRAMES, STAT_GUEST_TX_FRAMES } from "../../../wasm/abi.ts";
import type { Engine } from "../../engine/engine.ts";
import { DROP_NAMES, readStat, STAT_NAMES, type StatName } from "../../engine/stats.ts";
import { readTcpFlow, type TcpFlow, tcpHandle } from "../../engine/tcp-flow.ts";
import type { Ledger } from "./check/balance.ts";
import { START, type VirtualClock } from "./clock.ts";
import type { Guest } from "./guest/guest.ts";
import type { WireCounts } from "./wire.ts";

const INTERVAL = 1000;
const POINTS_MAX = 2000;
const FOLLOWED_MAX = 32;

/** What is sampled. */
export interface SampleSource {
  readonly clock: VirtualClock;
  readonly engine: Engine;
  readonly guest: Guest;
  readonly ledger: Ledger;
  readonly wires: { readonly toGuest: WireCounts; readonly toEngine: WireCounts };
}

export interface SamplerOptions {
  /** Microseconds between samples at first. */
  readonly interval?: number;
  /** Samples kept at most; even. */
  readonly pointsMax?: number;
}

/** The sender's view of one direction of a connection; NaN = nothing to say at that time. */
export interface DirectionSamples {
  readonly cwnd: number[];
  readonly ssthresh: number[];
  readonly inFlight: number[];
  /** What the receiver offers. */
  readonly window: number[];
  /** Smoothed, microseconds. */
  readonly rtt: number[];
}

export interface FollowedConnection {
  readonly handle: number;
  readonly guestPort: number;
  readonly peerAddress: number;
  readonly peerPort: number;
  /** Virtual microseconds since the start; the end is undefined while it goes on. */
  readonly beganAt: number;
  endedAt: number | undefined;
  bytesToHost: number;
  bytesToGuest: number;
  /** The engine sends. */
  readonly toGuest: DirectionSamples;
  /** The guest sends. */
  readonly toEngine: DirectionSamples;
}

/** Taken by and received from TCP sockets of the host: the streams without what is sent again. */
type StreamName = "streamTaken" | "streamGiven";
type LinkName = "lostToGuest" | "lostToEngine";
export type ColumnName = StatName | StreamName | LinkName | "flows" | "chunks";

export class Sampler {
  #interval: number;
  readonly #pointsMax: number;
  #source: SampleSource | undefined;
  /** Virtual microseconds since the start, one per sample. */
  readonly times: number[] = [];
  readonly #columns = new Map<ColumnName, number[]>();
  readonly #drops: readonly number[][] = DROP_NAMES.map(() => []);
  readonly #followed: FollowedConnection[] = [];
  readonly #handles = new Set<number>();
  #opened = 0;
  /** Samples in a row, at the end of the list, that are like the one before. */
  #idle = 0;
  /** Nothing is sampled until something moves. */
  #isAsleep = false;

  constructor(options: SamplerOptions = {}) {
    this.#interval = options.interval ?? INTERVAL;
    this.#pointsMax = options.pointsMax ?? POINTS_MAX;
  }

  /** Begins: the first sample is taken at once. */
  start(source: SampleSource): void {
    this.#source = source;
    this.#sample(source);
    this.#schedule(source);
  }

  /** Takes the last sample. */
  finish(): void {
    const source = this.#source;
    if (source === undefined) return;
    this.#source = undefined;
    if (source.clock.now - START > (this.times.at(-1) ?? -1)) this.#sample(source);
  }

  /** Microseconds between samples, by now. */
  get interval(): number {
    return this.#interval;
  }

  /** Samples of a counter or a gauge, one for each of `times`. */
  column(name: ColumnName): readonly number[] {
    return this.#columns.get(name) ?? [];
  }

  /** Frames dropped so far for a reason, by position in `DROP_NAMES`. */
  drops(index: number): readonly number[] {
    return this.#drops[index] ?? [];
  }

  /** The connections that carried most, the largest first. */
  largest(count: number): readonly FollowedConnection[] {
    return [...this.#followed].sort((a, b) => volume(b) - volume(a)).slice(0, count);
  }

  #schedule(source: SampleSource): void {
    const next = (this.times.at(-1) ?? 0) + this.#interval;
    source.clock.at(START + next - (next % this.#interval), () => {
      if (this.#source === source) this.#tick(source);
    });
  }

  #tick(source: SampleSource): void {
    this.#sample(source);
    while (this.times.length >= this.#pointsMax) this.#halve();
    this.#isAsleep = this.#idle > 1;
    if (!this.#isAsleep) this.#schedule(source);
  }

  /** The loop has had a turn: a rest may be over. It lasted until now. */
  turned(): void {
    const source = this.#source;
    if (!this.#isAsleep || source === undefined || this.#isIdle(source)) return;
    const before = source.clock.now - START - 1;
    if (before > (this.times.at(-1) ?? 0)) this.times[this.times.length - 1] = before;
    this.#isAsleep = false;
    this.#schedule(source);
  }

  /** True when nothing has moved since the last sample. */
  #isIdle({ engine, wires }: SampleSource): boolean {
    const same = (name: ColumnName, value: number): boolean => this.column(name).at(-1) === value;
    return (
      same("guestRxFrames", readStat(engine, STAT_GUEST_RX_FRAMES)) &&
      same("guestTxFrames", readStat(engine, STAT_GUEST_TX_FRAMES)) &&
      same("flows", engine.flowCount) &&
      same("chunks", engine.chunkCount) &&
      same("lostToEngine", wires.toEngine.lost + wires.toEngine.overflowed)
    );
  }

  #sample(source: SampleSource): void {
    const { engine, ledger, wires, clock } = source;
    this.#idle = this.#isIdle(source) ? this.#idle + 1 : 0;
    if (this.#idle > 2) {
      this.times[this.times.length - 1] = clock.now - START;
      return;
    }
    this.times.push(clock.now - START);
    for (const [index, name] of STAT_NAMES.entries()) this.#push(name, readStat(engine, index));
    for (const [index, column] of this.#drops.entries()) {
      column.push(readStat(engine, STAT_COUNT + index));
    }
    this.#push("flows", engine.flowCount);
    this.#push("chunks", engine.chunkCount);
    this.#push("streamTaken", ledger.streamTaken);
    this.#push("streamGiven", ledger.streamGiven);
    this.#push("lostToGuest", wires.toGuest.lost + wires.toGuest.overflowed);
    this.#push("lostToEngine", wires.toEngine.lost + wires.toEngine.overflowed);
    this.#follow(engine);
    for (const each of this.#followed) this.#sampleConnection(source, each);
  }

  #push(name: ColumnName, value: number): void {
    const column = this.#columns.get(name);
    if (column === undefined) this.#columns.set(name, [value]);
    else column.push(value);
  }

  // -------------------------------------------------------------- connections

  /** Finds connections that have opened since the last sample. */
  #follow(engine: Engine): void {
    const opened = this.column("tcpOpened").at(-1) ?? 0;
    if (opened === this.#opened) return;
    this.#opened = opened;
    for (let slot = 0; slot < engine.config.flowsMax; slot += 1) {
      const handle = tcpHandle(engine, slot);
      if (handle === undefined || this.#handles.has(handle)) continue;
      const flow = readTcpFlow(engine, handle);
      if (flow === undefined || !this.#makeRoom()) continue;
      this.#handles.add(handle);
      this.#followed.push(this.#begin(handle, flow));
    }
  }

  #makeRoom(): boolean {
    if (this.#followed.length < FOLLOWED_MAX) return true;
    const least = this.#followed
      .filter(({ endedAt }) => endedAt !== undefined)
      .reduce<FollowedConnection | undefined>(
        (found, each) => (found === undefined || volume(each) < volume(found) ? each : found),
        undefined,
      );
    if (least === undefined) return false;
    this.#followed.splice(this.#followed.indexOf(least), 1);
    this.#handles.delete(least.handle);
    return true;
  }

  #begin(handle: number, flow: TcpFlow): FollowedConnection {
    const { guestPort, peerAddress, peerPort, bytesToHost, bytesToGuest } = flow;
    const nothing = (): number[] => new Array<number>(this.times.length - 1).fill(Number.NaN);
    const direction = (): DirectionSamples => ({
      ...{ cwnd: nothing(), ssthresh: nothing(), inFlight: nothing() },
      ...{ window: nothing(), rtt: nothing() },
    });
    return {
      ...{ handle, guestPort, peerAddress, peerPort, bytesToHost, bytesToGuest },
      ...{ beganAt: this.times.at(-1) ?? 0, endedAt: undefined },
      ...{ toGuest: direction(), toEngine: direction() },
    };
  }

  #sampleConnection({ engine, guest }: SampleSource, followed: FollowedConnection): void {
    const { toGuest, toEngine, handle } = followed;
    const isOver = followed.endedAt !== undefined;
    const flow = isOver ? undefined : readTcpFlow(engine, handle);
    if (flow === undefined || !TRANSFERS.has(flow.state)) {
      // Nothing moves any more in TIME-WAIT and the states before the end.
      if (flow === undefined || ENDED.has(flow.state)) followed.endedAt ??= this.times.at(-1);
      pushDirection(toGuest, NOTHING);
      pushDirection(toEngine, NOTHING);
      if (flow !== undefined) take(followed, flow);
      return;
    }
    take(followed, flow);
    pushDirection(toGuest, {
      cwnd: flow.cwnd,
      ssthresh: flow.ssthresh ?? Number.NaN,
      inFlight: flow.inFlight,
      window: flow.windowOfGuest,
      rtt: flow.srtt || Number.NaN,
    });
    const sender = guest.tcp.connectionAt(flow.guestPort, flow.peerPort)?.send;
    if (sender === undefined) return void pushDirection(toEngine, NOTHING);
    pushDirection(toEngine, {
      cwnd: sender.cwnd,
      ssthresh: sender.ssthresh === 0x7fffffff ? Number.NaN : sender.ssthresh,
      inFlight: Math.max(sender.flight, 0),
      window: flow.windowForGuest,
      rtt: sender.srtt || Number.NaN,
    });
  }

  /** Doubles the interval; of each, the first sample stays, and the ends of idle times. */
  #halve(): void {
    this.#interval *= 2;
    const { times } = this;
    const gap = this.#interval * 1.5;
    const place = (i: number): number => Math.floor((times[i] ?? -1) / this.#interval);
    const isKept = (i: number): boolean => {
      const at = times[i] ?? 0;
      if (i === 0 || place(i) !== place(i - 1)) return true;
      return at - (times[i - 1] ?? at) > gap || (times[i + 1] ?? at) - at > gap;
    };
    const kept = times.flatMap((_, i) => (isKept(i) ? [i] : []));
    const directions = this.#followed.flatMap(({ toGuest, toEngine }) => [toGuest, toEngine]);
    const columns = [
      times,
      ...this.#columns.values(),
      ...this.#drops,
      ...directions.flatMap(lists),
    ];
    for (const column of columns) {
      for (const [to, from] of kept.entries()) column[to] = column[from] ?? Number.NaN;
      column.length = kept.length;
    }
    this.#idle = 0;
  }
}

const TRANSFERS: ReadonlySet<TcpFlow["state"]> = new Set<TcpFlow["state"]>([
  ...(["ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT"] as const),
]);
const ENDED: ReadonlySet<TcpFlow["state"]> = new Set<TcpFlow["state"]>(["TIME_WAIT", "CLOSED"]);

type DirectionSample = Readonly<Record<keyof DirectionSamples, number>>;

const NOTHING: DirectionSample = {
  cwnd: Number.NaN,
  ssthresh: Number.NaN,
  inFlight: Number.NaN,
  window: Number.NaN,
  rtt: Number.NaN,
};

function pushDirection(samples: DirectionSamples, sample: DirectionSample): void {
  samples.cwnd.push(sample.cwnd);
  samples.ssthresh.push(sample.ssthresh);
  samples.inFlight.push(sample.inFlight);
  samples.window.push(sample.window);
  samples.rtt.push(sample.rtt);
}

function lists({ cwnd, ssthresh, inFlight, window, rtt }: DirectionSamples): number[][] {
  return [cwnd, ssthresh, inFlight, window, rtt];
}

function take(followed: FollowedConnection, flow: TcpFlow): void {
  followed.bytesToHost = flow.bytesToHost;
  followed.bytesToGuest = flow.bytesToGuest;
}

function volume({ bytesToHost, bytesToGuest }: FollowedConnection): number {
  return bytesToHost + bytesToGuest;
}
