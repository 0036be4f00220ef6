/**
 * Modelled datagram sockets of the host: UDP, DNS and ping, with the peers behind them.
 */
import * as abi from "../../../../wasm/abi.ts";
import { EAGAIN, ENETUNREACH } from "../../../../wasm/errno.ts";
import type { Endpoint, SimMessages, SocketError } from "./messages.ts";
import { HostSocket, type SocketOwner } from "./socket.ts";

const QUEUE_MAX = 256;
const RUN_OCTETS_MAX = 65_000;
const RUN_MAX = 64;

export interface Datagram {
  readonly peer: Endpoint;
  readonly payload: Uint8Array;
}

/** What happens to a datagram that left the host. */
export type DatagramFate = (socket: DatagramSocket, datagram: Datagram) => void;

export class DatagramSocket extends HostSocket {
  readonly kind: "udp" | "ping";
  /** Address and port it is connected to, if it is. */
  readonly connected: Endpoint | undefined;
  readonly #messages: SimMessages;
  readonly #fate: DatagramFate;
  readonly #queue: Datagram[] = [];
  readonly #errors: SocketError[] = [];
  /** Datagrams the engine has sent; those it has received. */
  sent = 0;
  received = 0;

  constructor(
    owner: SocketOwner,
    handle: number,
    kind: "udp" | "ping",
    connected: Endpoint | undefined,
    messages: SimMessages,
    fate: DatagramFate,
  ) {
    super(owner, handle);
    this.kind = kind;
    this.connected = connected;
    this.#messages = messages;
    this.#fate = fate;
  }

  get events(): number {
    let bits = abi.EVENT_WRITABLE;
    if (this.#queue.length > 0 || this.#errors.length > 0) bits |= abi.EVENT_READABLE;
    if (this.#errors.length > 0) bits |= abi.EVENT_ERROR;
    return bits;
  }

  /** Something came in for this socket; false = it is full. */
  arrive(datagram: Datagram): boolean {
    if (this.isClosed) return true;
    if (this.#queue.length >= QUEUE_MAX) return false;
    this.#queue.push(datagram);
    this.raiseData();
    return true;
  }

  arriveError(error: SocketError): void {
    if (this.isClosed) return;
    this.#errors.push(error);
    this.raise();
  }

  /** What sendmmsg(2) returns. */
  send(messages: number, count: number): number {
    if (count < 1) this.owner.fault("sends no message");
    if (this.owner.isOffline) return -ENETUNREACH;
    for (let i = 0; i < count; i += 1) {
      const message = messages + i * abi.MSG_SIZE;
      const target = this.#messages.name(message) ?? this.connected;
      if (target === undefined) {
        this.owner.fault("datagram without destination");
        continue;
      }
      const payload = this.#messages.gather(message);
      const segment = this.#messages.segmentSize(message) || Math.max(payload.length, 1);
      for (let at = 0; at === 0 || at < payload.length; at += segment) {
        this.sent += 1;
        this.#fate(this, { peer: target, payload: payload.subarray(at, at + segment) });
      }
    }
    return count;
  }

  /** What recvmmsg(2) returns. */
  receive(messages: number, count: number): number {
    if (count < 1) this.owner.fault("receives into no message");
    let filled = 0;
    while (filled < count && this.#queue.length > 0) {
      const message = messages + filled * abi.MSG_SIZE;
      const run = this.#takeRun();
      const [first] = run;
      if (first === undefined) break;
      const payload = concat(run.map((datagram) => datagram.payload));
      const segment = run.length > 1 ? first.payload.length : 0;
      this.#messages.deliver(message, payload, first.peer, segment);
      this.received += run.length;
      filled += 1;
    }
    return filled > 0 ? filled : -EAGAIN;
  }

  /** The oldest datagram, and those like it right behind it where the kernel makes runs of them. */
  #takeRun(): Datagram[] {
    const run: Datagram[] = [];
    let octets = 0;
    for (;;) {
      const [next] = this.#queue;
      if (next === undefined || !this.#fits(run, next, octets)) return run;
      this.#queue.shift();
      run.push(next);
      octets += next.payload.length;
      const [first] = run;
      if (!this.owner.faults.coalesces || this.kind === "ping") return run;
      if (first !== undefined && next.payload.length < first.payload.length) return run;
    }
  }

  #fits(run: readonly Datagram[], next: Datagram, octets: number): boolean {
    const [first] = run;
    if (first === undefined) return true;
    const { length } = next.payload;
    const samePeer = next.peer.address === first.peer.address && next.peer.port === first.peer.port;
    const roomy = run.length < RUN_MAX && octets + length <= RUN_OCTETS_MAX;
    return samePeer && roomy && length > 0 && length <= first.payload.length;
  }

  receiveError(message: number): number {
    const error = this.#errors.shift();
    return error === undefined ? -EAGAIN : this.#messages.deliverError(message, error);
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
