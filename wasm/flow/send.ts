/**
 * Packets towards the guest of whichever IP version the addresses are: the choice between `emit`
 * and `emit6`, and the headers of frames that are built in place (TCP, offloaded UDP).
 */
import * as abi from "../abi/index";
import { config } from "../memory";
import {
  ETHERNET_HEADER_SIZE,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ethernetEmit,
} from "../wire/ethernet";
import { ipv4Emit } from "../wire/ipv4";
import { ipv6Emit } from "../wire/ipv6";
import { GATEWAY6, isIpv6, octetsOf } from "./addresses";
import { gatewayMac, ipv4Send } from "./emit";
import { ipv6Send } from "./emit6";
import { natToGuest } from "./nat";
import { outgoing } from "./outgoing";
import { headerSize } from "./packet";

/** The gateway's address of that version. */
export function gatewayOf(six: bool): u32 {
  return six ? GATEWAY6 : config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET);
}

/** The gateway as seen by the owner of this address. */
export function gatewayFor(address: u32): u32 {
  return gatewayOf(isIpv6(address));
}

/** Whom the owner of `guest` sees in place of `peer`, an address on the host's side. */
export function shownTo(guest: u32, peer: u32): u32 {
  return isIpv6(guest) == isIpv6(peer) ? natToGuest(peer) : gatewayFor(guest);
}

/** Octets of Ethernet and IP header towards this address. */
export function startOf(address: u32): u32 {
  return ETHERNET_HEADER_SIZE + headerSize(address);
}

/** `ipv4Send` or `ipv6Send`. */
export function packetSend(
  header: usize,
  headerLength: u32,
  payload: usize,
  payloadLength: u32,
  handle: u32,
): bool {
  return isIpv6(outgoing.destination)
    ? ipv6Send(header, headerLength, payload, payloadLength, handle)
    : ipv4Send(header, headerLength, payload, payloadLength, handle);
}

/** Writes Ethernet and IP header of a frame of `outgoing` that carries `length` octets. */
export function headersEmit(ethernet: usize, length: u32): void {
  const ip = ethernet + ETHERNET_HEADER_SIZE;
  if (isIpv6(outgoing.destination)) {
    const source = octetsOf(outgoing.source);
    const destination = octetsOf(outgoing.destination);
    ethernetEmit(ethernet, outgoing.mac, gatewayMac(), ETHERTYPE_IPV6);
    ipv6Emit(ip, source, destination, outgoing.protocol, length, outgoing.ttl, outgoing.tos);
    return;
  }
  ethernetEmit(ethernet, outgoing.mac, gatewayMac(), ETHERTYPE_IPV4);
  ipv4Emit(ip, outgoing, length);
}
