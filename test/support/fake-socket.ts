/**
 * One socket of the fake host: it behaves like a non-blocking Linux socket registered
 * edge-triggered for IN|OUT|ERR|HUP|RDHUP, and what its far side does is scripted.
 */
import * as abi from "../../wasm/abi.ts";
import { concat, type Octets, octetsOf } from "./packet.ts";

const {
  EVENT_READABLE,
  EVENT_URGENT,
  EVENT_WRITABLE,
  EVENT_ERROR,
  EVENT_HANGUP,
  EVENT_READ_HANGUP,
} = abi;

export interface Datagram {
  readonly address: string;
  readonly port: number;
  readonly payload: Uint8Array;
}

export interface Sent extends Datagram {
  /** Size of each datagram when the kernel is to cut a run (UDP_SEGMENT), else 0. */
  readonly segment: number;
}

/** What the error queue says about a datagram or segment (struct sock_extended_err). */
export interface QueuedError {
  readonly errno: number;
  readonly type: number;
  readonly code: number;
  /** MTU of a "fragmentation needed". */
  readonly info?: number;
  /** Who sent the ICMP error. */
  readonly offender: string;
  /** Where the offending datagram went. */
  readonly address: string;
  readonly port: number;
  readonly payload?: Octets;
}

export type SocketKind = "tcp" | "udp" | "ping";

export class FakeSocket {
  readonly handle: number;
  readonly kind: SocketKind;
  /** Where it connects to; "0.0.0.0" and 0 when it does not. */
  readonly address: string;
  readonly port: number;
  /** Source port or identifier the engine asked for. */
  readonly preferred: number;
  /** Octets further sends may take; `room(n)` also tells the engine. */
  sendRoom = Number.POSITIVE_INFINITY;
  /** errno every send fails with; 0 = none. Unlike `fail` it stays. */
  sendErrno = 0;
  /** What the guest's side wrote, in order. */
  readonly streamParts: Uint8Array[] = [];
  readonly datagrams: Sent[] = [];
  /** SHUT_WR was carried out. */
  shutDown = false;
  closed: "no" | "orderly" | "abort" = "no";
  keepalive = 0;
  /** TOS that it was told to send with. */
  tos = 0;
  /** What the guest's side wrote as urgent, octet by octet. */
  readonly urgent: number[] = [];
  /** Octets that may be received before the urgent one; negative: there is none. */
  mark = -1;
  /** How many operations of each `OP_*` kind it has seen. */
  readonly ops = new Map<number, number>();
  isConnected = false;
  readonly incoming: Uint8Array[] = [];
  readonly incomingDatagrams: Datagram[] = [];
  readonly errorQueue: QueuedError[] = [];
  hasEnded = false;
  pendingErrno = 0;
  /** Opening failed: nothing but a close may follow. */
  isBroken = false;
  /** `EVENT_*` bits to be delivered in the next turn. */
  events = 0;

  constructor(
    handle: number,
    kind: SocketKind,
    target: { readonly address: string; readonly port: number; readonly preferred: number },
  ) {
    this.handle = handle;
    this.kind = kind;
    this.address = target.address;
    this.port = target.port;
    this.preferred = target.preferred;
  }

  /** Everything the guest's side wrote. */
  get stream(): Uint8Array {
    return concat(...this.streamParts);
  }

  get text(): string {
    return new TextDecoder().decode(this.stream);
  }

  // -------------------------------------------------------------- what the far side does

  /** A pending connect succeeds. */
  connected(): void {
    this.isConnected = true;
    this.events |= EVENT_WRITABLE;
  }

  /** The socket breaks: refused, reset, timed out, by the next operation's errno. */
  fail(errno: number): void {
    this.pendingErrno = errno;
    this.hasEnded = true;
    this.events |= EVENT_READABLE | EVENT_WRITABLE | EVENT_ERROR | EVENT_HANGUP | EVENT_READ_HANGUP;
  }

  /** The far side sends octets of a stream. */
  push(data: Octets): void {
    this.incoming.push(octetsOf(data));
    this.events |= EVENT_READABLE;
  }

  /** The far side sends octets, the last of them marked as urgent. */
  pushUrgent(data: Octets): void {
    const before = this.incoming.reduce((sum, part) => sum + part.length, 0);
    this.push(data);
    this.mark = before + octetsOf(data).length - 1;
    this.events |= EVENT_URGENT;
  }

  /** The far side sends its FIN. */
  end(): void {
    this.hasEnded = true;
    this.events |= EVENT_READABLE | EVENT_READ_HANGUP;
    if (this.shutDown) this.events |= EVENT_HANGUP;
  }

  /** A datagram (an ICMP message for ping sockets) arrives, from the connected peer by default. */
  receive(payload: Octets, from: { address?: string; port?: number } = {}): void {
    const { address = this.address, port = this.port } = from;
    this.incomingDatagrams.push({ address, port, payload: octetsOf(payload) });
    this.events |= EVENT_READABLE;
  }

  /** An ICMP error comes in for something this socket sent. */
  queueError(error: QueuedError): void {
    this.errorQueue.push(error);
    this.events |= EVENT_ERROR;
  }

  /** Lets sends take `octets` from now on. */
  room(octets: number): void {
    this.sendRoom = octets;
    if (octets > 0) this.events |= EVENT_WRITABLE;
  }
}
