/**
 * Published ports: host sockets whose connections and datagrams go to the guest.
 *
 * A TCP port is bound from the start, and listens while `answer` says so: who connects otherwise is
 * refused by the kernel (`presence` says when). What it accepts becomes an inbound flow, tied to
 * its socket before the next event is looked at. A UDP port is a parked socket (`published.ts`):
 * what comes in makes a flow that has the socket while it is used, so the guest's answers leave
 * from the published port. The sockets outlive the engine (`port-sockets.ts`): who waits to be
 * accepted when it fails is accepted by the next one.
 *
 * Where no descriptor is left, idle flows are asked to end and the connection waits for the next
 * turn (`#onShort`). If that frees none, a spare one is given up for a moment: its place takes the
 * connection, which is closed at once, so that its peer learns of it (`#relieve`). Where that does
 * not help either, or the kernel has no memory, connections can neither be accepted nor refused;
 * `accept` says so and the loop leaves the listener alone for a while, as it would stay readable.
 */

import { formatHost, type PublishRule } from "../config/publish-rule.ts";
import type { Engine } from "../engine/engine.ts";
import { LOOPBACK } from "../lib/addr.ts";
import { mappedOctetsOf, octetsOfIpv6 } from "../lib/addr6.ts";
import {
  check,
  EACCES,
  EADDRINUSE,
  EAGAIN,
  ECONNABORTED,
  EHOSTDOWN,
  EHOSTUNREACH,
  EINTR,
  EMFILE,
  ENETDOWN,
  ENETUNREACH,
  ENFILE,
  ENOPROTOOPT,
  ENOSPC,
  EOPNOTSUPP,
  EPERM,
  EPROTO,
  SystemError,
} from "../sys/errno.ts";
import type { Libc } from "../sys/libc.ts";
import { EFD_CLOEXEC, EPOLLIN } from "../sys/linux.ts";
import type { Ipv4Endpoint, Ipv6Endpoint } from "../sys/sockaddr.ts";
import { accept, setLinger, setNoDelay, startListening, stopListening } from "../sys/socket.ts";
import { openTcpPort, PortSockets } from "./port-sockets.ts";
import { DATAGRAM, type HostSockets } from "./sockets.ts";
import { isLeftOut, isLoopback, type Spot, spotsOf, type Versions } from "./spots.ts";
import { type Family, openUdpPort } from "./udp.ts";
import { EVENT_OF_LISTENER, EVENT_OF_PORT } from "./upstream.ts";

/** Connections taken from one listener in one turn, so that a flood leaves time for the others. */
const ACCEPT_BATCH = 16;
/** Errors of one connection alone (accept(2)); the next one may be fine. */
const PASSING: ReadonlySet<number> = new Set([
  EINTR,
  ECONNABORTED,
  EPERM, // a firewall's
  EPROTO,
  64, // ENONET
  ENOPROTOOPT,
  EOPNOTSUPP,
  ENETDOWN,
  ENETUNREACH,
  EHOSTDOWN,
  EHOSTUNREACH,
]);
const NONE = -1;
/** Upper four bits of 240.0.0.0/4, whose numbers stand for IPv6 addresses in the engine. */
const CLASS_E = 0xf;

/** The two ports of one port of a rule, and the guest's address where it names one. */
type Ports = Pick<PublishRule, "hostPort" | "guestPort" | "guestAddress">;

/** Where listeners are watched: the loop's sources. */
export interface ListenerWatch {
  add(fd: number, events: number, token: number, kind: number): number;
  /** The descriptor stays open. */
  remove(fd: number, token: number, kind: number): void;
}

function remedyOf(errno: number): string | undefined {
  if (errno === -EACCES) {
    return "lower net.ipv4.ip_unprivileged_port_start, or start with CAP_NET_BIND_SERVICE";
  }
  return errno === -EADDRINUSE ? "another program has it: choose another host port" : undefined;
}

function lacksDescriptor(errno: number): boolean {
  return errno === -EMFILE || errno === -ENFILE;
}

export class Listeners {
  readonly #sys: Libc;
  readonly #engine: Engine;
  readonly #sockets: HostSockets;
  readonly #onShort: (now: number) => boolean;
  readonly #fds: number[] = [];
  readonly #rules: Ports[] = [];
  readonly #families: (4 | 6)[] = [];
  readonly #peer: Ipv4Endpoint = { address: 0, port: 0 };
  readonly #peer6: Ipv6Endpoint = { octets: new Uint8Array(16), scope: 0, port: 0 };
  readonly #opened: PortSockets;
  #watch: ListenerWatch | undefined;
  #spare = NONE;
  #refused = 0;

  /**
   * @param onShort asks for room when no descriptor is left; true = it comes with the next step
   * @param opened sockets that somebody has had before
   */
  constructor(
    sys: Libc,
    engine: Engine,
    sockets: HostSockets,
    onShort: (now: number) => boolean = () => false,
    opened = new PortSockets(sys),
  ) {
    this.#opened = opened;
    this.#onShort = onShort;
    this.#sys = sys;
    this.#engine = engine;
    this.#sockets = sockets;
  }

  /** TCP sockets in all. */
  get count(): number {
    return this.#fds.length;
  }

  /** Connections closed unseen because no descriptor was left for them. */
  get refusedCount(): number {
    return this.#refused;
  }

  /**
   * Opens every published port. One for all addresses of the host leaves IPv6 out where the host
   * has none. `onFault` hears of each that cannot be had; without it the first one is thrown, as a
   * SystemError that names the port.
   */
  open(
    rules: readonly PublishRule[],
    watch: ListenerWatch,
    versions: Versions = { ipv4: true, ipv6: false },
    onFault?: (error: SystemError) => void,
  ): void {
    this.#watch = watch;
    for (const rule of rules) {
      const spots = spotsOf(rule, versions);
      for (let i = 0; i < (rule.count ?? 1); i += 1) {
        const ports = { ...rule, hostPort: rule.hostPort + i, guestPort: rule.guestPort + i };
        const result =
          rule.protocol === "tcp"
            ? this.#reserveAll(ports, spots)
            : this.#bindAll(ports, spots, watch);
        if (result === 0) continue;
        const action = `Publish port "${formatHost(rule)}:${ports.hostPort}/${rule.protocol}"`;
        if (onFault === undefined) throw new SystemError(action, result, remedyOf(result));
        onFault(new SystemError(action, result));
        if (lacksDescriptor(result)) break; // so will the rest of the range
      }
    }
    for (let index = 0; index < this.#opened.answering; index += 1) this.#hear(index);
  }

  /** Zero, or the negative errno of the last socket that cannot be had. */
  #reserveAll(ports: Ports, spots: readonly Spot[]): number {
    let fault = 0;
    for (const spot of spots) {
      const result = this.#reserveTcp(ports, spot);
      if (result < 0 && !isLeftOut(result, spot, spots)) fault = result;
    }
    return fault;
  }

  /** The same for UDP: one socket of both versions, where that is possible. */
  #bindAll(ports: Ports, spots: readonly Spot[], watch: ListenerWatch): number {
    const ipv6 = spots[1];
    if (ipv6 !== undefined && this.#sockets.ports.isFree(ports.guestPort)) {
      const result = this.#bind(ports, ipv6, watch, "both");
      if (!isLeftOut(result, ipv6, spots)) return result;
    }
    let fault = 0;
    for (const spot of spots) {
      const result = this.#bind(ports, spot, watch, spot.family);
      if (result < 0 && !isLeftOut(result, spot, spots)) fault = result;
    }
    return fault;
  }

  #reserveTcp(rule: Ports, spot: Spot): number {
    const fd = this.#opened.next(() => openTcpPort(this.#sys, spot, rule.hostPort));
    if (fd < 0) return fd;
    this.#reserve();
    this.#fds.push(fd);
    this.#rules.push(rule);
    this.#families.push(spot.family);
    this.#engine.addHostPort("tcp", spot.octets, rule.hostPort);
    return 0;
  }

  #bind(ports: Ports, spot: Spot, watch: ListenerWatch, family: Family): number {
    const { hostPort, guestPort, guestAddress } = ports;
    const published = this.#sockets.ports;
    const fd = this.#opened.next(() => openUdpPort(this.#sys, family, spot.octets, hostPort));
    if (fd < 0) return fd;
    // What the guest begins leaves by spot 0, whichever address it uses: not by a rule of one.
    const mayBeFirst = guestAddress === undefined && !isLoopback(spot);
    const number = published.number(guestPort, family, mayBeFirst);
    if (number < 0) return this.#opened.refuse(-ENOSPC);
    const token = published.add(fd, family, guestPort, hostPort, number, guestAddress);
    const result = watch.add(fd, DATAGRAM, token, EVENT_OF_PORT);
    if (result < 0) return result;
    this.#engine.addHostPort("udp", spot.octets, hostPort);
    if (family === "both") {
      this.#engine.addHostPort("udp", mappedOctetsOf(0), hostPort);
      this.#engine.setDual(guestPort);
    }
    return 0;
  }

  /**
   * Something has come in at published UDP port `index`, which no flow has: one is made and told.
   * Where there is no slot it stays in the socket, whose next datagram tries again.
   */
  arrived(index: number, now: number): void {
    const { ports } = this.#sockets;
    if (!ports.isParked(index)) return;
    const guest = this.#guestOf(ports.guestAddressOf(index));
    if (guest === undefined) return;
    const [guestPort, hostPort] = [ports.guestPortOf(index), ports.hostPortOf(index)];
    const [family, spot] = [ports.familyOf(index), ports.spotOf(index)];
    const handle = this.#engine.inboundUdp(guestPort, hostPort, now, family, spot, guest);
    if (handle === 0) return;
    if (this.#sockets.adoptPort(handle | 0, index) >= 0) {
      this.#engine.upstreamEvent(handle | 0, EPOLLIN, now);
    }
  }

  /**
   * Has the TCP ports listen, or refuse who connects; at most `most` of them in one call.
   * @returns whether all of them do
   * @throws SystemError where a port cannot listen
   */
  answer(on: boolean, most = this.count): boolean {
    const wanted = on ? this.count : 0;
    for (let left = most; left > 0 && this.#opened.answering !== wanted; left -= 1) {
      if (on) this.#start(this.#opened.answering);
      else this.#stop(this.#opened.answering - 1);
    }
    return this.#opened.answering === wanted;
  }

  #start(index: number): void {
    const fd = this.#fds[index] ?? NONE;
    check(startListening(this.#sys, fd), "Listen at a published port");
    this.#hear(index);
    this.#opened.answering = index + 1;
  }

  #hear(index: number): void {
    const fd = this.#fds[index] ?? NONE;
    const watched = this.#watch?.add(fd, EPOLLIN, index, EVENT_OF_LISTENER) ?? 0;
    check(watched, "Watch a published port");
  }

  #stop(index: number): void {
    const fd = this.#fds[index] ?? NONE;
    this.#watch?.remove(fd, index, EVENT_OF_LISTENER);
    check(stopListening(this.#sys, fd), "Stop listening at a published port");
    this.#opened.answering = index;
  }

  /**
   * Takes waiting connections of listener `index`, at most ACCEPT_BATCH.
   * @returns how many were dealt with, those that broke off or were refused too; or the negative
   *   errno where none can be for now
   */
  accept(index: number, now: number): number {
    const fd = this.#fds[index];
    const rule = this.#rules[index];
    if (fd === undefined || rule === undefined || index >= this.#opened.answering) return 0;
    const isIpv6 = this.#families[index] === 6;
    for (let i = 0; i < ACCEPT_BATCH; i += 1) {
      const accepted = isIpv6
        ? accept(this.#sys, fd, undefined, this.#peer6)
        : accept(this.#sys, fd, this.#peer);
      if (accepted === -EAGAIN) return i;
      if (accepted < 0) {
        if (PASSING.has(-accepted)) continue;
        if (lacksDescriptor(accepted) && this.#onShort(now)) return Math.max(i, 1);
        if (this.#relieve(fd, accepted)) continue;
        return i > 0 ? i : accepted;
      }
      setNoDelay(this.#sys, accepted, true);
      this.#admit(accepted, rule, isIpv6, now);
    }
    return ACCEPT_BATCH;
  }

  /** Makes a flow of a connection, and resets it where that is not possible. */
  #admit(fd: number, rule: Ports, isIpv6: boolean, now: number): void {
    let handle = 0;
    try {
      handle = isIpv6 ? this.#inbound6(rule, now) : this.#inbound(rule, now);
    } finally {
      if (handle === 0) this.#reset(fd); // an engine that fails here must not cost a descriptor
    }
    if (handle !== 0) this.#sockets.adopt(handle | 0, fd);
  }

  /** A connection cannot be accepted because of `errno`: whether something was done about it. */
  #relieve(listener: number, errno: number): boolean {
    return lacksDescriptor(errno) && this.#refuse(listener);
  }

  /** The number of the address that a rule leads to; 0 = it names none, undefined = no room. */
  #guestOf(guest: PublishRule["guestAddress"] = 0): number | undefined {
    if (typeof guest === "number") return guest;
    const address = this.#engine.addressSix(octetsOfIpv6(guest));
    return address === 0 ? undefined : address;
  }

  #inbound(rule: Ports, now: number): number {
    const { address, port } = this.#peer;
    // What 240.0.0.0/4 would be stands for IPv6 in the engine; such a peer looks like the gateway.
    const shown = address >>> 28 === CLASS_E ? LOOPBACK : address;
    const guest = this.#guestOf(rule.guestAddress);
    if (guest === undefined) return 0;
    return this.#engine.inboundTcp(rule.guestPort, shown, port, now, guest);
  }

  #inbound6(rule: Ports, now: number): number {
    const { octets, scope, port } = this.#peer6;
    const address = this.#engine.addressSix(octets, scope);
    const guest = this.#guestOf(rule.guestAddress);
    if (address === 0 || guest === undefined) return 0;
    return this.#engine.inboundTcp(rule.guestPort, address, port, now, guest);
  }

  /** Has a spare descriptor again, if there is one to be had; any kind will do. */
  #reserve(): void {
    if (this.#spare < 0) this.#spare = this.#sys.eventfd(0, EFD_CLOEXEC);
  }

  /** Accepts a connection in place of the spare descriptor and closes it; false = it cannot. */
  #refuse(listener: number): boolean {
    if (this.#spare >= 0) this.#sys.close(this.#spare);
    this.#spare = NONE;
    const accepted = accept(this.#sys, listener);
    if (accepted >= 0) {
      this.#reset(accepted);
      this.#refused += 1;
    }
    this.#reserve();
    return accepted >= 0;
  }

  /** Closes a connection there is no place for, so that its peer does not take it for an answer. */
  #reset(fd: number): void {
    setLinger(this.#sys, fd, true, 0);
    this.#sys.close(fd);
  }

  /** Leaves the sockets to the next one who publishes the same ports. */
  leave(): void {
    if (this.#spare >= 0) this.#sys.close(this.#spare);
    this.#spare = NONE;
    this.#fds.length = 0;
    this.#sockets.ports.leave();
    this.#opened.rewind();
  }

  close(): void {
    this.leave();
    this.#opened.close();
  }
}
