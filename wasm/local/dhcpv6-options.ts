/**
 * Options of DHCPv6: those of the message being answered, and those of the reply, which are written
 * one behind the other as far as there is room. Which are sent, and why, is told in `dhcpv6`.
 */
import * as abi from "../abi/index";
import { DNS6, octetsOf } from "../flow/addresses";
import { dns6Named } from "../flow/resolvers";
import { CONFIG, config } from "../memory";
import { ADDRESS6_SIZE } from "../wire/addr6";
import { load8, load16, store8, store16, store32 } from "../wire/bytes";
import * as wire from "../wire/dhcpv6";
import { Option6View } from "../wire/dhcpv6";
import { BOOT6, boot, bootFind, bootIsHttp, bootIsIpxe, HTTP_CLASS, HTTP_CLASS_SIZE } from "./boot";

const REFRESH_SECONDS: u32 = 86_400;
/** Flags of the FQDN option (RFC 4704 §4.1). */
const FQDN_SERVER: u32 = 1;
const FQDN_OVERRIDE: u32 = 2;
const FQDN_NO_UPDATE: u32 = 4;

/** Codes of a client's list that are looked at. */
const REQUESTED_MAX: u32 = 64;
/** Of a vendor class: the enterprise, the length of the first class (RFC 9915 §21.16). */
const ENTERPRISE_SIZE: u32 = 4;
const CLASS_OFFSET: u32 = 6;

/** A message being answered, and its reply. */
@unmanaged
export class Dhcp6Exchange {
  /** Where the options of the message begin and end. */
  options: usize;
  optionsEnd: usize;
  /** Where the next option of the reply goes, and where the last has to end. */
  cursor: usize;
  limit: usize;
}

export const exchange: Dhcp6Exchange = changetype<Dhcp6Exchange>(
  memory.data(<i32>offsetof<Dhcp6Exchange>(), 4),
);

/** Sets the options that are answered: `length` octets at `p`. */
export function optionsTake(p: usize, length: u32): void {
  exchange.options = p;
  exchange.optionsEnd = p + length;
}

/** Begins the options of the reply at `p`; they end at `end` at the latest. */
export function optionsBegin(p: usize, end: usize): void {
  exchange.cursor = p;
  exchange.limit = end;
}

/** Location of the first option of this code in the message being answered; 0 = none. */
export function asked(code: u32): usize {
  return wire.dhcp6Find(exchange.options, exchange.optionsEnd, code);
}

/** Location of the next one behind `option`; 0 = none. */
export function askedAfter(option: usize, code: u32): usize {
  return wire.dhcp6Find(wire.dhcp6After(option), exchange.optionsEnd, code);
}

/** Begins an option of `length` octets; returns where its value goes, 0 = it does not fit. */
export function room(code: u32, length: u32): usize {
  const option = exchange.cursor;
  const value = option + wire.OPTION6_HEADER_SIZE;
  if (value + length > exchange.limit) return 0;
  wire.dhcp6OptionEmit(option, code, length);
  exchange.cursor = value + length;
  return value;
}

export function put(code: u32, from: usize, length: u32): void {
  const value = room(code, length);
  if (value != 0) memory.copy(value, from, length);
}

export function putStatus(status: u32): void {
  const value = room(wire.OPTION6_STATUS, sizeof<u16>());
  if (value != 0) store16(value, status);
}

function putConfigured(code: u32): void {
  const start = CONFIG + abi.CONFIG_DHCP6_OPTIONS_OFFSET;
  const end = start + config(abi.CONFIG_DHCP6_OPTIONS_LENGTH_OFFSET);
  const option = wire.dhcp6Find(start, end, code);
  if (option != 0) put(code, Option6View.at(option).value, Option6View.at(option).length);
}

/** We update no DNS, so N is set; O says that a wish for S was overruled. The name comes back. */
function putFqdn(): void {
  const option = asked(wire.OPTION6_FQDN);
  if (option == 0) return;
  const view = Option6View.at(option);
  const length = view.length;
  if (length < 1) return;
  const value = room(wire.OPTION6_FQDN, length);
  if (value == 0) return;
  memory.copy(value, view.value, length);
  const overruled = (load8(value) & FQDN_SERVER) != 0 ? FQDN_OVERRIDE : 0;
  store8(value, FQDN_NO_UPDATE | overruled);
}

function putWanted(code: u32, isInformation: bool): void {
  if (code == wire.OPTION6_DNS) {
    if (dns6Named()) put(code, octetsOf(DNS6), ADDRESS6_SIZE);
  } else if (code == wire.OPTION6_REFRESH) {
    const value = isInformation ? room(code, sizeof<u32>()) : 0;
    if (value != 0) store32(value, REFRESH_SECONDS);
  } else if (code == wire.OPTION6_FQDN) putFqdn();
  else if (code == wire.OPTION6_BOOT_URL && boot.isFound) put(code, boot.value, boot.length);
  else if (code > wire.OPTION6_RAPID_COMMIT) putConfigured(code);
}

/** Whether the client's list names a code before place `end` of it. */
function wantedBefore(list: usize, end: u32, code: u32): bool {
  for (let i: u32 = 0; i < end; i++) {
    if (load16(list + ((<usize>i) << 1)) == code) return true;
  }
  return false;
}

/** Finds out what the client would load, and tells one that loads by HTTP that it is understood. */
function putBoot(): void {
  const user = asked(wire.OPTION6_USER_CLASS);
  const vendor = asked(wire.OPTION6_VENDOR_CLASS);
  const types = asked(wire.OPTION6_ARCHITECTURE);
  const vendorAt = Option6View.at(vendor).value;
  const isHttp =
    vendor != 0 &&
    bootIsHttp(vendorAt + CLASS_OFFSET, Option6View.at(vendor).length - CLASS_OFFSET);
  bootFind(
    BOOT6,
    config(abi.CONFIG_BOOT6_LENGTH_OFFSET),
    Option6View.at(types).value,
    types == 0 ? 0 : Option6View.at(types).length,
    isHttp,
    user != 0 && bootIsIpxe(Option6View.at(user).value, Option6View.at(user).length),
  );
  if (!isHttp || !boot.isFound) return;
  const value = room(wire.OPTION6_VENDOR_CLASS, CLASS_OFFSET + HTTP_CLASS_SIZE);
  if (value == 0) return;
  memory.copy(value, vendorAt, ENTERPRISE_SIZE); // in the client's own terms
  store16(value + ENTERPRISE_SIZE, HTTP_CLASS_SIZE);
  memory.copy(value + CLASS_OFFSET, HTTP_CLASS, HTTP_CLASS_SIZE);
}

/** What the client asks for, each once. */
export function putOptions(isInformation: bool): void {
  putBoot();
  const option = asked(wire.OPTION6_REQUESTED);
  if (option == 0) {
    putWanted(wire.OPTION6_DNS, isInformation);
    putWanted(wire.OPTION6_SEARCH, isInformation);
    return;
  }
  const list = Option6View.at(option).value;
  const listed = min<u32>(Option6View.at(option).length >>> 1, REQUESTED_MAX);
  for (let i: u32 = 0; i < listed; i++) {
    const code = load16(list + ((<usize>i) << 1));
    if (!wantedBefore(list, i, code)) putWanted(code, isInformation);
  }
}
