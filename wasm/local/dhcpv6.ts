/**
 * DHCPv6 server for the one guest of the link.
 *
 * Theory of operation
 *   There is one address to give, so the configuration is the lease database, as in `dhcpv4`:
 *   answers do not depend on what was asked before. The first identity association of a message
 *   (IA_NA) gets the address; what else asks for one hears "no addresses", or "no binding" where it
 *   says it has one; who wants prefixes hears "no prefix". After a DECLINE nothing is given for 10
 *   seconds, so that the client does not get the address it has just refused at once.
 *
 *     SOLICIT              ADVERTISE, or REPLY where rapid commit was asked for
 *     REQUEST              REPLY; "not on link" for an address of another network
 *     RENEW, REBIND        REPLY: the address anew, others with lifetimes of zero
 *     CONFIRM              REPLY: success or "not on link"; silence if no address was named
 *     RELEASE, DECLINE     REPLY: success
 *     INFORMATION-REQUEST  REPLY with what was asked for
 *
 *   Server identifiers (RFC 9915 §16): SOLICIT, CONFIRM and REBIND must bring none, REQUEST, RENEW,
 *   RELEASE and DECLINE ours. All but INFORMATION-REQUEST need a client identifier, which comes
 *   back. Our own is a DUID-LL of the gateway's MAC, the same after every start.
 *
 *   Options are sent by the client's list (ORO): DNS, FQDN and what is configured; a client without
 *   a list gets DNS and search list. What does not fit 1280 octets as a whole is left out. The URL
 *   of what to boot (59) depends on who asks, see `boot`; a client of HTTP hears its vendor class
 *   again.
 *
 * Source: RFC 9915 (RFC 8415) §11.4, 16, 18.3, 21; RFC 3646, RFC 4704, RFC 5908, RFC 5970.
 */
import * as abi from "../abi";
import { addressOfSource, DNS6, GATEWAY6, GUEST6, octetsOf, ROUTER6 } from "../flow/addresses";
import { frameCommit, gatewayMac } from "../flow/emit";
import { natIsGuest } from "../flow/nat";
import { neighborLearn } from "../flow/neighbor";
import { packet } from "../flow/packet";
import { presenceDoubt } from "../flow/presence";
import { dns6Named } from "../flow/resolvers";
import { CONFIG, config } from "../memory";
import { txBegin } from "../ring";
import { count, drop } from "../stats";
import {
  ALL_DHCP_SERVERS,
  address6Copy,
  address6Equal,
  address6InPrefix,
  address6IsLinkLocal,
} from "../wire/addr6";
import { load8, load16, store8, store16, store32, storeMac } from "../wire/bytes";
import { sumAdd, sumBytes, sumOk, sumPseudo6, sumStoreUdp } from "../wire/checksum";
import * as wire from "../wire/dhcpv6";
import { Dhcp6View, Option6View } from "../wire/dhcpv6";
import { ETHERNET_HEADER_SIZE, ETHERTYPE_IPV6, ethernetEmit } from "../wire/ethernet";
import { PROTOCOL_UDP, WIRE_OK } from "../wire/ipv4";
import { IPV6_HEADER_SIZE, IPV6_MTU_MIN, Ipv6View, ipv6Emit } from "../wire/ipv6";
import { UDP_HEADER_SIZE, UDP_TRUNCATED, UdpView, udpCheck, udpEmit } from "../wire/udp";
import {
  BOOT6,
  bootFind,
  bootFound,
  bootIsHttp,
  bootIsIpxe,
  bootLength,
  bootValue,
  HTTP_CLASS,
  HTTP_CLASS_SIZE,
} from "./boot";

const HEADERS_SIZE: u32 = IPV6_HEADER_SIZE + UDP_HEADER_SIZE;
const HOP_LIMIT: u32 = 64;
const DECLINE_HOLD: i64 = 10_000_000;
const INFINITE: u32 = 0xffffffff;
const DUID_SIZE: u32 = 10;
const DUID_LINK_LAYER: u32 = 3;
const HARDWARE_ETHERNET: u32 = 1;
const REFRESH_SECONDS: u32 = 86_400;
/** Flags of the FQDN option (RFC 4704 §4.1). */
const FQDN_SERVER: u32 = 1;
const FQDN_OVERRIDE: u32 = 2;
const FQDN_NO_UPDATE: u32 = 4;
/** Identity associations looked at in one message. */
const IA_COUNT_MAX: u32 = 8;

let declinedUntil: i64 = 0;

/** Options of the message being answered. */
let options: usize = 0;
let optionsEnd: usize = 0;
/** Where the next option of the reply goes, and where the last has to end. */
let cursor: usize = 0;
let limit: usize = 0;
let reply: usize = 0;

const DUID: usize = memory.data(16, 8);

export function dhcp6Init(): void {
  declinedUntil = 0;
  store16(DUID, DUID_LINK_LAYER);
  store16(DUID + 2, HARDWARE_ETHERNET);
  storeMac(DUID + 4, gatewayMac());
}

// ---------------------------------------------------------------- writing

/** Begins an option of `length` octets; returns where its value goes, 0 = it does not fit. */
function room(code: u32, length: u32): usize {
  if (cursor + wire.OPTION6_HEADER_SIZE + length > limit) return 0;
  wire.dhcp6OptionEmit(cursor, code, length);
  const value = cursor + wire.OPTION6_HEADER_SIZE;
  cursor = value + length;
  return value;
}

function put(code: u32, from: usize, length: u32): void {
  const value = room(code, length);
  if (value != 0) memory.copy(value, from, length);
}

function putStatus(status: u32): void {
  const value = room(wire.OPTION6_STATUS, 2);
  if (value != 0) store16(value, status);
}

/** Begins a reply: header, server and client identifier. Returns the frame; 0 = no room. */
function begin(type: u32, transaction: u32): usize {
  const ethernet = txBegin();
  if (ethernet == 0) return 0;
  reply = ethernet + ETHERNET_HEADER_SIZE + HEADERS_SIZE;
  limit = ethernet + ETHERNET_HEADER_SIZE + IPV6_MTU_MIN;
  wire.dhcp6Emit(reply, type, transaction);
  cursor = reply + wire.DHCP6_HEADER_SIZE;
  put(wire.OPTION6_SERVER, DUID, DUID_SIZE);
  const client = wire.dhcp6Find(options, optionsEnd, wire.OPTION6_CLIENT);
  if (client != 0) put(wire.OPTION6_CLIENT, client + 4, Option6View.at(client).length);
  return ethernet;
}

/** Adds the headers in front and sends to whoever asked. */
function finish(ethernet: usize): void {
  const size = <u32>(cursor - reply) + UDP_HEADER_SIZE;
  const source = octetsOf(ROUTER6);
  const destination = Ipv6View.at(packet.ip).source;
  const header = ethernet + ETHERNET_HEADER_SIZE;
  const udp = header + IPV6_HEADER_SIZE;
  ethernetEmit(ethernet, packet.mac, gatewayMac(), ETHERTYPE_IPV6);
  ipv6Emit(header, source, destination, PROTOCOL_UDP, size, HOP_LIMIT, 0);
  udpEmit(udp, wire.DHCP6_SERVER_PORT, wire.DHCP6_CLIENT_PORT, size);
  const pseudo = sumPseudo6(source, destination, PROTOCOL_UDP, size);
  sumStoreUdp(udp + 6, sumAdd(pseudo, sumBytes(udp, size)));
  frameCommit(ethernet, ETHERNET_HEADER_SIZE + IPV6_HEADER_SIZE + size, 0);
  count(abi.STAT_CONSUMED_LOCAL);
}

// ---------------------------------------------------------------- identity associations

function lease(): u32 {
  const seconds = config(abi.CONFIG_LEASE_SECONDS_OFFSET);
  return seconds == 0 ? INFINITE : seconds;
}

/** Begins an association in the reply; its options follow. Returns its location, 0 = no room. */
function beginIa(ia: usize, code: u32, t1: u32, t2: u32): usize {
  const value = room(code, wire.IA_SIZE);
  if (value == 0) return 0;
  memory.copy(value, ia + wire.OPTION6_HEADER_SIZE, 4); // its identifier
  store32(value + 4, t1);
  store32(value + 8, t2);
  return value - wire.OPTION6_HEADER_SIZE;
}

/** Lets the association's length count what has been put into it. */
function endIa(option: usize): void {
  Option6View.at(option).length = <u32>(cursor - option) - wire.OPTION6_HEADER_SIZE;
}

function putAddress(address: usize, lifetime: u32): void {
  const value = room(wire.OPTION6_ADDRESS, wire.IA_ADDRESS_SIZE);
  if (value == 0) return;
  address6Copy(value, address);
  store32(value + 16, lifetime);
  store32(value + 20, lifetime);
}

/** An association with nothing but a status in it. */
function refuseIa(ia: usize, code: u32, status: u32): void {
  const option = beginIa(ia, code, 0, 0);
  if (option == 0) return;
  putStatus(status);
  endIa(option);
}

/** The address, and the others the client named with lifetimes of zero. */
function grantIa(ia: usize, withdraw: bool): void {
  const seconds = lease();
  const t1 = seconds == INFINITE ? INFINITE : seconds >>> 1;
  const t2 = seconds == INFINITE ? INFINITE : <u32>((<u64>seconds * 4) / 5);
  const option = beginIa(ia, wire.OPTION6_IA_NA, t1, t2);
  if (option == 0) return;
  const guest = octetsOf(GUEST6);
  putAddress(guest, seconds);
  for (let p = firstAddress(ia); withdraw && p != 0; p = nextAddress(ia, p)) {
    if (!address6Equal(p + 4, guest)) putAddress(p + 4, 0);
  }
  endIa(option);
}

/** Location of the first address option in an association that was checked; 0 = none. */
function firstAddress(ia: usize): usize {
  return wire.dhcp6Find(ia + 4 + wire.IA_SIZE, wire.dhcp6After(ia), wire.OPTION6_ADDRESS);
}

function nextAddress(ia: usize, p: usize): usize {
  return wire.dhcp6Find(wire.dhcp6After(p), wire.dhcp6After(ia), wire.OPTION6_ADDRESS);
}

/** Whether the association names an address of another network. */
function namesForeign(ia: usize): bool {
  const prefix = config(abi.CONFIG_PREFIX6_LENGTH_OFFSET);
  for (let p = firstAddress(ia); p != 0; p = nextAddress(ia, p)) {
    if (!address6InPrefix(p + 4, octetsOf(GATEWAY6), prefix)) return true;
  }
  return false;
}

/** Whether the association names the guest's address. */
function namesGuest(ia: usize): bool {
  for (let p = firstAddress(ia); p != 0; p = nextAddress(ia, p)) {
    if (address6Equal(p + 4, octetsOf(GUEST6))) return true;
  }
  return false;
}

function firstIa(): usize {
  return wire.dhcp6Find(options, optionsEnd, wire.OPTION6_IA_NA);
}

function nextIa(ia: usize): usize {
  return wire.dhcp6Find(wire.dhcp6After(ia), optionsEnd, wire.OPTION6_IA_NA);
}

/** Answers all associations of a message that asks for addresses; true = one gets it. */
function putAssociations(type: u32, now: i64): bool {
  let isGranted = false;
  const renews = type == wire.DHCP6_RENEW || type == wire.DHCP6_REBIND;
  let n: u32 = 0;
  for (let ia = firstIa(); ia != 0 && n < IA_COUNT_MAX; ia = nextIa(ia), n++) {
    if (type == wire.DHCP6_REQUEST && namesForeign(ia)) {
      refuseIa(ia, wire.OPTION6_IA_NA, wire.STATUS6_NOT_ON_LINK);
    } else if (n == 0 && now >= declinedUntil) {
      grantIa(ia, renews);
      isGranted = true;
    } else {
      const status = renews ? wire.STATUS6_NO_BINDING : wire.STATUS6_NO_ADDRESSES;
      refuseIa(ia, wire.OPTION6_IA_NA, status);
    }
  }
  const status = renews ? wire.STATUS6_NO_BINDING : wire.STATUS6_NO_PREFIX;
  let pd = wire.dhcp6Find(options, optionsEnd, wire.OPTION6_IA_PD);
  for (n = 0; pd != 0 && n < IA_COUNT_MAX; n++) {
    refuseIa(pd, wire.OPTION6_IA_PD, status);
    pd = wire.dhcp6Find(wire.dhcp6After(pd), optionsEnd, wire.OPTION6_IA_PD);
  }
  return isGranted;
}

// ---------------------------------------------------------------- other options

function putConfigured(code: u32): void {
  const start = CONFIG + abi.CONFIG_DHCP6_OPTIONS_OFFSET;
  const end = start + config(abi.CONFIG_DHCP6_OPTIONS_LENGTH_OFFSET);
  const option = wire.dhcp6Find(start, end, code);
  if (option != 0) put(code, option + 4, Option6View.at(option).length);
}

/** We update no DNS, so N is set; O says that a wish for S was overruled. The name comes back. */
function putFqdn(): void {
  const option = wire.dhcp6Find(options, optionsEnd, wire.OPTION6_FQDN);
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
    if (dns6Named()) put(code, octetsOf(DNS6), 16);
  } else if (code == wire.OPTION6_REFRESH) {
    const value = isInformation ? room(code, 4) : 0;
    if (value != 0) store32(value, REFRESH_SECONDS);
  } else if (code == wire.OPTION6_FQDN) putFqdn();
  else if (code == wire.OPTION6_BOOT_URL && bootFound) put(code, bootValue, bootLength);
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
  const user = wire.dhcp6Find(options, optionsEnd, wire.OPTION6_USER_CLASS);
  const vendor = wire.dhcp6Find(options, optionsEnd, wire.OPTION6_VENDOR_CLASS);
  const types = wire.dhcp6Find(options, optionsEnd, wire.OPTION6_ARCHITECTURE);
  // Behind the enterprise number and the length of the first class.
  const isHttp = vendor != 0 && bootIsHttp(vendor + 10, Option6View.at(vendor).length - 6);
  bootFind(
    BOOT6,
    config(abi.CONFIG_BOOT6_LENGTH_OFFSET),
    types + 4,
    types == 0 ? 0 : Option6View.at(types).length,
    isHttp,
    user != 0 && bootIsIpxe(user + 4, Option6View.at(user).length),
  );
  if (!isHttp || !bootFound) return;
  const value = room(wire.OPTION6_VENDOR_CLASS, 6 + HTTP_CLASS_SIZE);
  if (value == 0) return;
  memory.copy(value, vendor + 4, 4); // in the client's own terms
  store16(value + 4, HTTP_CLASS_SIZE);
  memory.copy(value + 6, HTTP_CLASS, HTTP_CLASS_SIZE);
}

/** What the client asks for, each once. */
function putOptions(isInformation: bool): void {
  putBoot();
  const option = wire.dhcp6Find(options, optionsEnd, wire.OPTION6_REQUESTED);
  if (option == 0) {
    putWanted(wire.OPTION6_DNS, isInformation);
    putWanted(wire.OPTION6_SEARCH, isInformation);
    return;
  }
  const list = option + 4;
  const listed = min<u32>(Option6View.at(option).length >>> 1, 64);
  for (let i: u32 = 0; i < listed; i++) {
    const code = load16(list + ((<usize>i) << 1));
    if (!wantedBefore(list, i, code)) putWanted(code, isInformation);
  }
}

// ---------------------------------------------------------------- messages

/** SOLICIT, REQUEST, RENEW, REBIND. */
function takeAsking(type: u32, transaction: u32, now: i64): void {
  if (type == wire.DHCP6_SOLICIT) presenceDoubt();
  const rapid =
    type == wire.DHCP6_SOLICIT &&
    now >= declinedUntil &&
    wire.dhcp6Find(options, optionsEnd, wire.OPTION6_RAPID_COMMIT) != 0;
  const offers = type == wire.DHCP6_SOLICIT && !rapid;
  const ethernet = begin(offers ? wire.DHCP6_ADVERTISE : wire.DHCP6_REPLY, transaction);
  if (ethernet == 0) return;
  if (rapid) room(wire.OPTION6_RAPID_COMMIT, 0);
  if (offers) {
    const preference = room(wire.OPTION6_PREFERENCE, 1);
    if (preference != 0) store8(preference, 255); // there is no other server to wait for
  }
  if (putAssociations(type, now) && !offers) neighborLearn(GUEST6, packet.mac, now);
  putOptions(false);
  finish(ethernet);
  count(offers ? abi.STAT_DHCP6_ADVERTISED : abi.STAT_DHCP6_REPLIES);
}

/** CONFIRM: are the client's addresses of this link? */
function takeConfirm(transaction: u32): void {
  let named = false;
  let foreign = false;
  let n: u32 = 0;
  for (let ia = firstIa(); ia != 0 && n < IA_COUNT_MAX; ia = nextIa(ia), n++) {
    if (firstAddress(ia) != 0) named = true;
    if (namesForeign(ia)) foreign = true;
  }
  if (!named) {
    drop(abi.DROP_DHCP_IGNORED);
    return;
  }
  const ethernet = begin(wire.DHCP6_REPLY, transaction);
  if (ethernet == 0) return;
  putStatus(foreign ? wire.STATUS6_NOT_ON_LINK : wire.STATUS6_SUCCESS);
  finish(ethernet);
  count(abi.STAT_DHCP6_REPLIES);
}

/** RELEASE and DECLINE. */
function takeReturn(type: u32, transaction: u32, now: i64): void {
  const ethernet = begin(wire.DHCP6_REPLY, transaction);
  if (ethernet == 0) return;
  putStatus(wire.STATUS6_SUCCESS);
  let n: u32 = 0;
  for (let ia = firstIa(); ia != 0 && n < IA_COUNT_MAX; ia = nextIa(ia), n++) {
    const isOurs = namesGuest(ia);
    if (isOurs && type == wire.DHCP6_DECLINE) declinedUntil = now + DECLINE_HOLD;
    if (!isOurs) refuseIa(ia, wire.OPTION6_IA_NA, wire.STATUS6_NO_BINDING);
  }
  finish(ethernet);
  count(abi.STAT_DHCP6_REPLIES);
}

function takeInformation(transaction: u32): void {
  const ethernet = begin(wire.DHCP6_REPLY, transaction);
  if (ethernet == 0) return;
  putOptions(true);
  finish(ethernet);
  count(abi.STAT_DHCP6_REPLIES);
}

/** Whether every association of this code is long enough and holds whole options. */
function associationsOk(code: u32): bool {
  let ia = wire.dhcp6Find(options, optionsEnd, code);
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
    ia = wire.dhcp6Find(wire.dhcp6After(ia), optionsEnd, code);
  }
  return true;
}

/** Whether the message has the identifiers its type asks for (RFC 9915 §16.2 to 16.12). */
function identifiersOk(type: u32): bool {
  const client = wire.dhcp6Find(options, optionsEnd, wire.OPTION6_CLIENT);
  const server = wire.dhcp6Find(options, optionsEnd, wire.OPTION6_SERVER);
  let isOurs = false;
  if (server != 0 && Option6View.at(server).length == DUID_SIZE) {
    isOurs = memory.compare(server + 4, DUID, DUID_SIZE) == 0;
  }
  if (client != 0) {
    const size = Option6View.at(client).length;
    if (size < 2 || size > wire.DUID_SIZE_MAX) return false;
  }
  if (type == wire.DHCP6_INFORMATION) {
    const hasIa =
      firstIa() != 0 ||
      wire.dhcp6Find(options, optionsEnd, wire.OPTION6_IA_TA) != 0 ||
      wire.dhcp6Find(options, optionsEnd, wire.OPTION6_IA_PD) != 0;
    return !hasIa && (server == 0 || isOurs);
  }
  if (client == 0) return false;
  const isToAny =
    type == wire.DHCP6_SOLICIT || type == wire.DHCP6_CONFIRM || type == wire.DHCP6_REBIND;
  return isToAny ? server == 0 : isOurs;
}

function dispatch(message: usize, now: i64): void {
  const type = Dhcp6View.at(message).type;
  const transaction = Dhcp6View.at(message).transaction;
  if (!identifiersOk(type)) {
    drop(abi.DROP_DHCP_IGNORED);
    return;
  }
  neighborLearn(packet.source, packet.mac, now);
  if (type == wire.DHCP6_CONFIRM) takeConfirm(transaction);
  else if (type == wire.DHCP6_INFORMATION) takeInformation(transaction);
  else if (type == wire.DHCP6_RELEASE || type == wire.DHCP6_DECLINE) {
    takeReturn(type, transaction, now);
  } else if (
    type == wire.DHCP6_SOLICIT ||
    type == wire.DHCP6_REQUEST ||
    type == wire.DHCP6_RENEW ||
    type == wire.DHCP6_REBIND
  )
    takeAsking(type, transaction, now);
  else drop(abi.DROP_DHCP_IGNORED);
}

/** Enters the sender's address into the record of the packet; false = it is not the guest's. */
function isFromGuest(): bool {
  packet.source = addressOfSource(Ipv6View.at(packet.ip).source);
  return natIsGuest(packet.source);
}

/** Takes the packet under way, a UDP datagram to port 547. */
export function dhcp6Input(now: i64): void {
  const header = Ipv6View.at(packet.ip);
  const isServed = (config(abi.CONFIG_FLAGS_OFFSET) & abi.CONFIG_FLAG_DHCP) != 0;
  // No unicast (RFC 9915 §16), and only from the link itself.
  const isToServers = address6Equal(header.destination, ALL_DHCP_SERVERS);
  if (!isServed || !isToServers || !address6IsLinkLocal(header.source)) {
    drop(abi.DROP_DHCP_IGNORED);
    return;
  }
  const udp = packet.data;
  const code = udpCheck(udp, packet.length);
  if (code != WIRE_OK) {
    drop(code == UDP_TRUNCATED ? abi.DROP_UDP_TRUNCATED : abi.DROP_UDP_LENGTH);
    return;
  }
  const size = UdpView.at(udp).length;
  const pseudo = sumPseudo6(header.source, header.destination, PROTOCOL_UDP, size);
  const isSound = UdpView.at(udp).checksum != 0 && sumOk(sumAdd(pseudo, sumBytes(udp, size)));
  if (!packet.isChecksumTrusted && !isSound) {
    drop(abi.DROP_UDP_CHECKSUM);
    return;
  }
  const message = udp + UDP_HEADER_SIZE;
  const octets = size - UDP_HEADER_SIZE;
  options = message + wire.DHCP6_HEADER_SIZE;
  optionsEnd = message + octets;
  if (
    octets < wire.DHCP6_HEADER_SIZE ||
    !isFromGuest() ||
    !wire.dhcp6OptionsOk(options, octets - wire.DHCP6_HEADER_SIZE) ||
    !associationsOk(wire.OPTION6_IA_NA) ||
    !associationsOk(wire.OPTION6_IA_PD)
  ) {
    drop(abi.DROP_DHCP_MALFORMED);
    return;
  }
  dispatch(message, now);
}
