/**
 * Sources of events that rest: left alone because they cannot be served now.
 *
 * Theory of operation
 *   The rule of the loop is that a level-triggered source is served, or no longer watched, within
 *   the turn that hears of it. Three things can be in the way:
 *
 *     the link is full        `untilRoom`: it rests until the link has room
 *     something is short      `later`: memory, descriptors; it rests for REST_MIN, twice as long
 *                             each time, REST_MAX at most, until it has been served
 *     nothing came of it      `idle`: allowed, for one may come too late. A source that is told of
 *                             IDLE_MAX times within a second and is never served breaks the rule:
 *                             it rests as if something was short, is counted and told of once
 *
 *   So whatever goes wrong, by an error that nobody thought of too, a source costs ten turns a
 *   second at most. In the order of things `broken` stays 0.
 */
import { type SourceSwitch, sourceKey } from "./sources.ts";

/** Reports without effect within IDLE_WINDOW that break the rule. */
const IDLE_MAX = 100;
const IDLE_WINDOW_US = 1_000_000;
const REST_MIN_US = 100_000;
const REST_MAX_US = 1_600_000;
/** From so many on, those in the list that were quiet for a window leave it: peers come and go. */
const REMEMBERED_MAX = 64;

/** Why a source rests: an errno below 0, or 0 where it was told of for nothing. */
export type RestReport = (token: number, kind: number, errno: number) => void;

interface Trouble {
  readonly token: number;
  readonly kind: number;
  idle: number;
  since: number;
  /** Length of the next rest. */
  pause: number;
  /** When the rest is over; 0 = it does not rest. */
  until: number;
}

export class RestingSources {
  readonly #sources: SourceSwitch;
  readonly #report: RestReport;
  readonly #troubles = new Map<number, Trouble>();
  readonly #waitForRoom: [token: number, kind: number][] = [];
  #resting = 0;
  #broken = 0;

  constructor(sources: SourceSwitch, report: RestReport = () => {}) {
    this.#sources = sources;
    this.#report = report;
  }

  /** How often a source broke the rule. */
  get broken(): number {
    return this.#broken;
  }

  /** Lets it rest until the link has room. */
  untilRoom(token: number, kind: number): void {
    this.#sources.pause(token, kind);
    this.#waitForRoom.push([token, kind]);
  }

  /** The link has room. */
  room(now: number): void {
    for (const [token, kind] of this.#waitForRoom.splice(0)) {
      if (!this.#sources.resume(token, kind)) this.later(token, kind, now, 0);
    }
  }

  /** Something came of it. */
  served(token: number, kind: number): void {
    const key = sourceKey(token, kind);
    if (this.#troubles.get(key)?.until === 0) this.#troubles.delete(key);
  }

  /** Nothing came of it. */
  idle(token: number, kind: number, now: number): void {
    const trouble = this.#troubleOf(token, kind, now);
    if (now - trouble.since > IDLE_WINDOW_US) {
      trouble.since = now;
      trouble.idle = 0;
    }
    trouble.idle += 1;
    if (trouble.idle < IDLE_MAX) return;
    trouble.idle = 0;
    this.#broken += 1;
    this.later(token, kind, now, 0);
  }

  /** It cannot be served now, for want of what `errno` says. */
  later(token: number, kind: number, now: number, errno: number): void {
    const trouble = this.#troubleOf(token, kind, now);
    if (trouble.pause === REST_MIN_US) this.#report(token, kind, errno);
    if (trouble.until === 0) this.#resting += 1;
    trouble.until = now + trouble.pause;
    trouble.pause = Math.min(2 * trouble.pause, REST_MAX_US);
    this.#sources.pause(token, kind);
  }

  /** Ends the rests that are over. */
  wake(now: number): void {
    if (this.#resting === 0) return;
    for (const trouble of this.#troubles.values()) {
      if (trouble.until === 0 || trouble.until > now) continue;
      if (this.#sources.resume(trouble.token, trouble.kind)) {
        trouble.until = 0;
        // One that goes on as before is found out at once.
        trouble.idle = IDLE_MAX;
        trouble.since = now;
        this.#resting -= 1;
      } else trouble.until = now + trouble.pause;
    }
  }

  /** Microseconds until the first rest is over; undefined = nobody rests. */
  wait(now: number): number | undefined {
    if (this.#resting === 0) return undefined;
    let first = Number.POSITIVE_INFINITY;
    for (const { until } of this.#troubles.values()) {
      if (until !== 0) first = Math.min(first, until);
    }
    return Math.max(0, first - now);
  }

  #troubleOf(token: number, kind: number, now: number): Trouble {
    const key = sourceKey(token, kind);
    const known = this.#troubles.get(key);
    if (known !== undefined) return known;
    if (this.#troubles.size >= REMEMBERED_MAX) this.#forget(now);
    const trouble = { token, kind, idle: 0, since: now, pause: REST_MIN_US, until: 0 };
    this.#troubles.set(key, trouble);
    return trouble;
  }

  /** Drops what has been quiet for a window. */
  #forget(now: number): void {
    for (const [key, trouble] of this.#troubles) {
      if (trouble.until === 0 && now - trouble.since > IDLE_WINDOW_US) this.#troubles.delete(key);
    }
  }
}
