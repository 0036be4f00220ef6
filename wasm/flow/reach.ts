/**
 * How far into the host and what is next to it a guest may reach.
 *
 * Theory of operation
 *   Whoever opens a connection or sends a datagram asks `reachRefusal` for the destination, each
 *   datagram anew, as addresses come and go. What `nat` calls unusable never gets here.
 *
 *     destination                            refused
 *     169.254.169.254, fd00:ec2::254,        with CONFIG_FLAG_REFUSE_METADATA
 *       fd20:ce::254 (metadata services)
 *     an own address of the host             with CONFIG_FLAG_REFUSE_HOST, unless the port is
 *                                            published there: that is a hairpin, and goes through
 *     169.254.0.0/16, fec0::/10              with CONFIG_FLAG_REFUSE_HOST
 *     an IPv4 address inside an IPv6 one     if it is refused as such, is own, or unusable: what a
 *       (`embedded`)                         translator makes of loopback is loopback
 *
 *   fe80::/10 never leaves the guest's link. Connections that exist go on when an address becomes
 *   the host's own. The host's resolvers are no destination of the guest's: `resolvers` leads to
 *   them, wherever they are.
 *
 * Contract: pure functions of configuration and `own`; numbers of addresses as in `addresses`.
 * Source: RFC 3927, RFC 3879, RFC 6890, RFC 4787 REQ-9.
 */
import * as abi from "../abi/index";
import { config } from "../memory";
import {
  addressIsLinkLocal,
  addressIsLoopback,
  addressIsThisNetwork,
  addressIsUnusableDestination,
} from "../wire/addr";
import { address6Equal, address6IsLoopback, address6IsSiteLocal } from "../wire/addr6";
import { EMBEDDED_FORMS, EMBEDDED_NONE, embeddedAt, embeddedIn } from "../wire/embedded";
import { isIpv6, octetsOf } from "./addresses";
import { networkMask } from "./emit";
import { ownHas, ownPublished } from "./own";

/** The metadata service of nearly every cloud. */
const METADATA: u32 = 0xa9fea9fe;
/** fd00:ec2::254, Amazon's. */
const METADATA_EC2: usize = memory.data<u8>([
  0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54,
]);
/** fd20:ce::254, Google's. */
const METADATA_GCE: usize = memory.data<u8>([
  0xfd, 0x20, 0, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54,
]);

function has(flag: i32): bool {
  return (config(abi.CONFIG_FLAGS_OFFSET) & flag) != 0;
}

function metadata(): i32 {
  return has(abi.CONFIG_FLAG_REFUSE_METADATA) ? abi.DROP_METADATA : abi.DROP_NONE;
}

function host(address: u32, isLocal: bool, protocol: u32, port: u32): i32 {
  if (!has(abi.CONFIG_FLAG_REFUSE_HOST)) return abi.DROP_NONE;
  if (!ownHas(address)) return isLocal ? abi.DROP_HOST_ADDRESS : abi.DROP_NONE;
  return ownPublished(address, protocol, port) ? abi.DROP_NONE : abi.DROP_HOST_ADDRESS;
}

/** Of an IPv4 address that a translator would send to. */
function inner(address: u32): i32 {
  const gateway = config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET);
  const isInside = ((address ^ gateway) & networkMask()) == 0;
  if (addressIsUnusableDestination(address) || isInside) return abi.DROP_HOST_ADDRESS;
  return address == METADATA ? metadata() : host(address, addressIsLinkLocal(address), 0, 0);
}

function refusal6(address: u32, protocol: u32, port: u32): i32 {
  const p = octetsOf(address);
  if (embeddedIn(p)) {
    for (let form: u32 = 0; form < EMBEDDED_FORMS; form++) {
      const found = embeddedAt(p, form);
      if (found == EMBEDDED_NONE) continue;
      const refused = inner(<u32>found);
      if (refused != abi.DROP_NONE) return refused;
    }
  }
  if (address6Equal(p, METADATA_EC2) || address6Equal(p, METADATA_GCE)) return metadata();
  return host(address, address6IsSiteLocal(p), protocol, port);
}

/**
 * Why a guest may not reach `port` of this usable address: DROP_HOST_ADDRESS or DROP_METADATA;
 * DROP_NONE = it may. `port` is 0 for protocols without ports.
 */
export function reachRefusal(address: u32, protocol: u32, port: u32): i32 {
  if (isIpv6(address)) return refusal6(address, protocol, port);
  if (address == METADATA) return metadata();
  return host(address, addressIsLinkLocal(address), protocol, port);
}

/** Whether what comes from the address comes from this very host. */
export function reachIsLocal(address: u32): bool {
  if (isIpv6(address)) return address6IsLoopback(octetsOf(address)) || ownHas(address);
  return addressIsLoopback(address) || addressIsThisNetwork(address) || ownHas(address);
}
