/**
 * Interface configuration: MTU, addresses, routes.
 *
 * Acts on the network namespace the control socket was opened in. Every method throws a SystemError
 * that says what was tried.
 * Source: netdevice(7), include/uapi/linux/route.h.
 */

import { Block } from "./block.ts";
import { check, EACCES, EEXIST, EOPNOTSUPP } from "./errno.ts";
import { Fd } from "./fd.ts";
import type { Libc } from "./libc.ts";
import {
  AF_INET,
  ARPHRD_ETHER,
  IFF_UP,
  IFLA_TXQLEN,
  IFREQ_UNION_OFFSET,
  RTENTRY_DEVICE_OFFSET,
  RTENTRY_DST_OFFSET,
  RTENTRY_FLAGS_OFFSET,
  RTENTRY_GATEWAY_OFFSET,
  RTENTRY_GENMASK_OFFSET,
  RTENTRY_SIZE,
  RTF_GATEWAY,
  RTF_UP,
  SIOCADDRT,
  SIOCGIFFLAGS,
  SIOCGIFHWADDR,
  SIOCGIFINDEX,
  SIOCGIFMTU,
  SIOCGIFTXQLEN,
  SIOCSIFADDR,
  SIOCSIFFLAGS,
  SIOCSIFHWADDR,
  SIOCSIFMTU,
  SIOCSIFNETMASK,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
} from "./linux.ts";
import { addAddress6, addDefaultRoute6, setLinkWord } from "./netlink.ts";
import { writeIpv4 } from "./sockaddr.ts";
import { interfaceRequest } from "./tun.ts";

const MAC_OFFSET = IFREQ_UNION_OFFSET + 2;
const MAC_SIZE = 6;

/** What to do to an interface; what is absent stays as it is. Addresses in host order. */
export interface InterfaceSetup {
  readonly mtu?: number;
  /** Six octets. */
  readonly mac?: Uint8Array;
  /** Frames the kernel queues towards the reader of a tap. */
  readonly txQueueLength?: number;
  readonly address?: number;
  readonly prefixLength?: number;
  readonly up?: boolean;
  /** Default route through this address. */
  readonly gateway?: number;
  /** IPv6 address, prefix length and default route; passed over where IPv6 is switched off. */
  readonly ipv6?: {
    /** 16 octets each. */
    readonly address: readonly number[];
    readonly prefixLength: number;
    readonly gateway: readonly number[];
  };
  /** Also bring "lo" up, which a fresh namespace has down. */
  readonly loopback?: boolean;
}

export class NetConfig {
  private readonly sys: Libc;
  private readonly socket: Fd;

  /** @throws SystemError */
  constructor(sys: Libc) {
    const fd = sys.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    this.sys = sys;
    this.socket = new Fd(sys, check(fd, "Open a socket for interface configuration"));
  }

  /** Does all of `setup`, in the order the kernel wants it. */
  apply(name: string, setup: InterfaceSetup): void {
    if (setup.loopback === true) this.setUp("lo");
    if (setup.mac !== undefined) this.setMac(name, setup.mac);
    if (setup.mtu !== undefined) this.setMtu(name, setup.mtu);
    if (setup.txQueueLength !== undefined) this.setTxQueueLength(name, setup.txQueueLength);
    if (setup.address !== undefined) {
      this.setAddress(name, setup.address, setup.prefixLength ?? 32);
    }
    if (setup.up === true) this.setUp(name);
    // Last: a route needs an interface that is up and an address that reaches the gateway.
    if (setup.gateway !== undefined) this.setDefaultRoute(name, setup.gateway);
    if (setup.ipv6 !== undefined) this.setIpv6(name, setup.ipv6);
  }

  getMtu(name: string): number {
    return this.get(name, SIOCGIFMTU, "Read the MTU");
  }

  setMtu(name: string, mtu: number): void {
    this.set(name, SIOCSIFMTU, mtu, `Set the MTU to ${mtu}`);
  }

  getTxQueueLength(name: string): number {
    return this.get(name, SIOCGIFTXQLEN, "Read the queue length");
  }

  setTxQueueLength(name: string, frames: number): void {
    // By netlink: the ioctl wants the capability in the first user namespace.
    const index = this.get(name, SIOCGIFINDEX, "Find the index");
    const result = setLinkWord(this.sys, index, IFLA_TXQLEN, frames);
    check(result, `Set the queue length to ${frames} on "${name}"`);
  }

  getMac(name: string): Uint8Array {
    const request = interfaceRequest(this.sys, name);
    this.control(SIOCGIFHWADDR, request, `Read the MAC address of "${name}"`);
    return request.bytes.slice(MAC_OFFSET, MAC_OFFSET + MAC_SIZE);
  }

  setMac(name: string, mac: Uint8Array): void {
    const request = interfaceRequest(this.sys, name);
    request.view.setUint16(IFREQ_UNION_OFFSET, ARPHRD_ETHER, true);
    request.bytes.set(mac.subarray(0, MAC_SIZE), MAC_OFFSET);
    this.control(SIOCSIFHWADDR, request, `Set the MAC address of "${name}"`);
  }

  setAddress(name: string, address: number, prefixLength: number): void {
    const request = interfaceRequest(this.sys, name);
    writeIpv4(request, IFREQ_UNION_OFFSET, address, 0);
    this.control(SIOCSIFADDR, request, `Set the address of "${name}"`);
    const mask = prefixLength === 0 ? 0 : (-1 << (32 - prefixLength)) >>> 0;
    writeIpv4(request, IFREQ_UNION_OFFSET, mask, 0);
    this.control(SIOCSIFNETMASK, request, `Set the prefix length of "${name}" to ${prefixLength}`);
  }

  setUp(name: string): void {
    const request = interfaceRequest(this.sys, name);
    this.control(SIOCGIFFLAGS, request, `Find the interface "${name}"`);
    const flags = request.view.getUint16(IFREQ_UNION_OFFSET, true);
    request.view.setUint16(IFREQ_UNION_OFFSET, flags | IFF_UP, true);
    this.control(SIOCSIFFLAGS, request, `Bring the interface "${name}" up`);
  }

  /** A default route that is there already is left alone. */
  setDefaultRoute(name: string, gateway: number): void {
    const route = new Block(this.sys, RTENTRY_SIZE);
    const device = Block.text(this.sys, name);
    writeIpv4(route, RTENTRY_DST_OFFSET, 0, 0);
    writeIpv4(route, RTENTRY_GATEWAY_OFFSET, gateway, 0);
    writeIpv4(route, RTENTRY_GENMASK_OFFSET, 0, 0);
    route.view.setUint16(RTENTRY_FLAGS_OFFSET, RTF_UP | RTF_GATEWAY, true);
    route.setU64(RTENTRY_DEVICE_OFFSET, device.address);
    const result = this.sys.ioctl(this.socket.number, SIOCADDRT, route.address);
    if (result !== -EEXIST) check(result, `Set the default route through "${name}"`);
  }

  /** Address and route that are there already are left alone. */
  setIpv6(name: string, setup: NonNullable<InterfaceSetup["ipv6"]>): void {
    const index = this.get(name, SIOCGIFINDEX, "Find the index");
    const added = addAddress6(this.sys, index, setup.address, setup.prefixLength);
    // Switched off for this interface, or not in this kernel: there is nothing to configure.
    if (added === -EACCES || added === -EOPNOTSUPP) return;
    if (added !== -EEXIST) check(added, `Set the IPv6 address of "${name}"`);
    const routed = addDefaultRoute6(this.sys, index, setup.gateway);
    if (routed !== -EEXIST) check(routed, `Set the IPv6 default route through "${name}"`);
  }

  close(): void {
    this.socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private get(name: string, request: number, action: string): number {
    const block = interfaceRequest(this.sys, name);
    this.control(request, block, `${action} of "${name}"`);
    return block.getI32(IFREQ_UNION_OFFSET);
  }

  private set(name: string, request: number, value: number, action: string): void {
    const block = interfaceRequest(this.sys, name);
    block.setI32(IFREQ_UNION_OFFSET, value);
    this.control(request, block, `${action} on "${name}"`);
  }

  private control(request: number, block: Block, action: string): void {
    check(this.sys.ioctl(this.socket.number, request, block.address), action);
  }
}
