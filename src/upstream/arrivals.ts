/**
 * What comes in at published ports becomes flows: connections are accepted, datagrams make a flow
 * that has the port's socket while it is used.
 *
 * Where no descriptor is left, idle flows are asked to end and the connection waits for the next
 * turn (`#onShort`). If that frees none, a spare one is given up for a moment: its place takes the
 * connection, which is closed at once, so that its peer learns of it (`spare.ts`). Where that does
 * not help either, or the kernel has no memory, connections can neither be accepted nor refused;
 * `accept` says so and the loop leaves the listener alone for a while, as it would stay readable.
 */

import type { HostEngine } from "../engine/host-engine.ts";
import { LOOPBACK } from "../lib/addr.ts";
import { octetsOfIpv6 } from "../lib/addr6.ts";
import {
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
  EOPNOTSUPP,
  EPERM,
  EPROTO,
} from "../sys/errno.ts";
import type { Libc } from "../sys/libc.ts";
import { EPOLLIN } from "../sys/linux.ts";
import type { Ipv4Endpoint, Ipv6Endpoint } from "../sys/sockaddr.ts";
import { accept, setNoDelay } from "../sys/socket.ts";
import type { PortSocket, Ports } from "./port-sockets.ts";
import type { HostSockets } from "./sockets.ts";
import { reset, SpareDescriptor } from "./spare.ts";

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
/** Upper four bits of 240.0.0.0/4, whose numbers stand for IPv6 addresses in the engine. */
const CLASS_E = 0xf;

export function lacksDescriptor(errno: number): boolean {
  return errno === -EMFILE || errno === -ENFILE;
}

export class Arrivals {
  readonly #sys: Libc;
  readonly #engine: HostEngine;
  readonly #sockets: HostSockets;
  readonly #onShort: (now: number) => boolean;
  readonly #peer: Ipv4Endpoint = { address: 0, port: 0 };
  readonly #peer6: Ipv6Endpoint = { octets: new Uint8Array(16), scope: 0, port: 0 };
  readonly #spare: SpareDescriptor;

  /** @param onShort asks for room when no descriptor is left; true = it comes with the next step */
  constructor(
    sys: Libc,
    engine: HostEngine,
    sockets: HostSockets,
    onShort: (now: number) => boolean,
  ) {
    this.#sys = sys;
    this.#engine = engine;
    this.#sockets = sockets;
    this.#onShort = onShort;
    this.#spare = new SpareDescriptor(sys);
  }

  /** Connections closed unseen because no descriptor was left for them. */
  get refusedCount(): number {
    return this.#spare.refusedCount;
  }

  /** There is going to be a listener. */
  reserve(): void {
    this.#spare.reserve();
  }

  /**
   * Something has come in at the published UDP port of this token, which no flow has: one is made
   * and told. Where there is no slot it stays in the socket, whose next datagram tries again.
   */
  arrived(token: number, now: number): void {
    const { ports } = this.#sockets;
    if (!ports.isParked(token)) return;
    const guest = this.#guestOf(ports.guestAddressOf(token));
    if (guest === undefined) return;
    const [guestPort, hostPort] = [ports.guestPortOf(token), ports.hostPortOf(token)];
    const [family, spot] = [ports.familyOf(token), ports.spotOf(token)];
    const handle = this.#engine.inboundUdp(guestPort, hostPort, now, family, spot, guest);
    if (handle === 0) return;
    if (this.#sockets.adoptPort(handle | 0, token) >= 0) {
      this.#engine.upstreamEvent(handle | 0, EPOLLIN, now);
    }
  }

  /**
   * Takes waiting connections of a listener, at most ACCEPT_BATCH.
   * @returns how many were dealt with, those that broke off or were refused too; or the negative
   *   errno where none can be for now
   */
  accept(listener: PortSocket, now: number): number {
    const { fd, family } = listener;
    const isIpv6 = family === 6;
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
      this.#admit(accepted, listener, now);
    }
    return ACCEPT_BATCH;
  }

  /** Makes a flow of a connection, and resets it where that is not possible. */
  #admit(fd: number, { ports, family, token }: PortSocket, now: number): void {
    let handle = 0;
    try {
      handle = family === 6 ? this.#inbound6(ports, now) : this.#inbound(ports, now);
    } finally {
      if (handle === 0) reset(this.#sys, fd); // an engine that fails here costs no descriptor
    }
    if (handle !== 0) this.#sockets.adoptAccepted(handle | 0, fd, token);
  }

  /** A connection cannot be accepted because of `errno`: whether something was done about it. */
  #relieve(listener: number, errno: number): boolean {
    return lacksDescriptor(errno) && this.#spare.refuse(listener);
  }

  /** The number of the address that a rule leads to; 0 = it names none, undefined = no room. */
  #guestOf(guest: Ports["guestAddress"] = 0): number | undefined {
    if (typeof guest === "number") return guest;
    const address = this.#engine.addressSix(octetsOfIpv6(guest));
    return address === 0 ? undefined : address;
  }

  #inbound(ports: Ports, now: number): number {
    const { address, port } = this.#peer;
    // What 240.0.0.0/4 would be stands for IPv6 in the engine; such a peer looks like the gateway.
    const shown = address >>> 28 === CLASS_E ? LOOPBACK : address;
    const guest = this.#guestOf(ports.guestAddress);
    if (guest === undefined) return 0;
    return this.#engine.inboundTcp(ports.guestPort, shown, port, now, guest);
  }

  #inbound6(ports: Ports, now: number): number {
    const { octets, scope, port } = this.#peer6;
    const address = this.#engine.addressSix(octets, scope);
    const guest = this.#guestOf(ports.guestAddress);
    if (address === 0 || guest === undefined) return 0;
    return this.#engine.inboundTcp(ports.guestPort, address, port, now, guest);
  }

  /** The spare descriptor is given up. */
  close(): void {
    this.#spare.close();
  }
}
