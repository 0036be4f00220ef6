/**
 * Ethernet II header. Source: RFC 894, IEEE 802.3 §3.
 *
 *      0           6           12
 *     | destination | source    | type | payload …
 *
 * Contract: a view may be used when the frame has at least ETHERNET_HEADER_SIZE octets.
 */
import { load16, loadMac, store16, storeMac } from "./bytes";

export const ETHERNET_HEADER_SIZE: u32 = 14;

export const ETHERTYPE_IPV4: u32 = 0x0800;
export const ETHERTYPE_ARP: u32 = 0x0806;
export const ETHERTYPE_VLAN: u32 = 0x8100;
export const ETHERTYPE_IPV6: u32 = 0x86dd;

const DESTINATION_OFFSET: usize = 0;
const SOURCE_OFFSET: usize = 6;
const TYPE_OFFSET: usize = 12;

@unmanaged
export class EthernetView {
  static at(p: usize): EthernetView {
    return changetype<EthernetView>(p);
  }

  get destination(): u64 {
    return loadMac(changetype<usize>(this) + DESTINATION_OFFSET);
  }

  set destination(mac: u64) {
    storeMac(changetype<usize>(this) + DESTINATION_OFFSET, mac);
  }

  get source(): u64 {
    return loadMac(changetype<usize>(this) + SOURCE_OFFSET);
  }

  set source(mac: u64) {
    storeMac(changetype<usize>(this) + SOURCE_OFFSET, mac);
  }

  get etherType(): u32 {
    return load16(changetype<usize>(this) + TYPE_OFFSET);
  }

  set etherType(v: u32) {
    store16(changetype<usize>(this) + TYPE_OFFSET, v);
  }
}

/** Writes the 14 octets of the header. */
export function ethernetEmit(p: usize, destination: u64, source: u64, etherType: u32): void {
  storeMac(p + DESTINATION_OFFSET, destination);
  storeMac(p + SOURCE_OFFSET, source);
  store16(p + TYPE_OFFSET, etherType);
}
