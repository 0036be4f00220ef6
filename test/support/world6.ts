/**
 * A world whose engine serves IPv6, and what its guest says on the link: neighbour discovery and
 * DHCPv6. The router's first advertisement has been taken.
 */

import type { EngineIpv6Values } from "../../src/engine/config.ts";
import { TX_CAPACITY_COUNT, TX_SLOT_SIZE } from "../../wasm/abi.ts";
import { EngineWorld } from "./engine-harness.ts";
import {
  GATEWAY_MAC,
  GUEST_MAC,
  GUEST6,
  IPV6,
  LINK6,
  type WorldOptions,
} from "./engine-settings.ts";
import { ethernet, type Octets, PROTOCOL_UDP, udp } from "./packet.ts";
import {
  ALL_DHCP_SERVERS,
  type Dhcp6Fields,
  dhcp6,
  ETHERTYPE_IPV6,
  type Icmp6Fields,
  type Ipv6Fields,
  icmp6,
  ipv6,
  type Option6,
  PROTOCOL_ICMPV6,
  readOptions6,
} from "./packet6.ts";

export type World6Options = Omit<WorldOptions, "ipv6"> & {
  readonly ipv6?: Partial<EngineIpv6Values>;
};

/** MAC of a multicast address: 33:33 and its last four octets. */
function groupMac(address: string): string {
  const tail = address.split(":").slice(-2).join(":");
  if (address === ALL_DHCP_SERVERS) return "33:33:00:01:00:02";
  if (tail === ":1" || address === "ff02::1") return "33:33:00:00:00:01";
  return "33:33:ff:00:00:01";
}

export class World6 extends EngineWorld {
  constructor(options: World6Options = {}) {
    super({ ...options, ipv6: { ...IPV6, ...options.ipv6 } });
    this.advance(0);
    this.expect("icmp6", { type: 134, destination: "ff02::1" });
  }

  /** What this makes the engine send, in slots that held nothing but one octet over and over. */
  sentOver(filling: number, work: () => void): Uint8Array[] {
    const { octets, bases } = this.engine;
    octets.fill(filling, bases.txBuffers, bases.txBuffers + TX_CAPACITY_COUNT * TX_SLOT_SIZE);
    work();
    return this.take().map((frame) => frame.octets);
  }

  /** A packet in its frame; to a group address if the destination is one. */
  packet(fields: Partial<Ipv6Fields> & { destination: string }, payload: Octets): Uint8Array {
    const { destination } = fields;
    const to = destination.startsWith("ff") ? groupMac(destination) : GATEWAY_MAC;
    const link = { destination: to, source: GUEST_MAC, type: ETHERTYPE_IPV6 };
    return ethernet(link, ipv6({ source: GUEST6, protocol: 59, ...fields }, payload));
  }

  /** An ICMPv6 message with hop limit 255. */
  icmp6(
    fields: Omit<Icmp6Fields, "source"> & { readonly source?: string },
    payload: Octets,
    ip: Partial<Ipv6Fields> = {},
  ): Uint8Array {
    const { source = GUEST6, destination } = fields;
    const message = icmp6({ source, ...fields }, payload);
    const header = { source, destination, protocol: PROTOCOL_ICMPV6, ttl: 255, ...ip };
    return this.packet(header, message);
  }

  /** A ready-made ICMPv6 message with hop limit 255. */
  message(source: string, destination: string, message: Uint8Array, ttl = 255): Uint8Array {
    return this.packet({ source, destination, protocol: PROTOCOL_ICMPV6, ttl }, message);
  }

  dhcp6(
    fields: Dhcp6Fields,
    ends: { readonly source?: string; readonly destination?: string } = {},
  ): Uint8Array {
    const { source = LINK6, destination = ALL_DHCP_SERVERS } = ends;
    const ports = { sourcePort: 546, destinationPort: 547 };
    const datagram = udp({ source, destination, ...ports }, dhcp6(fields));
    return this.packet({ source, destination, protocol: PROTOCOL_UDP }, datagram);
  }

  /** Takes the next frame, a message of the DHCPv6 server. */
  expectDhcp6(): { type: number; transaction: number; options: Option6[]; destination: string } {
    const frame = this.expect("udp", { sourcePort: 547, destinationPort: 546 });
    const view = new DataView(frame.payload.buffer, frame.payload.byteOffset);
    const word = view.getUint32(0);
    return {
      type: word >>> 24,
      transaction: word & 0xffffff,
      options: readOptions6(frame.payload.subarray(4)),
      destination: frame.destination,
    };
  }
}
