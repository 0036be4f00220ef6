/**
 * The sockets of published ports, which outlive the engine they lead to.
 *
 * They hold what has come in and was not taken yet: connections in the kernel's queue, datagrams.
 * Whoever publishes them for an engine watches them under tokens of its own; the next one who does
 * takes all of them up as they are. A rule of which some ports could not be had is kept as the runs
 * of ports that are there, each a publication of its own.
 */
import type { PublishRule } from "../config/publish-rule.ts";
import type { Libc } from "../sys/libc.ts";
import { bindIpv4, bindIpv6, openTcp, openTcp6, reservePort, setOobInline } from "../sys/socket.ts";
import { isLeftOut, isLoopback, type Spot } from "./spots.ts";
import { type Family, openUdpPort } from "./udp.ts";

/** One port of a rule: the host's, the guest's, and the guest's address where it names one. */
export type Ports = Pick<PublishRule, "protocol" | "hostPort" | "guestPort" | "guestAddress">;

const NONE = -1;

export class PortSocket {
  readonly fd: number;
  readonly ports: Ports;
  readonly spot: Spot;
  /** Both: one socket of UDP for both versions of IP. */
  readonly family: Family;
  /** Of TCP. */
  isListening = false;
  /** Under which it is watched; -1 = nobody has taken it up. */
  token = NONE;
  /** Undefined: it is about to be part of one, or was. */
  publication: Publication | undefined;

  constructor(fd: number, ports: Ports, spot: Spot, family: Family) {
    this.fd = fd;
    this.ports = ports;
    this.spot = spot;
    this.family = family;
  }

  /** Somebody watches it. */
  get isTaken(): boolean {
    return this.token !== NONE;
  }

  /** Nobody watches it any more. */
  leave(): void {
    this.token = NONE;
  }

  /** What a guest begins at this port may leave by it, whichever address it uses. */
  get mayBeFirst(): boolean {
    return this.ports.guestAddress === undefined && !isLoopback(this.spot);
  }
}

/** Ports in a row that were published by one rule, and their sockets. */
export interface Publication {
  readonly rule: PublishRule;
  /** While the program ran. */
  readonly isAdded: boolean;
  readonly sockets: readonly PortSocket[];
}

/** The port of a rule that is so many after its first. */
export function portsOf(rule: PublishRule, offset: number): Ports {
  const { protocol, hostPort, guestPort, guestAddress } = rule;
  const to = guestAddress === undefined ? {} : { guestAddress };
  return { protocol, hostPort: hostPort + offset, guestPort: guestPort + offset, ...to };
}

export class PortSockets {
  /** Sockets beyond those there were at the start; below 0 where some of these have gone. */
  extra = 0;
  readonly #sys: Libc;
  readonly #publications = new Set<Publication>();

  constructor(sys: Libc) {
    this.#sys = sys;
  }

  /** In the order they were published. */
  get publications(): Iterable<Publication> {
    return this.#publications;
  }

  /** All there is, as rules. */
  get rules(): PublishRule[] {
    return Array.from(this.#publications, ({ rule }) => rule);
  }

  keep(publication: Publication): void {
    for (const socket of publication.sockets) socket.publication = publication;
    this.#publications.add(publication);
  }

  forget(publication: Publication): void {
    this.#publications.delete(publication);
  }

  /**
   * Opens the sockets of one port, into `found`; those of a version of IP that the host does not
   * have are left out.
   * @param isFree whether one of UDP may be of both versions
   * @returns zero, or the negative errno of the last one that cannot be had
   */
  open(ports: Ports, spots: readonly Spot[], isFree: boolean, found: PortSocket[]): number {
    const ipv6 = spots[1];
    if (ports.protocol === "udp" && ipv6 !== undefined && isFree) {
      const result = this.#open(ports, ipv6, "both", found);
      if (!isLeftOut(result, ipv6, spots)) return result;
    }
    let fault = 0;
    for (const spot of spots) {
      const result = this.#open(ports, spot, spot.family, found);
      if (result < 0 && !isLeftOut(result, spot, spots)) fault = result;
    }
    return fault;
  }

  #open(ports: Ports, spot: Spot, family: Family, found: PortSocket[]): number {
    const { protocol, hostPort } = ports;
    const fd =
      protocol === "tcp"
        ? openTcpPort(this.#sys, spot, hostPort)
        : openUdpPort(this.#sys, family, spot.octets, hostPort);
    if (fd < 0) return fd;
    found.push(new PortSocket(fd, ports, spot, family));
    return 0;
  }

  /** Closes one; who waits to be accepted is reset. */
  discard({ fd }: PortSocket): void {
    this.#sys.close(fd);
  }

  /** Idempotent. */
  close(): void {
    for (const { sockets } of this.#publications) for (const each of sockets) this.discard(each);
    this.#publications.clear();
  }
}

/** A bound TCP socket that does not listen yet; or the negative errno. */
function openTcpPort(sys: Libc, spot: Spot, port: number): number {
  const isIpv6 = spot.family === 6;
  const fd = isIpv6 ? openTcp6(sys) : openTcp(sys);
  if (fd < 0) return fd;
  setOobInline(sys, fd);
  const result = reservePort(sys, fd, () =>
    isIpv6 ? bindIpv6(sys, fd, spot.octets, port) : bindIpv4(sys, fd, spot.address, port),
  );
  if (result >= 0) return fd;
  sys.close(fd);
  return result;
}
