/**
 * Writes the options of a DHCP reply, from the configuration and from the message being answered.
 *
 * Contract: `replyBegin` says where they go; every `put…` adds an option once, and only if it
 * fits as a whole with the end option behind it. What is sent
 * back is read from the options that `wire/dhcpv4` parsed last. The configured list
 * (CONFIG_DHCP_OPTIONS) is the host's, but its lengths are checked all the same.
 *
 * Source: RFC 2131 §4.3.1, RFC 2132, RFC 3396 §5, RFC 4702 §4.
 */
import * as abi from "../abi/index";
import { networkBroadcast, networkMask } from "../flow/emit";
import { CONFIG, config } from "../memory";
import { PREFIX_LENGTH_BARE } from "../wire/addr";
import { load8, store8, store16, store32 } from "../wire/bytes";
import * as wire from "../wire/dhcpv4";
import { BOOT, boot, bootFind, bootIsHttp, bootIsIpxe, HTTP_CLASS, HTTP_CLASS_SIZE } from "./boot";

const LEASE_INFINITE: u32 = 0xffffffff;
const OPTION_PIECE_MAX: u32 = 255;
const MTU_OPTION_MIN: u32 = 68;
/** Options 50 to 59. */
const OPTION_PROTOCOL_COUNT: usize = 10;
/** Flags of option 81 (RFC 4702 §2.1). */
const FQDN_SERVER: u32 = 1;
const FQDN_OVERRIDE: u32 = 2;
const FQDN_ENCODED: u32 = 4;
const FQDN_NO_UPDATE: u32 = 8;
const FQDN_RCODE: u32 = 0xffff;
/** Flags and two response codes, before the name. */
const FQDN_HEADER_SIZE: i32 = 3;

/** One octet per option code: already in the reply, or not to be sent in it. */
const CODE_COUNT: i32 = 256;
const DONE: usize = memory.data(CODE_COUNT, 8);
/** An option value while it is made. */
const VALUE: usize = memory.data(<i32>sizeof<u32>(), 8);

/** The reply being written. */
@unmanaged
export class DhcpReply {
  /** Location of the message. */
  message: usize;
  /** Where the next option goes, and where the last has to end. */
  cursor: usize;
  limit: usize;
}

export const reply: DhcpReply = changetype<DhcpReply>(memory.data(<i32>offsetof<DhcpReply>(), 4));

/**
 * Begins a reply of at most `size` octets at `message`; options follow the header, the end option
 * and the relay's are the last.
 */
export function replyBegin(message: usize, size: u32): void {
  memory.fill(DONE, 0, CODE_COUNT);
  reply.message = message;
  reply.cursor = message + wire.DHCP_HEADER_SIZE;
  reply.limit = message + size - relaySize();
}

/** Octets of the relay's option to send back, which is kept for the end. */
function relaySize(): u32 {
  const length = wire.dhcpOptionLength(wire.OPTION_RELAY);
  return length > 0 && length <= <i32>OPTION_PIECE_MAX ? 2 + length : 0;
}

/** Adds the relay's option and the end option (RFC 3046 §2.2: last). */
export function optionsEnd(): void {
  const relay = relaySize();
  reply.limit += relay;
  if (relay != 0) putEcho(wire.OPTION_RELAY);
  store8(reply.cursor, wire.OPTION_END);
  reply.cursor += 1;
}

/** Keeps the protocol's own options from being asked for by a parameter list. */
function sealProtocol(): void {
  memory.fill(DONE + wire.OPTION_REQUESTED_ADDRESS, 1, OPTION_PROTOCOL_COUNT);
  store<u8>(DONE + wire.OPTION_CLIENT, 1);
  store<u8>(DONE + wire.OPTION_RAPID_COMMIT, 1);
  store<u8>(DONE + wire.OPTION_FQDN, 1);
}

/** Adds an option, in pieces if it is long (RFC 3396 §5), unless it was done or does not fit. */
export function put(code: u32, value: usize, length: u32): void {
  if (load<u8>(DONE + code) != 0) return;
  const pieces: u32 = length == 0 ? 1 : (length + OPTION_PIECE_MAX - 1) / OPTION_PIECE_MAX;
  // One octet stays free for the end option.
  if (reply.cursor + length + 2 * pieces + 1 > reply.limit) return;
  store<u8>(DONE + code, 1);
  for (let i: u32 = 0; i < pieces; i++) {
    const size = min(length, OPTION_PIECE_MAX);
    store8(reply.cursor, code);
    store8(reply.cursor + 1, size);
    memory.copy(reply.cursor + 2, value, size);
    reply.cursor += 2 + size;
    value += size;
    length -= size;
  }
}

export function put8(code: u32, value: u32): void {
  store8(VALUE, value);
  put(code, VALUE, 1);
}

export function put32(code: u32, value: u32): void {
  store32(VALUE, value);
  put(code, VALUE, sizeof<u32>());
}

/** Sends an option back as it came. */
export function putEcho(code: u32): void {
  const length = wire.dhcpOptionLength(code);
  if (length > 0) put(code, wire.dhcpOptionValue(code), length);
}

/** End of the configured list. */
function blobEnd(): usize {
  const length = min(config(abi.CONFIG_DHCP_OPTIONS_LENGTH_OFFSET), abi.DHCP_OPTIONS_SIZE);
  return CONFIG + abi.CONFIG_DHCP_OPTIONS_OFFSET + length;
}

/** Address of the configured option behind the one at `p`; `end` when it was the last. */
function blobNext(p: usize, end: usize): usize {
  if (end - p < 2) return end;
  const after = p + 2 + load8(p + 1);
  return after > end ? end : after;
}

/** Whether a whole option lies at `p`. */
function blobHas(p: usize, end: usize): bool {
  return end - p >= 2 && load8(p + 1) <= <u32>(end - p - 2);
}

/** Adds all pieces of a configured option as they are, unless done, absent or too long. */
function putConfigured(code: u32): void {
  if (load<u8>(DONE + code) != 0) return;
  const end = blobEnd();
  const start = CONFIG + abi.CONFIG_DHCP_OPTIONS_OFFSET;
  let size: u32 = 0;
  for (let p = start; p < end && blobHas(p, end); p = blobNext(p, end)) {
    if (load8(p) == code) size += 2 + load8(p + 1);
  }
  if (size == 0 || reply.cursor + size + 1 > reply.limit) return;
  store<u8>(DONE + code, 1);
  for (let p = start; p < end && blobHas(p, end); p = blobNext(p, end)) {
    if (load8(p) != code) continue;
    memory.copy(reply.cursor, p, 2 + load8(p + 1));
    reply.cursor += 2 + load8(p + 1);
  }
}

/** Adds an option of ours or of the configured list, if there is a value for it. */
function putParameter(code: u32): void {
  const gateway = config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET);
  if (code == wire.OPTION_MASK) {
    put32(code, networkMask());
  } else if (code == wire.OPTION_ROUTER) {
    put32(wire.OPTION_MASK, networkMask()); // always before the router (RFC 2132 §3.3)
    put32(code, gateway);
  } else if (code == wire.OPTION_DNS) {
    const dns = config(abi.CONFIG_DNS_ADDRESS_OFFSET);
    if (dns != 0) put32(code, dns);
  } else if (code == wire.OPTION_MTU) {
    const mtu = config(abi.CONFIG_MTU_OFFSET);
    store16(VALUE, mtu);
    if (mtu >= MTU_OPTION_MIN && mtu <= u16.MAX_VALUE) put(code, VALUE, sizeof<u16>());
  } else if (code == wire.OPTION_BROADCAST) {
    if (config(abi.CONFIG_PREFIX_LENGTH_OFFSET) < PREFIX_LENGTH_BARE)
      put32(code, networkBroadcast());
  } else if (code == wire.OPTION_BOOT_FILE && boot.isFound) {
    put(code, boot.value, boot.length);
  } else if (code != wire.OPTION_PAD && code != wire.OPTION_END) {
    putConfigured(code);
  }
}

/** What the client asked for in its order, then all the rest. */
export function putParameters(): void {
  sealProtocol();
  const listed = wire.dhcpOptionLength(wire.OPTION_PARAMETERS);
  if (listed > 0) {
    const list = wire.dhcpOptionValue(wire.OPTION_PARAMETERS);
    for (let i = 0; i < listed; i++) putParameter(load8(list + i));
  }
  putParameter(wire.OPTION_MASK);
  putParameter(wire.OPTION_ROUTER);
  putParameter(wire.OPTION_DNS);
  putParameter(wire.OPTION_MTU);
  putParameter(wire.OPTION_BROADCAST);
  putParameter(wire.OPTION_BOOT_FILE);
  const end = blobEnd();
  for (
    let p = CONFIG + abi.CONFIG_DHCP_OPTIONS_OFFSET;
    p < end && blobHas(p, end);
    p = blobNext(p, end)
  )
    putParameter(load8(p));
}

/**
 * Client FQDN: we update no DNS, so N is set and S never; O says that a wish for S was overruled. E
 * and the name come back as they are.
 */
export function putFqdn(): void {
  const length = wire.dhcpOptionLength(wire.OPTION_FQDN);
  if (length < FQDN_HEADER_SIZE || length > <i32>OPTION_PIECE_MAX) return;
  const value = wire.dhcpOptionValue(wire.OPTION_FQDN);
  const wanted = load8(value);
  const overruled = (wanted & FQDN_SERVER) != 0 ? FQDN_OVERRIDE : 0;
  store8(value, (wanted & FQDN_ENCODED) | FQDN_NO_UPDATE | overruled);
  store16(value + 1, FQDN_RCODE);
  put(wire.OPTION_FQDN, value, length);
}

export function putLease(): void {
  const configured = config(abi.CONFIG_LEASE_SECONDS_OFFSET);
  const lease = configured == 0 ? LEASE_INFINITE : configured;
  put32(wire.OPTION_LEASE, lease);
  if (lease == LEASE_INFINITE) return;
  put32(wire.OPTION_RENEWAL, lease >>> 1);
  put32(wire.OPTION_REBINDING, <u32>((<u64>lease * 7) >> 3));
}

/** Copies a configured name into a zeroed header field, if it fits with its final NUL. */
export function fillField(code: u32, field: usize, size: u32): void {
  const end = blobEnd();
  for (
    let p = CONFIG + abi.CONFIG_DHCP_OPTIONS_OFFSET;
    p < end && blobHas(p, end);
    p = blobNext(p, end)
  ) {
    if (load8(p) != code) continue;
    const length = load8(p + 1);
    if (length < size) memory.copy(field, p + 2, length);
    return;
  }
}

/**
 * Finds what the client would load, and writes its name into the zeroed field of the header if it
 * fits with its final NUL. One that loads by HTTP is told by its class that it is understood, and
 * reads the URL from option 67 (UEFI 2.10 §24.7.3.1).
 */
export function fillBoot(field: usize, size: u32): void {
  const vendor = wire.dhcpOptionLength(wire.OPTION_VENDOR_CLASS);
  const user = wire.dhcpOptionLength(wire.OPTION_USER_CLASS);
  const types = wire.dhcpOptionLength(wire.OPTION_ARCHITECTURE);
  const isHttp = vendor > 0 && bootIsHttp(wire.dhcpOptionValue(wire.OPTION_VENDOR_CLASS), vendor);
  bootFind(
    BOOT,
    config(abi.CONFIG_BOOT_LENGTH_OFFSET),
    types > 0 ? wire.dhcpOptionValue(wire.OPTION_ARCHITECTURE) : 0,
    max(types, 0),
    isHttp,
    user > 0 && bootIsIpxe(wire.dhcpOptionValue(wire.OPTION_USER_CLASS), user),
  );
  if (!boot.isFound) fillField(wire.OPTION_BOOT_FILE, field, size);
  else if (isHttp) put(wire.OPTION_VENDOR_CLASS, HTTP_CLASS, HTTP_CLASS_SIZE);
  else if (boot.length < size) memory.copy(field, boot.value, boot.length);
}
