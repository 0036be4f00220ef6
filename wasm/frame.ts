/**
 * A frame from the guest: is it sound, is it for us, and which version of IP is in it. What the
 * link says of it goes into the record of the packet under way (`flow/packet`), which `input4` and
 * `input6` fill.
 */
import * as abi from "./abi/index";
import { offloadsClear, packet, packetOctets } from "./flow/packet";
import { guestAway, guestBack } from "./guest";
import { ipv4Input } from "./input4";
import { ipv6Input } from "./input6";
import { arpInput } from "./local/arp";
import { CONFIG, config } from "./memory";
import { vnetSize } from "./ring";
import { drop } from "./stats";
import { macIsGroup } from "./wire/addr";
import { loadMac } from "./wire/bytes";
import {
  ETHERNET_HEADER_SIZE,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  EthernetView,
} from "./wire/ethernet";
import { IPV6_HEADER_SIZE } from "./wire/ipv6";
import {
  GSO_ECN,
  GSO_NONE,
  GSO_TCPV4,
  GSO_TCPV6,
  GSO_UDP_L4,
  VNET_DATA_VALID,
  VNET_GSO_SIZE_OFFSET,
  VNET_GSO_TYPE_OFFSET,
  VNET_NEEDS_CSUM,
} from "./wire/vnet";

/** Largest packet that the link may leave for us to cut, with the header IPv6 does not count. */
const UNCUT_SIZE_MAX: u32 = 65535 + IPV6_HEADER_SIZE;

/** Reads the virtio_net_hdr; false when it makes no sense. */
function offloadsRead(p: usize): bool {
  offloadsClear();
  if (vnetSize == 0) return true;
  packet.isChecksumTrusted = (<u32>load<u8>(p) & (VNET_NEEDS_CSUM | VNET_DATA_VALID)) != 0;
  const gso = <u32>load<u8>(p, VNET_GSO_TYPE_OFFSET) & ~GSO_ECN;
  packet.gso = <u8>gso;
  if (gso == GSO_NONE) return true;
  packet.segmentSize = load<u16>(p, VNET_GSO_SIZE_OFFSET);
  const isKnown = gso == GSO_TCPV4 || gso == GSO_TCPV6 || gso == GSO_UDP_L4;
  return packet.segmentSize > 0 && isKnown;
}

/** Takes the frame of `length` octets at `pointer`, its virtio_net_hdr included. */
export function frameInput(pointer: usize, length: u32, now: i64): void {
  if (!offloadsRead(pointer)) {
    drop(abi.DROP_VNET_HEADER);
    return;
  }
  const frame = pointer + vnetSize;
  const octets = length - vnetSize;
  const mtu = packet.gso == GSO_NONE ? config(abi.CONFIG_MTU_OFFSET) : UNCUT_SIZE_MAX;
  if (octets > mtu + ETHERNET_HEADER_SIZE && packetOctets(frame) > mtu) {
    drop(abi.DROP_OVERSIZED);
    return;
  }
  const ethernet = EthernetView.at(frame);
  const gateway = loadMac(CONFIG + abi.CONFIG_GATEWAY_MAC_OFFSET);
  const destination = ethernet.destination;
  const source = ethernet.source;
  if (macIsGroup(source) || source == gateway || source == 0) drop(abi.DROP_SOURCE_MAC);
  else if (destination != gateway && !macIsGroup(destination)) drop(abi.DROP_NOT_FOR_US);
  else {
    if (guestAway()) guestBack(source, now);
    packet.mac = source;
    packet.isGroup = macIsGroup(destination);
    internet(frame, octets, ethernet.etherType, now);
  }
}

function has(flag: i32): bool {
  return (config(abi.CONFIG_FLAGS_OFFSET) & flag) != 0;
}

function internet(frame: usize, octets: u32, type: u32, now: i64): void {
  const ip = frame + ETHERNET_HEADER_SIZE;
  const available = octets - ETHERNET_HEADER_SIZE;
  const isIpv6 = type == ETHERTYPE_IPV6;
  if (has(isIpv6 ? abi.CONFIG_FLAG_IPV6 : abi.CONFIG_FLAG_NO_IPV4) != isIpv6) {
    drop(abi.DROP_ETHERTYPE);
  } else if (type == ETHERTYPE_IPV4) ipv4Input(ip, available, now);
  else if (isIpv6) ipv6Input(ip, available, now);
  else if (type == ETHERTYPE_ARP) arpInput(frame, octets, now);
  else drop(abi.DROP_ETHERTYPE);
}
