/**
 * ARP for IPv4 over Ethernet. Source: RFC 826.
 *
 *      0        2        4    5    6      8       14      18      24
 *     | hw type | proto  | hl | pl | oper | s.MAC | s.addr | t.MAC | t.addr |
 *
 * Contract: `arpCheck` says whether the packet has this very layout; the view may be used after it
 * said true. Neither the operation nor the addresses are judged here.
 */

import { load8, load16, load32, loadMac, store8, store16, store32, storeMac } from "./bytes";
import { ETHERTYPE_IPV4 } from "./ethernet";

export const ARP_SIZE: u32 = 28;
export const ARP_REQUEST: u32 = 1;
export const ARP_REPLY: u32 = 2;

const HARDWARE_ETHERNET: u32 = 1;
const MAC_SIZE: u32 = 6;
const ADDRESS_SIZE: u32 = 4;

const HARDWARE_TYPE_OFFSET: usize = 0;
const PROTOCOL_TYPE_OFFSET: usize = 2;
const HARDWARE_LENGTH_OFFSET: usize = 4;
const PROTOCOL_LENGTH_OFFSET: usize = 5;
const OPERATION_OFFSET: usize = 6;
const SENDER_MAC_OFFSET: usize = 8;
const SENDER_ADDRESS_OFFSET: usize = 14;
const TARGET_MAC_OFFSET: usize = 18;
const TARGET_ADDRESS_OFFSET: usize = 24;

@unmanaged
export class ArpView {
  static at(p: usize): ArpView {
    return changetype<ArpView>(p);
  }

  get hardwareType(): u32 {
    return load16(changetype<usize>(this) + HARDWARE_TYPE_OFFSET);
  }

  set hardwareType(v: u32) {
    store16(changetype<usize>(this) + HARDWARE_TYPE_OFFSET, v);
  }

  get protocolType(): u32 {
    return load16(changetype<usize>(this) + PROTOCOL_TYPE_OFFSET);
  }

  set protocolType(v: u32) {
    store16(changetype<usize>(this) + PROTOCOL_TYPE_OFFSET, v);
  }

  get hardwareLength(): u32 {
    return load8(changetype<usize>(this) + HARDWARE_LENGTH_OFFSET);
  }

  set hardwareLength(v: u32) {
    store8(changetype<usize>(this) + HARDWARE_LENGTH_OFFSET, v);
  }

  get protocolLength(): u32 {
    return load8(changetype<usize>(this) + PROTOCOL_LENGTH_OFFSET);
  }

  set protocolLength(v: u32) {
    store8(changetype<usize>(this) + PROTOCOL_LENGTH_OFFSET, v);
  }

  get operation(): u32 {
    return load16(changetype<usize>(this) + OPERATION_OFFSET);
  }

  set operation(v: u32) {
    store16(changetype<usize>(this) + OPERATION_OFFSET, v);
  }

  get senderMac(): u64 {
    return loadMac(changetype<usize>(this) + SENDER_MAC_OFFSET);
  }

  set senderMac(mac: u64) {
    storeMac(changetype<usize>(this) + SENDER_MAC_OFFSET, mac);
  }

  get senderAddress(): u32 {
    return load32(changetype<usize>(this) + SENDER_ADDRESS_OFFSET);
  }

  set senderAddress(v: u32) {
    store32(changetype<usize>(this) + SENDER_ADDRESS_OFFSET, v);
  }

  get targetMac(): u64 {
    return loadMac(changetype<usize>(this) + TARGET_MAC_OFFSET);
  }

  set targetMac(mac: u64) {
    storeMac(changetype<usize>(this) + TARGET_MAC_OFFSET, mac);
  }

  get targetAddress(): u32 {
    return load32(changetype<usize>(this) + TARGET_ADDRESS_OFFSET);
  }

  set targetAddress(v: u32) {
    store32(changetype<usize>(this) + TARGET_ADDRESS_OFFSET, v);
  }
}

/** Whether `length` octets at `p` begin with an ARP packet for IPv4 over Ethernet. */
export function arpCheck(p: usize, length: u32): bool {
  if (length < ARP_SIZE) return false;
  const arp = ArpView.at(p);
  return (
    arp.hardwareType == HARDWARE_ETHERNET &&
    arp.protocolType == ETHERTYPE_IPV4 &&
    arp.hardwareLength == MAC_SIZE &&
    arp.protocolLength == ADDRESS_SIZE
  );
}

/** Writes the 28 octets of a packet. */
export function arpEmit(
  p: usize,
  operation: u32,
  senderMac: u64,
  senderAddress: u32,
  targetMac: u64,
  targetAddress: u32,
): void {
  const arp = ArpView.at(p);
  arp.hardwareType = HARDWARE_ETHERNET;
  arp.protocolType = ETHERTYPE_IPV4;
  arp.hardwareLength = MAC_SIZE;
  arp.protocolLength = ADDRESS_SIZE;
  arp.operation = operation;
  arp.senderMac = senderMac;
  arp.senderAddress = senderAddress;
  arp.targetMac = targetMac;
  arp.targetAddress = targetAddress;
}
