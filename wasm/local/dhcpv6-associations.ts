/**
 * Identity associations of DHCPv6: which of them gets the address, and what the others are told.
 */
import * as abi from "../abi/index";
import { GATEWAY6, GUEST6, octetsOf } from "../flow/addresses";
import { config } from "../memory";
import { address6Copy, address6Equal, address6InPrefix } from "../wire/addr6";
import { store32 } from "../wire/bytes";
import * as wire from "../wire/dhcpv6";
import { Option6View } from "../wire/dhcpv6";
import { asked, askedAfter, exchange, putStatus, room } from "./dhcpv6-options";

const INFINITE: u32 = 0xffffffff;
/** T2 is 0.8 of the lifetime (RFC 9915 §21.4). */
const T2_FIFTHS: u64 = 4;
/** Identity associations looked at in one message. */
export const IA_COUNT_MAX: u32 = 8;

function lease(): u32 {
  const seconds = config(abi.CONFIG_LEASE_SECONDS_OFFSET);
  return seconds == 0 ? INFINITE : seconds;
}

/** Begins an association in the reply; its options follow. Returns its location, 0 = no room. */
function beginIa(ia: usize, code: u32, t1: u32, t2: u32): usize {
  const value = room(code, wire.IA_SIZE);
  if (value == 0) return 0;
  memory.copy(value, ia + wire.OPTION6_HEADER_SIZE, wire.IA_T1_OFFSET); // its identifier
  store32(value + wire.IA_T1_OFFSET, t1);
  store32(value + wire.IA_T2_OFFSET, t2);
  return value - wire.OPTION6_HEADER_SIZE;
}

/** Lets the association's length count what has been put into it. */
function endIa(option: usize): void {
  Option6View.at(option).length = <u32>(exchange.cursor - option) - wire.OPTION6_HEADER_SIZE;
}

function putAddress(address: usize, lifetime: u32): void {
  const value = room(wire.OPTION6_ADDRESS, wire.IA_ADDRESS_SIZE);
  if (value == 0) return;
  address6Copy(value, address);
  store32(value + wire.IA_PREFERRED_OFFSET, lifetime);
  store32(value + wire.IA_VALID_OFFSET, lifetime);
}

/** An association with nothing but a status in it. */
export function refuseIa(ia: usize, code: u32, status: u32): void {
  const option = beginIa(ia, code, 0, 0);
  if (option == 0) return;
  putStatus(status);
  endIa(option);
}

/** The address, and the others the client named with lifetimes of zero. */
function grantIa(ia: usize, withdraw: bool): void {
  const seconds = lease();
  const t1 = seconds == INFINITE ? INFINITE : seconds >>> 1;
  const t2 = seconds == INFINITE ? INFINITE : <u32>((<u64>seconds * T2_FIFTHS) / 5);
  const option = beginIa(ia, wire.OPTION6_IA_NA, t1, t2);
  if (option == 0) return;
  const guest = octetsOf(GUEST6);
  putAddress(guest, seconds);
  for (let p = firstAddress(ia); withdraw && p != 0; p = nextAddress(ia, p)) {
    const address = Option6View.at(p).value;
    if (!address6Equal(address, guest)) putAddress(address, 0);
  }
  endIa(option);
}

/** Location of the first address option in an association that was checked; 0 = none. */
export function firstAddress(ia: usize): usize {
  return wire.dhcp6Find(
    ia + wire.OPTION6_HEADER_SIZE + wire.IA_SIZE,
    wire.dhcp6After(ia),
    wire.OPTION6_ADDRESS,
  );
}

function nextAddress(ia: usize, p: usize): usize {
  return wire.dhcp6Find(wire.dhcp6After(p), wire.dhcp6After(ia), wire.OPTION6_ADDRESS);
}

/** Whether the association names an address of another network. */
export function namesForeign(ia: usize): bool {
  const prefix = config(abi.CONFIG_PREFIX6_LENGTH_OFFSET);
  for (let p = firstAddress(ia); p != 0; p = nextAddress(ia, p)) {
    if (!address6InPrefix(Option6View.at(p).value, octetsOf(GATEWAY6), prefix)) return true;
  }
  return false;
}

/** Whether the association names the guest's address. */
export function namesGuest(ia: usize): bool {
  for (let p = firstAddress(ia); p != 0; p = nextAddress(ia, p)) {
    if (address6Equal(Option6View.at(p).value, octetsOf(GUEST6))) return true;
  }
  return false;
}

export function firstIa(): usize {
  return asked(wire.OPTION6_IA_NA);
}

export function nextIa(ia: usize): usize {
  return askedAfter(ia, wire.OPTION6_IA_NA);
}

/**
 * Answers all associations of a message that asks for addresses; true = one gets it, which none
 * does unless the address `isFree`.
 */
export function putAssociations(type: u32, isFree: bool): bool {
  let isGranted = false;
  const renews = type == wire.DHCP6_RENEW || type == wire.DHCP6_REBIND;
  let n: u32 = 0;
  for (let ia = firstIa(); ia != 0 && n < IA_COUNT_MAX; ia = nextIa(ia), n++) {
    if (type == wire.DHCP6_REQUEST && namesForeign(ia)) {
      refuseIa(ia, wire.OPTION6_IA_NA, wire.STATUS6_NOT_ON_LINK);
    } else if (n == 0 && isFree) {
      grantIa(ia, renews);
      isGranted = true;
    } else {
      const status = renews ? wire.STATUS6_NO_BINDING : wire.STATUS6_NO_ADDRESSES;
      refuseIa(ia, wire.OPTION6_IA_NA, status);
    }
  }
  const status = renews ? wire.STATUS6_NO_BINDING : wire.STATUS6_NO_PREFIX;
  let pd = asked(wire.OPTION6_IA_PD);
  for (n = 0; pd != 0 && n < IA_COUNT_MAX; n++) {
    refuseIa(pd, wire.OPTION6_IA_PD, status);
    pd = askedAfter(pd, wire.OPTION6_IA_PD);
  }
  return isGranted;
}

/** Whether every association of this code is long enough and holds whole options. */
export function associationsOk(code: u32): bool {
  let ia = asked(code);
  while (ia != 0) {
    const view = Option6View.at(ia);
    if (view.length < wire.IA_SIZE) return false;
    const inner = view.value + wire.IA_SIZE;
    const size = view.length - wire.IA_SIZE;
    if (!wire.dhcp6OptionsOk(inner, size)) return false;
    let p = wire.dhcp6Find(inner, inner + size, wire.OPTION6_ADDRESS);
    while (p != 0) {
      if (Option6View.at(p).length < wire.IA_ADDRESS_SIZE) return false;
      p = wire.dhcp6Find(wire.dhcp6After(p), inner + size, wire.OPTION6_ADDRESS);
    }
    ia = askedAfter(ia, code);
  }
  return true;
}
