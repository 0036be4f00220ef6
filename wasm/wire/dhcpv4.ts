/**
 * DHCP for IPv4: the BOOTP header and the options behind it.
 *
 *      0  1     2    3    4   8    10    12     16     20     24
 *     | op htype hlen hops xid secs flags ciaddr yiaddr siaddr giaddr |
 *     | chaddr 28 | sname 44 | file 108 | cookie 236 | options 240 …
 *
 * Contract: `dhcpCheck` returned WIRE_OK proves that the header and the cookie are there; the view
 * may be used then. `dhcpOptionsParse` has to return true before the `dhcpOption…` functions mean
 * anything; their findings hold until it is called again. Values of an option that comes in several
 * pieces are joined (RFC 3396 §7), in the order options, file, sname; the latter two are read only
 * when option 52 says so (RFC 2132 §9.3). A missing end option is forgiven, an option that reaches
 * past its field is not. Nothing is said about what the values mean.
 *
 * Source: RFC 2131 §2, RFC 2132 §2 and §9.3, RFC 3396.
 */

import { load8, load16, load32, loadMac, store8, store16, store32, storeMac } from "./bytes";
import { WIRE_OK } from "./ipv4";

export const DHCP_HEADER_SIZE: u32 = 240;
/** Larger messages are not looked at: none of a real client's comes near. */
export const DHCP_MESSAGE_SIZE_MAX: u32 = 4096;
/** Some BOOTP clients refuse anything shorter (RFC 1542 §2.1). */
export const BOOTP_SIZE_MIN: u32 = 300;

export const DHCP_SERVER_PORT: u32 = 67;
export const DHCP_CLIENT_PORT: u32 = 68;

export const BOOT_REQUEST: u32 = 1;
export const BOOT_REPLY: u32 = 2;
/** Bit of `flags`. */
export const DHCP_BROADCAST: u32 = 0x8000;

export const DHCP_DISCOVER: u32 = 1;
export const DHCP_OFFER: u32 = 2;
export const DHCP_REQUEST: u32 = 3;
export const DHCP_DECLINE: u32 = 4;
export const DHCP_ACK: u32 = 5;
export const DHCP_NAK: u32 = 6;
export const DHCP_RELEASE: u32 = 7;
export const DHCP_INFORM: u32 = 8;

export const OPTION_PAD: u32 = 0;
export const OPTION_MASK: u32 = 1;
export const OPTION_ROUTER: u32 = 3;
export const OPTION_DNS: u32 = 6;
export const OPTION_MTU: u32 = 26;
export const OPTION_BROADCAST: u32 = 28;
export const OPTION_REQUESTED_ADDRESS: u32 = 50;
export const OPTION_LEASE: u32 = 51;
export const OPTION_OVERLOAD: u32 = 52;
export const OPTION_TYPE: u32 = 53;
export const OPTION_SERVER: u32 = 54;
export const OPTION_PARAMETERS: u32 = 55;
export const OPTION_MESSAGE: u32 = 56;
export const OPTION_SIZE_MAX: u32 = 57;
export const OPTION_RENEWAL: u32 = 58;
export const OPTION_REBINDING: u32 = 59;
export const OPTION_VENDOR_CLASS: u32 = 60;
export const OPTION_CLIENT: u32 = 61;
export const OPTION_TFTP_NAME: u32 = 66;
export const OPTION_BOOT_FILE: u32 = 67;
export const OPTION_USER_CLASS: u32 = 77;
export const OPTION_RAPID_COMMIT: u32 = 80;
export const OPTION_FQDN: u32 = 81;
export const OPTION_RELAY: u32 = 82;
/** Client system architectures (RFC 4578 §2.1). */
export const OPTION_ARCHITECTURE: u32 = 93;
export const OPTION_END: u32 = 255;

/** Answers of `dhcpCheck` besides WIRE_OK. */
export const DHCP_TRUNCATED: i32 = 1;
export const DHCP_OVERSIZED: i32 = 2;
export const DHCP_COOKIE: i32 = 3;

export const DHCP_SNAME_OFFSET: usize = 44;
export const DHCP_SNAME_SIZE: u32 = 64;
export const DHCP_FILE_OFFSET: usize = 108;
export const DHCP_FILE_SIZE: u32 = 128;

const OP_OFFSET: usize = 0;
const HARDWARE_TYPE_OFFSET: usize = 1;
const HARDWARE_LENGTH_OFFSET: usize = 2;
const XID_OFFSET: usize = 4;
const FLAGS_OFFSET: usize = 10;
const CIADDR_OFFSET: usize = 12;
const YIADDR_OFFSET: usize = 16;
const SIADDR_OFFSET: usize = 20;
const GIADDR_OFFSET: usize = 24;
const CHADDR_OFFSET: usize = 28;
const COOKIE_OFFSET: usize = 236;

const COOKIE: u32 = 0x63825363;
const HARDWARE_ETHERNET: u32 = 1;
const MAC_SIZE: u32 = 6;
const OVERLOAD_FILE: u32 = 1;
const OVERLOAD_SNAME: u32 = 2;

@unmanaged
export class DhcpView {
  static at(p: usize): DhcpView {
    return changetype<DhcpView>(p);
  }

  get op(): u32 {
    return load8(changetype<usize>(this) + OP_OFFSET);
  }

  set op(v: u32) {
    store8(changetype<usize>(this) + OP_OFFSET, v);
  }

  get hardwareType(): u32 {
    return load8(changetype<usize>(this) + HARDWARE_TYPE_OFFSET);
  }

  set hardwareType(v: u32) {
    store8(changetype<usize>(this) + HARDWARE_TYPE_OFFSET, v);
  }

  get hardwareLength(): u32 {
    return load8(changetype<usize>(this) + HARDWARE_LENGTH_OFFSET);
  }

  set hardwareLength(v: u32) {
    store8(changetype<usize>(this) + HARDWARE_LENGTH_OFFSET, v);
  }

  /** Whether the client has a MAC address of Ethernet. */
  get isEthernet(): bool {
    return this.hardwareType == HARDWARE_ETHERNET && this.hardwareLength == MAC_SIZE;
  }

  get xid(): u32 {
    return load32(changetype<usize>(this) + XID_OFFSET);
  }

  set xid(v: u32) {
    store32(changetype<usize>(this) + XID_OFFSET, v);
  }

  get flags(): u32 {
    return load16(changetype<usize>(this) + FLAGS_OFFSET);
  }

  set flags(v: u32) {
    store16(changetype<usize>(this) + FLAGS_OFFSET, v);
  }

  get ciaddr(): u32 {
    return load32(changetype<usize>(this) + CIADDR_OFFSET);
  }

  set ciaddr(v: u32) {
    store32(changetype<usize>(this) + CIADDR_OFFSET, v);
  }

  get yiaddr(): u32 {
    return load32(changetype<usize>(this) + YIADDR_OFFSET);
  }

  set yiaddr(v: u32) {
    store32(changetype<usize>(this) + YIADDR_OFFSET, v);
  }

  get siaddr(): u32 {
    return load32(changetype<usize>(this) + SIADDR_OFFSET);
  }

  set siaddr(v: u32) {
    store32(changetype<usize>(this) + SIADDR_OFFSET, v);
  }

  get giaddr(): u32 {
    return load32(changetype<usize>(this) + GIADDR_OFFSET);
  }

  set giaddr(v: u32) {
    store32(changetype<usize>(this) + GIADDR_OFFSET, v);
  }

  /** The first 6 of the 16 octets of chaddr. */
  get clientMac(): u64 {
    return loadMac(changetype<usize>(this) + CHADDR_OFFSET);
  }

  set clientMac(mac: u64) {
    storeMac(changetype<usize>(this) + CHADDR_OFFSET, mac);
  }
}

/** Judges a message of `length` octets by its size and cookie. */
export function dhcpCheck(p: usize, length: u32): i32 {
  if (length < DHCP_HEADER_SIZE) return DHCP_TRUNCATED;
  if (length > DHCP_MESSAGE_SIZE_MAX) return DHCP_OVERSIZED;
  return load32(p + COOKIE_OFFSET) == COOKIE ? WIRE_OK : DHCP_COOKIE;
}

/**
 * Whether it is a message of plain BOOTP (RFC 951), without cookie and options. The view may be
 * used then, and `dhcpOptionsNone` takes the place of `dhcpOptionsParse`.
 */
export function dhcpIsBare(p: usize, length: u32): bool {
  if (length < <u32>COOKIE_OFFSET || length > DHCP_MESSAGE_SIZE_MAX) return false;
  return length < DHCP_HEADER_SIZE || load32(p + COOKIE_OFFSET) == 0;
}

/** Writes what every reply on Ethernet has in common into 240 octets that are zero. */
export function dhcpEmit(p: usize, xid: u32, flags: u32, giaddr: u32, clientMac: u64): void {
  const message = DhcpView.at(p);
  message.op = BOOT_REPLY;
  message.hardwareType = HARDWARE_ETHERNET;
  message.hardwareLength = MAC_SIZE;
  message.xid = xid;
  message.flags = flags;
  message.giaddr = giaddr;
  message.clientMac = clientMac;
  store32(p + COOKIE_OFFSET, COOKIE);
}

// ---------------------------------------------------------------- options

/** Per code: length + 1 of the joined value (0 = absent), and where it lies in VALUES. */
const CODE_COUNT: i32 = 256;
const LENGTHS: usize = memory.data(CODE_COUNT << 1, 4);
const STARTS: usize = memory.data(CODE_COUNT << 1, 4);
const VALUES: usize = memory.data(DHCP_MESSAGE_SIZE_MAX, 4);

function lengthAt(code: u32): usize {
  return LENGTHS + ((<usize>code) << 1);
}

function startAt(code: u32): usize {
  return STARTS + ((<usize>code) << 1);
}

/**
 * First pass over a field: adds up the lengths. Returns the value of option 52, 0 without one; -1
 * if an option reaches past the end.
 */
function measure(p: usize, end: usize): i32 {
  let overload = 0;
  while (p < end) {
    const code = load8(p);
    if (code == OPTION_END) return overload;
    if (code == OPTION_PAD) {
      p += 1;
      continue;
    }
    if (end - p < 2) return -1;
    const size = load8(p + 1);
    if (size > <u32>(end - p - 2)) return -1;
    if (code == OPTION_OVERLOAD && size == 1) overload = <i32>load8(p + 2);
    const known = <u32>load<u16>(lengthAt(code));
    store<u16>(lengthAt(code), <u16>(max<u32>(known, 1) + size));
    p += 2 + size;
  }
  return overload;
}

/** Second pass: appends each value to what is there of its code. The field has been measured. */
function collect(p: usize, end: usize): void {
  while (p < end) {
    const code = load8(p);
    if (code == OPTION_END) return;
    if (code == OPTION_PAD) {
      p += 1;
      continue;
    }
    const size = load8(p + 1);
    const start = <u32>load<u16>(startAt(code));
    memory.copy(VALUES + start, p + 2, size);
    store<u16>(startAt(code), <u16>(start + size));
    p += 2 + size;
  }
}

/** There are no options. */
export function dhcpOptionsNone(): void {
  memory.fill(LENGTHS, 0, CODE_COUNT << 1);
}

/**
 * Reads the options of a message that passed `dhcpCheck`. False if one reaches past its field; the
 * findings are meaningless then.
 */
export function dhcpOptionsParse(p: usize, length: u32): bool {
  memory.fill(LENGTHS, 0, CODE_COUNT << 1);
  const file = p + DHCP_FILE_OFFSET;
  const sname = p + DHCP_SNAME_OFFSET;
  const found = measure(p + DHCP_HEADER_SIZE, p + length);
  if (found < 0) return false;
  const fields = <u32>found; // option 52 inside file or sname does not count
  if ((fields & OVERLOAD_FILE) != 0 && measure(file, file + DHCP_FILE_SIZE) < 0) return false;
  if ((fields & OVERLOAD_SNAME) != 0 && measure(sname, sname + DHCP_SNAME_SIZE) < 0) return false;
  let start: u32 = 0;
  for (let code: u32 = 1; code < OPTION_END; code++) {
    store<u16>(startAt(code), <u16>start);
    const known = <u32>load<u16>(lengthAt(code));
    if (known > 0) start += known - 1;
  }
  collect(p + DHCP_HEADER_SIZE, p + length);
  if ((fields & OVERLOAD_FILE) != 0) collect(file, file + DHCP_FILE_SIZE);
  if ((fields & OVERLOAD_SNAME) != 0) collect(sname, sname + DHCP_SNAME_SIZE);
  return true;
}

/** Octets of an option's value, or -1 if the option was absent. */
export function dhcpOptionLength(code: u32): i32 {
  return <i32>load<u16>(lengthAt(code)) - 1;
}

/** Where an option's value lies, its pieces joined; only if `dhcpOptionLength` is above 0. */
export function dhcpOptionValue(code: u32): usize {
  return VALUES + load<u16>(startAt(code)) - dhcpOptionLength(code);
}
