/**
 * The modelled host: carries out the engine's operations on modelled sockets, as `HostSockets` does
 * on real ones, and decides by plan what is behind them.
 */
import * as abi from "../../../../wasm/abi.ts";
import {
  EBADF,
  ECONNREFUSED,
  ECONNRESET,
  EHOSTUNREACH,
  EMSGSIZE,
  ENETUNREACH,
  ETIMEDOUT,
} from "../../../../wasm/errno.ts";
import type { Engine } from "../../../engine/engine.ts";
import type { Executor } from "../../../upstream/upstream.ts";
import type { VirtualClock } from "../clock.ts";
import { findMismatch } from "../pattern.ts";
import {
  FAULTLESS_HOST,
  type HostFaults,
  type Plan,
  type ResolverOutage,
  type TcpPlan,
  type UdpPlan,
} from "../plan.ts";
import type { Random } from "../random.ts";
import { type Datagram, DatagramSocket } from "./datagram.ts";
import { type Endpoint, SimMessages, type SocketError } from "./messages.ts";
import { answerQuestion } from "./resolver.ts";
import type { HostSocket, SocketOwner } from "./socket.ts";
import { StreamSocket } from "./stream.ts";

/** Where DNS questions go on the host: 198.18.0.53 and .54. */
export const RESOLVERS: readonly number[] = [0xc6120035, 0xc6120036];
const DNS_PORT = 53;
/** Datagrams begin with their number, where they are long enough. */
export const NUMBER_SIZE = 4;
const LATENCY_MAX = 30_000;
/** Of the host's own route. */
const PATH_MTU = 65_535;
const IPV4_HEADER = 20;
const UDP_HEADER = 8;

type Refusal = Pick<SocketError, "errno" | "type" | "code" | "mtu">;

const PORT_CLOSED: Refusal = { errno: ECONNREFUSED, type: 3, code: 3, mtu: 0 };

const A = abi.OP_A_OFFSET >> 2;
const B = abi.OP_B_OFFSET >> 2;
const C = abi.OP_C_OFFSET >> 2;

export interface HostEvents {
  fault(text: string): void;
  /** A TCP socket was made for a plan. */
  opened(socket: StreamSocket): void;
  /** An operation was carried out. */
  operated(kind: number, handle: number, result: number): void;
}

export function endpointKey(address: number, port: number): number {
  return address * 65_536 + port;
}

/** Stream number of the datagrams of a UDP plan. */
export function datagramStream(id: number): number {
  return 1_000_000 + id;
}

export class SimHost implements Executor, SocketOwner {
  readonly clock: VirtualClock;
  readonly random: Random;
  faults: HostFaults;
  isCalm = false;
  isOffline = false;
  #engine: Engine;
  readonly #plan: Plan;
  #messages: SimMessages;
  readonly #events: HostEvents;
  readonly #sockets = new Map<number, HostSocket>();
  readonly #tcpPlans = new Map<number, TcpPlan>();
  readonly #udpPlans = new Map<number, UdpPlan>();
  /** Resolvers that do not answer now. */
  readonly #resolverOutages = new Map<number, ResolverOutage>();
  readonly #edges: HostSocket[] = [];
  /** Most sockets open at a time. */
  openMax = 0;
  /** Datagrams lost on the way to a peer, or for want of room in a socket. */
  datagramsLost = 0;

  constructor(engine: Engine, clock: VirtualClock, random: Random, plan: Plan, events: HostEvents) {
    this.#engine = engine;
    this.#plan = plan;
    this.clock = clock;
    this.random = random;
    this.faults = plan.host;
    this.#messages = new SimMessages(engine);
    this.#events = events;
    for (const each of plan.tcp) this.#tcpPlans.set(endpointKey(each.address, each.port), each);
    for (const each of plan.udp) this.#udpPlans.set(endpointKey(each.address, each.port), each);
  }

  /** From now on system calls do what they should, and nothing stalls. */
  calm(): void {
    this.faults = { ...FAULTLESS_HOST, coalesces: this.faults.coalesces };
    this.isCalm = true;
  }

  /** Cuts the host off, or connects it again. */
  setOffline(isOffline: boolean): void {
    this.isOffline = isOffline;
    if (!isOffline) return;
    for (const socket of this.#sockets.values()) {
      if (socket instanceof StreamSocket) socket.break(ETIMEDOUT);
    }
  }

  /** The peer of a connection is gone: its host answers with resets. */
  leave(id: number): void {
    for (const socket of this.#sockets.values()) {
      if (socket instanceof StreamSocket && socket.plan.id === id) socket.break(ECONNRESET);
    }
  }

  /** Has a resolver not answer, or answer again. */
  setResolver(outage: ResolverOutage, isOut: boolean): void {
    if (isOut) this.#resolverOutages.set(outage.resolver, outage);
    else if (this.#resolverOutages.get(outage.resolver) === outage) {
      this.#resolverOutages.delete(outage.resolver);
    }
  }

  /** All sockets go, as with the worker that held them; `engine` is the next one. */
  restart(engine: Engine): void {
    for (const socket of this.#sockets.values()) socket.close(true);
    this.#sockets.clear();
    this.#edges.length = 0;
    this.#engine = engine;
    this.#messages = new SimMessages(engine);
  }

  get openCount(): number {
    return this.#sockets.size;
  }

  fault(text: string): void {
    this.#events.fault(text);
  }

  edge(socket: HostSocket): void {
    if (socket.hasEdge) return;
    socket.hasEdge = true;
    this.#edges.push(socket);
  }

  get hasEdges(): boolean {
    return this.#edges.length > 0;
  }

  /** The next socket with news; undefined = none. */
  takeEdge(): HostSocket | undefined {
    for (;;) {
      const socket = this.#edges.shift();
      if (socket === undefined) return undefined;
      socket.hasEdge = false;
      if (!socket.isClosed || socket.isHaunting) return socket;
    }
  }

  // -------------------------------------------------------------- operations

  execute(base: number, count: number): void {
    const { integers } = this.#engine;
    if (count > abi.OP_CAPACITY_COUNT) this.fault(`${count} operations at once`);
    for (let i = 0; i < count; i += 1) {
      const op = base + i * abi.OP_SIZE;
      const kind = integers[op >> 2] ?? 0;
      const handle = (integers[(op + abi.OP_HANDLE_OFFSET) >> 2] ?? 0) >>> 0;
      const result = this.#perform(kind, handle, op >> 2);
      integers[(op + abi.OP_RESULT_OFFSET) >> 2] = result;
      this.#events.operated(kind, handle, result);
    }
  }

  #perform(kind: number, handle: number, op: number): number {
    const { words } = this.#engine;
    const a = words[op + A] ?? 0;
    const b = words[op + B] ?? 0;
    if (kind === abi.OP_TCP_CONNECT) return this.#connect(handle, a, b);
    if (kind === abi.OP_UDP_OPEN)
      return this.#openUdp(handle, { address: b, port: words[op + C] ?? 0 });
    if (kind === abi.OP_PING_OPEN) return this.#openDatagram(handle, "ping", undefined);
    const socket = this.#sockets.get(handle);
    if (socket === undefined) {
      // A flow that was evicted may have operations left; a close of nothing must not happen.
      this.fault(`operation ${kind} on handle ${handle}, which is not open`);
      return -EBADF;
    }
    if (kind === abi.OP_CLOSE) {
      this.#sockets.delete(handle);
      socket.close(a === 1);
      if (this.random.chance(this.faults.staleNews)) this.#haunt(socket);
      return 0;
    }
    const pointer = words[op + (abi.OP_POINTER_OFFSET >> 2)] ?? 0;
    const count = words[op + (abi.OP_COUNT_OFFSET >> 2)] ?? 0;
    if (socket instanceof StreamSocket) return this.#stream(kind, socket, pointer, a);
    if (socket instanceof DatagramSocket) return this.#datagram(kind, socket, pointer, count);
    return -EBADF;
  }

  /** Has a closed socket heard of once more, when its slot may be another flow's. */
  #haunt(socket: HostSocket): void {
    socket.isHaunting = true;
    this.clock.after(this.random.between(1, 50_000), () => this.edge(socket));
  }

  #stream(kind: number, socket: StreamSocket, pointer: number, length: number): number {
    switch (kind) {
      case abi.OP_TCP_SEND:
        return socket.send(this.#messages.pieces(pointer), length);
      case abi.OP_TCP_RECV:
        return socket.receive(this.#messages.pieces(pointer), length);
      case abi.OP_TCP_SHUTDOWN:
        return socket.shutdown();
      case abi.OP_TCP_ERROR:
        return -socket.takeError();
      case abi.OP_TCP_KEEPALIVE:
      case abi.OP_TCP_TOS:
        return 0;
    }
    this.fault(`operation ${kind} on a TCP socket`);
    return -EBADF;
  }

  #datagram(kind: number, socket: DatagramSocket, pointer: number, count: number): number {
    switch (kind) {
      case abi.OP_UDP_SEND:
        return socket.send(pointer, count);
      case abi.OP_UDP_RECV:
        return socket.receive(pointer, count);
      case abi.OP_RECV_ERROR:
        return socket.receiveError(pointer);
      case abi.OP_PATH_MTU:
        return PATH_MTU; // what is narrower on the way shows by an error
    }
    this.fault(`operation ${kind} on a datagram socket`);
    return -EBADF;
  }

  #add<Socket extends HostSocket>(socket: Socket): Socket {
    if (this.#sockets.has(socket.handle)) this.fault(`handle ${socket.handle} is in use`);
    if (socket.handle === 0) this.fault("handle 0 means no flow");
    this.#sockets.set(socket.handle, socket);
    this.openMax = Math.max(this.openMax, this.#sockets.size);
    return socket;
  }

  #connect(handle: number, address: number, port: number): number {
    const plan = this.#tcpPlans.get(endpointKey(address, port));
    if (plan === undefined) return -ECONNREFUSED;
    if (this.isOffline) return -ENETUNREACH;
    const socket = new StreamSocket(this, handle, plan);
    const result = socket.connect();
    if (result < 0) return result;
    this.#events.opened(this.#add(socket));
    return result;
  }

  /** A connection from outside that the engine has a flow for. */
  adopt(handle: number, plan: TcpPlan): void {
    const socket = this.#add(new StreamSocket(this, handle, plan));
    this.#events.opened(socket);
    socket.connected();
    this.edge(socket);
  }

  #openUdp(handle: number, peer: Endpoint): number {
    return this.#openDatagram(handle, "udp", peer.address === 0 ? undefined : peer);
  }

  #openDatagram(handle: number, kind: "udp" | "ping", peer: Endpoint | undefined): number {
    const fate = (socket: DatagramSocket, datagram: Datagram): void => this.#send(socket, datagram);
    this.#add(new DatagramSocket(this, handle, kind, peer, this.#messages, fate));
    return 0;
  }

  // -------------------------------------------------------------- what is behind datagram sockets

  #send(socket: DatagramSocket, datagram: Datagram): void {
    const { random } = this;
    if (random.chance(this.faults.datagramLoss)) {
      this.datagramsLost += 1;
      return;
    }
    const { peer, payload } = datagram;
    const { path } = this.#plan;
    // What a ping socket sends begins with its ICMP header.
    const headers = IPV4_HEADER + (socket.kind === "ping" ? 0 : UDP_HEADER);
    if (path !== undefined && headers + payload.length > path.mtu) {
      this.datagramsLost += 1;
      const what = { errno: EMSGSIZE, type: 3, code: 4, mtu: path.mtu };
      if (path.isTold) this.#refuse(socket, datagram, what);
      return;
    }
    const answer = (octets: Uint8Array | undefined): void => {
      if (octets === undefined) return;
      this.clock.after(random.between(100, LATENCY_MAX), () => {
        if (!socket.arrive({ peer, payload: octets })) this.datagramsLost += 1;
      });
    };
    if (socket.kind === "ping") return void answer(this.#echo(payload));
    const resolver = peer.port === DNS_PORT ? RESOLVERS.indexOf(peer.address) : -1;
    // No loss: the other resolver is to be asked in time.
    if (resolver === 0 && this.#plan.resolverIsDead) return;
    const outage = this.#resolverOutages.get(resolver);
    if (outage !== undefined) {
      this.datagramsLost += 1;
      if (outage.isRefused) this.#refuse(socket, datagram, PORT_CLOSED);
      return;
    }
    if (resolver >= 0) return void answer(answerQuestion(payload));
    const plan = this.#udpPlans.get(endpointKey(peer.address, peer.port));
    if (plan === undefined) return void this.fault(`datagram for ${peer.address}:${peer.port}`);
    const wrong = checkDatagram(plan, payload);
    if (wrong !== undefined) this.fault(wrong);
    if (plan.service === "echo") answer(payload);
    else if (plan.service === "refused") this.#refuse(socket, datagram, PORT_CLOSED);
  }

  #echo(request: Uint8Array): Uint8Array | undefined {
    if (request[0] !== 8) {
      this.fault(`a ping socket sends type 8 only, not ${request[0]}`);
      return undefined;
    }
    const reply = request.slice();
    reply[0] = 0;
    reply[4] = ~(request[4] ?? 0); // the kernel's own identifier, which the engine is to take back
    return reply;
  }

  /** An ICMP error comes back. */
  #refuse(socket: DatagramSocket, { peer, payload }: Datagram, what: Refusal): void {
    this.clock.after(this.random.between(100, LATENCY_MAX), () => {
      socket.arriveError({ ...what, offender: peer.address, target: peer, payload });
    });
  }

  quieten(handle: number): void {
    this.#sockets.get(handle >>> 0)?.quieten();
  }

  heed(): void {
    for (const socket of this.#sockets.values()) socket.heed();
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.close(false);
    this.#sockets.clear();
  }
}

/** What is wrong with a datagram of a plan, wherever it is seen. */
export function checkDatagram(plan: UdpPlan, payload: Uint8Array): string | undefined {
  const size = payload.length;
  if (!plan.sizes.includes(size)) return `UDP ${plan.id}: datagram of ${size} octets`;
  if (size < NUMBER_SIZE) return undefined;
  const number = new DataView(payload.buffer, payload.byteOffset).getUint32(0);
  if (number >= plan.count || plan.sizes[number % plan.sizes.length] !== size) {
    return `UDP ${plan.id}: datagram ${number} has ${size} octets`;
  }
  const stream = datagramStream(plan.id);
  const wrong = findMismatch(stream, number, payload.subarray(NUMBER_SIZE));
  return wrong < 0 ? undefined : `UDP ${plan.id}: datagram ${number} differs at ${wrong}`;
}

/** errnos that a connection attempt may fail with. */
export const CONNECT_ERRNOS = [ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT] as const;
