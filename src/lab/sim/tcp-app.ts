/** An application in the modelled guest that carries out the plan of one TCP connection. */
import { formatIpv4 } from "../../lib/addr.ts";
import { type App, type AppOutcome, type AppOwner, NOTHING } from "./app.ts";
import type { TcpConnection, TcpEvents } from "./guest/tcp-connection.ts";
import type { CloseReason } from "./guest/tcp-options.ts";
import { fillPattern, findMismatch } from "./pattern.ts";
import type { TcpPlan } from "./plan.ts";

const CHUNK = 65_536;
const scratch = new Uint8Array(CHUNK);

/** How far a connection is, as its application sees it. */
export interface TcpStanding {
  readonly isStarted: boolean;
  readonly isOpen: boolean;
  readonly isOver: boolean;
  /** The peer's end of stream is here. */
  readonly hasEnded: boolean;
  /** The application has no more to write. */
  readonly isClosing: boolean;
  readonly written: number;
  readonly read: number;
}

export class TcpApp implements App {
  readonly plan: TcpPlan;
  readonly #owner: AppOwner;
  #connection: TcpConnection | undefined;
  #written = 0;
  #read = 0;
  #isReading = false;
  #isWriting = false;
  #hasEnded = false;
  #isAsked = false;
  reason: CloseReason | undefined;
  #startedAt: number | undefined;
  #openedAt: number | undefined;
  #endedAt: number | undefined;
  readonly events: TcpEvents;

  constructor(owner: AppOwner, plan: TcpPlan) {
    this.#owner = owner;
    this.plan = plan;
    this.events = {
      opened: () => {
        this.#openedAt = owner.clock.now;
        this.#write();
      },
      writable: () => this.#write(),
      readable: () => this.#readMore(),
      ended: () => {
        this.#hasEnded = true;
        this.#maybeClose();
      },
      closed: (reason) => {
        this.reason = reason;
        this.#endedAt = owner.clock.now;
        this.#readMore();
      },
    };
  }

  get isDone(): boolean {
    if (this.reason === undefined) return false;
    return this.reason !== "finished" || this.#connection?.isDrained === true;
  }

  /** What of this connection the guest has seen. */
  get standing(): TcpStanding {
    const connection = this.#connection;
    return {
      isStarted: this.#isAsked || this.#startedAt !== undefined,
      isOpen: this.#openedAt !== undefined,
      isOver: this.reason !== undefined,
      hasEnded: this.#hasEnded,
      isClosing: connection?.send.finQueued === true,
      written: this.#written,
      read: this.#read,
    };
  }

  start(): void {
    const { address, port, app } = this.plan;
    const { guest, clock } = this.#owner;
    this.#startedAt = clock.now;
    this.#connection = guest.openTcp(formatIpv4(address), port, this.events, app.settings);
  }

  get outcome(): AppOutcome {
    const { plan, reason } = this;
    const began = this.#startedAt;
    const opened = this.#openedAt;
    const isOurs = !plan.isInbound && began !== undefined && opened !== undefined;
    const smoothed = this.#connection?.send.srtt ?? 0;
    return {
      ...NOTHING,
      ...{ kind: "tcp", id: plan.id, reason, up: this.#written, down: this.#read },
      startedAt: began,
      endedAt: this.#endedAt,
      connectTime: isOurs ? opened - began : undefined,
      roundTrips: smoothed > 0 ? [smoothed] : [],
    };
  }

  /** A connection from outside; undefined = a late SYN of one that has been. */
  accepted(connection: TcpConnection): TcpEvents | undefined {
    if (this.#connection !== undefined) return undefined;
    this.#connection = connection;
    this.#startedAt = this.#owner.clock.now;
    return this.events;
  }

  giveUp(always: boolean): void {
    const { peer } = this.plan;
    const mayHang =
      always ||
      this.plan.yields === true ||
      peer.connect.kind === "never" ||
      peer.resetAt !== undefined;
    if (!mayHang) return;
    // The SYN of a connection from outside may never have got here.
    if (this.#connection === undefined) this.reason = "aborted";
    this.#connection?.reset();
  }

  #write(): void {
    const connection = this.#connection;
    const { up, app } = this.plan;
    if (connection === undefined || this.#isWriting) return;
    while (this.#written < up) {
      const size = Math.min(up - this.#written, app.writeSize || CHUNK, CHUNK);
      const part = scratch.subarray(0, size);
      fillPattern(this.plan.id * 2, this.#written, part);
      const taken = connection.write(part);
      this.#written += taken;
      if (this.#maybeReset()) return;
      if (taken < size) return;
      if (app.writePause > 0 && this.#written < up) return void this.#pauseWriting();
    }
    if (app.closeWhen === "sent") connection.close();
    else this.#maybeClose();
  }

  /** Somebody outside has asked for the connection. */
  asked(): void {
    this.#isAsked = true;
  }

  /** The engine would not have this connection from outside, or it ended before it got here. */
  turnedAway(): void {
    if (this.#connection === undefined) this.reason ??= "refused";
  }

  #pauseWriting(): void {
    this.#isWriting = true;
    this.#owner.clock.after(this.plan.app.writePause, () => {
      this.#isWriting = false;
      this.#write();
      this.#owner.serve();
    });
  }

  #readMore(): void {
    const connection = this.#connection;
    const { app, id } = this.plan;
    if (connection === undefined || this.#isReading) return;
    while (connection.available > 0) {
      const part = scratch.subarray(0, Math.min(app.readSize || CHUNK, CHUNK));
      const count = connection.read(part);
      const wrong = findMismatch(id * 2 + 1, this.#read, part.subarray(0, count));
      if (wrong >= 0) this.#owner.violation(`TCP ${id}: octet ${this.#read + wrong} down is wrong`);
      this.#read += count;
      if (this.#maybeReset()) return;
      if (app.readPause > 0 && connection.available > 0) {
        this.#isReading = true;
        this.#owner.clock.after(app.readPause, () => {
          this.#isReading = false;
          this.#readMore();
          this.#owner.serve();
        });
        return;
      }
    }
    this.#maybeClose();
  }

  #maybeClose(): void {
    const connection = this.#connection;
    const { up, down, app } = this.plan;
    if (app.closeWhen === "never") return;
    const hasAll = app.closeWhen === "all-read" && this.#read === down;
    if ((connection?.isDrained !== true && !hasAll) || this.#written < up) return;
    connection?.close();
  }

  #maybeReset(): boolean {
    const { resetAt } = this.plan.app;
    if (resetAt === undefined || this.#written + this.#read < resetAt) return false;
    if (this.reason !== undefined) return false; // too late
    this.#connection?.reset();
    return true;
  }

  verdict(): string | undefined {
    const { plan, reason } = this;
    if (plan.yields === true) return undefined;
    const told = `TCP ${plan.id} ended "${reason ?? "never"}"`;
    const counts = `${this.#written}/${plan.up} up, ${this.#read}/${plan.down} down`;
    if (reason === undefined) return `${told} (${counts}, ${this.#connection?.state})`;
    if (!expected(plan).includes(reason)) return `${told}, not ${expected(plan).join(" or ")}`;
    if (reason !== "finished") return undefined;
    const whole = this.#written === plan.up && this.#read === plan.down;
    return whole ? undefined : `${told} with ${counts}`;
  }
}

/** How a connection of this plan may end. */
function expected(plan: TcpPlan): readonly CloseReason[] {
  const { connect, resetAt } = plan.peer;
  if (connect.kind === "fails") return ["refused", "unreachable"];
  if (connect.kind === "never") return ["aborted", "refused", "timeout", "reset"];
  const own: CloseReason[] = plan.app.resetAt === undefined ? [] : ["aborted", "finished"];
  if (resetAt !== undefined) return ["reset", "refused", "finished", "aborted", ...own];
  return own.length > 0 ? own : ["finished"];
}
