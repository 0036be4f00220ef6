/**
 * Watches that everybody gets on, whatever the others do:
 *
 *   - a connection that may come about is up in time, the guest's and those from outside
 *   - a flow whose two ends want to move moves: octets that one end has written and the other end
 *     has room for, an end of stream that the other end has not heard of
 *   - a question is answered in time
 *   - a flow that is half-closed, and on which nothing moves, does not live on for ever
 *
 * It looks at what the applications and the host's sockets know, never into the engine. Times are
 * those in which the guest reads: while it does not, nobody can be served.
 */

import type { DnsApp } from "../dns-app.ts";
import type { StreamSocket } from "../host/stream.ts";
import type { Promises } from "../plan.ts";
import type { TcpApp } from "../tcp-app.ts";

/** What is looked at of an application, a socket, a question. */
export type WatchedApp = Pick<TcpApp, "plan" | "standing">;
export type WatchedQuestion = Pick<DnsApp, "name" | "isStarted" | "isAnswered">;
export type WatchedSocket = Pick<
  StreamSocket,
  | ("plan" | "taken" | "received" | "arrived" | "isWritable")
  | ("isShut" | "hasEnded" | "isClosed" | "isBroken")
>;

/** One connection, as far as it has been watched. Times are of the watch's own clock. */
interface Watched {
  readonly app: WatchedApp;
  socket: WatchedSocket | undefined;
  askedAt: number | undefined;
  /** What has moved, as one number; since when it stands still although both ends want. */
  moved: number;
  movedAt: number;
  /** Since when it is half-closed and nothing moves. */
  quietAt: number | undefined;
  isTold: boolean;
}

export class ProgressWatch {
  readonly #promises: Promises;
  readonly #fault: (text: string) => void;
  readonly #flows = new Map<number, Watched>();
  readonly #questions = new Map<WatchedQuestion, number>();
  /** Time in which the guest read, up to the last look. */
  #now = 0;

  constructor(promises: Promises, fault: (text: string) => void) {
    this.#promises = promises;
    this.#fault = fault;
  }

  /** A connection to be watched from now on. */
  add(app: WatchedApp): void {
    this.#flows.set(app.plan.id, {
      ...{ app, socket: undefined, askedAt: undefined, moved: 0, movedAt: 0 },
      ...{ quietAt: undefined, isTold: false },
    });
  }

  /** The host has a socket for a connection. */
  opened(socket: WatchedSocket): void {
    const watched = this.#flows.get(socket.plan.id);
    if (watched !== undefined) watched.socket = socket;
  }

  /** @param elapsed since the last look, as far as the guest read */
  look(elapsed: number, questions: readonly WatchedQuestion[]): void {
    this.#now += elapsed;
    for (const [id, watched] of this.#flows) {
      if (watched.app.standing.isOver || watched.isTold) this.#flows.delete(id);
      else this.#lookAt(watched);
    }
    for (const each of questions) this.#lookAtQuestion(each);
  }

  #lookAt(watched: Watched): void {
    const { standing, plan } = watched.app;
    if (!standing.isStarted) return;
    watched.askedAt ??= this.#now;
    if (!standing.isOpen) {
      const { connect } = plan.peer;
      if (connect.kind !== "ok" || plan.yields === true) return;
      const most = this.#promises.connectWithin + connect.delay;
      if (this.#now - watched.askedAt > most) this.#tell(watched, "not connected", most);
      return;
    }
    const moved = movedOf(watched);
    const isStill = moved === watched.moved;
    watched.moved = moved;
    if (!isStill || !wantsToMove(watched)) watched.movedAt = this.#now;
    const { moveWithin, halfClosedWithin } = this.#promises;
    if (this.#now - watched.movedAt > moveWithin) {
      this.#tell(watched, `does not move (${standingOf(watched)})`, moveWithin);
    }
    const isHalf = watched.socket?.isShut === true || watched.socket?.hasEnded === true;
    if (!isHalf || !isStill) watched.quietAt = undefined;
    else watched.quietAt ??= this.#now;
    if (watched.quietAt !== undefined && this.#now - watched.quietAt > halfClosedWithin) {
      this.#tell(watched, "is half-closed and idle", halfClosedWithin);
    }
  }

  #tell(watched: Watched, what: string, most: number): void {
    watched.isTold = true;
    const { plan } = watched.app;
    const whose = plan.isInbound ? "from outside" : "of the guest";
    this.#fault(`progress: TCP ${plan.id} ${whose} ${what} after ${most / 1e6} s`);
  }

  #lookAtQuestion(app: WatchedQuestion): void {
    if (app.isAnswered || !app.isStarted) return;
    const askedAt = this.#questions.get(app) ?? this.#now;
    this.#questions.set(app, askedAt);
    const most = this.#promises.answerWithin;
    if (this.#now - askedAt <= most) return;
    this.#questions.set(app, Number.POSITIVE_INFINITY);
    this.#fault(`progress: DNS ${app.name} is not answered after ${most / 1e6} s`);
  }
}

/** Grows with everything that happens on a connection. */
function movedOf({ app, socket }: Watched): number {
  const { written, read, hasEnded, isClosing } = app.standing;
  const facts = [hasEnded, isClosing, socket?.isShut, socket?.hasEnded, socket?.isClosed];
  const known = facts.filter((each) => each === true).length;
  return written + read + (socket?.taken ?? 0) + (socket?.received ?? 0) + known;
}

/** Some octet or end of stream is there, and its receiver would have it. */
function wantsToMove({ app, socket }: Watched): boolean {
  if (socket === undefined || app.plan.isDeaf === true) return false;
  const { written, read, hasEnded, isClosing } = app.standing;
  if (socket.isClosed || socket.isBroken) return true; // the guest is to be told
  if (written > socket.taken && socket.isWritable) return true;
  if (socket.arrived > read) return true;
  if (socket.hasEnded && !hasEnded) return true;
  return isClosing && written === socket.taken && !socket.isShut;
}

function standingOf({ app, socket }: Watched): string {
  const { written, read } = app.standing;
  const { taken = 0, arrived = 0 } = socket ?? {};
  return `${taken} of ${written} up, ${read} of ${arrived} down`;
}
