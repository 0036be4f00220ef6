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
import * as abi from "../abi/index";
import { addressOfSource, GUEST6, octetsOf, ROUTER6 } from "../flow/addresses";
import { frameCommit, gatewayMac } from "../flow/emit";
import { natIsGuest } from "../flow/nat";
import { neighborLearn } from "../flow/neighbor";
import { packet } from "../flow/packet";
import { presenceDoubt } from "../flow/presence";
import { config } from "../memory";
import { txBegin } from "../ring";
import { count, drop } from "../stats";
import { SECOND_US } from "../timer";
import { ALL_DHCP_SERVERS, address6Equal, address6IsLinkLocal } from "../wire/addr6";
import { store8, store16, storeMac } from "../wire/bytes";
import { sumAdd, sumBytes, sumOk, sumPseudo6, sumStoreUdp } from "../wire/checksum";
import * as wire from "../wire/dhcpv6";
import { Dhcp6View, Option6View } from "../wire/dhcpv6";
import { ETHERNET_HEADER_SIZE, ETHERTYPE_IPV6, ethernetEmit } from "../wire/ethernet";
import { PROTOCOL_UDP, WIRE_OK } from "../wire/ipv4";
import { IPV6_HEADER_SIZE, IPV6_MTU_MIN, Ipv6View, ipv6Emit } from "../wire/ipv6";
import {
  UDP_CHECKSUM_OFFSET,
  UDP_HEADER_SIZE,
  UDP_TRUNCATED,
  UdpView,
  udpCheck,
  udpEmit,
} from "../wire/udp";
import {
  associationsOk,
  firstAddress,
  firstIa,
  IA_COUNT_MAX,
  namesForeign,
  namesGuest,
  nextIa,
  putAssociations,
  refuseIa,
} from "./dhcpv6-associations";
import {
  asked,
  exchange,
  optionsBegin,
  optionsTake,
  put,
  putOptions,
  putStatus,
  room,
} from "./dhcpv6-options";

const HEADERS_SIZE: u32 = IPV6_HEADER_SIZE + UDP_HEADER_SIZE;
const HOP_LIMIT: u32 = 64;
const DECLINE_HOLD_US: i64 = 10 * SECOND_US;
/** There is no other server to wait for (RFC 9915 §18.2.1). */
const PREFERENCE_MAX: u32 = 255;
/** DUID-LL: type, hardware type, MAC (RFC 9915 §11.4). */
const DUID_SIZE: u32 = 10;
const DUID_HARDWARE_OFFSET: usize = 2;
const DUID_MAC_OFFSET: usize = 4;
const DUID_LINK_LAYER: u32 = 3;
const HARDWARE_ETHERNET: u32 = 1;

let declinedUntil: i64 = 0;

const DUID: usize = memory.data(DUID_SIZE, 8);

export function dhcp6Init(): void {
  declinedUntil = 0;
  store16(DUID, DUID_LINK_LAYER);
  store16(DUID + DUID_HARDWARE_OFFSET, HARDWARE_ETHERNET);
  storeMac(DUID + DUID_MAC_OFFSET, gatewayMac());
}

/** Begins a reply: header, server and client identifier. Returns the frame; 0 = no room. */
function begin(type: u32, transaction: u32): usize {
  const ethernet = txBegin();
  if (ethernet == 0) return 0;
  const ip = ethernet + ETHERNET_HEADER_SIZE;
  const reply = ip + HEADERS_SIZE;
  wire.dhcp6Emit(reply, type, transaction);
  optionsBegin(reply + wire.DHCP6_HEADER_SIZE, ip + IPV6_MTU_MIN);
  put(wire.OPTION6_SERVER, DUID, DUID_SIZE);
  const client = asked(wire.OPTION6_CLIENT);
  if (client != 0) {
    put(wire.OPTION6_CLIENT, Option6View.at(client).value, Option6View.at(client).length);
  }
  return ethernet;
}

/** Adds the headers in front and sends to whoever asked. */
function finish(ethernet: usize): void {
  const header = ethernet + ETHERNET_HEADER_SIZE;
  const udp = header + IPV6_HEADER_SIZE;
  const size = <u32>(exchange.cursor - udp);
  const source = octetsOf(ROUTER6);
  const destination = Ipv6View.at(packet.ip).source;
  ethernetEmit(ethernet, packet.mac, gatewayMac(), ETHERTYPE_IPV6);
  ipv6Emit(header, source, destination, PROTOCOL_UDP, size, HOP_LIMIT, 0);
  udpEmit(udp, wire.DHCP6_SERVER_PORT, wire.DHCP6_CLIENT_PORT, size);
  const pseudo = sumPseudo6(source, destination, PROTOCOL_UDP, size);
  sumStoreUdp(udp + UDP_CHECKSUM_OFFSET, sumAdd(pseudo, sumBytes(udp, size)));
  frameCommit(ethernet, ETHERNET_HEADER_SIZE + IPV6_HEADER_SIZE + size, 0);
  count(abi.STAT_CONSUMED_LOCAL);
}

/** SOLICIT, REQUEST, RENEW, REBIND. */
function takeAsking(type: u32, transaction: u32, now: i64): void {
  if (type == wire.DHCP6_SOLICIT) presenceDoubt();
  const rapid =
    type == wire.DHCP6_SOLICIT && now >= declinedUntil && asked(wire.OPTION6_RAPID_COMMIT) != 0;
  const offers = type == wire.DHCP6_SOLICIT && !rapid;
  const ethernet = begin(offers ? wire.DHCP6_ADVERTISE : wire.DHCP6_REPLY, transaction);
  if (ethernet == 0) return;
  if (rapid) room(wire.OPTION6_RAPID_COMMIT, 0);
  if (offers) {
    const preference = room(wire.OPTION6_PREFERENCE, 1);
    if (preference != 0) store8(preference, PREFERENCE_MAX);
  }
  if (putAssociations(type, now >= declinedUntil) && !offers)
    neighborLearn(GUEST6, packet.mac, now);
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
    if (isOurs && type == wire.DHCP6_DECLINE) declinedUntil = now + DECLINE_HOLD_US;
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

/** Whether the message has the identifiers its type asks for (RFC 9915 §16.2 to 16.12). */
function identifiersOk(type: u32): bool {
  const client = asked(wire.OPTION6_CLIENT);
  const server = asked(wire.OPTION6_SERVER);
  let isOurs = false;
  if (server != 0 && Option6View.at(server).length == DUID_SIZE) {
    isOurs = memory.compare(Option6View.at(server).value, DUID, DUID_SIZE) == 0;
  }
  if (client != 0) {
    const size = Option6View.at(client).length;
    if (size < 2 || size > wire.DUID_SIZE_MAX) return false;
  }
  if (type == wire.DHCP6_INFORMATION) {
    const hasIa =
      firstIa() != 0 || asked(wire.OPTION6_IA_TA) != 0 || asked(wire.OPTION6_IA_PD) != 0;
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
  const options = message + wire.DHCP6_HEADER_SIZE;
  const length = octets - wire.DHCP6_HEADER_SIZE;
  optionsTake(options, length);
  if (
    octets < wire.DHCP6_HEADER_SIZE ||
    !isFromGuest() ||
    !wire.dhcp6OptionsOk(options, length) ||
    !associationsOk(wire.OPTION6_IA_NA) ||
    !associationsOk(wire.OPTION6_IA_PD)
  ) {
    drop(abi.DROP_DHCP_MALFORMED);
    return;
  }
  dispatch(message, now);
}
