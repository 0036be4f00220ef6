/**
 * The name server behind the guest's DNS address, where an upstream resolves: sockets that take
 * questions and give the answers back.
 *
 * The engine goes to a resolver by an address; this one stands at RESOLVER, an address for
 * documentation (RFC 5737) that nobody else has, port 53 of UDP and TCP. Questions that wait are
 * bounded, and no more are asked while the guest does not take the answers; one that fails is left
 * without an answer over UDP, as the engine asks again or tells the guest, and ends the connection
 * over TCP.
 *
 * Source: RFC 1035 §4.2, RFC 7766 §8 (length in front of each message over TCP).
 */

import { joined } from "../upstream/messages.ts";
import { HEADER_SIZE, readU16 } from "./dns-message.ts";
import { fitted } from "./dns-room.ts";
import {
  type Datagram,
  END,
  type Endpoint,
  type TcpEvents,
  type TcpSocket,
  type UdpEvents,
  type UdpSocket,
} from "./upstream.ts";

export const RESOLVER: Endpoint = { address: "192.0.2.53", port: 53 };

/** Answers a message. */
export type Resolve = (question: Uint8Array) => Promise<Uint8Array>;

/** Questions of one socket that wait for their answers. */
const WAITING_MAX = 64;
const LENGTH_SIZE = 2;
const MESSAGE_MAX = 0xffff;

/** Whether an endpoint is the name server's. */
export function isResolver({ address, port }: Endpoint): boolean {
  return address === RESOLVER.address && port === RESOLVER.port;
}

export class NameSocket implements UdpSocket {
  readonly port = 0;
  readonly #resolve: Resolve;
  readonly #events: UdpEvents;
  readonly #answers: Uint8Array[] = [];
  #waiting = 0;
  #isClosed = false;

  constructor(resolve: Resolve, events: UdpEvents) {
    this.#resolve = resolve;
    this.#events = events;
  }

  send(payload: Uint8Array): boolean {
    if (this.#waiting + this.#answers.length >= WAITING_MAX) return false;
    this.#waiting += 1;
    this.#ask(payload.slice());
    return true;
  }

  async #ask(question: Uint8Array): Promise<void> {
    try {
      const answer = await this.#resolve(question);
      if (this.#isClosed || answer.length > MESSAGE_MAX) return;
      this.#answers.push(fitted(answer, question));
      this.#events.readable();
    } catch {
      // No answer: the guest hears SERVFAIL once the engine's patience is over.
    } finally {
      this.#waiting -= 1;
    }
  }

  receive(): Datagram | undefined {
    const payload = this.#answers.shift();
    return payload && { from: RESOLVER, payload };
  }

  close(): void {
    this.#isClosed = true;
    this.#answers.length = 0;
  }
}

/** The same over TCP. */
export class NameStream implements TcpSocket {
  readonly #resolve: Resolve;
  readonly #events: TcpEvents;
  #unread: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** Answers for the guest, one behind the other. */
  #answers: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #waiting = 0;
  #hasEnded = false;
  #isClosed = false;
  #isFull = false;

  constructor(resolve: Resolve, events: TcpEvents) {
    this.#resolve = resolve;
    this.#events = events;
    events.connected();
  }

  send(pieces: readonly Uint8Array[]): number {
    if (this.#unread.length > MESSAGE_MAX) {
      this.#isFull = true;
      return 0;
    }
    const fresh = joined(pieces);
    this.#unread = joined([this.#unread, fresh]);
    this.#read();
    return fresh.length;
  }

  /** Asks what has come in as a whole, as long as questions may wait. */
  #read(): void {
    let at = 0;
    while (!this.#isClosed && this.#unread.length >= at + LENGTH_SIZE) {
      if (this.#waiting >= WAITING_MAX || this.#answers.length > MESSAGE_MAX) break;
      const size = readU16(this.#unread, at);
      if (size < HEADER_SIZE) {
        this.close(); // no question, nor will what follows be one
        this.#events.failed("ECONNRESET");
        return;
      }
      const end = at + LENGTH_SIZE + size;
      if (this.#unread.length < end) break;
      this.#waiting += 1;
      this.#ask(this.#unread.slice(at + LENGTH_SIZE, end));
      at = end;
    }
    if (at > 0) this.#unread = this.#unread.subarray(at);
  }

  async #ask(question: Uint8Array): Promise<void> {
    try {
      const answer = await this.#resolve(question);
      if (this.#isClosed) return;
      if (answer.length > MESSAGE_MAX) throw new RangeError("an answer is too long");
      const length = Uint8Array.of(answer.length >> 8, answer.length & 0xff);
      this.#answers = joined([this.#answers, length, answer]);
      this.#events.readable();
    } catch {
      if (!this.#isClosed) this.#events.failed("ECONNRESET");
    } finally {
      this.#waiting -= 1;
      this.#goOn();
    }
  }

  #goOn(): void {
    if (this.#isClosed) return;
    this.#read();
    if (this.#hasEnded && this.#waiting === 0) this.#events.readable();
    if (!this.#isFull) return;
    this.#isFull = false;
    this.#events.writable();
  }

  receive(pieces: readonly Uint8Array[]): number {
    let filled = 0;
    for (const piece of pieces) {
      const part = this.#answers.subarray(filled, filled + piece.length);
      piece.set(part);
      filled += part.length;
    }
    if (filled > 0) {
      this.#answers = this.#answers.subarray(filled);
      this.#goOn();
      return filled;
    }
    return this.#hasEnded && this.#waiting === 0 ? END : 0;
  }

  shutdown(): void {
    this.#hasEnded = true;
    this.#goOn();
  }

  close(): void {
    this.#isClosed = true;
    this.#answers = this.#unread = new Uint8Array(0);
  }
}
