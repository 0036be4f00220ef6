/**
 * The modelled kernel under the loop: waiting is what lets virtual time pass.
 *
 * `wait` reports what epoll would: sockets edge-triggered, link and listener level-triggered, the
 * alarm once. Each wait costs a little time, so that a loop that spins shows as time that passes
 * and not as a run that never ends.
 */
import * as abi from "../../../wasm/abi.ts";
import type { AlarmClock } from "../../loop/alarm.ts";
import type { EventSource } from "../../loop/loop.ts";
import { type SourceSwitch, sourceKey } from "../../loop/sources.ts";
import {
  EVENT_OF_ALARM,
  EVENT_OF_CONTROL,
  EVENT_OF_FLOW,
  EVENT_OF_LINK,
  EVENT_OF_LISTENER,
} from "../../upstream/upstream.ts";
import type { VirtualClock } from "./clock.ts";
import type { HostSocket } from "./host/socket.ts";

/** Microseconds one turn of the loop takes at least. */
const TURN_COST = 2;

/** What can be ready. */
export interface EventSources {
  /** What there is to be heard of the link, EVENT_… bits; an edge is heard once. */
  takeLinkNews(interest: number): number;
  /** Listeners with connections that wait to be accepted: how many there are in all, and which. */
  readonly waitingListeners: readonly number[];
  takeEdge(): HostSocket | undefined;
  /** The run is over. */
  readonly isOver: boolean;
  /** Called in every wait, before it looks: frames of the link move, books are checked. */
  beforeWait(): void;
}

export class Kernel implements EventSource, AlarmClock, SourceSwitch {
  readonly #clock: VirtualClock;
  readonly #sources: EventSources;
  #bits: number[] = [];
  #lows: number[] = [];
  #highs: number[] = [];
  #linkInterest: number = abi.EVENT_READABLE;
  readonly #paused = new Set<number>();
  #alarm = 0;
  #alarmRings = false;
  waits = 0;
  /** News of sockets so far. */
  news = 0;

  constructor(clock: VirtualClock, sources: EventSources) {
    this.#clock = clock;
    this.#sources = sources;
  }

  wait(max: number, microseconds: number): number {
    const clock = this.#clock;
    this.waits += 1;
    this.#sources.beforeWait();
    const begin = clock.now + TURN_COST;
    while (clock.runNext(begin));
    clock.advance(begin);
    const end = microseconds < 0 ? Number.POSITIVE_INFINITY : begin + microseconds;
    for (;;) {
      const found = this.#collect(max);
      if (found > 0) return found;
      if (!clock.runNext(end)) break;
      // All that happens at the same time is seen at once.
      while (clock.runNext(clock.now));
    }
    if (end !== Number.POSITIVE_INFINITY) clock.advance(end);
    return 0;
  }

  #collect(max: number): number {
    const sources = this.#sources;
    this.#bits = [];
    this.#lows = [];
    this.#highs = [];
    if (sources.isOver) this.#add(abi.EVENT_READABLE, 0, EVENT_OF_CONTROL);
    const news = sources.takeLinkNews(this.#linkInterest);
    for (const bit of [abi.EVENT_READABLE, abi.EVENT_WRITABLE]) {
      if ((news & bit) !== 0) this.#add(bit, 0, EVENT_OF_LINK);
    }
    if (this.#alarmRings) {
      this.#alarmRings = false;
      this.#add(abi.EVENT_READABLE, 0, EVENT_OF_ALARM);
    }
    for (const index of sources.waitingListeners) {
      if (this.#paused.has(sourceKey(index, EVENT_OF_LISTENER))) continue;
      this.#add(abi.EVENT_READABLE, index, EVENT_OF_LISTENER);
    }
    while (this.#bits.length < max) {
      const socket = sources.takeEdge();
      if (socket === undefined) break;
      const bits = socket.news;
      if (bits === 0) continue;
      this.news += 1;
      this.#add(bits, socket.handle, EVENT_OF_FLOW);
    }
    return this.#bits.length;
  }

  #add(bits: number, low: number, high: number): void {
    this.#bits.push(bits);
    this.#lows.push(low);
    this.#highs.push(high);
  }

  eventBits(i: number): number {
    return this.#bits[i] ?? 0;
  }

  dataLo(i: number): number {
    return this.#lows[i] ?? 0;
  }

  dataHi(i: number): number {
    return this.#highs[i] ?? 0;
  }

  /** What the link is watched for: frames, and room for frames. */
  wantRoom(on: boolean): void {
    this.#linkInterest = abi.EVENT_READABLE | (on ? abi.EVENT_WRITABLE : 0);
  }

  pause(token: number, kind: number): void {
    this.#paused.add(sourceKey(token, kind));
  }

  resume(token: number, kind: number): boolean {
    this.#paused.delete(sourceKey(token, kind));
    return true;
  }

  /** Another loop follows. */
  restart(): void {
    this.wantRoom(false);
    this.#paused.clear();
  }

  set(microseconds: number): number {
    const clock = this.#clock;
    this.#alarm += 1;
    const own = this.#alarm;
    clock.after(microseconds, () => {
      if (own === this.#alarm) this.#alarmRings = true;
    });
    return 0;
  }
}
