/**
 * Published ports: host sockets whose connections and datagrams go to the guest.
 *
 * A TCP port is a listener; what it accepts becomes an inbound flow, tied to its socket before the
 * next event is looked at. A UDP port is a socket that belongs to a permanent flow of the engine,
 * so the guest's answers leave from the published port.
 */
import type { PublishRule } from "../config/forward.ts";
import type { Engine } from "../engine/engine.ts";
import { formatIpv4 } from "../lib/addr.ts";
import type { Epoll } from "../sys/epoll.ts";
import { EAGAIN, SystemError } from "../sys/errno.ts";
import type { Libc } from "../sys/libc.ts";
import { EPOLLIN } from "../sys/linux.ts";
import type { Ipv4Endpoint } from "../sys/sockaddr.ts";
import { accept, listenIpv4, openTcp, setNoDelay } from "../sys/socket.ts";
import { DATAGRAM, type HostSockets } from "./sockets.ts";
import { openUdpPort } from "./udp.ts";
import { EVENT_OF_LISTENER } from "./upstream.ts";

/** Connections taken from one listener in one turn, so that a flood leaves time for the others. */
const ACCEPT_BATCH = 16;

export class Listeners {
  readonly #sys: Libc;
  readonly #engine: Engine;
  readonly #sockets: HostSockets;
  readonly #fds: number[] = [];
  readonly #guestPorts: number[] = [];
  readonly #peer: Ipv4Endpoint = { address: 0, port: 0 };

  constructor(sys: Libc, engine: Engine, sockets: HostSockets) {
    this.#sys = sys;
    this.#engine = engine;
    this.#sockets = sockets;
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
      if (accepted < 0) return; // none left, or none to be had: the listener stays readable
      setNoDelay(this.#sys, accepted, true);
      const { address, port } = this.#peer;
      const handle = this.#engine.inboundTcp(guestPort, address, port, now);
      if (handle === 0) this.#sys.close(accepted);
      else this.#sockets.adopt(handle | 0, accepted);
    }
  }

  close(): void {
    for (const fd of this.#fds.splice(0)) this.#sys.close(fd);
  }
}
