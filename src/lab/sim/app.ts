/** What the applications in the modelled guest have in common: each carries out one plan. */
import type { VirtualClock } from "./clock.ts";
import type { Guest } from "./guest/guest.ts";
import type { CloseReason } from "./guest/tcp-options.ts";

/** Where applications run. */
export interface AppOwner {
  readonly clock: VirtualClock;
  readonly guest: Guest;
  /** Something wrong that the far side of the engine must have done. */
  violation(text: string): void;
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
