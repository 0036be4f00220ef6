/**
 * What a network needs of the outside, for whoever provides it: TCP connections, datagrams, and
 * where they can be had echoes and names.
 *
 * An upstream is to the engine what a kernel is to a program, in its non-blocking form: nothing
 * here waits. A call does what can be done now and says how much that was; news come by the events
 * of a socket. News are edges: they tell that something has changed since a call did less than it
 * was asked to, and telling once too often does no harm. They may come within the call that opens
 * the socket.
 *
 * Success is never made up: `connected` means that the far side has accepted, octets count as taken
 * once they cannot be lost on this side any more, an echo is one that came back.
 *
 * `SocketOperations` (`socket-operations.ts`) carries the engine's operations out on it.
 */
import type { ErrorCode } from "./error-numbers.ts";

export type { ErrorCode } from "./error-numbers.ts";

/** Address and port; IPv4 as `192.0.2.1`, IPv6 as `2001:db8::1` in the form of RFC 5952. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Where a connection goes. */
export interface TcpTarget extends Endpoint {
  /** Octet of TOS or traffic class of the guest's packets; to be honoured where it can be. */
  readonly tos: number;
}

/** What a stream socket tells. */
export interface TcpEvents {
  /** The far side has accepted; it may be sent to. */
  connected(): void;
  /** There is something to receive, or, once all of that is received, the far side's end. */
  readable(): void;
  /** There is room again after `send` has taken less than it was given. */
  writable(): void;
  /** The connection, or the attempt, has failed. Nothing follows. */
  failed(code: ErrorCode): void;
}

/** What `receive` returns once the far side has said its last. */
export const END = -1;

/** One TCP connection. */
export interface TcpSocket {
  /**
   * Takes octets of these pieces, in order. They are the engine's memory: what is kept is copied
   * before this returns.
   * @returns how many; fewer than there are, or 0: `writable` follows
   */
  send(pieces: readonly Uint8Array[]): number;
  /**
   * Fills these pieces, in order.
   * @returns octets; fewer than there is room for, or 0: that was all, and `readable` follows when
   *   there is more; `END`
   */
  receive(pieces: readonly Uint8Array[]): number;
  /** Nothing more will be sent: the far side is told once it has all that was. */
  shutdown(): void;
  /**
   * The engine has done with it. Nothing is told from then on.
   * @param abort reset the connection; else what was taken still arrives
   */
  close(abort: boolean): void;
  /** Has the connection looked after so often while nothing moves, seconds; 0 = not at all. */
  keepAlive?(seconds: number): void;
}

/** What a datagram socket tells. */
export interface UdpEvents {
  /** There is something to receive. */
  readable(): void;
  /** A datagram was refused on its way: the guest is told by ICMP. No `to`: the socket's peer. */
  refused(code: ErrorCode, to?: Endpoint, payload?: Uint8Array): void;
}

export interface Datagram {
  readonly from: Endpoint;
  readonly payload: Uint8Array;
}

export interface UdpOptions {
  readonly family: 4 | 6;
  /** Port that is asked for; 0 = any. */
  readonly port: number;
  /** The only peer, if there is one. */
  readonly peer?: Endpoint | undefined;
}

/** A port of UDP. */
export interface UdpSocket {
  /** Port that it has, 0 = not known. */
  readonly port: number;
  /**
   * Sends one datagram; the payload is the engine's memory and is copied where it is kept.
   * @returns false where it was dropped for want of room
   */
  send(payload: Uint8Array, to: Endpoint): boolean;
  /** The next that came in; undefined = none. What does not fit the queue is dropped before. */
  receive(): Datagram | undefined;
  close(): void;
}

export interface Upstream {
  /** Versions of IP that it reaches; absent = both. */
  readonly families?: readonly (4 | 6)[];
  /**
   * Opens a connection. What fails at once is told by `failed`, too.
   */
  connect(target: TcpTarget, events: TcpEvents): TcpSocket;
  /** Opens a port; undefined = it cannot have one. */
  openUdp(options: UdpOptions, events: UdpEvents): UdpSocket | undefined;
  /**
   * Sends an echo request and waits for the reply.
   * @returns the data that came back; a rejection or undefined: none did
   */
  ping?(address: string, data: Uint8Array): Promise<Uint8Array | undefined>;
  /**
   * Has a question to the name server answered (RFC 1035 §4: messages without length). Where it is
   * absent, what the guest sends to its name server goes to `resolvers` of the configuration.
   */
  resolve?(question: Uint8Array): Promise<Uint8Array>;
  /** The network ends: everything of it is closed. Idempotent. */
  close(): void;
}
