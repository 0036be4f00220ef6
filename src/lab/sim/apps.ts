/**
 * Applications in the modelled guest: each carries out one plan and says how it ended.
 */
import { formatIpv4 } from "../../lib/addr.ts";
import type { VirtualClock } from "./clock.ts";
import type { Guest } from "./guest/guest.ts";
import type { TcpConnection, TcpEvents } from "./guest/tcp-connection.ts";
import type { CloseReason } from "./guest/tcp-options.ts";
import type { UdpSocket } from "./guest/udp.ts";
import { checkDatagram, datagramStream, NUMBER_SIZE } from "./host/host.ts";
import { fillPattern, findMismatch } from "./pattern.ts";
import type { PingPlan, TcpPlan, UdpPlan } from "./plan.ts";

const CHUNK = 65_536;
const scratch = new Uint8Array(CHUNK);

/** Where applications run. */
export interface AppOwner {
  readonly clock: VirtualClock;
  readonly guest: Guest;
  /** Something wrong that the far side of the engine must have done. */
  fault(text: string): void;
  /** Lets the stack send what the application has just asked for. */
  serve(): void;
}

/** What came of an application. Times are those of the clock. */
export interface AppOutcome {
  readonly kind: "tcp" | "udp" | "ping" | "dns";
  /** Of its plan: unique among those of its kind. */
  readonly id: number;
  /** undefined = it never came to that. */
  readonly startedAt: number | undefined;
  readonly endedAt: number | undefined;
  /** How a connection ended; undefined = it did not, or is none. */
  readonly reason: CloseReason | undefined;
  /** Octets of a stream, written by the guest and read by it. */
  readonly up: number;
  readonly down: number;
  /** Datagrams, echo requests and questions; those answered; those an ICMP error came for. */
  readonly asked: number;
  readonly answered: number;
  readonly refused: number;
  /** From SYN to established. */
  readonly connectTime: number | undefined;
  /** Of each answer; of a connection the smoothed one at its end. */
  readonly roundTrips: readonly number[];
}

/** Of an application that nothing has come of. */
export const NOTHING = {
  ...{ startedAt: undefined, endedAt: undefined, reason: undefined, connectTime: undefined },
  ...{ up: 0, down: 0, asked: 0, answered: 0, refused: 0, roundTrips: [] },
} as const;

/** One application, from `start` to `isDone`. */
export interface App {
  readonly isDone: boolean;
  readonly outcome: AppOutcome;
  start(): void;
  /** Gives up what it waits for, if it may be that it never comes, or `always`. */
  giveUp(always: boolean): void;
  /** What is wrong with how it ended. */
  verdict(isLossless: boolean): string | undefined;
}

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
      if (wrong >= 0) this.#owner.fault(`TCP ${id}: octet ${this.#read + wrong} down is wrong`);
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

export class UdpApp implements App {
  readonly #plan: UdpPlan;
  readonly #owner: AppOwner;
  #socket: UdpSocket | undefined;
  #sent = 0;
  #unsent = 0;
  readonly #answered = new Set<number>();
  #anonymous = 0;
  #failed = 0;
  readonly #sentAt: number[] = [];
  readonly #roundTrips: number[] = [];
  #lastAt: number | undefined;

  constructor(owner: AppOwner, plan: UdpPlan) {
    this.#owner = owner;
    this.#plan = plan;
  }

  get isDone(): boolean {
    return this.#sent === this.#plan.count;
  }

  start(): void {
    const { guest } = this.#owner;
    this.#socket = guest.openUdp(0, {
      received: ({ from, fromPort, payload }) => this.#received(from, fromPort, payload),
      failed: () => {
        this.#failed += 1;
      },
    });
    this.#send();
  }

  giveUp(_always: boolean): void {}

  #send(): void {
    const { id, address, port, sizes, count, pause } = this.#plan;
    const size = sizes[this.#sent % sizes.length] ?? 0;
    const payload = new Uint8Array(size);
    if (size >= NUMBER_SIZE) {
      new DataView(payload.buffer).setUint32(0, this.#sent);
      fillPattern(datagramStream(id), this.#sent, payload.subarray(NUMBER_SIZE));
    }
    if (this.#socket?.send(formatIpv4(address), port, payload) !== true) this.#unsent += 1;
    this.#sent += 1;
    this.#lastAt = this.#owner.clock.now;
    this.#sentAt.push(this.#lastAt);
    if (this.#sent === count) return;
    this.#owner.clock.after(pause, () => {
      this.#send();
      this.#owner.serve();
    });
  }

  #received(from: string, port: number, payload: Uint8Array): void {
    const plan = this.#plan;
    if (from !== formatIpv4(plan.address) || port !== plan.port) {
      this.#owner.fault(`UDP ${plan.id}: datagram from ${from}:${port}`);
    }
    if (plan.service !== "echo") this.#owner.fault(`UDP ${plan.id}: an answer nobody gave`);
    const wrong = checkDatagram(plan, payload);
    if (wrong !== undefined) this.#owner.fault(wrong);
    const { now } = this.#owner.clock;
    this.#lastAt = now;
    if (payload.length < NUMBER_SIZE) {
      this.#anonymous += 1;
      return;
    }
    const number = new DataView(payload.buffer, payload.byteOffset).getUint32(0);
    if (!this.#answered.has(number)) this.#roundTrips.push(now - (this.#sentAt[number] ?? now));
    this.#answered.add(number);
  }

  get outcome(): AppOutcome {
    return {
      ...NOTHING,
      ...{ kind: "udp", id: this.#plan.id, asked: this.#sent, refused: this.#failed },
      // Those too short for a number may be duplicates.
      answered: Math.min(this.#answered.size + this.#anonymous, this.#sent),
      startedAt: this.#sentAt[0],
      endedAt: this.#lastAt,
      roundTrips: this.#roundTrips,
    };
  }

  verdict(isLossless: boolean): string | undefined {
    const { id, service, count, yields = false } = this.#plan;
    const answers = this.#answered.size + this.#anonymous;
    if (!isLossless || this.#unsent > 0 || yields) return undefined;
    if (service === "echo" && answers < count) return `UDP ${id}: ${answers}/${count} answers`;
    if (service === "refused" && this.#failed === 0) return `UDP ${id}: no word of refusal`;
    return undefined;
  }
}

export class PingApp implements App {
  readonly #plan: PingPlan;
  readonly #owner: AppOwner;
  #sent = 0;
  readonly #answered = new Set<number>();
  readonly #sentAt: number[] = [];
  readonly #roundTrips: number[] = [];
  #lastAt: number | undefined;

  constructor(owner: AppOwner, plan: PingPlan) {
    this.#owner = owner;
    this.#plan = plan;
  }

  get isDone(): boolean {
    return this.#sent === this.#plan.count;
  }

  start(): void {
    this.#send();
  }

  giveUp(_always: boolean): void {}

  #payload(sequence: number): Uint8Array {
    const payload = new Uint8Array(this.#plan.size);
    fillPattern(datagramStream(this.#plan.id), sequence, payload);
    return payload;
  }

  #send(): void {
    const { id, address, count, pause } = this.#plan;
    const { guest, clock } = this.#owner;
    guest.ping(formatIpv4(address), id, this.#sent, this.#payload(this.#sent));
    this.#sent += 1;
    this.#lastAt = clock.now;
    this.#sentAt.push(clock.now);
    if (this.#sent === count) return;
    clock.after(pause, () => {
      this.#send();
      this.#owner.serve();
    });
  }

  /** A reply with this plan's identifier has come. */
  replied(from: string, sequence: number, payload: Uint8Array): void {
    const { id, address, count } = this.#plan;
    const wanted = this.#payload(sequence);
    const same = payload.length === wanted.length && payload.every((each, i) => each === wanted[i]);
    if (from !== formatIpv4(address) || sequence >= count || !same) {
      this.#owner.fault(`ping ${id}: reply ${sequence} from ${from} is wrong`);
    }
    const { now } = this.#owner.clock;
    if (!this.#answered.has(sequence)) this.#roundTrips.push(now - (this.#sentAt[sequence] ?? now));
    this.#answered.add(sequence);
    this.#lastAt = now;
  }

  get outcome(): AppOutcome {
    return {
      ...NOTHING,
      ...{ kind: "ping", id: this.#plan.id, asked: this.#sent, answered: this.#answered.size },
      startedAt: this.#sentAt[0],
      endedAt: this.#lastAt,
      roundTrips: this.#roundTrips,
    };
  }

  verdict(isLossless: boolean): string | undefined {
    const { id, count } = this.#plan;
    if (!isLossless || this.#answered.size === count) return undefined;
    return `ping ${id}: ${this.#answered.size}/${count} replies`;
  }
}
