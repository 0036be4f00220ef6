/**
 * The host's side of the engine, scripted: one fake socket per handle, which behaves like a
 * non-blocking Linux socket registered edge-triggered for IN|OUT|ERR|HUP|RDHUP. It carries out the
 * engine's operations, reads its iovecs and msghdrs (host base 0: addresses are engine offsets) and
 * throws when an operation breaks the contract of `wasm/abi.ts`.
 */

import type { Engine } from "../../src/engine/engine.ts";
import * as abi from "../../wasm/abi.ts";
import { EAGAIN, ENOTCONN } from "../../wasm/errno.ts";
import { FakeSocket, type SocketKind } from "./fake-socket.ts";
import { fillPieces, receiveStream, sendStream, takeErrno } from "./fake-stream.ts";
import { concat, ipText, octetsOf } from "./packet.ts";
import { type Endpoint, readName, writeName } from "./sockaddr.ts";

export {
  ECONNREFUSED,
  ECONNRESET,
  EHOSTUNREACH,
  ENETUNREACH,
  ETIMEDOUT,
} from "../../wasm/errno.ts";

/** How connect() ends: at once, later (`connected`, `fail`), or at once with an errno. */
export type ConnectOutcome = "ok" | "pending" | { readonly errno: number };

const SO_EE_ORIGIN_ICMP = 2;
const SO_EE_ORIGIN_ICMP6 = 3;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;

/** All sockets of an engine, and the policies for new ones. */
export class FakeHost {
  pathMtu = 65_535; // to anybody
  /** Decides how a connect ends. */
  connect: (address: string, port: number) => ConnectOutcome = () => "ok";
  /** Result of opening a datagram socket: 0, or a negative errno. */
  openResult = 0;
  /** Carries out OP_TCP_SEND of a msghdr in place of reading it here. */
  sendMessage: ((socket: FakeSocket, message: number, isUrgent: boolean) => number) | undefined;
  /** Ping sockets answer echo requests by themselves. */
  answersPing = true;
  /** Every socket ever opened, in order. */
  readonly sockets: FakeSocket[] = [];
  /** Every operation, as `OP_*` numbers, in order. */
  readonly log: number[] = [];
  readonly #live = new Map<number, FakeSocket>();
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** The only socket, the latest one, or the latest to that address and port. */
  socket(address?: string, port?: number): FakeSocket {
    const found = this.sockets.findLast(
      (socket) =>
        (address === undefined || socket.address === address) &&
        (port === undefined || socket.port === port),
    );
    if (found === undefined) throw new Error(`wanted a socket to "${address}:${port}"`);
    return found;
  }

  /** Sockets that are open. */
  get live(): readonly FakeSocket[] {
    return [...this.#live.values()].filter((socket) => !socket.isBroken);
  }

  get hasEvents(): boolean {
    return this.live.some((socket) => socket.events !== 0);
  }

  add(socket: FakeSocket): FakeSocket {
    const holder = this.#live.get(socket.handle);
    if (holder?.isBroken === false) throw new Error(`handle "${socket.handle}" is in use`);
    if (socket.handle === 0) throw new Error("handle 0 means no flow");
    this.#live.set(socket.handle, socket);
    this.sockets.push(socket);
    return socket;
  }

  /** Takes the sockets that have events, and their bits. */
  takeEvents(): (readonly [handle: number, events: number])[] {
    const found: (readonly [number, number])[] = [];
    for (const socket of this.#live.values()) {
      if (socket.events === 0 || socket.isBroken) continue;
      // epoll reports all that holds, whichever edge woke it.
      if (socket.kind !== "tcp" || (socket.isConnected && socket.sendRoom > 0)) {
        socket.events |= abi.EVENT_WRITABLE;
      }
      found.push([socket.handle, socket.events]);
      socket.events = 0;
    }
    return found;
  }

  /** Carries out every waiting operation in order and writes its result. */
  execute(): void {
    const { view, opBase, opCount } = this.#engine;
    if (opCount > abi.OP_CAPACITY_COUNT) throw new Error(`too many operations: "${opCount}"`);
    for (let i = 0; i < opCount; i += 1) {
      const op = opBase + i * abi.OP_SIZE;
      const result = this.#execute(op, view.getInt32(op + abi.OP_KIND_OFFSET, true));
      view.setInt32(op + abi.OP_RESULT_OFFSET, result, true);
    }
  }

  /** Carries out an operation that opens a socket; undefined = it is of another kind. */
  #opened(op: number, kind: number, handle: number): number | undefined {
    const { view } = this.#engine;
    const a = view.getUint32(op + abi.OP_A_OFFSET, true);
    const b = view.getUint32(op + abi.OP_B_OFFSET, true);
    const c = view.getUint32(op + abi.OP_C_OFFSET, true);
    switch (kind) {
      case abi.OP_TCP_CONNECT: {
        const to = this.#target(op) ?? { address: ipText(a), port: b };
        const result = this.#connect(handle, to.address, to.port);
        this.socket().tos = c;
        return result;
      }
      case abi.OP_UDP_OPEN: {
        const isLocal = view.getUint32(op + abi.OP_COUNT_OFFSET, true) === abi.FAMILY_LOCAL;
        const hasPort = b !== 0 || isLocal;
        const to = this.#target(op) ?? { address: ipText(b), port: hasPort ? c : 0 };
        return this.#open(handle, "udp", { ...to, preferred: a });
      }
      case abi.OP_PING_OPEN: {
        const { address } = this.#target(op) ?? { address: "0.0.0.0" };
        return this.#open(handle, "ping", { address, port: 0, preferred: a });
      }
    }
    return undefined;
  }

  #execute(op: number, kind: number): number {
    const { view } = this.#engine;
    this.log.push(kind);
    const handle = view.getUint32(op + abi.OP_HANDLE_OFFSET, true);
    const opened = this.#opened(op, kind, handle);
    if (opened !== undefined) return opened;
    const a = view.getUint32(op + abi.OP_A_OFFSET, true);
    const c = view.getUint32(op + abi.OP_C_OFFSET, true);
    const socket = this.#live.get(handle);
    if (socket === undefined) throw new Error(`operation ${kind} on unknown handle "${handle}"`);
    if (socket.isBroken && kind !== abi.OP_CLOSE) {
      throw new Error(`operation ${kind} on a socket that could not be opened`);
    }
    socket.ops.set(kind, (socket.ops.get(kind) ?? 0) + 1);
    const pointer = view.getUint32(op + abi.OP_POINTER_OFFSET, true);
    const count = view.getUint32(op + abi.OP_COUNT_OFFSET, true);
    switch (kind) {
      case abi.OP_TCP_SEND:
        if (this.sendMessage !== undefined) return this.sendMessage(socket, pointer, c === 1);
        return sendStream(socket, concat(...this.#pieces(pointer)), a, c === 1);
      case abi.OP_TCP_RECV:
        return receiveStream(socket, this.#pieces(pointer), a);
      case abi.OP_TCP_SHUTDOWN:
        if (socket.shutDown) throw new Error("shut down once, not twice");
        socket.shutDown = true;
        return socket.isConnected ? 0 : -ENOTCONN;
      case abi.OP_CLOSE:
        socket.closed = a === 1 ? "abort" : "orderly";
        this.#live.delete(handle);
        return 0;
      case abi.OP_UDP_SEND:
        return this.#sendDatagrams(socket, pointer, count);
      case abi.OP_UDP_RECV:
        return this.#receiveDatagrams(socket, pointer, count);
      case abi.OP_RECV_ERROR:
        return this.#receiveError(socket, pointer);
      case abi.OP_PATH_MTU:
        return this.pathMtu;
      case abi.OP_TCP_KEEPALIVE:
        socket.keepalive = a;
        return 0;
      case abi.OP_TCP_TOS:
        socket.tos = a;
        return 0;
      case abi.OP_TCP_AT_MARK:
        return socket.mark === 0 ? 1 : 0;
      case abi.OP_TCP_ERROR:
        return -takeErrno(socket);
      default:
        throw new Error(`wanted an operation of the ABI, not "${kind}"`);
    }
  }

  /** Where a socket of IPv6 goes, "::" and 0 if nowhere; undefined for one of IPv4. */
  #target(op: number): Endpoint | undefined {
    const { view } = this.#engine;
    if (view.getUint32(op + abi.OP_COUNT_OFFSET, true) !== abi.FAMILY_SIX) return undefined;
    const pointer = view.getUint32(op + abi.OP_POINTER_OFFSET, true);
    return pointer === 0 ? { address: "::", port: 0 } : readName(view, pointer, 28);
  }

  #connect(handle: number, address: string, port: number): number {
    const socket = this.add(new FakeSocket(handle, "tcp", { address, port, preferred: 0 }));
    const outcome = this.connect(address, port);
    if (outcome === "ok") {
      socket.connected();
      return 1;
    }
    if (outcome === "pending") return 0;
    socket.isBroken = true;
    return -outcome.errno;
  }

  #open(
    handle: number,
    kind: SocketKind,
    target: { readonly address: string; readonly port: number; readonly preferred: number },
  ): number {
    const socket = this.add(new FakeSocket(handle, kind, target));
    socket.isBroken = this.openResult < 0;
    return this.openResult;
  }

  // -------------------------------------------------------------- iovecs and messages

  /** The pieces of memory a message refers to, checked to lie inside the engine's memory. */
  #pieces(message: number): Uint8Array[] {
    const { octets, view } = this.#engine;
    const iov = Number(view.getBigUint64(message + abi.MSG_IOV_OFFSET, true));
    const count = Number(view.getBigUint64(message + abi.MSG_IOV_COUNT_OFFSET, true));
    if (count < 1 || count > 1024) throw new Error(`wanted 1 to 1024 iovecs, not "${count}"`);
    return Array.from({ length: count }, (_, i) => {
      const base = Number(view.getBigUint64(iov + i * abi.IOV_SIZE + abi.IOV_BASE_OFFSET, true));
      const length = Number(
        view.getBigUint64(iov + i * abi.IOV_SIZE + abi.IOV_LENGTH_OFFSET, true),
      );
      if (base === 0 || base + length > octets.length) {
        throw new Error(`iovec outside of memory: "${base}+${length}"`);
      }
      return octets.subarray(base, base + length);
    });
  }

  /** Destination in a message, else that of the socket. */
  #name(message: number, socket: FakeSocket): { address: string; port: number } {
    const { view } = this.#engine;
    const name = Number(view.getBigUint64(message + abi.MSG_NAME_OFFSET, true));
    const length = view.getUint32(message + abi.MSG_NAME_LENGTH_OFFSET, true);
    if (name === 0 || length === 0) return { address: socket.address, port: socket.port };
    return readName(view, name, length);
  }

  #setName(message: number, address: string, port: number): void {
    const { view } = this.#engine;
    const name = Number(view.getBigUint64(message + abi.MSG_NAME_OFFSET, true));
    if (name === 0) return;
    const length = writeName(view, name, { address, port });
    view.setUint32(message + abi.MSG_NAME_LENGTH_OFFSET, length, true);
  }

  /** UDP_SEGMENT in a message's control data, or 0. */
  #segmentSize(message: number): number {
    const { view } = this.#engine;
    const control = Number(view.getBigUint64(message + abi.MSG_CONTROL_OFFSET, true));
    const length = Number(view.getBigUint64(message + abi.MSG_CONTROL_LENGTH_OFFSET, true));
    for (let at = control; control !== 0 && at + 16 <= control + length; ) {
      const size = Number(view.getBigUint64(at, true));
      if (size < 16) throw new Error(`wanted a control message, not "${size}" octets`);
      const kind = [view.getInt32(at + 8, true), view.getInt32(at + 12, true)];
      if (kind[0] === SOL_UDP && kind[1] === UDP_SEGMENT) return view.getUint16(at + 16, true);
      at += (size + 7) & ~7;
    }
    return 0;
  }

  // -------------------------------------------------------------- datagrams

  #sendDatagrams(socket: FakeSocket, messages: number, count: number): number {
    if (count < 1) throw new Error("wanted at least one message");
    const errno = takeErrno(socket) || socket.sendErrno;
    if (errno > 0) return -errno;
    let sent = 0;
    for (; sent < count && socket.sendRoom > 0; sent += 1) {
      const message = messages + sent * abi.MSG_SIZE;
      const payload = concat(...this.#pieces(message));
      const target = this.#name(message, socket);
      socket.datagrams.push({ ...target, payload, segment: this.#segmentSize(message) });
      socket.sendRoom -= 1;
      if (socket.kind === "ping") this.#answerPing(socket, target.address, payload);
    }
    return sent > 0 ? sent : -EAGAIN;
  }

  #answerPing(socket: FakeSocket, address: string, request: Uint8Array): void {
    const [wanted, answer] = address.includes(":") ? [128, 129] : [8, 0];
    if (request[0] !== wanted) throw new Error(`a ping socket sends echoes, not "${request[0]}"`);
    if (!this.answersPing) return;
    const reply = Uint8Array.from(request);
    reply[0] = answer ?? 0;
    socket.receive(reply, { address, port: 0 });
  }

  #receiveDatagrams(socket: FakeSocket, messages: number, count: number): number {
    if (count < 1) throw new Error("wanted at least one message");
    const errno = takeErrno(socket);
    if (errno > 0) return -errno;
    const { view } = this.#engine;
    let received = 0;
    for (; received < count; received += 1) {
      const datagram = socket.incomingDatagrams.shift();
      if (datagram === undefined) break;
      const message = messages + received * abi.MSG_SIZE;
      const length = fillPieces(this.#pieces(message), datagram.payload);
      view.setUint32(message + abi.MSG_RECEIVED_OFFSET, length, true);
      this.#setName(message, datagram.address, datagram.port);
      view.setBigUint64(message + abi.MSG_CONTROL_LENGTH_OFFSET, 0n, true);
      const truncated = length < datagram.payload.length ? 0x20 : 0; // MSG_TRUNC
      view.setUint32(message + abi.MSG_FLAGS_OFFSET, truncated, true);
    }
    return received > 0 ? received : -EAGAIN;
  }

  #receiveError(socket: FakeSocket, message: number): number {
    const error = socket.errorQueue.shift();
    if (error === undefined) return -EAGAIN;
    const { view } = this.#engine;
    const length = fillPieces(this.#pieces(message), octetsOf(error.payload ?? ""));
    this.#setName(message, error.address, error.port);
    const control = Number(view.getBigUint64(message + abi.MSG_CONTROL_OFFSET, true));
    if (control === 0) throw new Error("wanted room for control data");
    const isSix = error.offender.includes(":");
    const size = 32 + writeName(view, control + 32, { address: error.offender, port: 0 });
    view.setBigUint64(control, BigInt(size), true);
    view.setInt32(control + 8, isSix ? 41 : 0, true); // SOL_IPV6, SOL_IP
    view.setInt32(control + 12, isSix ? 25 : 11, true); // IPV6_RECVERR, IP_RECVERR
    view.setUint32(control + 16, error.errno, true);
    view.setUint8(control + 20, isSix ? SO_EE_ORIGIN_ICMP6 : SO_EE_ORIGIN_ICMP);
    view.setUint8(control + 21, error.type);
    view.setUint8(control + 22, error.code);
    view.setUint8(control + 23, 0);
    view.setUint32(control + 24, error.info ?? 0, true);
    view.setUint32(control + 28, 0, true);
    view.setBigUint64(message + abi.MSG_CONTROL_LENGTH_OFFSET, BigInt(size), true);
    view.setUint32(message + abi.MSG_FLAGS_OFFSET, 0x2000, true); // MSG_ERRQUEUE
    return length;
  }
}
