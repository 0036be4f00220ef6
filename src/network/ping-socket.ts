/**
 * A ping socket above an upstream that sends echoes: the messages of the engine begin with their
 * ICMP header, as those of Linux' unprivileged ping sockets do.
 * Source: RFC 792, RFC 4443 §4.1; icmp(7).
 */
import { joined } from "../upstream/messages.ts";
import type { Datagram, Endpoint, UdpEvents, UdpSocket, Upstream } from "./upstream.ts";

const HEADER_SIZE = 8;
/** Type of an echo request, and of the reply, by version of IP. */
const TYPES = { 4: [8, 0], 6: [128, 129] } as const;
/** Requests of one socket that wait for their replies, and replies for the guest. */
const WAITING_MAX = 64;

export type Ping = NonNullable<Upstream["ping"]>;

export class PingSocket implements UdpSocket {
  readonly port = 0;
  readonly #ping: Ping;
  readonly #events: UdpEvents;
  readonly #types: readonly [request: number, reply: number];
  readonly #replies: Datagram[] = [];
  #waiting = 0;
  #isClosed = false;

  constructor(ping: Ping, family: 4 | 6, events: UdpEvents) {
    this.#ping = ping;
    this.#events = events;
    this.#types = TYPES[family];
  }

  send(payload: Uint8Array, to: Endpoint): boolean {
    const isEcho = payload.length >= HEADER_SIZE && payload[0] === this.#types[0];
    if (!isEcho || this.#waiting + this.#replies.length >= WAITING_MAX) return false;
    this.#waiting += 1;
    this.#ask(payload.slice(), to);
    return true;
  }

  async #ask(request: Uint8Array, from: Endpoint): Promise<void> {
    try {
      const data = await this.#ping(from.address, request.slice(HEADER_SIZE));
      if (data === undefined || this.#isClosed) return;
      const header = request.slice(0, HEADER_SIZE);
      header[0] = this.#types[1];
      this.#replies.push({ from, payload: joined([header, data]) });
      this.#events.readable();
    } catch {
      // No reply: the guest's own patience ends it.
    } finally {
      this.#waiting -= 1;
    }
  }

  receive(): Datagram | undefined {
    return this.#replies.shift();
  }

  close(): void {
    this.#isClosed = true;
    this.#replies.length = 0;
  }
}
