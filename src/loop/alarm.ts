/**
 * Long waits without a timer of their own.
 *
 * A wait with a timeout makes the kernel set a timer and take it back, which in a virtual machine
 * costs as much as the rest of a small request. Nearly every such timer is far off and never goes
 * off: a retransmission that is not needed, a flow that is not idle yet. So there is one alarm
 * descriptor in the epoll set, left alone while it is early enough; waking up too early now and
 * then is harmless, as the loop asks the engine again. Short waits keep their own timeout.
 */
import { check } from "../sys/errno.ts";
import type { EventSource } from "./loop.ts";

/** Microseconds; below, an alarm would go off for nothing about as often as it is set. */
const SHORT = 2000;

/** A timer that makes a descriptor of the event source readable. */
export interface AlarmClock {
  /** Goes off once, `microseconds` from now; takes the place of what was set. */
  set(microseconds: number): number;
}

export class AlarmedEvents implements EventSource {
  readonly #events: EventSource;
  readonly #alarm: AlarmClock;
  readonly #clock: () => number;
  /** When the alarm goes off; past = it has. */
  #at = 0;

  /** @param events where waiting fails with a negative errno, as epoll's does */
  constructor(events: EventSource, alarm: AlarmClock, clock: () => number) {
    this.#events = events;
    this.#alarm = alarm;
    this.#clock = clock;
  }

  /** @throws SystemError */
  wait(max: number, microseconds: number): number {
    return check(this.#wait(max, microseconds), "Wait for events");
  }

  #wait(max: number, microseconds: number): number {
    if (microseconds <= SHORT) return this.#events.wait(max, microseconds);
    const now = this.#clock();
    const wanted = now + microseconds;
    if (this.#at <= now || wanted < this.#at) {
      if (this.#alarm.set(microseconds) < 0) return this.#events.wait(max, microseconds);
      this.#at = wanted;
    }
    return this.#events.wait(max, -1);
  }

  eventBits(i: number): number {
    return this.#events.eventBits(i);
  }

  dataLo(i: number): number {
    return this.#events.dataLo(i);
  }

  dataHi(i: number): number {
    return this.#events.dataHi(i);
  }
}
