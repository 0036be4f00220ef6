/**
 * What a connection of the modelled guest sends, and when: what is due, acknowledgments that may
 * wait, and what its timers ask for. The state is kept here, for it says what may be sent.
 */
import type { Dialect } from "./tcp-dialect.ts";
import type { CloseReason, TcpState } from "./tcp-options.ts";
import { ACK, FIN, PSH, RST } from "./tcp-segment.ts";
import type { SendSide } from "./tcp-send.ts";
import { NEVER, Timers } from "./tcp-timers.ts";
import { SegmentWriter, type Sender, type Transmit } from "./tcp-writer.ts";

/** The connection, as far as what it sends depends on it. */
export interface OutputSource extends Sender {
  readonly send: SendSide;
  /** What the peer sends next, FIN allowed for. */
  readonly expected: number;
}

export interface OutputEvents {
  /** The clock, microseconds. */
  readonly time: { readonly now: number };
  /** Something may be due: `flush` is to be called. */
  dirty(): void;
  /** `expire` is to be called then; Infinity = no need. */
  deadline(at: number): void;
  /** The connection is over. */
  finish(reason: CloseReason): void;
  readonly transmit: Transmit;
}

export class TcpOutput {
  readonly #source: OutputSource;
  readonly #events: OutputEvents;
  readonly #writer: SegmentWriter;
  readonly timers = new Timers();
  state: TcpState = "closed";
  /** An acknowledgment goes out with the next flush. */
  isAckDue = false;
  #isSynDue = false;
  /** Segments since the last acknowledgment. */
  #unacked = 0;

  constructor(source: OutputSource, dialect: Dialect, events: OutputEvents) {
    this.#source = source;
    this.#events = events;
    this.#writer = new SegmentWriter(events.time, source, dialect, events.transmit);
  }

  /** The acknowledgment sent last (RFC 7323 §4.3). */
  get lastAck(): number {
    return this.#writer.lastAck;
  }

  set lastAck(ack: number) {
    this.#writer.lastAck = ack;
  }

  // -------------------------------------------------------------- what becomes due

  mark(): void {
    this.#events.dirty();
  }

  /** Has SYN or SYN-ACK sent. */
  sendSyn(state: "syn-sent" | "syn-received"): void {
    this.state = state;
    this.#isSynDue = true;
    this.mark();
  }

  /** The handshake is over. */
  establish(now: number): void {
    this.state = "established";
    this.#isSynDue = false;
    this.timers.answered();
    this.#arm(now);
    this.mark();
  }

  ackSoon(): void {
    this.isAckDue = true;
    this.mark();
  }

  /** Payload of `length` octets came in order: its acknowledgment may wait (RFC 9293 §3.8.6.3). */
  delayAck(length: number, now: number): void {
    const { send, ownMss, settings } = this.#source;
    this.#unacked += 1;
    const { delayedAck } = settings;
    const full = length >= Math.min(send.mss, ownMss) / 2;
    if (delayedAck === 0 || (this.#unacked >= 2 && full)) this.isAckDue = true;
    else if (this.timers.ackAt === NEVER) this.timers.ackAt = now + delayedAck;
  }

  // -------------------------------------------------------------- sending

  /** Sends what is due; false = the link has no room and something stays due. */
  flush(now: number): boolean {
    if (this.state === "closed") return true;
    if (this.#isSynDue) {
      if (!this.#emitSyn(now)) return false;
      this.#isSynDue = false;
    }
    const { send } = this.#source;
    const talks = this.state !== "syn-sent" && this.state !== "syn-received";
    while (talks && this.state !== "time-wait" && send.choose()) {
      const push = send.pickLength > 0 && send.unsent <= send.pickLength ? PSH : 0;
      const flags = ACK | push | (send.pickFin ? FIN : 0);
      if (!this.emit(flags, send.pickAt, send.pickLength)) return false;
      send.sent(now);
      this.timers.trouble(now);
      if (send.pickFin) this.#finSent();
    }
    // In SYN-RECEIVED too: SYNs that crossed are answered by plain acknowledgments.
    const mayAck = this.state !== "syn-sent";
    if (this.isAckDue && mayAck && !this.emit(ACK, send.max, 0)) return false;
    this.#arm(now);
    return true;
  }

  #finSent(): void {
    if (this.state === "established") this.state = "fin-wait-1";
    else if (this.state === "close-wait") this.state = "last-ack";
  }

  #emitSyn(now: number): boolean {
    const { receive, send, expected } = this.#source;
    const first = this.state === "syn-sent";
    if (first) receive.start(0);
    if (!this.#writer.syn(first ? undefined : expected)) return false;
    this.timers.trouble(now);
    this.timers.retransmitAt = now + send.rto;
    return true;
  }

  /** Sends a segment at once; false = the link has no room. */
  emit(flags: number, sequence: number, length: number): boolean {
    if (!this.#writer.segment(flags, sequence, length, this.#source.expected)) return false;
    this.isAckDue = false;
    this.#unacked = 0;
    this.timers.ackAt = NEVER;
    return true;
  }

  // -------------------------------------------------------------- timers

  #arm(now: number): void {
    const isOpening = this.state === "syn-sent" || this.state === "syn-received";
    if (!isOpening) this.timers.arm(this.#source.send, this.state !== "time-wait", now);
    this.#events.deadline(this.timers.next);
  }

  /** Does what is due by now. */
  expire(now: number): void {
    const { timers } = this;
    const { send, settings } = this.#source;
    if (timers.waitUntil <= now) return void this.#events.finish("finished");
    if (timers.ackAt <= now) {
      timers.ackAt = NEVER;
      this.ackSoon();
    }
    if (timers.persistAt <= now) this.#probe();
    if (timers.retransmitAt > now) return;
    timers.retransmitAt = NEVER;
    if (now - timers.troubleAt >= settings.giveUpAfter) {
      if (this.state !== "syn-sent") this.emit(RST | ACK, send.max, 0);
      return void this.#events.finish("timeout");
    }
    if (this.state === "syn-sent" || this.state === "syn-received") {
      send.backOff();
      this.#isSynDue = true;
    } else send.timeout();
    this.mark();
  }

  /** The window has been too small for a while: asks, with an octet beyond it if it is shut. */
  #probe(): void {
    const { send } = this.#source;
    this.timers.probed();
    this.mark();
    if (send.window > 0) {
      send.override = true;
      return;
    }
    if (send.probe()) this.emit(ACK | (send.pickFin ? FIN : 0), send.pickAt, send.pickLength);
    if (send.pickFin) this.#finSent();
  }
}
