/**
 * Packets towards the guest of whichever IP version the addresses are: the choice between `emit`
 * and `emit6`, and the headers of frames that are built in place (TCP, offloaded UDP).
 */
import * as abi from "../abi";
import { config } from "../memory";
import {
  ETHERNET_HEADER_SIZE,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ethernetEmit,
} from "../wire/ethernet";
import { ipv4Emit } from "../wire/ipv4";
import { ipv6Emit } from "../wire/ipv6";
import { GATEWAY6, isSix, octetsOf } from "./addresses";
import { gatewayMac, ipv4Send } from "./emit";
import { ipv6Send } from "./emit6";
import { headerSize } from "./packet";

/** The gateway as seen by the owner of this address. */
export function gatewayFor(address: u32): u32 {
  return isSix(address) ? GATEWAY6 : config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET);
}

/** Octets of Ethernet and IP header towards this address. */
export function startOf(address: u32): u32 {
  return ETHERNET_HEADER_SIZE + headerSize(address);
}

/** `ipv4Send` or `ipv6Send`. */
export function packetSend(
  source: u32,
  destination: u32,
  mac: u64,
  protocol: u32,
  ttl: u32,
  tos: u32,
  header: usize,
  headerLength: u32,
  payload: usize,
  payloadLength: u32,
  handle: u32,
): bool {
  if (isSix(destination)) {
    return ipv6Send(
      source,
      destination,
      mac,
      protocol,
      ttl,
      tos,
      header,
      headerLength,
      payload,
      payloadLength,
      handle,
    );
  }
  return ipv4Send(
    source,
    destination,
    mac,
    protocol,
    ttl,
    tos,
    header,
    headerLength,
    payload,
    payloadLength,
    handle,
  );
}

/**
 * Writes Ethernet and IP header of a frame that carries `length` octets of transport. `ident` and
 * `fragmentField` are IPv4's; IPv6 packets have neither.
 */
export function headersEmit(
  ethernet: usize,
  source: u32,
  destination: u32,
  mac: u64,
  protocol: u32,
  length: u32,
  ttl: u32,
  tos: u32,
  ident: u32,
  fragmentField: u32,
): void {
  const ip = ethernet + ETHERNET_HEADER_SIZE;
  if (isSix(destination)) {
    ethernetEmit(ethernet, mac, gatewayMac(), ETHERTYPE_IPV6);
    ipv6Emit(ip, octetsOf(source), octetsOf(destination), protocol, length, ttl, tos);
    return;
  }
  ethernetEmit(ethernet, mac, gatewayMac(), ETHERTYPE_IPV4);
  ipv4Emit(ip, source, destination, protocol, length, ttl, ident, fragmentField, tos);
}
