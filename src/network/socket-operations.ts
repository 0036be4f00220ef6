/**
 * Carries the engine's operations out on an `Upstream`, as `HostSockets` does with system calls.
 *
 * Theory of operation
 *   One socket per handle. Its events become EVENT_ bits in the queue of the loop, where several of
 *   one flow are one; what a socket that is closed still tells is dropped, so no event reaches the
 *   flow that has its slot next. Results are what the system calls of `wasm/abi/operations.ts`
 *   would return: octets, 0, or the negative errno.
 *
 *   An upstream is trusted to keep its contract as the kernel is, but what it throws while a socket
 *   is opened is one that could not be: a guest asks for addresses and ports of its own choice, and
 *   some runtimes throw for some of them.
 */
import * as abi from "../../wasm/abi.ts";
import * as errno from "../../wasm/errno.ts";
import type { Engine } from "../engine/engine.ts";
import { formatIpv4 } from "../lib/addr.ts";
import { Operation } from "../upstream/operation.ts";
import { EVENT_OF_FLOW, type Executor } from "../upstream/upstream.ts";
import { readName } from "./addresses.ts";
import { DatagramMessages } from "./datagram-messages.ts";
import { DatagramPort } from "./datagram-port.ts";
import type { EventQueue } from "./event-queue.ts";
import { isResolver, NameSocket, NameStream } from "./name-service.ts";
import { PingSocket } from "./ping-socket.ts";
import { StreamPort } from "./stream-port.ts";
import type { Endpoint, TcpEvents, TcpSocket, UdpEvents, Upstream } from "./upstream.ts";

/** The largest packet, where nobody knows of a bound on the way. */
const PATH_MTU = 65_535;

export class SocketOperations implements Executor {
  readonly #engine: Engine;
  readonly #messages: DatagramMessages;
  readonly #operation: Operation;
  readonly #upstream: Upstream;
  readonly #events: EventQueue;
  readonly #ports = new Map<number, StreamPort | DatagramPort>();
  /** Flows whose news are kept until the link has room, and their bits. */
  readonly #quiet = new Map<number, number>();
  #isClosed = false;

  constructor(engine: Engine, upstream: Upstream, events: EventQueue) {
    this.#engine = engine;
    this.#messages = new DatagramMessages(engine);
    this.#operation = new Operation(engine.integers);
    this.#upstream = upstream;
    this.#events = events;
  }

  /** Sockets that are open. */
  get openCount(): number {
    return this.#ports.size;
  }

  execute(base: number, count: number): void {
    const operation = this.#operation;
    for (let i = 0; i < count; i += 1) {
      operation.moveTo(base + i * abi.OP_SIZE);
      operation.result = this.#perform(operation);
    }
  }

  #perform(operation: Operation): number {
    const { kind, handle } = operation;
    if (this.#isClosed) return -errno.EBADF; // by what an operation before it has called
    if (kind === abi.OP_TCP_CONNECT) return this.#connect(operation);
    if (kind === abi.OP_UDP_OPEN) return this.#openUdp(operation);
    if (kind === abi.OP_PING_OPEN) return this.#openPing(operation);
    if (kind === abi.OP_PATH_MTU) return PATH_MTU;
    const port = this.#ports.get(handle);
    if (port === undefined) return -errno.EBADF;
    if (kind === abi.OP_CLOSE) return this.#close(handle, port, operation.isAbort);
    return port instanceof StreamPort
      ? this.#stream(operation, port)
      : this.#datagrams(operation, port);
  }

  #stream(operation: Operation, port: StreamPort): number {
    switch (operation.kind) {
      case abi.OP_TCP_SEND:
        return port.send(this.#messages.pieces(operation.pointer));
      case abi.OP_TCP_RECV:
        return port.receive(this.#messages.pieces(operation.pointer));
      case abi.OP_TCP_SHUTDOWN:
        return port.shutdown();
      case abi.OP_TCP_ERROR:
        return port.takeError();
      case abi.OP_TCP_KEEPALIVE:
        return port.keepAlive(operation.keepalive);
      default:
        // OP_TCP_TOS, OP_TCP_AT_MARK: nothing to be done, and no octet is an urgent one.
        return 0;
    }
  }

  #datagrams(operation: Operation, port: DatagramPort): number {
    const { pointer, messageCount } = operation;
    switch (operation.kind) {
      case abi.OP_UDP_SEND:
        return port.send(this.#messages, pointer, messageCount);
      case abi.OP_UDP_RECV:
        return port.receive(this.#messages, pointer, messageCount);
      case abi.OP_RECV_ERROR:
        return port.receiveError(this.#messages, pointer);
      default:
        return -errno.EBADF;
    }
  }

  // -------------------------------------------------------------- opening and closing

  #connect(operation: Operation): number {
    const { handle, connectTos: tos } = operation;
    const target = this.#target(operation, operation.connectAddress, operation.connectPort);
    if (target === undefined) return -errno.EAFNOSUPPORT;
    const { resolve } = this.#upstream;
    return this.#openStream(handle, (events) =>
      resolve !== undefined && isResolver(target)
        ? new NameStream((question) => resolve.call(this.#upstream, question), events)
        : this.#upstream.connect({ ...target, tos }, events),
    );
  }

  /**
   * Ties a connection that has come from outside to its flow.
   * @param open makes its socket, which is connected
   */
  adopt(handle: number, open: (events: TcpEvents) => TcpSocket): void {
    this.#openStream(handle | 0, open);
  }

  #openStream(handle: number, open: (events: TcpEvents) => TcpSocket): number {
    this.#forget(handle);
    const port = new StreamPort((bits) => this.#news(handle, port, bits));
    this.#ports.set(handle, port);
    const result = port.open(open);
    if (result < 0) this.#ports.delete(handle);
    return result;
  }

  #openUdp(operation: Operation): number {
    const { handle, family, sourcePort, peerAddress, pointer } = operation;
    if (operation.isLocal) return -errno.ENOSYS;
    const isConnected = (family === 6 ? pointer : peerAddress) !== 0;
    const target = isConnected
      ? this.#target(operation, peerAddress, operation.peerPort)
      : undefined;
    if (isConnected && target === undefined) return -errno.EAFNOSUPPORT;
    return this.#openPort(handle, target, (events) => {
      const { resolve } = this.#upstream;
      if (target !== undefined && resolve !== undefined && isResolver(target)) {
        return new NameSocket((question) => resolve.call(this.#upstream, question), events);
      }
      return this.#upstream.openUdp({ family, port: sourcePort, peer: target }, events);
    });
  }

  #openPing({ handle, family }: Operation): number {
    const { ping } = this.#upstream;
    if (ping === undefined) return -errno.EACCES;
    const call = ping.bind(this.#upstream);
    return this.#openPort(handle, undefined, (events) => new PingSocket(call, family, events));
  }

  #openPort(
    handle: number,
    peer: Endpoint | undefined,
    open: (events: UdpEvents) => ReturnType<Upstream["openUdp"]>,
  ): number {
    this.#forget(handle);
    const port = new DatagramPort(peer, (bits) => this.#news(handle, port, bits));
    this.#ports.set(handle, port);
    const result = port.open(open);
    if (result < 0) this.#ports.delete(handle);
    return result;
  }

  /** Where an operation goes: by its record, or by the name that it points to. */
  #target({ family, pointer }: Operation, address: number, port: number): Endpoint | undefined {
    if (family === 4) return { address: formatIpv4(address), port };
    return readName(this.#engine.view, pointer);
  }

  #close(handle: number, port: StreamPort | DatagramPort, abort: boolean): number {
    this.#ports.delete(handle);
    this.#quiet.delete(handle);
    this.#events.forget(handle, EVENT_OF_FLOW);
    port.close(abort);
    return 0;
  }

  /** A flow that was evicted may have left its socket: its handle is another's now. */
  #forget(handle: number): void {
    const older = this.#ports.get(handle);
    if (older !== undefined) this.#close(handle, older, true);
  }

  /** Throws what a socket or the upstream has thrown, once all of them are closed. */
  close(): void {
    this.#isClosed = true;
    const errors: unknown[] = [];
    const attempt = (end: () => void): void => {
      try {
        end();
      } catch (error) {
        errors.push(error);
      }
    };
    for (const [handle, port] of this.#ports) attempt(() => this.#close(handle, port, true));
    attempt(() => this.#upstream.close());
    if (errors.length > 0) throw errors[0];
  }

  // -------------------------------------------------------------- news

  #news(handle: number, port: StreamPort | DatagramPort, bits: number): void {
    if (this.#ports.get(handle) !== port) return;
    const kept = this.#quiet.get(handle);
    if (kept === undefined) this.#events.add(handle, EVENT_OF_FLOW, bits);
    else this.#quiet.set(handle, kept | bits);
  }

  quieten(handle: number): void {
    if (this.#ports.has(handle) && !this.#quiet.has(handle)) this.#quiet.set(handle, 0);
  }

  heed(): void {
    const kept = [...this.#quiet];
    this.#quiet.clear();
    for (const [handle, bits] of kept) {
      if (bits !== 0) this.#events.add(handle, EVENT_OF_FLOW, bits);
    }
  }
}
