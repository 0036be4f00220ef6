/**
 * Host sockets for `datagram-world`: carries out the engine's operations on UDP and ping sockets,
 * with answers that a test scripts. The engine is told that its memory lies at HOST_BASE, so an
 * address it forgot to translate is found out.
 */
import assert from "node:assert/strict";
import type { Engine } from "../../src/engine/engine.ts";
import * as abi from "../../wasm/abi.ts";
import { EAGAIN } from "../../wasm/errno.ts";
import { concat, ip, ipText, type Octets, octetsOf, u16 } from "./packet.ts";

export {
  EACCES,
  EAGAIN,
  ECONNREFUSED,
  EHOSTUNREACH,
  EINVAL,
  EIO,
  EMSGSIZE,
  ENETUNREACH,
} from "../../wasm/errno.ts";

/** Where the engine's memory is said to be. */
export const HOST_BASE = 0x7f12_3456_0000n;

/** One message of a sendmmsg as the host sees it. */
export interface Message {
  /** "0.0.0.0" and 0: the message names no destination. */
  readonly address: string;
  readonly port: number;
  readonly payload: Uint8Array;
  /** Lengths of the iovecs. */
  readonly pieces: readonly number[];
  /** Control messages, 0 = absent. */
  readonly segment: number;
  readonly ttl: number;
  readonly tos: number;
  /** IP_PKTINFO: the address it is to leave from. */
  readonly from: string;
}

export interface Arrival {
  readonly address: string;
  readonly port: number;
  readonly payload: Uint8Array;
  /** UDP_GRO. */
  readonly segment?: number;
  readonly ttl?: number;
  readonly tos?: number;
  /** Address of the host it was sent to. */
  readonly asked?: string;
}

export interface QueuedError {
  readonly errno: number;
  /** 1 local, 2 ICMP. */
  readonly origin?: number;
  readonly type?: number;
  readonly code?: number;
  readonly info?: number;
  readonly offender?: string;
  readonly address: string;
  readonly port: number;
  readonly payload?: Octets;
}

/** A script for sends: how many messages are taken, or a negative errno; undefined = all. */
export type SendRule = (messages: readonly Message[]) => number | undefined;

export class HostSocket {
  readonly handle: number;
  readonly kind: "udp" | "ping";
  /** Source port or identifier asked for; 0 = any. */
  readonly preferred: number;
  /** Where it is connected to. */
  readonly address: string;
  readonly port: number;
  /** What was taken from the guest. */
  readonly sent: Message[] = [];
  /** Sizes of all sendmmsg calls, refused ones too. */
  readonly calls: number[] = [];
  readonly arrivals: Arrival[] = [];
  readonly errors: QueuedError[] = [];
  /** errno values the next receives fail with. */
  readonly receiveErrors: number[] = [];
  closed = false;
  events = 0;

  constructor(
    handle: number,
    kind: "udp" | "ping",
    preferred: number,
    address: string,
    port: number,
  ) {
    this.handle = handle;
    this.kind = kind;
    this.preferred = preferred;
    this.address = address;
    this.port = port;
  }

  /** A datagram or a run of them arrives. */
  receive(payload: Octets, address = this.address, port = this.port, more: Partial<Arrival> = {}) {
    this.arrivals.push({ address, port, payload: octetsOf(payload), ...more });
    this.events |= abi.EVENT_READABLE;
  }

  queueError(error: QueuedError): void {
    this.errors.push(error);
    this.events |= abi.EVENT_ERROR;
  }

  get texts(): string[] {
    return this.sent.map(({ payload }) => new TextDecoder().decode(payload));
  }
}

/** All host sockets of an engine. */
export class DatagramHost {
  /** What opens said of the guest's port and its spot. */
  readonly opens: number[] = [];
  /** Results of the next opens; 0 when there are no more. */
  readonly openResults: number[] = [];
  /** Decides about every sendmmsg. */
  onSend: SendRule = () => undefined;
  /** Octets of a packet on the way to an address, or a negative errno. */
  pathMtu: (address: string) => number = () => 65_535;
  /** Kinds of all operations in order. */
  readonly log: number[] = [];
  /** Every message that was taken, in order: where its socket is connected to, and what it is. */
  readonly deliveries: { readonly address: string; readonly payload: Uint8Array }[] = [];
  /** All sockets ever opened. */
  readonly sockets: HostSocket[] = [];
  readonly #live = new Map<number, HostSocket>();
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Sockets that are open. */
  get live(): HostSocket[] {
    return [...this.#live.values()];
  }

  /** Offset and size an iovec says, checked. */
  piece(iov: number): readonly [number, number] {
    const at = this.#offset(iov + abi.IOV_BASE_OFFSET);
    const size = Number(this.#engine.view.getBigUint64(iov + abi.IOV_LENGTH_OFFSET, true));
    assert.ok(at > 0 && at + size <= this.#engine.octets.length, "an iovec inside of memory");
    return [at, size];
  }

  /** Engine offset of a host address in memory; 0 for a null pointer. */
  #offset(at: number): number {
    const address = this.#engine.view.getBigUint64(at, true);
    if (address === 0n) return 0;
    assert.ok(address > HOST_BASE, "an address of the host");
    return Number(address - HOST_BASE);
  }

  /** Carries out all waiting operations and writes their results. */
  execute(): void {
    const { view, opBase, opCount } = this.#engine;
    for (let i = 0; i < opCount; i += 1) {
      const op = opBase + i * abi.OP_SIZE;
      view.setInt32(op + abi.OP_RESULT_OFFSET, this.#operation(op), true);
    }
  }

  #operation(op: number): number {
    const { view } = this.#engine;
    const word = (offset: number): number => view.getUint32(op + offset, true);
    const kind = word(abi.OP_KIND_OFFSET);
    const handle = word(abi.OP_HANDLE_OFFSET);
    this.log.push(kind);
    if (kind === abi.OP_UDP_OPEN || kind === abi.OP_PING_OPEN) {
      const result = this.openResults.shift() ?? 0;
      const address = ipText(word(abi.OP_B_OFFSET));
      const name = kind === abi.OP_UDP_OPEN ? "udp" : "ping";
      // Without an address it is the guest's port, for a host with published ones.
      const port = address === "0.0.0.0" ? 0 : word(abi.OP_C_OFFSET);
      const socket = new HostSocket(handle, name, word(abi.OP_A_OFFSET), address, port);
      this.opens.push(word(abi.OP_C_OFFSET));
      this.add(socket);
      if (result < 0) this.#forget(socket);
      return result;
    }
    const socket = this.#live.get(handle);
    assert.ok(socket !== undefined, `operation ${kind} on a known handle`);
    const pointer = word(abi.OP_POINTER_OFFSET);
    const count = word(abi.OP_COUNT_OFFSET);
    if (kind === abi.OP_UDP_SEND) return this.#send(socket, pointer, count);
    if (kind === abi.OP_UDP_RECV) return this.#receive(socket, pointer, count);
    if (kind === abi.OP_RECV_ERROR) return this.#receiveError(socket, pointer);
    if (kind === abi.OP_PATH_MTU) return this.pathMtu(ipText(word(abi.OP_B_OFFSET)));
    assert.equal(kind, abi.OP_CLOSE);
    this.#forget(socket);
    return 0;
  }

  add(socket: HostSocket): void {
    assert.ok(!this.#live.has(socket.handle), "a handle without socket");
    this.#live.set(socket.handle, socket);
    this.sockets.push(socket);
  }

  #forget(socket: HostSocket): void {
    this.#live.delete(socket.handle);
    socket.closed = true;
  }

  #message(at: number): Message {
    const { octets, view } = this.#engine;
    const iov = this.#offset(at + abi.MSG_IOV_OFFSET);
    const count = Number(view.getBigUint64(at + abi.MSG_IOV_COUNT_OFFSET, true));
    const pieces = Array.from({ length: count }, (_, i) => this.piece(iov + 16 * i));
    const name = this.#offset(at + abi.MSG_NAME_OFFSET);
    if (name !== 0) assert.equal(view.getUint16(name, true), 2, "AF_INET");
    return {
      address: name === 0 ? "0.0.0.0" : ipText(view.getUint32(name + 4)),
      port: name === 0 ? 0 : view.getUint16(name + 2),
      payload: concat(...pieces.map(([p, size]) => octets.slice(p, p + size))),
      pieces: pieces.map(([, size]) => size),
      ...this.#control(at),
    };
  }

  #control(at: number): Pick<Message, "segment" | "ttl" | "tos" | "from"> {
    const { view } = this.#engine;
    const found = { segment: 0, ttl: 0, tos: 0, from: "" };
    const control = this.#offset(at + abi.MSG_CONTROL_OFFSET);
    const length = Number(view.getBigUint64(at + abi.MSG_CONTROL_LENGTH_OFFSET, true));
    for (let offset = 0; offset < length; ) {
      const p = control + offset;
      const size = Number(view.getBigUint64(p, true));
      const kind = `${view.getInt32(p + 8, true)}/${view.getInt32(p + 12, true)}/${size}`;
      if (kind === "17/103/18") found.segment = view.getUint16(p + 16, true);
      else if (kind === "0/2/20") found.ttl = view.getInt32(p + 16, true);
      else if (kind === "0/1/20") found.tos = view.getInt32(p + 16, true);
      else if (kind === "0/8/28") {
        assert.equal(view.getInt32(p + 16, true), 0, "no interface");
        found.from = ipText(view.getUint32(p + 20));
      } else assert.fail(`wanted a known control message, not "${kind}"`);
      offset += (size + 7) & ~7;
    }
    return found;
  }

  #send(socket: HostSocket, pointer: number, count: number): number {
    const messages = Array.from({ length: count }, (_, i) =>
      this.#message(pointer + i * abi.MSG_SIZE),
    );
    socket.calls.push(count);
    const taken = this.onSend(messages) ?? count;
    for (const message of messages.slice(0, Math.max(taken, 0))) {
      socket.sent.push(message);
      this.deliveries.push({ address: socket.address, payload: message.payload });
    }
    return taken;
  }

  #receive(socket: HostSocket, pointer: number, count: number): number {
    const errno = socket.receiveErrors.shift();
    if (errno !== undefined) return -errno;
    const arrivals = socket.arrivals.splice(0, count);
    arrivals.forEach((arrival, i) => {
      const at = pointer + i * abi.MSG_SIZE;
      this.#fill(at, arrival);
      const { segment, ttl, tos, asked } = arrival;
      this.#writeControl(at, [
        ...(ttl === undefined ? [] : [{ level: 0, type: 2, data: u32le(ttl) }]),
        ...(tos === undefined ? [] : [{ level: 0, type: 1, data: Uint8Array.of(tos) }]),
        ...(asked === undefined ? [] : [{ level: 0, type: 8, data: pktinfo(asked) }]),
        ...(segment === undefined ? [] : [{ level: 17, type: 104, data: u32le(segment) }]),
      ]);
    });
    return arrivals.length > 0 ? arrivals.length : -EAGAIN;
  }

  /** Copies an arrival into the message's buffer and writes name, length and flags. */
  #fill(at: number, { address, port, payload }: Omit<Arrival, "segment">): void {
    const { octets, view } = this.#engine;
    const [p, size] = this.piece(this.#offset(at + abi.MSG_IOV_OFFSET));
    octets.set(payload.subarray(0, size), p);
    view.setUint32(at + abi.MSG_RECEIVED_OFFSET, Math.min(size, payload.length), true);
    view.setUint32(at + abi.MSG_FLAGS_OFFSET, payload.length > size ? 0x20 : 0, true);
    const name = this.#offset(at + abi.MSG_NAME_OFFSET);
    octets.set(sockaddr(address, port), name);
    view.setUint32(at + abi.MSG_NAME_LENGTH_OFFSET, 16, true);
  }

  #writeControl(
    at: number,
    list: readonly { level: number; type: number; data: Uint8Array }[],
  ): void {
    const { octets, view } = this.#engine;
    const control = this.#offset(at + abi.MSG_CONTROL_OFFSET);
    let offset = 0;
    for (const { level, type, data } of list) {
      view.setBigUint64(control + offset, BigInt(16 + data.length), true);
      view.setInt32(control + offset + 8, level, true);
      view.setInt32(control + offset + 12, type, true);
      octets.set(data, control + offset + 16);
      offset += (16 + data.length + 7) & ~7;
    }
    view.setBigUint64(at + abi.MSG_CONTROL_LENGTH_OFFSET, BigInt(offset), true);
  }

  #receiveError(socket: HostSocket, at: number): number {
    const error = socket.errors.shift();
    if (error === undefined) return -EAGAIN;
    const { errno, origin = 2, type = 0, code = 0, info = 0, offender } = error;
    const payload = octetsOf(error.payload ?? "");
    this.#fill(at, { address: error.address, port: error.port, payload });
    const far = offender === undefined ? new Uint8Array(16) : sockaddr(offender, 0);
    const head = concat(u32le(errno), Uint8Array.of(origin, type, code, 0), u32le(info), u32le(0));
    this.#writeControl(at, [{ level: 0, type: 11, data: concat(head, far) }]);
    return payload.length;
  }
}

/** struct in_pktinfo as the kernel fills it for a unicast datagram. */
function pktinfo(address: string): Uint8Array {
  const octets = sockaddr(address, 0).slice(4, 8);
  return concat(u32le(7), octets, octets);
}

function u32le(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
}

/** struct sockaddr_in. */
function sockaddr(address: string, port: number): Uint8Array {
  const number = ip(address);
  const octets = [24, 16, 8, 0].map((shift) => (number >>> shift) & 0xff);
  return concat(Uint8Array.of(2, 0), u16(port), Uint8Array.from(octets), new Uint8Array(8));
}
