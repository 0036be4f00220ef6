/**
 * The question who has an address of the guest network, as a frame for the guest: an ARP request or
 * a neighbour solicitation.
 *
 * Source: RFC 826, RFC 4861 §7.2.2.
 */
import * as abi from "../abi/index";
import { config } from "../memory";
import { txBegin } from "../ring";
import { count } from "../stats";
import { MAC_BROADCAST } from "../wire/addr";
import { ADDRESS6_SIZE, address6Copy, address6GroupMac, address6Solicited } from "../wire/addr6";
import { ARP_REQUEST, ARP_SIZE, arpEmit } from "../wire/arp";
import { sumPseudo6 } from "../wire/checksum";
import {
  ETHERNET_HEADER_SIZE,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV6,
  ethernetEmit,
} from "../wire/ethernet";
import { icmpv6ChecksumFill, PROTOCOL_ICMPV6 } from "../wire/icmpv6";
import { IPV6_HEADER_SIZE, ipv6Emit } from "../wire/ipv6";
import {
  NDP_HOP_LIMIT,
  NDP_LINK_ADDRESS_SIZE,
  NDP_NEIGHBOR_SIZE,
  ndpSolicitationEmit,
} from "../wire/ndp";
import { isIpv6, octetsOf, ROUTER6 } from "./addresses";
import { frameCommit, gatewayMac } from "./emit";

/** Destination of a solicitation under way. */
const GROUP: usize = memory.data(ADDRESS6_SIZE, 8);
const SOLICITATION_SIZE: u32 = NDP_NEIGHBOR_SIZE + NDP_LINK_ADDRESS_SIZE;

/** The same question in IPv6; `destination` is the broadcast address for the multicast one. */
function solicit6(address: u32, destination: u64): bool {
  const ethernet = txBegin();
  if (ethernet == 0) return false;
  const target = octetsOf(address);
  const isGroup = destination == MAC_BROADCAST;
  if (isGroup) address6Solicited(GROUP, target);
  else address6Copy(GROUP, target);
  const ip = ethernet + ETHERNET_HEADER_SIZE;
  const message = ip + IPV6_HEADER_SIZE;
  const source = octetsOf(ROUTER6);
  ethernetEmit(
    ethernet,
    isGroup ? address6GroupMac(GROUP) : destination,
    gatewayMac(),
    ETHERTYPE_IPV6,
  );
  ipv6Emit(ip, source, GROUP, PROTOCOL_ICMPV6, SOLICITATION_SIZE, NDP_HOP_LIMIT, 0);
  ndpSolicitationEmit(message, target, gatewayMac());
  icmpv6ChecksumFill(
    message,
    SOLICITATION_SIZE,
    sumPseudo6(source, GROUP, PROTOCOL_ICMPV6, SOLICITATION_SIZE),
  );
  frameCommit(ethernet, ETHERNET_HEADER_SIZE + IPV6_HEADER_SIZE + SOLICITATION_SIZE, 0);
  count(abi.STAT_NDP_REQUESTS);
  return true;
}

/** Sends "who has `address`, tell the gateway"; false when there is no room for it. */
export function solicit(address: u32, destination: u64): bool {
  if (isIpv6(address)) return solicit6(address, destination);
  const ethernet = txBegin();
  if (ethernet == 0) return false;
  ethernetEmit(ethernet, destination, gatewayMac(), ETHERTYPE_ARP);
  const gateway = config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET);
  arpEmit(ethernet + ETHERNET_HEADER_SIZE, ARP_REQUEST, gatewayMac(), gateway, 0, address);
  frameCommit(ethernet, ETHERNET_HEADER_SIZE + ARP_SIZE, 0);
  count(abi.STAT_ARP_REQUESTS);
  return true;
}
