/**
 * The upstream made of host sockets: one descriptor per flow, found by the slot of its handle.
 *
 * Every socket is registered with epoll once, edge-triggered; the engine remembers what the edges
 * said. The table holds the whole handle beside the descriptor, so an operation for a flow that is
 * gone finds nothing. Hot operations are one system call on records that the engine has laid out;
 * nothing is allocated or copied here.
 *
 * A list of operations that moved much yields the CPU at its end (sched_yield): receivers on this
 * machine then run before their buffers overflow (a default one takes about 90 datagrams) or the
 * socket is full. With few cores this carries 10 % more; where nobody waits it costs the call.
 *
 * Sockets of published ports outlive their flows (`published.ts`): adopted, parked, not counted.
 *
 * Sockets are bounded in number: at the bound an operation that opens one fails with EMFILE, as it
 * does when the process has no descriptor left, so that some stay for hooks and control. What the
 * kernel buffers for them is bounded in `buffers.ts`.
 */
import * as abi from "../../wasm/abi.ts";
import type { Engine } from "../engine/engine.ts";
import type { Epoll } from "../sys/epoll.ts";
import { EBADF, ECONNREFUSED, EMFILE, ENOSYS } from "../sys/errno.ts";
import type { Libc } from "../sys/libc.ts";
import {
  EPOLLET,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  MSG_NOSIGNAL,
  MSG_OOB,
} from "../sys/linux.ts";
import { halfClose, isAtMark, setKeepalive, setLinger, setTos, takeError } from "../sys/socket.ts";
import { SocketBuffers } from "./buffers.ts";
import { HiddenPorts } from "./hidden-ports.ts";
import { HostOperation } from "./operation.ts";
import { ANY_WAY } from "./outbound.ts";
import { PathProbe } from "./path-mtu.ts";
import { openPingFlow } from "./ping.ts";
import { PortMarks } from "./port-marks.ts";
import { PublishedPorts } from "./published.ts";
import { QuietFlows } from "./quiet.ts";
import { isLocal4, isLocal6, isLoopback4, isLoopback6, portOf } from "./socket-name.ts";
import type { SocketBounds, SocketWays } from "./socket-ways.ts";
import { type Connecting, type ConnectManner, connectTcp, connectTcp6 } from "./tcp.ts";
import { openUdpFlow, openUdpFlow6 } from "./udp.ts";
import { EVENT_OF_FLOW, EVENT_OF_PORT, type Executor } from "./upstream.ts";

/** What is watched for. */
const STREAM = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET;
/**
 * No EPOLLOUT: the kernel reports it whenever a receiver on this machine has read a datagram, and
 * nothing waits for it, as what a full socket does not take is dropped.
 */
export const DATAGRAM = EPOLLIN | EPOLLET;
const SLOT_MASK = (1 << abi.HANDLE_SLOT_BITS) - 1;
const NONE = -1;
/** What a list of operations moves before the CPU is yielded, octets. */
const YIELD_OCTETS = 131_072;
/** What a datagram counts for: 8 of them are such a burst. */
const DATAGRAM_OCTETS = YIELD_OCTETS / 8;
/** What one is taken for where it is about buffers, octets. */
const DATAGRAM_USUAL = 1024;

const SEND = MSG_DONTWAIT | MSG_NOSIGNAL;

const BOUNDLESS: SocketBounds = {
  socketsMax: abi.FLOW_CAPACITY_COUNT,
  buffers: Number.POSITIVE_INFINITY,
  clock: () => 0,
};

export class HostSockets implements Executor {
  readonly #sys: Libc;
  readonly #epoll: Epoll;
  readonly #memory: Int32Array;
  readonly #operation: HostOperation;
  readonly #base: number;
  readonly #fds = new Int32Array(abi.FLOW_CAPACITY_COUNT).fill(NONE);
  readonly #handles = new Int32Array(abi.FLOW_CAPACITY_COUNT);
  readonly #hidden: HiddenPorts;
  readonly #connecting: Connecting = { fd: NONE, connected: false };
  /** Of the connection that is being made: one object for all. */
  readonly #manner: ConnectManner;
  readonly #pingName = { port: 0 };
  /** What each socket is watched for. */
  readonly #interests = new Int32Array(abi.FLOW_CAPACITY_COUNT);
  readonly #quiet = new QuietFlows(abi.FLOW_CAPACITY_COUNT);
  /** Which published ports flows have come in by. */
  readonly marks = new PortMarks(abi.FLOW_CAPACITY_COUNT);
  readonly #ways: SocketWays;
  readonly ports: PublishedPorts;
  readonly #path: PathProbe;
  readonly #buffers: SocketBuffers;
  readonly #bounds: SocketBounds;
  #open = 0;
  #opened = 0;
  /** Moved by this list of operations. */
  #moved = 0;

  /**
   * @param base address of engine memory in this process
   * @param hidden ports of this machine's loopback that no guest may reach: those of links
   */
  constructor(
    sys: Libc,
    epoll: Epoll,
    engine: Engine,
    base: number,
    hidden = new HiddenPorts(),
    bounds: SocketBounds = BOUNDLESS,
    ways: SocketWays = { outbound: ANY_WAY },
  ) {
    this.#ways = ways;
    this.#manner = { tos: 0, isLoopback: false, outbound: ways.outbound };
    this.#buffers = new SocketBuffers(sys, bounds.buffers, bounds.clock);
    this.ports = new PublishedPorts(sys);
    this.#path = new PathProbe(sys);
    this.#bounds = bounds;
    this.#hidden = hidden;
    this.#sys = sys;
    this.#epoll = epoll;
    this.#memory = engine.integers;
    this.#operation = new HostOperation(engine.integers);
    this.#base = base;
  }

  /** Descriptors in use. */
  get openCount(): number {
    return this.#open;
  }

  /** Descriptors that ever were. */
  get openedCount(): number {
    return this.#opened;
  }

  /** Memory is short: sockets that moved nothing lately get small buffers. */
  tighten(): void {
    this.#buffers.tighten(this.#fds);
  }

  execute(base: number, count: number): void {
    const operation = this.#operation;
    this.#moved = 0;
    for (let i = 0; i < count; i += 1) {
      operation.moveTo(base + i * abi.OP_SIZE);
      operation.result = this.#perform(operation);
    }
    if (this.#moved >= YIELD_OCTETS) this.#sys.sched_yield();
  }

  #perform(operation: HostOperation): number {
    const { kind, handle } = operation;
    if (kind === abi.OP_TCP_CONNECT || kind === abi.OP_UDP_OPEN || kind === abi.OP_PING_OPEN) {
      const port = kind === abi.OP_UDP_OPEN ? this.#parked(operation) : NONE;
      if (port !== NONE) return this.adoptPort(handle, port);
      return this.#open < this.#bounds.socketsMax ? this.#openFor(operation) : -EMFILE;
    }
    const fd = this.descriptorOf(handle);
    return fd < 0 ? -EBADF : this.#performOn(fd, operation);
  }

  /** What is done with a socket that is open. */
  #performOn(fd: number, operation: HostOperation): number {
    const sys = this.#sys;
    const { handle } = operation;
    const pointer = this.#base + operation.pointer;
    switch (operation.kind) {
      case abi.OP_TCP_SEND: {
        const flags = operation.isUrgent ? SEND | MSG_OOB : SEND;
        const sent = this.#ways.lent?.send(fd, operation.pointer, flags);
        return this.#count(handle, sent ?? sys.sendmsg(fd, pointer, flags));
      }
      case abi.OP_TCP_RECV:
        return this.#count(handle, sys.recvmsg(fd, pointer, MSG_DONTWAIT));
      case abi.OP_UDP_SEND: {
        const { datagramCount } = operation;
        this.#moved += datagramCount * DATAGRAM_OCTETS;
        this.#datagrams(handle, datagramCount);
        return sys.sendmmsg(fd, pointer, operation.messageCount, SEND);
      }
      case abi.OP_UDP_RECV: {
        const count = sys.recvmmsg(fd, pointer, operation.messageCount, MSG_DONTWAIT);
        this.#datagrams(handle, count);
        return count;
      }
      case abi.OP_RECV_ERROR:
        return sys.recvmsg(fd, pointer, MSG_DONTWAIT | MSG_ERRQUEUE);
      case abi.OP_TCP_SHUTDOWN:
        return halfClose(sys, fd);
      case abi.OP_TCP_ERROR:
        return this.#takeError(handle, fd);
      case abi.OP_TCP_KEEPALIVE:
        return setKeepalive(sys, fd, operation.keepalive);
      case abi.OP_TCP_TOS:
        return setTos(sys, fd, operation.family, operation.tos);
      case abi.OP_TCP_AT_MARK:
        return isAtMark(sys, fd);
      case abi.OP_PATH_MTU:
        if (operation.family === 6) return this.#path.ask6(pointer);
        return this.#path.ask(operation.pathAddress);
      case abi.OP_CLOSE:
        return this.#drop(handle, fd, operation.isAbort);
      default:
        throw new RangeError(`Unknown operation "${operation.kind}"`);
    }
  }

  /** Asked for when a connection has come up or failed, and later when it breaks. */
  #takeError(handle: number, fd: number): number {
    const errno = takeError(this.#sys, fd);
    this.#ways.connectTimes?.end(handle & SLOT_MASK, errno);
    return errno;
  }

  #count(handle: number, result: number): number {
    if (result > 0) {
      this.#moved += result;
      this.#buffers.moved(this.#fds, handle & SLOT_MASK, result);
    }
    return result;
  }

  #datagrams(handle: number, count: number): void {
    if (count > 0) this.#buffers.moved(this.#fds, handle & SLOT_MASK, count * DATAGRAM_USUAL);
  }

  #openFor(operation: HostOperation): number {
    const { kind, handle } = operation;
    if (kind === abi.OP_TCP_CONNECT) return this.#connect(operation);
    if (kind === abi.OP_UDP_OPEN) return this.adopt(handle, this.#openUdp(operation), DATAGRAM);
    const fd = openPingFlow(this.#sys, this.#pingName, operation.family, this.#ways.outbound);
    const result = this.adopt(handle, fd, DATAGRAM);
    return result < 0 ? result : this.#pingName.port;
  }

  /** The parked socket that an operation which opens one may take; -1 = none. */
  #parked({ family, pointer, peerAddress, guestPort, spot }: HostOperation): number {
    if (this.ports.count === 0) return NONE;
    const isConnected = (family === 6 ? pointer : peerAddress) !== 0;
    return isConnected ? NONE : this.ports.find(guestPort, spot, family);
  }

  #openUdp(operation: HostOperation): number {
    const { family, sourcePort } = operation;
    if (operation.isLocal) return this.#ways.service?.() ?? -ENOSYS;
    if (family === 4) {
      const { peerAddress, peerPort } = operation;
      return openUdpFlow(this.#sys, sourcePort, peerAddress, peerPort, this.#ways.outbound);
    }
    const name = operation.pointer;
    if (name === 0) return openUdpFlow6(this.#sys, sourcePort, 0, this.#ways.outbound);
    const outbound = isLoopback6(this.#memory, name) ? ANY_WAY : this.#ways.outbound;
    return openUdpFlow6(this.#sys, sourcePort, this.#base + name, outbound);
  }

  #connect(operation: HostOperation): number {
    const memory = this.#memory;
    const connecting = this.#connecting;
    const manner = this.#manner;
    const slot = operation.handle & SLOT_MASK;
    manner.tos = operation.connectTos;
    this.#ways.connectTimes?.begin(slot);
    if (operation.family === 6) {
      const name = operation.pointer;
      const isHidden = isLocal6(memory, name) && this.#hidden.has(portOf(memory, name));
      if (isHidden) return -ECONNREFUSED;
      manner.isLoopback = isLoopback6(memory, name);
      connectTcp6(this.#sys, this.#base + name, manner, connecting);
    } else {
      const { connectAddress: address, connectPort: port } = operation;
      if (isLocal4(address) && this.#hidden.has(port)) return -ECONNREFUSED;
      manner.isLoopback = isLoopback4(address);
      connectTcp(this.#sys, address, port, manner, connecting);
    }
    const result = this.adopt(operation.handle, connecting.fd);
    if (result >= 0 && !connecting.connected) return result;
    this.#ways.connectTimes?.end(slot, result);
    return result < 0 ? result : 1;
  }

  /**
   * Ties an open descriptor to a flow and watches it. Zero, or the negative errno (closed then).
   *
   * A flow that was evicted for this one may have left its socket in the slot: the operation that
   * closes it is still to come, as accepting does not wait for operations. It is aborted here, and
   * that operation then finds nothing.
   */
  adopt(handle: number, fd: number, interest = STREAM): number {
    if (fd < 0) return fd;
    const slot = handle & SLOT_MASK;
    const older = this.#fds[slot] ?? NONE;
    if (older !== NONE) this.#drop(this.#handles[slot] ?? 0, older, true);
    const result = this.#epoll.add(fd, interest, handle, EVENT_OF_FLOW);
    if (result < 0) {
      this.#sys.close(fd);
      return result;
    }
    this.#fds[slot] = fd;
    this.#handles[slot] = handle;
    this.#interests[slot] = interest;
    this.#quiet.forget(slot);
    this.#open += 1;
    this.#opened += 1;
    this.#buffers.opened(this.#fds, slot, fd, interest === DATAGRAM);
    return 0;
  }

  /** Ties a connection to its flow that has come in by the listener of this token. */
  adoptAccepted(handle: number, fd: number, token: number): void {
    if (this.adopt(handle, fd) >= 0) this.marks.accepted(handle & SLOT_MASK, token);
  }

  /** Ties a parked socket to a flow. Its port with OPENED_PUBLISHED, or the negative errno. */
  adoptPort(handle: number, index: number): number {
    const slot = handle & SLOT_MASK;
    const older = this.#fds[slot] ?? NONE;
    if (older !== NONE) this.#drop(this.#handles[slot] ?? 0, older, true);
    const fd = this.ports.take(index);
    const result = this.#epoll.modify(fd, DATAGRAM, handle, EVENT_OF_FLOW);
    if (result < 0) {
      this.ports.park(index);
      return result;
    }
    this.#fds[slot] = fd;
    this.#handles[slot] = handle;
    this.#interests[slot] = DATAGRAM;
    this.#quiet.forget(slot);
    this.marks.hold(slot, index);
    this.#buffers.opened(this.#fds, slot, fd, true);
    return abi.OPENED_PUBLISHED | this.ports.hostPortOf(index);
  }

  /** Takes the socket of a published port from its flow; the flow's handle, if there is one. */
  losePort(token: number): number | undefined {
    const slot = this.marks.holderOf(token);
    if (slot < 0) return undefined;
    this.#buffers.closed(slot);
    this.#fds[slot] = NONE;
    this.marks.clear(slot);
    return this.#handles[slot];
  }

  quieten(handle: number): void {
    const fd = this.descriptorOf(handle);
    const slot = handle & SLOT_MASK;
    if (fd < 0 || !this.#quiet.hears(slot, handle)) return;
    this.#epoll.modify(fd, (this.#interests[slot] ?? 0) & ~EPOLLIN, handle, EVENT_OF_FLOW);
  }

  heed(): void {
    for (const handle of this.#quiet.end()) {
      const fd = this.descriptorOf(handle);
      if (fd < 0) continue;
      this.#epoll.modify(fd, this.#interests[handle & SLOT_MASK] ?? 0, handle, EVENT_OF_FLOW);
    }
  }

  /** The socket of a flow, by its handle as a signed number, or below 0. */
  descriptorOf(handle: number): number {
    const slot = handle & SLOT_MASK;
    return this.#handles[slot] === handle ? (this.#fds[slot] ?? NONE) : NONE;
  }

  #drop(handle: number, fd: number, abort: boolean): number {
    const slot = handle & SLOT_MASK;
    const port = this.marks.clear(slot);
    if (abort && port === NONE) setLinger(this.#sys, fd, true, 0);
    this.#buffers.closed(slot);
    this.#fds[slot] = NONE;
    if (port !== NONE) {
      this.ports.park(port);
      return this.#epoll.modify(fd, DATAGRAM, port, EVENT_OF_PORT);
    }
    this.#open -= 1;
    return this.#sys.close(fd);
  }

  close(): void {
    this.#path.close();
    for (let slot = 0; slot < this.#fds.length; slot += 1) {
      const fd = this.#fds[slot] ?? NONE;
      if (fd >= 0) this.#drop(this.#handles[slot] ?? 0, fd, false);
    }
  }
}
