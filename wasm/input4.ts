/**
 * IPv4 from the guest: judged, put together, and handed to who it is for. The twin of `input6`.
 *
 * Order: header, TTL, what is for the DHCP server, who may send and where to, fragments, transport.
 * Nothing else that was sent to a group is ever answered.
 *
 * Source: RFC 791, RFC 1122 §3.2, RFC 1812 §5.3.1.
 */
import * as abi from "./abi/index";
import { SIX } from "./flow/addresses";
import { isOwnAddress } from "./flow/emit";
import { fragmentInput } from "./flow/fragments";
import { sendIcmpError } from "./flow/icmp-error";
import { natIsGuest } from "./flow/nat";
import { neighborLearn } from "./flow/neighbor";
import { offloadsClear, packet } from "./flow/packet";
import { gatewayOf } from "./flow/send";
import { udpInput } from "./flow/udp";
import { icmpInput } from "./icmp4";
import { dhcpInput } from "./local/dhcpv4";
import { count, drop } from "./stats";
import { tcpInput } from "./tcp/input";
import { DHCP_SERVER_PORT } from "./wire/dhcpv4";
import { ICMP_PROTOCOL, ICMP_TIME_EXCEEDED, ICMP_UNREACHABLE } from "./wire/icmpv4";
import {
  Ipv4View,
  ipv4Check,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  WIRE_OK,
} from "./wire/ipv4";
import { UDP_HEADER_SIZE, UdpView } from "./wire/udp";
import { GSO_NONE, GSO_TCPV4, GSO_UDP_L4 } from "./wire/vnet";

/** Writes into the record what the header at `ip` says. */
function read(ip: usize): void {
  const header = Ipv4View.at(ip);
  const offset = header.headerLength;
  packet.ip = ip;
  packet.data = ip + offset;
  packet.length = header.totalLength - offset;
  packet.source = header.source;
  packet.destination = header.destination;
  packet.protocol = header.protocol;
  packet.ttl = header.ttl;
  packet.tos = header.tos;
  packet.isIpv6 = false;
}

/** Whether the packet is for the DHCP server, at its address or for everybody. */
function isForDhcp(): bool {
  if (packet.protocol != PROTOCOL_UDP || packet.length < UDP_HEADER_SIZE) return false;
  const header = Ipv4View.at(packet.ip);
  if (header.fragmentOffset != 0 || header.moreFragments) return false;
  if (!packet.isGroup && packet.destination != gatewayOf(false)) return false;
  return UdpView.at(packet.data).destinationPort == DHCP_SERVER_PORT;
}

/** Takes the packet at `ip`, in `available` octets. */
export function ipv4Input(ip: usize, available: u32, now: i64): void {
  const code = ipv4Check(ip, available);
  if (code != WIRE_OK) {
    drop(abi.DROP_IP_TRUNCATED + code - 1);
    return;
  }
  read(ip);
  if (packet.ttl == 0) drop(abi.DROP_IP_TTL);
  else if (isForDhcp()) dhcpInput(now);
  else if (packet.source >= SIX || !natIsGuest(packet.source)) drop(abi.DROP_IP_SOURCE);
  else if (packet.isGroup || packet.destination >= SIX) {
    drop(abi.DROP_IP_DESTINATION); // nothing that was sent to everybody is ever answered
  } else route(now);
}

/** A packet from one host to another. */
function route(now: i64): void {
  neighborLearn(packet.source, packet.mac, now);
  if (packet.ttl == 1 && !isOwnAddress(packet.destination)) {
    drop(abi.DROP_IP_TTL);
    sendIcmpError(ICMP_TIME_EXCEEDED, 0, gatewayOf(false), now);
    return;
  }
  const header = Ipv4View.at(packet.ip);
  if (header.moreFragments || header.fragmentOffset != 0) {
    count(abi.STAT_FRAGMENTS_RECEIVED);
    const whole = fragmentInput(packet.ip, now);
    if (whole == 0) return;
    offloadsClear();
    read(whole);
  }
  transport(now);
}

function transport(now: i64): void {
  const protocol = packet.protocol;
  const gso = <u32>packet.gso;
  if (protocol == PROTOCOL_TCP) {
    if (gso == GSO_NONE || gso == GSO_TCPV4) tcpInput(now);
    else drop(abi.DROP_VNET_HEADER);
  } else if (protocol == PROTOCOL_UDP) {
    if (gso == GSO_NONE || gso == GSO_UDP_L4) udpInput(now);
    else drop(abi.DROP_VNET_HEADER);
  } else if (protocol == PROTOCOL_ICMP) icmpInput(now);
  else {
    drop(abi.DROP_IP_PROTOCOL);
    sendIcmpError(ICMP_UNREACHABLE, ICMP_PROTOCOL, gatewayOf(false), now);
  }
}
