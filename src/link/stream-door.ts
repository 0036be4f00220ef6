/**
 * The door of a stream link that listens: who gets in, when, and how soon the next is looked at.
 *
 * Theory of operation
 *   A link has one place. Whoever connects is looked at in this order:
 *
 *     1. Whose is it? A user that is not allowed is closed at once (a stranger), before anything it
 *        has sent is read; so is one that has gone before it could be asked.
 *     2. Has it hung up already? Then it is over (fleeting).
 *     3. The place is free, or whoever holds it has hung up: it gets it.
 *     4. The holder has sent something: it is closed at once (refused).
 *     5. The holder has been silent so far: it waits, with up to WAITING_MAX - 1 others; more stay
 *        in the kernel's queue. SILENT_us after the first began to wait the holder gives its place
 *        up, if it is still silent, to one that has sent something, else to the one that waits
 *        longest. As soon as the holder sends something, those that wait are refused. So one that
 *        connects and says nothing keeps nobody out for longer than that.
 *
 *   Pace. What comes and goes quickly would otherwise take the thread that moves packets, so it is
 *   looked at ever more slowly. In a row are counted: those that are refused, fleeting ones, and
 *   holders that leave within STAYED_us. The first FREE_COUNT of a row cost nothing, so a machine
 *   that is restarted a few times never waits. From then on each look takes what is there, up to
 *   BATCH, or BATCH_BESIDE while the holder wants its frames moved, and is followed by a pause of
 *   PAUSE_MIN_us that doubles up to PAUSE_MAX_us. A row ends when a holder has stayed for
 *   STAYED_us, or when nobody has come for as long. Strangers count as well while the place is
 *   taken. While it is free they must not keep its owner out, who waits in the same queue: so they
 *   are turned away quickly, with a pause of PAUSE_STRANGER_us only.
 *
 *   Nothing is queued but in the kernel, which holds as many as the listener's backlog says.
 *
 *     bound                     counter            told by
 *     one place                 peersRefused       "refused", once for each holder
 *     users                     peersForeign       "foreign", once for each row
 *     pace                      peerCrowds         "hurried", once for each row
 *     those gone quickly        peersFleeting      as above
 *     silence                   silentPeers        "disconnected", with the reason
 *
 * Source: accept(2), listen(2).
 */
import { EAGAIN, ECONNABORTED, EINTR, ENOENT } from "../sys/errno.ts";
import type { TimerFd } from "../sys/fd.ts";
import type { Libc } from "../sys/libc.ts";
import { EPOLLIN } from "../sys/linux.ts";
import { hasHungUp, isReadable } from "../sys/poll.ts";
import type { Ipv4Endpoint } from "../sys/sockaddr.ts";
import { accept, setLinger } from "../sys/socket.ts";
import type { LinkWatcher } from "./link.ts";
import type { PeerEvent } from "./stream-peer.ts";
import type { Users } from "./stream-users.ts";

/** Connections taken at one look: as many as the kernel's queue holds, or little beside a guest. */
const BATCH = 256;
const BATCH_BESIDE = 32;
const WAITING_MAX = 4;
const SILENT_us = 10_000_000;
const STAYED_us = 10_000_000;
const FREE_COUNT = 8;
const PAUSE_MIN_us = 20_000;
const PAUSE_MAX_us = 1_000_000;
/** After so many pauses they are no longer than before. */
const PAUSE_COUNT_MAX = 6;
/** The loop takes a source for broken that it hears of 100 times a second in vain. */
const PAUSE_STRANGER_us = 25_000;
/** Until the next look where no descriptor is left. */
const PAUSE_FAULT_us = 1_000_000;
const NEVER = Number.POSITIVE_INFINITY;

/** Whoever has the place, as the door sees it. */
export interface Holder {
  /** Looks whether it has hung up: then the place is free. */
  state(): "free" | "silent" | "spoken";
  /** Gives the place to a connection, which is the holder's to close from then on. */
  take(fd: number): void;
  /** Closes the holder's connection; the door hears of it by `left`. */
  vacate(reason: string): void;
}

export interface DoorParts {
  /** A listening socket, which stays its owner's. */
  readonly listener: number;
  /** For the door alone; its events go to `tick`. */
  readonly timer: TimerFd;
  readonly users: Users;
  readonly holder: Holder;
  /** Microseconds, never backwards. */
  readonly clock: () => number;
  readonly tell: (event: PeerEvent) => void;
}

type Kind = "taken" | "waiting" | "stranger" | "hurried";

export class Door {
  /** Closed because there was a holder that had sent something. */
  refused = 0;
  /** Closed because of the user. */
  foreign = 0;
  /** Gone before they got anywhere, or soon after they had the place. */
  fleeting = 0;
  /** Rows long enough to be paced. */
  crowds = 0;
  /** Holders that gave their place up. */
  silent = 0;
  readonly #sys: Libc;
  readonly #parts: DoorParts;
  readonly #from: Ipv4Endpoint = { address: 0, port: 0 };
  #watcher: LinkWatcher | undefined;
  #token = 0;
  readonly #waiting: number[] = [];
  /** When those that wait need wait no more. */
  #patience_us = NEVER;
  /** End of the pause, if there is one. */
  #resumes_us = 0;
  #isWatched = true;
  /** What the timer is set to. */
  #armed_us = NEVER;
  #row = 0;
  #pauses = 0;
  #lastOfRow_us = 0;
  #lastForeign_us = -STAYED_us;
  #refusedHere = 0;

  constructor(sys: Libc, parts: DoorParts) {
    this.#sys = sys;
    this.#parts = parts;
  }

  /** Refused since the holder came. */
  get refusedHere(): number {
    return this.#refusedHere;
  }

  /** For each loop anew. Zero, or the negative errno. */
  watch(watcher: LinkWatcher, token: number): number {
    this.#watcher = watcher;
    this.#token = token;
    return watcher.add(this.#parts.listener, this.#isWatched ? EPOLLIN : 0, token);
  }

  /** Somebody may have come. */
  knock(): void {
    const now = this.#parts.clock();
    if (now - this.#lastOfRow_us > STAYED_us) this.#endRow();
    this.#sweep();
    let strangers = 0;
    let hurried = 0;
    const most = this.#parts.holder.state() === "spoken" ? BATCH_BESIDE : BATCH;
    for (let i = 0; i < most && this.#waiting.length < WAITING_MAX; i += 1) {
      const fd = accept(this.#sys, this.#parts.listener, this.#from);
      if (fd === -EAGAIN) break;
      if (fd < 0) {
        if (isPassing(fd)) continue;
        this.#pause(now, PAUSE_FAULT_us);
        break;
      }
      const kind = this.#admit(fd, now);
      if (kind === "stranger") strangers += 1;
      else if (kind === "hurried") hurried += 1;
    }
    if (strangers > 0 && this.#parts.holder.state() === "spoken") hurried += strangers;
    if (hurried > 0) this.#hurry(now, hurried);
    if (strangers > 0) this.#pause(now, PAUSE_STRANGER_us);
    this.#settle(now);
  }

  /** The timer went off. */
  tick(): void {
    const now = this.#parts.clock();
    this.#armed_us = NEVER;
    if (now >= this.#patience_us) this.#expire();
    this.#settle(now);
  }

  /** The holder has sent something for the first time. */
  spoke(): void {
    this.#patience_us = NEVER;
    for (const fd of this.#waiting.splice(0)) this.#refuse(fd);
    this.#settle(this.#parts.clock());
  }

  /** A new holder has the place. */
  came(): void {
    this.#refusedHere = 0;
  }

  /** The holder has gone, after so many microseconds. */
  left(held_us: number): void {
    const now = this.#parts.clock();
    if (held_us >= STAYED_us) {
      this.#endRow();
      this.#resumes_us = 0;
    } else {
      this.fleeting += 1;
      this.#hurry(now, 1);
    }
    this.#promote(now);
    this.#settle(now);
  }

  /** Closes those that wait. */
  close(): void {
    for (const fd of this.#waiting.splice(0)) this.#sys.close(fd);
  }

  /** Looks at one that has come. */
  #admit(fd: number, now: number): Kind {
    const { users, holder } = this.#parts;
    const uid = users.of(fd, this.#from);
    if (uid < 0) {
      this.#sys.close(fd);
      if (uid === -ENOENT) this.fleeting += 1;
      else this.#countForeign(uid, now);
      return "stranger";
    }
    if (!users.allows(uid)) {
      this.#abort(fd);
      this.#countForeign(uid, now);
      return "stranger";
    }
    if (hasHungUp(this.#sys, fd)) {
      this.#sys.close(fd);
      this.fleeting += 1;
      return "hurried";
    }
    const state = holder.state();
    if (state === "spoken") {
      this.#refuse(fd);
      return "hurried";
    }
    if (state === "free") {
      holder.take(fd);
      return "taken";
    }
    this.#waiting.push(fd);
    if (this.#waiting.length === 1) this.#patience_us = now + SILENT_us;
    return "waiting";
  }

  #countForeign(uid: number, now: number): void {
    this.foreign += 1;
    const isFirst = now - this.#lastForeign_us >= STAYED_us;
    this.#lastForeign_us = now;
    if (isFirst) this.#parts.tell({ kind: "foreign", uid });
  }

  #refuse(fd: number): void {
    this.#abort(fd);
    this.refused += 1;
    this.#refusedHere += 1;
    if (this.#refusedHere === 1) this.#parts.tell({ kind: "refused" });
  }

  /** Closes it so that it hears of it at once. */
  #abort(fd: number): void {
    setLinger(this.#sys, fd, true, 0);
    this.#sys.close(fd);
  }

  // -------------------------------------------------------------- those that wait

  /** Forgets those that have hung up. */
  #sweep(): void {
    for (const fd of this.#waiting.splice(0)) {
      if (hasHungUp(this.#sys, fd)) {
        this.#sys.close(fd);
        this.fleeting += 1;
      } else this.#waiting.push(fd);
    }
    if (this.#waiting.length === 0) this.#patience_us = NEVER;
  }

  /** Those that wait have done so long enough. */
  #expire(): void {
    this.#patience_us = NEVER;
    this.#sweep();
    if (this.#waiting.length === 0) return;
    // One that has hung up makes room by this, and the next one has its own time.
    const state = this.#parts.holder.state();
    if (this.#patience_us !== NEVER || this.#waiting.length === 0) return;
    if (state === "spoken") this.spoke();
    else {
      this.silent += 1;
      const seconds = SILENT_us / 1e6;
      this.#parts.holder.vacate(`silent for ${seconds} s while another one waited`);
    }
  }

  /** Gives the place to one that waits. */
  #promote(now: number): void {
    this.#sweep();
    const spoken = this.#waiting.findIndex((fd) => isReadable(this.#sys, fd));
    const [fd] = this.#waiting.splice(Math.max(spoken, 0), 1);
    if (fd === undefined) return;
    this.#patience_us = this.#waiting.length > 0 ? now + SILENT_us : NEVER;
    this.#parts.holder.take(fd);
  }

  // -------------------------------------------------------------- pace

  #endRow(): void {
    this.#row = 0;
    this.#pauses = 0;
  }

  /** So many have come and gone quickly. */
  #hurry(now: number, count: number): void {
    this.#lastOfRow_us = now;
    this.#row += count;
    if (this.#row <= FREE_COUNT) return;
    if (this.#pauses === 0) {
      this.crowds += 1;
      this.#parts.tell({ kind: "hurried" });
    }
    this.#pause(now, Math.min(PAUSE_MIN_us * 2 ** this.#pauses, PAUSE_MAX_us));
    this.#pauses = Math.min(this.#pauses + 1, PAUSE_COUNT_MAX);
  }

  /** Looks at nobody for so long, or longer where that was said before. */
  #pause(now: number, microseconds: number): void {
    this.#resumes_us = Math.max(this.#resumes_us, now + microseconds);
  }

  /**
   * Has the listener watched only where somebody can be let in: it is level-triggered, so those
   * that stay in the kernel's queue would keep the loop awake. Sets the timer to what is due next.
   */
  #settle(now: number): void {
    const isPausing = now < this.#resumes_us;
    const isWanted = !isPausing && this.#waiting.length < WAITING_MAX;
    if (isWanted !== this.#isWatched) {
      this.#isWatched = isWanted;
      this.#watcher?.modify(this.#parts.listener, isWanted ? EPOLLIN : 0, this.#token);
    }
    const due = Math.min(isPausing ? this.#resumes_us : NEVER, this.#patience_us);
    if (due === NEVER || due === this.#armed_us) return;
    this.#armed_us = due;
    this.#parts.timer.set(due - now);
  }
}

/** Errors of one connection that was on its way in (accept(2)); the next one may be fine. */
function isPassing(errno: number): boolean {
  return errno === -EINTR || errno === -ECONNABORTED;
}
