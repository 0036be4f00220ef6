/**
 * Host sockets leave from the address, and by the interface, that was asked for.
 *
 * The address is checked at the start and bound to with each socket: should the host lose it,
 * connections fail with EADDRNOTAVAIL from then on, which the guest is told, and work again when
 * it is back. Binding to an interface needs no right from Linux 5.7 on. A connection to this
 * machine's loopback is not bound: it does not go out. Neither are published ports.
 *
 * Source: ip(7) IP_BIND_ADDRESS_NO_PORT, socket(7) SO_BINDTODEVICE.
 */
import type { OutboundChoice } from "../config/outbound.ts";
import { formatIpv4 } from "../lib/addr.ts";
import { formatIpv6, octetsOfIpv6 } from "../lib/addr6.ts";
import { EADDRNOTAVAIL, ENODEV, EPERM, errnoName, errnoText } from "../sys/errno.ts";
import type { Libc } from "../sys/libc.ts";
import { IP_BIND_ADDRESS_NO_PORT, SOL_IP } from "../sys/linux.ts";
import { bindDevice, bindIpv4, bindIpv6, openUdp, openUdp6, setOption } from "../sys/socket.ts";

const UNSPECIFIED6: readonly number[] = new Array<number>(16).fill(0);

export class Outbound {
  readonly #choice: OutboundChoice;

  constructor(choice: OutboundChoice) {
    this.#choice = choice;
  }

  /** Binds a socket that is about to connect; its port stays open. Zero, or the negative errno. */
  bind(sys: Libc, fd: number, family: 4 | 6): number {
    const result = this.#toDevice(sys, fd);
    if (result < 0) return result;
    const { ipv4, ipv6 } = this.#choice;
    if ((family === 4 ? ipv4 : ipv6) === undefined) return 0;
    setOption(sys, fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1); // without it there are fewer ports
    return this.#bindPort(sys, fd, family, 0);
  }

  /** Binds a socket for good. Zero, or the negative errno. */
  bindPort(sys: Libc, fd: number, family: 4 | 6, port: number): number {
    const result = this.#toDevice(sys, fd);
    return result < 0 ? result : this.#bindPort(sys, fd, family, port);
  }

  #toDevice(sys: Libc, fd: number): number {
    const { device } = this.#choice;
    return device === undefined ? 0 : bindDevice(sys, fd, device);
  }

  #bindPort(sys: Libc, fd: number, family: 4 | 6, port: number): number {
    const { ipv4 = 0, ipv6 } = this.#choice;
    if (family === 4) return bindIpv4(sys, fd, ipv4, port);
    return bindIpv6(sys, fd, ipv6 ? octetsOfIpv6(ipv6) : UNSPECIFIED6, port);
  }

  /**
   * Tries it once.
   * @throws Error that names the option, for what is not there or not allowed
   */
  check(sys: Libc): void {
    const { ipv4, ipv6, device } = this.#choice;
    if (device !== undefined) {
      this.#try(sys, openUdp(sys), `--outbound-interface "${device}"`, (fd) =>
        bindDevice(sys, fd, device),
      );
    }
    if (ipv4 !== undefined) {
      this.#try(sys, openUdp(sys), `--outbound-address "${formatIpv4(ipv4)}"`, (fd) =>
        bindIpv4(sys, fd, ipv4, 0),
      );
    }
    if (ipv6 !== undefined) {
      this.#try(sys, openUdp6(sys), `--outbound-address "${formatIpv6(ipv6)}"`, (fd) =>
        bindIpv6(sys, fd, octetsOfIpv6(ipv6), 0),
      );
    }
  }

  #try(sys: Libc, fd: number, option: string, bind: (fd: number) => number): void {
    const result = fd < 0 ? fd : bind(fd);
    if (fd >= 0) sys.close(fd);
    if (result < 0) throw new Error(`Go out by ${option}: ${reasonOf(-result)}`);
  }
}

function reasonOf(errno: number): string {
  if (errno === EADDRNOTAVAIL) return "no interface of this host has this address";
  if (errno === ENODEV) return "this host has no such interface";
  const name = `${errnoText(-errno)} (${errnoName(-errno)})`;
  return errno === EPERM ? `${name}; it needs Linux 5.7, or CAP_NET_RAW` : name;
}

/** The routes decide. */
export const ANY_WAY = new Outbound({ ipv4: undefined, ipv6: undefined, device: undefined });
