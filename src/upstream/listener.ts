/**
 * Published ports: host sockets whose connections and datagrams go to the guest.
 *
 * Theory of operation
 *   A TCP port is bound from the start, and listens while `answer` says so: who connects otherwise
 *   is refused by the kernel (`presence` says when). What it accepts becomes an inbound flow, tied
 *   to its socket before the next event is looked at. A UDP port is a parked socket
 *   (`published.ts`): what comes in makes a flow that has the socket while it is used, so the
 *   guest's answers leave from the published port. The sockets outlive the engine
 *   (`port-sockets.ts`): who waits to be accepted when it fails is accepted by the next one.
 *
 *   Rules are added and taken away between two turns. To add one is to open all of its sockets
 *   first and to take them up then: what cannot be had whole leaves nothing behind. To take one
 *   away closes its sockets. The kernel refuses who connects from then on and resets who waits to
 *   be accepted; connections that were accepted go on; a flow that has a UDP socket ends. Events
 *   that the kernel told of before carry tokens that nobody has any more (`tokens.ts`).
 */

import { type PublishRule, runOf } from "../config/publish-rule.ts";
import type { HostEngine } from "../engine/host-engine.ts";
import { mappedOctetsOf } from "../lib/addr6.ts";
import { check, ENOSPC } from "../sys/errno.ts";
import type { Libc } from "../sys/libc.ts";
import { EPOLLHUP, EPOLLIN } from "../sys/linux.ts";
import { startListening, stopListening } from "../sys/socket.ts";
import { Arrivals, lacksDescriptor } from "./arrivals.ts";
import { PortError } from "./port-error.ts";
import {
  type PortSocket,
  PortSockets,
  type Ports,
  type Publication,
  portsOf,
} from "./port-sockets.ts";
import { DATAGRAM, type HostSockets } from "./sockets.ts";
import { type Spot, spotsOf, type Versions } from "./spots.ts";
import { TokenCount } from "./tokens.ts";
import { EVENT_OF_LISTENER, EVENT_OF_PORT } from "./upstream.ts";

const IPV4_ALONE: Versions = { ipv4: true, ipv6: false };

/** Where listeners are watched: the loop's sources. */
export interface ListenerWatch {
  add(fd: number, events: number, token: number, kind: number): number;
  /** The descriptor stays open. */
  remove(fd: number, token: number, kind: number): void;
}

type OnFault = (error: PortError) => void;

export class Listeners {
  readonly #sys: Libc;
  readonly #engine: HostEngine;
  readonly #sockets: HostSockets;
  /** TCP's by token, and UDP's by theirs. */
  readonly #listeners = new Map<number, PortSocket>();
  readonly #parked = new Map<number, PortSocket>();
  readonly #tokens = new TokenCount();
  /** TCP's that listen, and those that do not. */
  readonly #answering = new Set<PortSocket>();
  readonly #silent = new Set<PortSocket>();
  readonly #opened: PortSockets;
  readonly #arrivals: Arrivals;
  #watch: ListenerWatch | undefined;

  /**
   * @param onShort asks for room when no descriptor is left; true = it comes with the next step
   * @param opened sockets that somebody has had before
   */
  constructor(
    sys: Libc,
    engine: HostEngine,
    sockets: HostSockets,
    onShort: (now: number) => boolean = () => false,
    opened = new PortSockets(sys),
  ) {
    this.#opened = opened;
    this.#sys = sys;
    this.#engine = engine;
    this.#sockets = sockets;
    this.#arrivals = new Arrivals(sys, engine, sockets, onShort);
  }

  /** TCP sockets in all. */
  get count(): number {
    return this.#listeners.size;
  }

  /** Connections closed unseen because no descriptor was left for them. */
  get refusedCount(): number {
    return this.#arrivals.refusedCount;
  }

  /**
   * Opens the ports of rules as far as they can be had; one for all addresses of the host leaves
   * IPv6 out where the host has none. `onFault` hears of each port that cannot be had; without it
   * the first one is thrown, as a PortError.
   */
  open(
    rules: readonly PublishRule[],
    watch: ListenerWatch,
    versions: Versions = IPV4_ALONE,
    onFault?: OnFault,
    isAdded = false,
  ): void {
    this.#watch = watch;
    for (const rule of rules) this.#openRule(rule, spotsOf(rule, versions), isAdded, onFault);
  }

  #openRule(rule: PublishRule, spots: readonly Spot[], isAdded: boolean, onFault?: OnFault): void {
    const { count = 1 } = rule;
    let first = 0;
    let sockets: PortSocket[] = [];
    const keep = (end: number): void => {
      if (sockets.length > 0) {
        this.#opened.keep({ rule: runOf(rule, first, end - first), isAdded, sockets });
      }
      first = end + 1;
      sockets = [];
    };
    for (let i = 0; i < count; i += 1) {
      const ports = portsOf(rule, i);
      const found: PortSocket[] = [];
      const opening = this.#openPort(ports, spots, found);
      const result = this.#takeUpAll(found) || opening;
      if (found.length === 0) keep(i);
      sockets.push(...found);
      if (result === 0) continue;
      if (onFault === undefined || lacksDescriptor(result)) keep(i + 1);
      const error = new PortError(
        rule,
        ports,
        result,
        onFault === undefined ? "start" : "left-out",
      );
      if (onFault === undefined) throw error;
      onFault(error);
      if (lacksDescriptor(result)) return; // so will the rest of the range
    }
    keep(count);
  }

  #openPort(ports: Ports, spots: readonly Spot[], found: PortSocket[]): number {
    const isFree = this.#sockets.ports.isFree(ports.guestPort);
    return this.#opened.open(ports, spots, isFree, found);
  }

  /** Zero, or the negative errno; what cannot be taken up is closed and no longer in the list. */
  #takeUpAll(found: PortSocket[]): number {
    let fault = 0;
    for (const socket of [...found]) {
      const result = this.#takeUp(socket);
      if (result >= 0) continue;
      fault = result;
      found.splice(found.indexOf(socket), 1);
      this.#opened.discard(socket);
    }
    return fault;
  }

  /**
   * Publishes a rule whole, with rights as they are now. Ports answer if the others do, at the next
   * `answer`.
   * @throws PortError where one of its ports cannot be had; nothing has changed then
   */
  add(rule: PublishRule, versions: Versions): Publication {
    const spots = spotsOf(rule, versions);
    const sockets: PortSocket[] = [];
    const refuse = (offset: number, result: number): never => {
      for (const socket of sockets) this.#discard(socket);
      throw new PortError(rule, portsOf(rule, offset), result, "later");
    };
    for (let i = 0; i < (rule.count ?? 1); i += 1) {
      const result = this.#openPort(portsOf(rule, i), spots, sockets);
      if (result < 0) refuse(i, result);
    }
    for (const socket of sockets) {
      const result = this.#takeUp(socket);
      if (result < 0) refuse(socket.ports.hostPort - rule.hostPort, result);
    }
    const publication = { rule, isAdded: true, sockets };
    this.#opened.keep(publication);
    this.#opened.extra += sockets.length;
    return publication;
  }

  /** Publishes ports no longer. */
  remove(publication: Publication, now: number): void {
    for (const socket of publication.sockets) this.#discard(socket, now);
    this.#opened.forget(publication);
    this.#opened.extra -= publication.sockets.length;
  }

  /** Flows that have come in by each publication and are still there; absent = none. */
  get flows(): ReadonlyMap<Publication, number> {
    const flows = new Map<Publication, number>();
    const note = (socket: PortSocket | undefined, count: number): void => {
      const publication = socket?.publication;
      if (publication !== undefined) flows.set(publication, (flows.get(publication) ?? 0) + count);
    };
    const { marks } = this.#sockets;
    for (const [token, count] of marks.acceptedBy) note(this.#listeners.get(token), count);
    for (const token of marks.held) note(this.#parked.get(token), 1);
    return flows;
  }

  /**
   * Takes up all sockets as the engine before has left them.
   * @throws SystemError where one cannot be watched
   */
  resume(watch: ListenerWatch): void {
    this.#watch = watch;
    const all = Array.from(this.#opened.publications, ({ sockets }) => sockets).flat();
    // One of both versions is the first of its guest port, whoever was published before it.
    for (const isBoth of [true, false]) {
      for (const socket of all) {
        if ((socket.family === "both") !== isBoth) continue;
        check(this.#takeUp(socket), "Watch a published port");
      }
    }
  }

  /** Zero, or the negative errno: it is as before. */
  #takeUp(socket: PortSocket): number {
    const { ports, spot, family } = socket;
    const { protocol, hostPort, guestPort } = ports;
    if (protocol === "tcp") this.#takeListener(socket);
    else {
      const result = this.#park(socket);
      if (result < 0) return result;
    }
    this.#engine.addHostPort(protocol, spot.octets, hostPort);
    if (family === "both") {
      this.#engine.addHostPort("udp", mappedOctetsOf(0), hostPort);
      this.#engine.setDual(guestPort);
    }
    return 0;
  }

  #takeListener(socket: PortSocket): void {
    this.#arrivals.reserve();
    socket.token = this.#tokens.next((token) => this.#listeners.has(token));
    this.#listeners.set(socket.token, socket);
    if (socket.isListening) this.#hear(socket);
    else this.#silent.add(socket);
  }

  #park(socket: PortSocket): number {
    const { fd, family, mayBeFirst } = socket;
    const { hostPort, guestPort, guestAddress } = socket.ports;
    const { ports } = this.#sockets;
    // What the guest begins leaves by spot 0, whichever address it uses: not by a rule of one.
    const number = ports.number(guestPort, family, mayBeFirst);
    if (number < 0) return -ENOSPC;
    const token = ports.add(fd, family, guestPort, hostPort, number, guestAddress);
    const result = this.#watch?.add(fd, DATAGRAM, token, EVENT_OF_PORT) ?? 0;
    if (result < 0) {
      ports.remove(token);
      return result;
    }
    socket.token = token;
    this.#parked.set(token, socket);
    return 0;
  }

  /** Closes a socket, whoever has it. */
  #discard(socket: PortSocket, now = 0): void {
    if (socket.isTaken) this.#letGo(socket, now);
    this.#opened.discard(socket);
  }

  /** Has nobody know of it any more. */
  #letGo(socket: PortSocket, now: number): void {
    const { fd, token, family, spot, ports } = socket;
    const { protocol, hostPort, guestPort } = ports;
    const kind = protocol === "tcp" ? EVENT_OF_LISTENER : EVENT_OF_PORT;
    if (protocol === "udp" || socket.isListening) this.#watch?.remove(fd, token, kind);
    this.#engine.removeHostPort(protocol, spot.octets, hostPort);
    if (family === "both") {
      this.#engine.removeHostPort("udp", mappedOctetsOf(0), hostPort);
      this.#engine.setDual(guestPort, false);
    }
    socket.leave();
    if (protocol === "tcp") {
      this.#listeners.delete(token);
      this.#answering.delete(socket);
      this.#silent.delete(socket);
      return;
    }
    this.#parked.delete(token);
    const handle = this.#sockets.losePort(token);
    this.#sockets.ports.remove(token);
    if (handle !== undefined) this.#engine.upstreamEvent(handle, EPOLLHUP, now);
  }

  /** Something has come in at the published UDP port of this token. */
  arrived(token: number, now: number): void {
    this.#arrivals.arrived(token, now);
  }

  /**
   * Has the TCP ports listen, or refuse who connects; at most `most` of them in one call.
   * @returns whether all of them do
   * @throws SystemError where a port cannot listen
   */
  answer(on: boolean, most = this.count): boolean {
    const others = on ? this.#silent : this.#answering;
    let left = most;
    for (const socket of others) {
      if (left <= 0) break;
      left -= 1;
      if (on) this.#start(socket);
      else this.#stop(socket);
    }
    return others.size === 0;
  }

  #start(socket: PortSocket): void {
    check(startListening(this.#sys, socket.fd), "Listen at a published port");
    this.#hear(socket);
    this.#silent.delete(socket);
    socket.isListening = true;
  }

  #hear(socket: PortSocket): void {
    const watched = this.#watch?.add(socket.fd, EPOLLIN, socket.token, EVENT_OF_LISTENER) ?? 0;
    check(watched, "Watch a published port");
    this.#answering.add(socket);
  }

  #stop(socket: PortSocket): void {
    this.#watch?.remove(socket.fd, socket.token, EVENT_OF_LISTENER);
    check(stopListening(this.#sys, socket.fd), "Stop listening at a published port");
    this.#answering.delete(socket);
    this.#silent.add(socket);
    socket.isListening = false;
  }

  /**
   * Takes waiting connections of the listener of this token, a bounded number of them.
   * @returns as `Arrivals.accept` does; 0 where nobody listens by that token
   */
  accept(token: number, now: number): number {
    const listener = this.#listeners.get(token);
    return listener?.isListening === true ? this.#arrivals.accept(listener, now) : 0;
  }

  /** Leaves the sockets to the next one who publishes the same ports. */
  leave(): void {
    this.#arrivals.close();
    for (const { sockets } of this.#opened.publications) for (const each of sockets) each.leave();
    for (const all of [this.#listeners, this.#parked]) all.clear();
    for (const all of [this.#answering, this.#silent]) all.clear();
    this.#sockets.ports.leave();
  }

  close(): void {
    this.leave();
    this.#opened.close();
  }
}
