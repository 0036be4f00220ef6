/**
 * Published ports: host sockets whose connections and datagrams go to the guest.
 *
 * A TCP port is a listener; what it accepts becomes an inbound flow, tied to its socket before the
 * next event is looked at. A UDP port is a socket that belongs to a permanent flow of the engine,
 * so the guest's answers leave from the published port.
 *
 * Where no descriptor is left, a connection can neither be accepted nor refused, and the listener
 * would stay readable and keep the loop busy. A spare descriptor is given up for a moment then: its
 * place takes the connection, which is closed at once, so that its peer learns of it.
 */
import type { PublishRule } from "../config/forward.ts";
import type { Engine } from "../engine/engine.ts";
import { formatIpv4 } from "../lib/addr.ts";
import type { Epoll } from "../sys/epoll.ts";
import { EAGAIN, EMFILE, SystemError } from "../sys/errno.ts";
import type { Libc } from "../sys/libc.ts";
import { EFD_CLOEXEC, EPOLLIN } from "../sys/linux.ts";
import type { Ipv4Endpoint } from "../sys/sockaddr.ts";
import { accept, listenIpv4, openTcp, setNoDelay } from "../sys/socket.ts";
import { DATAGRAM, type HostSockets } from "./sockets.ts";
import { openUdpPort } from "./udp.ts";
import { EVENT_OF_LISTENER } from "./upstream.ts";

/** Connections taken from one listener in one turn, so that a flood leaves time for the others. */
const ACCEPT_BATCH = 16;
const ENFILE = 23;
const NONE = -1;

export class Listeners {
  readonly #sys: Libc;
  readonly #engine: Engine;
  readonly #sockets: HostSockets;
  readonly #fds: number[] = [];
  readonly #guestPorts: number[] = [];
  readonly #peer: Ipv4Endpoint = { address: 0, port: 0 };
  #spare = NONE;
  #refused = 0;

  constructor(sys: Libc, engine: Engine, sockets: HostSockets) {
    this.#sys = sys;
    this.#engine = engine;
    this.#sockets = sockets;
  }

  /** Connections closed unseen because no descriptor was left for them. */
  get refusedCount(): number {
    return this.#refused;
  }

  /**
   * Opens every published port.
   * @throws SystemError naming the port that cannot be had
   */
  open(rules: readonly PublishRule[], epoll: Epoll, now: number): void {
    for (const rule of rules) {
      const result = rule.protocol === "tcp" ? this.#listen(rule, epoll) : this.#bind(rule, now);
      if (result < 0) {
        const where = `${formatIpv4(rule.hostAddress)}:${rule.hostPort}/${rule.protocol}`;
        throw new SystemError(`Publish port "${where}"`, -result);
      }
    }
  }

  #listen(rule: PublishRule, epoll: Epoll): number {
    const fd = openTcp(this.#sys);
    if (fd < 0) return fd;
    let result = listenIpv4(this.#sys, fd, rule.hostAddress, rule.hostPort);
    if (result >= 0) result = epoll.add(fd, EPOLLIN, this.#fds.length, EVENT_OF_LISTENER);
    if (result < 0) {
      this.#sys.close(fd);
      return result;
    }
    this.#reserve();
    this.#fds.push(fd);
    this.#guestPorts.push(rule.guestPort);
    return 0;
  }

  #bind(rule: PublishRule, now: number): number {
    const fd = openUdpPort(this.#sys, rule.hostAddress, rule.hostPort);
    if (fd < 0) return fd;
    const handle = this.#engine.inboundUdp(rule.guestPort, rule.hostPort, now);
    if (handle !== 0) return this.#sockets.adopt(handle | 0, fd, DATAGRAM);
    this.#sys.close(fd);
    return -EAGAIN;
  }

  /** Takes waiting connections of listener `index`. */
  accept(index: number, now: number): void {
    const fd = this.#fds[index];
    const guestPort = this.#guestPorts[index];
    if (fd === undefined || guestPort === undefined) return;
    for (let i = 0; i < ACCEPT_BATCH; i += 1) {
      const accepted = accept(this.#sys, fd, this.#peer);
      if (accepted === -EMFILE || accepted === -ENFILE) {
        if (!this.#refuse(fd)) return;
        continue;
      }
      if (accepted < 0) return;
      setNoDelay(this.#sys, accepted, true);
      const { address, port } = this.#peer;
      const handle = this.#engine.inboundTcp(guestPort, address, port, now);
      if (handle === 0) this.#sys.close(accepted);
      else this.#sockets.adopt(handle | 0, accepted);
    }
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
      this.#sys.close(accepted);
      this.#refused += 1;
    }
    this.#reserve();
    return accepted >= 0;
  }

  close(): void {
    if (this.#spare >= 0) this.#sys.close(this.#spare);
    this.#spare = NONE;
    for (const fd of this.#fds.splice(0)) this.#sys.close(fd);
  }
}
