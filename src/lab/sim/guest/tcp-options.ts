/**
 * What can be set about the connections of the modelled guest, misbehaviour included, and what a
 * connection asks of its owner.
 */
import type { Header } from "./tcp-segment.ts";

/** RFC 9293 §3.3.2; LISTEN is the owner's. */
export type TcpState =
  | "closed"
  | "syn-sent"
  | "syn-received"
  | "established"
  | "fin-wait-1"
  | "fin-wait-2"
  | "close-wait"
  | "closing"
  | "last-ack"
  | "time-wait";

/** How a connection ended: both sides closed, or what broke it. */
export type CloseReason = "finished" | "reset" | "refused" | "unreachable" | "timeout" | "aborted";

/** Called in the middle of input and timers; every call into the connection is allowed. */
export interface EventsOf<Connection> {
  opened?(connection: Connection): void;
  readable?(connection: Connection): void;
  /** Half of the buffer is free again, after a write that was not taken whole. */
  writable?(connection: Connection): void;
  /** The peer sends no more; what it sent may still wait to be read. */
  ended?(connection: Connection): void;
  /** Once; when both directions have ended, or when the connection broke. */
  closed?(reason: CloseReason, connection: Connection): void;
}

export interface TcpSettings {
  /** Largest MSS to announce; the MTU may make it less. */
  readonly mss: number;
  /** Shift count to offer; undefined = no scaling. */
  readonly windowScale: number | undefined;
  readonly sack: boolean;
  readonly timestamps: boolean;
  /** Octets; a tiny receive buffer makes for tiny windows. */
  readonly sendBuffer: number;
  readonly receiveBuffer: number;
  /** Microseconds an acknowledgment may wait; 0 = every segment is acknowledged at once. */
  readonly delayedAck: number;
  /** Microseconds. */
  readonly rtoMin: number;
  readonly initialSegments: number;
  /** Frames may carry many segments: the link cuts them (TSO). */
  readonly offload: boolean;
  /** Microseconds in TIME-WAIT; short, as no old duplicate of the model lives long. */
  readonly timeWait: number;
  /** Microseconds without an answer after which the connection is given up. */
  readonly giveUpAfter: number;
  /** Initial sequence number; undefined = as it comes. */
  readonly initialSequence: number | undefined;
}

export const TCP_SETTINGS: TcpSettings = {
  mss: 65_495,
  windowScale: 7,
  sack: true,
  timestamps: true,
  sendBuffer: 1 << 20,
  receiveBuffer: 1 << 20,
  delayedAck: 40_000,
  rtoMin: 200_000,
  initialSegments: 10,
  offload: false,
  timeWait: 1_000_000,
  giveUpAfter: 180_000_000,
  initialSequence: undefined,
};

/** What a connection needs of the stack. */
export interface HandlersOf<Connection> {
  /** Microseconds. */
  readonly now: number;
  fault(text: string): void;
  /** Something may be due: `flush` is to be called. */
  dirty(connection: Connection): void;
  /** `timers` is to be called then; Infinity = no need. */
  deadline(connection: Connection, at: number): void;
  /** Forget the connection. */
  gone(connection: Connection): void;
  /** Sends header and `length` octets of payload from `sequence` on; false = no room. */
  transmit(connection: Connection, header: Header, sequence: number, length: number): boolean;
}
