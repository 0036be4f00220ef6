/**
 * DHCP for IPv6: message header and options. Source: RFC 9915 §8 and 21 (as RFC 8415).
 *
 *     | message type | transaction id 3 | options …        option: | code 2 | length 2 | value … |
 *
 * Contract: `dhcp6OptionsOk` proves that the options fill `length` octets exactly; the finders may
 * be used then. What options hold themselves (an identity association's) is checked the same way by
 * whoever looks into it. Nothing is said about what the values mean.
 */
import { load8, load16, load32, store16, store32 } from "./bytes";

export const DHCP6_HEADER_SIZE: u32 = 4;
export const DHCP6_SERVER_PORT: u32 = 547;
export const DHCP6_CLIENT_PORT: u32 = 546;

export const DHCP6_SOLICIT: u32 = 1;
export const DHCP6_ADVERTISE: u32 = 2;
export const DHCP6_REQUEST: u32 = 3;
export const DHCP6_CONFIRM: u32 = 4;
export const DHCP6_RENEW: u32 = 5;
export const DHCP6_REBIND: u32 = 6;
export const DHCP6_REPLY: u32 = 7;
export const DHCP6_RELEASE: u32 = 8;
export const DHCP6_DECLINE: u32 = 9;
export const DHCP6_INFORMATION: u32 = 11;

export const OPTION6_CLIENT: u32 = 1;
export const OPTION6_SERVER: u32 = 2;
export const OPTION6_IA_NA: u32 = 3;
export const OPTION6_IA_TA: u32 = 4;
export const OPTION6_ADDRESS: u32 = 5;
export const OPTION6_REQUESTED: u32 = 6;
export const OPTION6_PREFERENCE: u32 = 7;
export const OPTION6_STATUS: u32 = 13;
export const OPTION6_RAPID_COMMIT: u32 = 14;
export const OPTION6_USER_CLASS: u32 = 15;
export const OPTION6_VENDOR_CLASS: u32 = 16;
export const OPTION6_DNS: u32 = 23;
export const OPTION6_SEARCH: u32 = 24;
export const OPTION6_IA_PD: u32 = 25;
export const OPTION6_REFRESH: u32 = 32;
export const OPTION6_FQDN: u32 = 39;
export const OPTION6_BOOT_URL: u32 = 59;
export const OPTION6_ARCHITECTURE: u32 = 61;

export const STATUS6_SUCCESS: u32 = 0;
export const STATUS6_NO_ADDRESSES: u32 = 2;
export const STATUS6_NO_BINDING: u32 = 3;
export const STATUS6_NOT_ON_LINK: u32 = 4;
export const STATUS6_NO_PREFIX: u32 = 6;

export const OPTION6_HEADER_SIZE: u32 = 4;
/** An identity association before its options: identifier, T1, T2. */
export const IA_SIZE: u32 = 12;
export const IA_T1_OFFSET: u32 = 4;
export const IA_T2_OFFSET: u32 = 8;
/** An address before its options: address, preferred and valid lifetime. */
export const IA_ADDRESS_SIZE: u32 = 24;
export const IA_PREFERRED_OFFSET: u32 = 16;
export const IA_VALID_OFFSET: u32 = 20;
const TRANSACTION_BITS: u32 = 0xffffff;
const LENGTH_OFFSET: usize = 2;
/** Longest DUID, its type included (§11.1). */
export const DUID_SIZE_MAX: u32 = 130;

@unmanaged
export class Dhcp6View {
  static at(p: usize): Dhcp6View {
    return changetype<Dhcp6View>(p);
  }

  get type(): u32 {
    return load8(changetype<usize>(this));
  }

  set type(v: u32) {
    store32(changetype<usize>(this), (v << 24) | this.transaction);
  }

  get transaction(): u32 {
    return load32(changetype<usize>(this)) & TRANSACTION_BITS;
  }

  set transaction(v: u32) {
    store32(changetype<usize>(this), (this.type << 24) | (v & TRANSACTION_BITS));
  }
}

/** An option at its code. */
@unmanaged
export class Option6View {
  static at(p: usize): Option6View {
    return changetype<Option6View>(p);
  }

  get code(): u32 {
    return load16(changetype<usize>(this));
  }

  set code(v: u32) {
    store16(changetype<usize>(this), v);
  }

  /** Octets of the value. */
  get length(): u32 {
    return load16(changetype<usize>(this) + LENGTH_OFFSET);
  }

  set length(v: u32) {
    store16(changetype<usize>(this) + LENGTH_OFFSET, v);
  }

  /** Location of the value. */
  get value(): usize {
    return changetype<usize>(this) + OPTION6_HEADER_SIZE;
  }
}

/** Whether `length` octets at `p` are whole options. */
export function dhcp6OptionsOk(p: usize, length: u32): bool {
  let offset: u32 = 0;
  while (offset < length) {
    if (length - offset < OPTION6_HEADER_SIZE) return false;
    const size = OPTION6_HEADER_SIZE + Option6View.at(p + offset).length;
    if (size > length - offset) return false;
    offset += size;
  }
  return true;
}

/** Location of the next option of this code from `p` on, before `end`; 0 = there is none. */
export function dhcp6Find(p: usize, end: usize, code: u32): usize {
  while (p < end) {
    const option = Option6View.at(p);
    if (option.code == code) return p;
    p += OPTION6_HEADER_SIZE + option.length;
  }
  return 0;
}

/** Location behind the option at `p`. */
export function dhcp6After(p: usize): usize {
  return p + OPTION6_HEADER_SIZE + Option6View.at(p).length;
}

/** Writes the 4 octets of a message header. */
export function dhcp6Emit(p: usize, type: u32, transaction: u32): void {
  store32(p, (type << 24) | (transaction & TRANSACTION_BITS));
}

/** Writes the 4 octets of an option's header. */
export function dhcp6OptionEmit(p: usize, code: u32, length: u32): void {
  store32(p, (code << 16) | length);
}
