/**
 * When something of a connection is due, microseconds: retransmission (RFC 6298), a delayed
 * acknowledgment, a probe of a shut window (RFC 9293 §3.8.6.1), the end of TIME-WAIT.
 */
import type { SendSide } from "./tcp-send.ts";

export const NEVER = Number.POSITIVE_INFINITY;
const PERSIST_MAX = 60_000_000;

export class Timers {
  retransmitAt = NEVER;
  ackAt = NEVER;
  persistAt = NEVER;
  waitUntil = NEVER;
  /** When the oldest unanswered transmission was made. */
  troubleAt = NEVER;
  #persists = 0;

  /** The first that is due. */
  get next(): number {
    return Math.min(this.retransmitAt, this.ackAt, this.persistAt, this.waitUntil);
  }

  /** Nothing is sent any more. */
  stop(): void {
    this.retransmitAt = NEVER;
    this.persistAt = NEVER;
  }

  /** The connection is over. */
  clear(): void {
    this.stop();
    this.ackAt = NEVER;
    this.waitUntil = NEVER;
  }

  /** What was sent has been answered. */
  answered(): void {
    this.retransmitAt = NEVER;
    this.troubleAt = NEVER;
  }

  /** The peer has said something new about its window. */
  windowTold(): void {
    this.persistAt = NEVER;
    this.#persists = 0;
  }

  /** A probe is sent now. */
  probed(): void {
    this.persistAt = NEVER;
    this.#persists += 1;
  }

  /** Something that wants an answer is sent. */
  trouble(now: number): void {
    if (this.troubleAt === NEVER) this.troubleAt = now;
  }

  /** Waits for an answer to what is in flight, or for the window. */
  arm(send: SendSide, mayProbe: boolean, now: number): void {
    if (send.flight > 0) {
      if (this.retransmitAt === NEVER) this.retransmitAt = now + send.rto;
      this.persistAt = NEVER;
      return;
    }
    this.retransmitAt = NEVER;
    if (send.unsent === 0 || !mayProbe) this.persistAt = NEVER;
    else if (this.persistAt === NEVER) {
      this.persistAt = now + Math.min(send.rto * 2 ** Math.min(this.#persists, 10), PERSIST_MAX);
    }
  }
}
