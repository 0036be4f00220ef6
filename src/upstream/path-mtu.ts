/**
 * How large packets to a destination may be, as far as this host knows: the MTU of the route, or
 * what an ICMP error has said of the path.
 *
 * The kernel tells it of a connected socket only, and those of flows are not. One UDP socket for
 * each version of IP is connected to where it is asked for, over and over, and never sends.
 * Source: ip(7) IP_MTU, ipv6(7) IPV6_MTU; connect(2) on a connected datagram socket.
 */
import type { Libc } from "../sys/libc.ts";
import { IP_MTU, IPV6_MTU, SOCKADDR_IN6_SIZE, SOL_IP, SOL_IPV6 } from "../sys/linux.ts";
import { connectIpv4, getOption, openUdp, openUdp6 } from "../sys/socket.ts";

/** Any port: nothing is sent. */
const DISCARD = 9;
const NONE = -1;

export class PathProbe {
  readonly #sys: Libc;
  #four = NONE;
  #six = NONE;

  constructor(sys: Libc) {
    this.#sys = sys;
  }

  /** Octets of a packet to this IPv4 address, or the negative errno. */
  ask(address: number): number {
    if (this.#four < 0) this.#four = openUdp(this.#sys);
    if (this.#four < 0) return this.#four;
    const result = connectIpv4(this.#sys, this.#four, address, DISCARD);
    return result < 0 ? result : getOption(this.#sys, this.#four, SOL_IP, IP_MTU);
  }

  /** The same of a struct sockaddr_in6 at this address of the process. */
  ask6(name: number): number {
    if (this.#six < 0) this.#six = openUdp6(this.#sys);
    if (this.#six < 0) return this.#six;
    const result = this.#sys.connect(this.#six, name, SOCKADDR_IN6_SIZE);
    return result < 0 ? result : getOption(this.#sys, this.#six, SOL_IPV6, IPV6_MTU);
  }

  /** Idempotent. */
  close(): void {
    for (const fd of [this.#four, this.#six]) if (fd >= 0) this.#sys.close(fd);
    this.#four = NONE;
    this.#six = NONE;
  }
}
