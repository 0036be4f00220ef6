/**
 * What a guest that boots over the network is told to load: a file name in DHCP, a URL in DHCPv6.
 *
 * Theory of operation
 *   The host has listed what there is, a list for each version of IP (CONFIG_BOOT, CONFIG_BOOT6);
 *   an entry says for whom it is. A client says who it is by its architectures, the user class
 *   "iPXE" and the vendor class "HTTPClient". It gets, of what is listed, the first of
 *
 *     who            entry
 *     HTTPClient     the URL, and nothing else: it takes no file names
 *     iPXE           that for iPXE; else as any other; where that is nothing, the URL
 *     all others     that of one of its architectures, in its own order; else that for all
 *
 *   Firmware that is iPXE itself (QEMU's cards) thus loads the same as any other, unless there is a
 *   script for iPXE; and a loader that is iPXE gets that script in place of itself.
 *
 * Contract: `config-check` has found that the lists are whole entries. What `bootFind` says in
 * `boot` holds until it is called again.
 * Source: RFC 4578 §2.1, RFC 5970 §3.1 and 3.3, RFC 3004 §4, UEFI 2.10 §24.7.
 */
import * as abi from "../abi/index";
import { CONFIG } from "../memory";
import { load8, load16 } from "../wire/bytes";

export const BOOT: usize = CONFIG + abi.CONFIG_BOOT_OFFSET;
export const BOOT6: usize = CONFIG + abi.CONFIG_BOOT6_OFFSET;
/** "HTTPClient" */
export const HTTP_CLASS: usize = memory.data<u8>([72, 84, 84, 80, 67, 108, 105, 101, 110, 116]);
export const HTTP_CLASS_SIZE: u32 = 10;
/** "iPXE" */
const IPXE_CLASS: usize = memory.data<u8>([105, 80, 88, 69]);
const IPXE_CLASS_SIZE: u32 = 4;

/** Selector and length. */
const ENTRY_HEADER_SIZE: u32 = 4;
const LENGTH_OFFSET: usize = 2;
/** Architectures of one client that are looked at. */
const ARCHITECTURES_MAX: u32 = 8;

/** What the client at hand is to load. */
@unmanaged
export class BootChoice {
  /** Location and octets of a name or URL; they count only where there is one. */
  value: usize;
  length: u32;
  isFound: bool;
}

export const boot: BootChoice = changetype<BootChoice>(memory.data(<i32>offsetof<BootChoice>(), 4));

/** Finds the entry of that selector; false = there is none. */
function select(list: usize, length: u32, selector: u32): bool {
  const end = list + length;
  for (let p = list; p < end; p += ENTRY_HEADER_SIZE + load16(p + LENGTH_OFFSET)) {
    if (load16(p) != selector) continue;
    boot.isFound = true;
    boot.value = p + ENTRY_HEADER_SIZE;
    boot.length = load16(p + LENGTH_OFFSET);
    return true;
  }
  return false;
}

/** Whether a vendor class of `length` octets is that of a client that boots by HTTP. */
export function bootIsHttp(p: usize, length: i32): bool {
  return length >= <i32>HTTP_CLASS_SIZE && memory.compare(p, HTTP_CLASS, HTTP_CLASS_SIZE) == 0;
}

/** Whether user classes are iPXE's: one of RFC 3004, or, as it says it itself, the bare word. */
export function bootIsIpxe(p: usize, length: u32): bool {
  if (length == IPXE_CLASS_SIZE) return memory.compare(p, IPXE_CLASS, IPXE_CLASS_SIZE) == 0;
  // One octet of length in DHCP, two in DHCPv6.
  for (let size: u32 = 1; size <= 2; size++) {
    const said = size == 1 ? load8(p) : load16(p);
    if (length < size + IPXE_CLASS_SIZE || said != IPXE_CLASS_SIZE) continue;
    if (memory.compare(p + size, IPXE_CLASS, IPXE_CLASS_SIZE) == 0) return true;
  }
  return false;
}

/** Finds what the client with `octets` of architectures at `types` gets, of `length` of list. */
export function bootFind(
  list: usize,
  length: u32,
  types: usize,
  octets: u32,
  isHttp: bool,
  isIpxe: bool,
): void {
  boot.isFound = false;
  if (isHttp) {
    select(list, length, abi.BOOT_HTTP);
    return;
  }
  if (isIpxe && select(list, length, abi.BOOT_IPXE)) return;
  const count = min(octets >>> 1, ARCHITECTURES_MAX);
  for (let i: u32 = 0; i < count; i++) {
    const type = load16(types + ((<usize>i) << 1));
    if (type < <u32>abi.BOOT_HTTP && select(list, length, type)) return;
  }
  if (select(list, length, abi.BOOT_ANY) || !isIpxe) return;
  select(list, length, abi.BOOT_HTTP);
}
