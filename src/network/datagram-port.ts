/** A datagram socket of an upstream as the engine's operations see it. */
import { EVENT_ERROR, EVENT_READABLE, MSG_SIZE } from "../../wasm/abi.ts";
import { EAGAIN, EMFILE } from "../../wasm/errno.ts";
import type { DatagramMessages, Refusal } from "./datagram-messages.ts";
import { errnoOf, errnoOfThrown } from "./error-numbers.ts";
import type { Endpoint, ErrorCode, UdpEvents, UdpSocket } from "./upstream.ts";

/** Refusals that wait to be told; what comes beyond is not. */
const REFUSALS_MAX = 16;

export class DatagramPort implements UdpEvents {
  readonly #peer: Endpoint | undefined;
  readonly #news: (bits: number) => void;
  #socket: UdpSocket | undefined;
  readonly #refusals: Refusal[] = [];
  #isClosed = false;

  constructor(peer: Endpoint | undefined, news: (bits: number) => void) {
    this.#peer = peer;
    this.#news = news;
  }

  /** The port it has, or the negative errno. */
  open(open: (events: UdpEvents) => UdpSocket | undefined): number {
    try {
      this.#socket = open(this);
    } catch (error) {
      return -errnoOfThrown(error);
    }
    if (this.#isClosed) this.#socket?.close();
    return this.#socket?.port ?? -EMFILE;
  }

  readable(): void {
    this.#news(EVENT_READABLE);
  }

  refused(code: ErrorCode, to = this.#peer, payload = new Uint8Array(0)): void {
    if (to === undefined || this.#refusals.length === REFUSALS_MAX) return;
    this.#refusals.push({ errno: errnoOf(code), to, payload: payload.slice() });
    this.#news(EVENT_ERROR);
  }

  /** Sends messages, each of which may be several datagrams; the number of those that went. */
  send(messages: DatagramMessages, first: number, count: number): number {
    for (let i = 0; i < count; i += 1) {
      const message = first + i * MSG_SIZE;
      const to = messages.name(message) ?? this.#peer;
      if (to === undefined) continue; // no address of IP: nobody gets it
      const payload = messages.gather(message);
      const segment = messages.segmentSize(message) || Math.max(1, payload.length);
      let at = 0;
      do {
        // What is dropped in the middle of a run is dropped, as by any network.
        const went = this.#socket?.send(payload.subarray(at, at + segment), to) ?? false;
        if (!went && at === 0) return i > 0 ? i : -EAGAIN;
        at += segment;
      } while (at < payload.length);
    }
    return count;
  }

  receive(messages: DatagramMessages, first: number, count: number): number {
    let received = 0;
    for (; received < count; received += 1) {
      const datagram = this.#socket?.receive();
      if (datagram === undefined) break;
      messages.deliver(first + received * MSG_SIZE, datagram.payload, datagram.from);
    }
    return received > 0 ? received : -EAGAIN;
  }

  receiveError(messages: DatagramMessages, message: number): number {
    const refusal = this.#refusals.shift();
    return refusal === undefined ? -EAGAIN : messages.deliverError(message, refusal);
  }

  /** Also while its socket is being opened, which is closed then. */
  close(_abort: boolean): void {
    this.#isClosed = true;
    this.#socket?.close();
  }
}
