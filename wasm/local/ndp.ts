/**
 * Neighbour discovery: answers for the engine's own addresses, learns where the guest's are, and
 * advertises the engine as the router of the link.
 *
 * Theory of operation
 *   Answered is whoever solicits an address of ours. A probe from :: (duplicate address detection)
 *   for one of ours hears by multicast that it is taken (RFC 4862 §5.4); a probe for any other
 *   address, the guest's own above all, is never answered. Learnt is the sender of a solicitation,
 *   and what an advertisement of the guest says of itself, if its link-layer address is the source
 *   of the frame.
 *
 *   A router solicitation is answered at once: to the sender alone, or, where it has no address
 *   yet, to all, but to all not more often than every three seconds. Unasked for, the router
 *   advertises itself when the engine starts, three times at most 16 seconds apart, and then at
 *   random times 200 to 600 seconds apart (RFC 4861 §6.2.4). `ndpFarewell` says that it goes away.
 *
 *   An advertisement says: hop limit, addresses by DHCPv6 if that is on (M and O), the router's
 *   MAC, the MTU, the prefix (on link; good for SLAAC only if it is a /64, RFC 4862 §5.5.3 (d)),
 *   the DNS address, and the search list DHCPv6 gives, too. Lifetimes of router and DNS are three
 *   times the longest interval.
 *
 *   When the search list changes (CONFIG_OPTIONS_SERIAL), all hear of it at once, and twice more as
 *   at the start: names that are not in it any more are withdrawn first, by a lifetime of zero (RFC
 *   8106 §5.2). What all have been told last is remembered for that, 1,024 octets.
 *
 * Contract: messages have a right checksum; `now` in microseconds.
 * Source: RFC 4861 §4, 6.1, 6.2, 7.1, 7.2, RFC 4862, RFC 8106 §5.
 */
import * as abi from "../abi/index";
import { addressIntern, DNS6, GATEWAY6, isIpv6, octetsOf, ROUTER6 } from "../flow/addresses";
import { frameCommit, gatewayMac, isOwnAddress } from "../flow/emit";
import { natIsGuest } from "../flow/nat";
import { neighborLearn } from "../flow/neighbor";
import { packet } from "../flow/packet";
import { dns6Named } from "../flow/resolvers";
import { CONFIG, config } from "../memory";
import { next } from "../prng";
import { txBegin } from "../ring";
import { count, drop } from "../stats";
import { SECOND_US } from "../timer";
import {
  ADDRESS6_IPV4_OFFSET,
  ADDRESS6_LOW_OFFSET,
  ALL_NODES,
  address6GroupMac,
  address6IsMulticast,
} from "../wire/addr6";
import { load8, loadMac } from "../wire/bytes";
import { sumPseudo6 } from "../wire/checksum";
import { dhcp6Find, OPTION6_SEARCH, Option6View } from "../wire/dhcpv6";
import { ETHERNET_HEADER_SIZE, ETHERTYPE_IPV6, ethernetEmit } from "../wire/ethernet";
import {
  ICMPV6_NEIGHBOR_ADVERTISEMENT,
  ICMPV6_NEIGHBOR_SOLICITATION,
  ICMPV6_ROUTER_SOLICITATION,
  Icmpv6View,
  icmpv6ChecksumFill,
  PROTOCOL_ICMPV6,
} from "../wire/icmpv6";
import { IPV6_HEADER_SIZE, Ipv6View, ipv6Emit } from "../wire/ipv6";
import * as wire from "../wire/ndp";

const INTERVAL_MIN_SECONDS: u32 = 200;
const INTERVAL_MAX_SECONDS: u32 = 600;
const INTERVAL_INITIAL_US: i64 = 16 * SECOND_US;
const INITIAL_COUNT: i32 = 3;
/** Least time between advertisements to all (MIN_DELAY_BETWEEN_RAS). */
const BETWEEN_US: i64 = 3 * SECOND_US;
const LIFETIME_SECONDS: u32 = 3 * INTERVAL_MAX_SECONDS;
const PREFIX_VALID_SECONDS: u32 = 2_592_000; // 30 days, AdvValidLifetime
const PREFIX_PREFERRED_SECONDS: u32 = 604_800; // 7 days, AdvPreferredLifetime
const SLAAC_PREFIX_LENGTH: u32 = 64;
const CUR_HOP_LIMIT: u32 = 64;
/** What fits into the smallest MTU beside all other options. */
const SEARCH_SIZE_MAX: u32 = 1024;
/** ff02::1:ff00:0/104 as it is loaded: two words, then an octet. */
const SOLICITED_HIGH: u64 = 0x02ff;
const SOLICITED_MIDDLE: u32 = 0x01000000;
const SOLICITED_OCTET: u8 = 0xff;
const ADVERTISEMENT_SIZE: u32 = wire.NDP_NEIGHBOR_SIZE + wire.NDP_LINK_ADDRESS_SIZE;

/** When the router advertises itself next. */
let dueAt: i64 = 0;
/** When it last did so to all; 0 = not yet. */
let lastAt: i64 = 0;
let initialLeft: i32 = 0;
/** Number of the option lists that are being told of. */
let serial: u32 = 0;
/** The search list that all have been told of last, and room for what of it is withdrawn. */
const TOLD: usize = memory.data(SEARCH_SIZE_MAX, 8);
const GONE: usize = memory.data(SEARCH_SIZE_MAX, 8);
let toldLength: u32 = 0;

export function ndpInit(): void {
  dueAt = 1;
  lastAt = 0;
  initialLeft = INITIAL_COUNT;
  serial = config(abi.CONFIG_OPTIONS_SERIAL_OFFSET);
  toldLength = 0;
}

function has(flag: i32): bool {
  return (config(abi.CONFIG_FLAGS_OFFSET) & flag) != 0;
}

// ---------------------------------------------------------------- router advertisements

/** The search list of the DHCPv6 server, names one after the other; address 0 = none to tell. */
function searchList(): Option6View {
  const start = CONFIG + abi.CONFIG_DHCP6_OPTIONS_OFFSET;
  const size = min<u32>(config(abi.CONFIG_DHCP6_OPTIONS_LENGTH_OFFSET), abi.DHCP_OPTIONS_SIZE);
  const option = dhcp6Find(start, start + size, OPTION6_SEARCH);
  const length: u32 = option == 0 ? 0 : Option6View.at(option).length;
  return Option6View.at(length == 0 || length > SEARCH_SIZE_MAX ? 0 : option);
}

/** Octets of the search list; 0 = there is none to tell. */
function searchSize(list: Option6View): u32 {
  return changetype<usize>(list) == 0 ? 0 : list.length;
}

/** Adds the search list, or withdraws the `gone` octets in GONE; returns where to go on. */
function putSearch(p: usize, gone: u32): usize {
  if (gone > 0) return p + wire.ndpSearchEmit(p, 0, GONE, gone);
  const list = searchList();
  const length = searchSize(list);
  return length == 0 ? p : p + wire.ndpSearchEmit(p, LIFETIME_SECONDS, list.value, length);
}

/** Octets of the name at `p`, its last one included, in `length` octets of names. */
function nameSize(p: usize, length: u32): u32 {
  let size: u32 = 0;
  while (size < length && load8(p + size) != 0) size += 1 + load8(p + size);
  return min(size + 1, length);
}

/** Whether the name of `size` octets at `p` is among those of `length` octets at `list`. */
function isListed(p: usize, size: u32, list: usize, length: u32): bool {
  let at: u32 = 0;
  while (at < length) {
    const other = nameSize(list + at, length - at);
    if (other == size && memory.compare(list + at, p, size) == 0) return true;
    at += other;
  }
  return false;
}

/** Gathers the names that all have been told and that are in the list no more; their size. */
function findGone(): u32 {
  const list = searchList();
  const length = searchSize(list);
  let gone: u32 = 0;
  let at: u32 = 0;
  while (at < toldLength) {
    const size = nameSize(TOLD + at, toldLength - at);
    if (!isListed(TOLD + at, size, list.value, length)) {
      memory.copy(GONE + gone, TOLD + at, size);
      gone += size;
    }
    at += size;
  }
  return gone;
}

/** All have been told of the list as it is now. */
function remember(): void {
  const list = searchList();
  toldLength = searchSize(list);
  memory.copy(TOLD, list.value, toldLength);
}

/** Writes the message; returns its size. */
function routerMessage(message: usize, lifetime: u32, gone: u32): u32 {
  const flags: u32 = has(abi.CONFIG_FLAG_DHCP) ? wire.NDP_MANAGED | wire.NDP_OTHER : 0;
  const prefixLength = config(abi.CONFIG_PREFIX6_LENGTH_OFFSET);
  const slaac = prefixLength == SLAAC_PREFIX_LENGTH ? wire.NDP_AUTONOMOUS : 0;
  wire.ndpRouterEmit(message, CUR_HOP_LIMIT, flags, lifetime);
  let p = message + wire.NDP_ROUTER_SIZE;
  wire.ndpLinkAddressEmit(p, wire.NDP_OPTION_SOURCE, gatewayMac());
  p += wire.NDP_LINK_ADDRESS_SIZE;
  wire.ndpMtuEmit(p, config(abi.CONFIG_MTU_OFFSET));
  p += wire.NDP_MTU_SIZE;
  wire.ndpPrefixEmit(
    p,
    octetsOf(GATEWAY6),
    prefixLength,
    wire.NDP_ON_LINK | slaac,
    PREFIX_VALID_SECONDS,
    PREFIX_PREFERRED_SECONDS,
  );
  p += wire.NDP_PREFIX_SIZE;
  if (dns6Named()) {
    wire.ndpDnsEmit(p, lifetime, octetsOf(DNS6));
    p += wire.NDP_DNS_SIZE;
  }
  if (lifetime != 0) p = putSearch(p, gone);
  return <u32>(p - message);
}

/** Sends a message of `size` octets that is in place behind the headers of `ethernet`. */
function send(ethernet: usize, size: u32, source: usize, destination: usize, mac: u64): void {
  const ip = ethernet + ETHERNET_HEADER_SIZE;
  const message = ip + IPV6_HEADER_SIZE;
  ethernetEmit(ethernet, mac, gatewayMac(), ETHERTYPE_IPV6);
  ipv6Emit(ip, source, destination, PROTOCOL_ICMPV6, size, wire.NDP_HOP_LIMIT, 0);
  icmpv6ChecksumFill(message, size, sumPseudo6(source, destination, PROTOCOL_ICMPV6, size));
  frameCommit(ethernet, ETHERNET_HEADER_SIZE + IPV6_HEADER_SIZE + size, 0);
}

/** Sends an advertisement, which withdraws `gone` octets of names if any; false = no room. */
function advertise(destination: usize, mac: u64, lifetime: u32, gone: u32): bool {
  const ethernet = txBegin();
  if (ethernet == 0) return false;
  const message = ethernet + ETHERNET_HEADER_SIZE + IPV6_HEADER_SIZE;
  const size = routerMessage(message, lifetime, gone);
  send(ethernet, size, octetsOf(ROUTER6), destination, mac);
  count(abi.STAT_NDP_ROUTER);
  return true;
}

/** Advertises to all and plans the next time. */
function advertiseAll(now: i64): void {
  const mac = address6GroupMac(ALL_NODES);
  const gone = findGone();
  const isReady = gone == 0 || advertise(ALL_NODES, mac, LIFETIME_SECONDS, gone);
  if (!isReady || !advertise(ALL_NODES, mac, LIFETIME_SECONDS, 0)) {
    dueAt = now + SECOND_US;
    return;
  }
  remember();
  lastAt = now;
  const interval =
    <i64>(INTERVAL_MIN_SECONDS + (next() % (INTERVAL_MAX_SECONDS - INTERVAL_MIN_SECONDS + 1))) *
    SECOND_US;
  if (initialLeft > 0) initialLeft--;
  dueAt = now + (initialLeft > 0 ? min(interval, INTERVAL_INITIAL_US) : interval);
}

/** When `ndpTimeout` wants to be called, absolute microseconds; 0 = never. */
export function ndpNext(): i64 {
  if (!has(abi.CONFIG_FLAG_IPV6)) return 0;
  return config(abi.CONFIG_OPTIONS_SERIAL_OFFSET) == serial ? dueAt : 1;
}

/** The search list may be another one: all are to hear of it, as of a router that has started. */
function renew(now: i64): void {
  serial = config(abi.CONFIG_OPTIONS_SERIAL_OFFSET);
  initialLeft = INITIAL_COUNT;
  dueAt = lastAt == 0 ? now : max(now, lastAt + BETWEEN_US);
}

/** Advertises the router when it is time. */
export function ndpTimeout(now: i64): void {
  if (!has(abi.CONFIG_FLAG_IPV6)) return;
  if (config(abi.CONFIG_OPTIONS_SERIAL_OFFSET) != serial) renew(now);
  if (now >= dueAt) advertiseAll(now);
}

/** Tells all that the router is none any more (RFC 4861 §6.2.5). */
export function ndpFarewell(): void {
  if (has(abi.CONFIG_FLAG_IPV6)) advertise(ALL_NODES, address6GroupMac(ALL_NODES), 0, 0);
}

// ---------------------------------------------------------------- what the guest says

/** MAC in an option of this type; 0 = there is none. */
function linkAddress(options: usize, length: u32, type: u32): u64 {
  const option = wire.ndpOptionFind(options, length, type);
  return option == 0 ? 0 : loadMac(option + 2);
}

/** Whether the packet under way is from nobody yet: duplicate address detection. */
function isProbe(): bool {
  return packet.source == 0;
}

/** Learns that the sender has the address; false = its MAC is somebody else's. */
function learn(address: u32, said: u64, now: i64): bool {
  if (said != 0 && said != packet.mac) return false;
  if (natIsGuest(address)) neighborLearn(address, packet.mac, now);
  return true;
}

function routerSolicited(now: i64): void {
  if (!isProbe()) {
    if (advertise(octetsOf(packet.source), packet.mac, LIFETIME_SECONDS, 0))
      count(abi.STAT_CONSUMED_LOCAL);
    return;
  }
  count(abi.STAT_CONSUMED_LOCAL);
  if (lastAt == 0 || now - lastAt >= BETWEEN_US) advertiseAll(now);
  else dueAt = min(dueAt, lastAt + BETWEEN_US);
}

/** Says that the address at `target`, one of ours, is at our MAC. */
function answer(target: usize): void {
  const ethernet = txBegin();
  if (ethernet == 0) return; // counted as DROP_TX_FULL
  const solicited: u32 = isProbe() ? 0 : wire.NDP_SOLICITED;
  const flags = wire.NDP_ROUTER | wire.NDP_OVERRIDE | solicited;
  const message = ethernet + ETHERNET_HEADER_SIZE + IPV6_HEADER_SIZE;
  wire.ndpAdvertisementEmit(message, target, gatewayMac(), flags);
  const to = isProbe() ? ALL_NODES : octetsOf(packet.source);
  const mac = isProbe() ? address6GroupMac(ALL_NODES) : packet.mac;
  send(ethernet, ADVERTISEMENT_SIZE, target, to, mac);
  count(abi.STAT_NDP_REPLIES);
  count(abi.STAT_CONSUMED_LOCAL);
}

/** Whether `p` is a solicited-node multicast address. */
function isSolicitedNode(p: usize): bool {
  return (
    load<u64>(p) == SOLICITED_HIGH &&
    load<u32>(p, ADDRESS6_LOW_OFFSET) == SOLICITED_MIDDLE &&
    load<u8>(p, ADDRESS6_IPV4_OFFSET) == SOLICITED_OCTET
  );
}

function neighborSolicited(now: i64): void {
  const message = packet.data;
  const options = packet.length - wire.NDP_NEIGHBOR_SIZE;
  const target = message + wire.NDP_TARGET_OFFSET;
  const said = linkAddress(message + wire.NDP_NEIGHBOR_SIZE, options, wire.NDP_OPTION_SOURCE);
  const destination = Ipv6View.at(packet.ip).destination;
  const isWrong = isProbe() && (said != 0 || !isSolicitedNode(destination));
  if (isWrong || address6IsMulticast(target)) {
    drop(abi.DROP_NDP_MALFORMED);
    return;
  }
  const address = addressIntern(target, 0);
  const isOurs = isIpv6(address) && isOwnAddress(address);
  if ((!isProbe() && !learn(packet.source, said, now)) || !isOurs) {
    drop(abi.DROP_NDP_IGNORED);
    return;
  }
  answer(octetsOf(address));
}

function neighborAdvertised(now: i64): void {
  const message = packet.data;
  const options = packet.length - wire.NDP_NEIGHBOR_SIZE;
  const target = message + wire.NDP_TARGET_OFFSET;
  const isSolicited = (Icmpv6View.at(message).rest & wire.NDP_SOLICITED) != 0;
  const isToAll = address6IsMulticast(Ipv6View.at(packet.ip).destination);
  if (address6IsMulticast(target) || (isSolicited && isToAll)) {
    drop(abi.DROP_NDP_MALFORMED);
    return;
  }
  const said = linkAddress(message + wire.NDP_NEIGHBOR_SIZE, options, wire.NDP_OPTION_TARGET);
  const address = addressIntern(target, 0);
  if (address == 0 || !natIsGuest(address) || !learn(address, said, now)) {
    drop(abi.DROP_NDP_IGNORED);
    return;
  }
  count(abi.STAT_CONSUMED_LOCAL);
}

/** Takes the packet under way, whose checksum is right; its source is 0 where that is ::. */
export function ndpInput(now: i64): void {
  const message = packet.data;
  const type = Icmpv6View.at(message).type;
  const isRouter = type == ICMPV6_ROUTER_SOLICITATION;
  const fixed = isRouter ? wire.NDP_ROUTER_SOLICITATION_SIZE : wire.NDP_NEIGHBOR_SIZE;
  const isKnown =
    isRouter || type == ICMPV6_NEIGHBOR_SOLICITATION || type == ICMPV6_NEIGHBOR_ADVERTISEMENT;
  if (!isKnown) {
    drop(abi.DROP_NDP_IGNORED); // the guest is no router of this link
    return;
  }
  if (
    packet.ttl != wire.NDP_HOP_LIMIT ||
    packet.length < fixed ||
    Icmpv6View.at(message).code != 0 ||
    !wire.ndpOptionsOk(message + fixed, packet.length - fixed)
  ) {
    drop(abi.DROP_NDP_MALFORMED);
    return;
  }
  if (isRouter) {
    const said = linkAddress(message + fixed, packet.length - fixed, wire.NDP_OPTION_SOURCE);
    if (isProbe() && said != 0) drop(abi.DROP_NDP_MALFORMED);
    else if (!isProbe() && !learn(packet.source, said, now)) drop(abi.DROP_NDP_IGNORED);
    else routerSolicited(now);
  } else if (type == ICMPV6_NEIGHBOR_SOLICITATION) neighborSolicited(now);
  else if (isProbe()) drop(abi.DROP_NDP_MALFORMED);
  else neighborAdvertised(now);
}
