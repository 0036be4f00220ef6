/**
 * DHCP server for the one guest of the link.
 *
 * Theory of operation
 *   There is one address to give, so the configuration is the lease database: the address is
 *   reserved for whoever asks on this link, and every client counts as known. That makes answers
 *   independent of what was asked before, and of restarts: a guest that comes back with a
 *   remembered address (INIT-REBOOT) gets ACK if it is the configured one and NAK if not, and is
 *   never left waiting.
 *
 *   Two clients at once - firmware and operating system, a replaced NIC, a bridge in the guest -
 *   are both told the same address; the last to be acknowledged is where frames go. If they really
 *   run side by side, the later one's own ARP probe finds the clash and it sends DECLINE.
 *
 *   After DECLINE the address counts as bad for 10 seconds, the time the client has to wait anyway
 *   (RFC 2131 §3.1 5): DISCOVER is not answered and REQUEST gets NAK. There is no other address, so
 *   then it is offered again. RELEASE has nothing to free. Neither is answered.
 *
 *   Replies carry, in this order: type, server, lease times, echoed options (61, 81, 80), what the
 *   parameter list names in its order - with mask always before router - and then everything else
 *   that is configured, as far as the client's maximum message size allows. An option fits as a
 *   whole or is left out. The whole message is zeroed first. What to boot depends on who asks, see
 *   `boot`.
 *
 *   A client of plain BOOTP, without a type (option 53), is given the same address for ever: a
 *   reply without type, server and lease times, whose options fit the 64 octets such a client
 *   expects (RFC 1534 §2, RFC 951 §3).
 *
 *   Messages through a relay are served when the relay is in the guest network; option 82 comes
 *   back last (RFC 3046 §2.2).
 *
 * Source: RFC 951, RFC 1534, RFC 2131, RFC 2132, RFC 3396 §5, RFC 4039 §3, RFC 4702 §4,
 * RFC 6842 §3.
 */
import * as abi from "../abi/index";
import { frameCommit, gatewayMac, isOwnAddress, linkMtu, networkBroadcast } from "../flow/emit";
import { neighborLearn } from "../flow/neighbor";
import { outgoing, outgoingBegin } from "../flow/outgoing";
import { packet } from "../flow/packet";
import { presenceDoubt } from "../flow/presence";
import { config } from "../memory";
import { next } from "../prng";
import { txBegin } from "../ring";
import { count, drop } from "../stats";
import { SECOND_US } from "../timer";
import { addressInPrefix, MAC_BROADCAST, macIsGroup } from "../wire/addr";
import { load8, load16, load32 } from "../wire/bytes";
import { sumAdd, sumBytes, sumPseudo4, sumStoreUdp } from "../wire/checksum";
import * as wire from "../wire/dhcpv4";
import { DhcpView } from "../wire/dhcpv4";
import { ETHERNET_HEADER_SIZE, ETHERTYPE_IPV4, ethernetEmit } from "../wire/ethernet";
import { IPV4_HEADER_SIZE, ipv4Emit, PROTOCOL_UDP, WIRE_OK } from "../wire/ipv4";
import {
  UDP_CHECKSUM_OFFSET,
  UDP_HEADER_SIZE,
  UDP_TRUNCATED,
  UdpView,
  udpCheck,
  udpChecksumOk,
  udpEmit,
} from "../wire/udp";
import {
  fillBoot,
  fillField,
  optionsEnd,
  put,
  put8,
  put32,
  putEcho,
  putFqdn,
  putLease,
  putParameters,
  reply,
  replyBegin,
} from "./dhcpv4-options";

const HEADERS_SIZE: u32 = IPV4_HEADER_SIZE + UDP_HEADER_SIZE;
/** What every client takes, IP header included (RFC 2131 §2). */
const PACKET_SIZE_DEFAULT: u32 = 576;
const PACKET_SIZE_MAX: u32 = 1500;
const ADDRESS_SIZE: i32 = 4;
const TTL: u32 = 64;
const ADDRESS_ANY_BROADCAST: u32 = 0xffffffff;
const DECLINE_HOLD_US: i64 = 10 * SECOND_US;

/** "address not available" */
const NAK_TEXT: usize = memory.data<u8>([
  97, 100, 100, 114, 101, 115, 115, 32, 110, 111, 116, 32, 97, 118, 97, 105, 108, 97, 98, 108, 101,
]);
const NAK_TEXT_SIZE: u32 = 21;

/** Until when the address counts as bad, microseconds. */
let declinedUntil: i64 = 0;

/** The message being answered: the packet under way. */
function request(): DhcpView {
  return DhcpView.at(packet.data + UDP_HEADER_SIZE);
}

export function dhcpInit(): void {
  declinedUntil = 0;
}

// ---------------------------------------------------------------- replies

/** Octets of DHCP message the client takes. */
function messageSizeMax(): u32 {
  let size = PACKET_SIZE_DEFAULT;
  if (wire.dhcpOptionLength(wire.OPTION_SIZE_MAX) == 2) {
    const wanted = load16(wire.dhcpOptionValue(wire.OPTION_SIZE_MAX));
    size = min(max(wanted, PACKET_SIZE_DEFAULT), PACKET_SIZE_MAX);
  }
  // A link of less than 576 cannot carry the smallest BOOTP message either, but 576 is its minimum.
  return min(size, max(linkMtu(), PACKET_SIZE_DEFAULT)) - HEADERS_SIZE;
}

/**
 * Begins a reply: header, type, server; type 0 = BOOTP's, which has neither. Returns the frame; 0 =
 * there is no room (counted).
 */
function begin(type: u32): usize {
  const ethernet = txBegin();
  if (ethernet == 0) return 0;
  const size = type == 0 ? wire.BOOTP_SIZE_MIN : messageSizeMax();
  memory.fill(ethernet, 0, ETHERNET_HEADER_SIZE + HEADERS_SIZE + size);
  const message = ethernet + ETHERNET_HEADER_SIZE + HEADERS_SIZE;
  const asked = request();
  replyBegin(message, size);
  wire.dhcpEmit(message, asked.xid, asked.flags, asked.giaddr, asked.clientMac);
  if (type == 0) return ethernet;
  put8(wire.OPTION_TYPE, type);
  put32(wire.OPTION_SERVER, config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET));
  return ethernet;
}

/** Ends the options, adds the headers in front and sends. */
function finish(ethernet: usize, destination: u32, mac: u64, port: u32): void {
  optionsEnd();
  const size = max(<u32>(reply.cursor - reply.message), wire.BOOTP_SIZE_MIN) + UDP_HEADER_SIZE;
  const source = config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET);
  const ip = ethernet + ETHERNET_HEADER_SIZE;
  const udp = ip + IPV4_HEADER_SIZE;
  ethernetEmit(ethernet, mac, gatewayMac(), ETHERTYPE_IPV4);
  outgoingBegin(source, destination, mac, PROTOCOL_UDP, TTL, 0);
  outgoing.ident = next() & 0xffff;
  ipv4Emit(ip, outgoing, size);
  udpEmit(udp, wire.DHCP_SERVER_PORT, port, size);
  const sum = sumAdd(sumPseudo4(source, destination, PROTOCOL_UDP, size), sumBytes(udp, size));
  sumStoreUdp(udp + UDP_CHECKSUM_OFFSET, sum);
  frameCommit(ethernet, ETHERNET_HEADER_SIZE + IPV4_HEADER_SIZE + size, 0);
  count(abi.STAT_CONSUMED_LOCAL);
}

/** Sends it where RFC 2131 §4.1 says: relay, else `address`, else broadcast or `yiaddr`. */
function send(ethernet: usize, address: u32, yiaddr: u32): void {
  const relay = request().giaddr;
  if (relay != 0) {
    finish(ethernet, relay, packet.mac, wire.DHCP_SERVER_PORT);
  } else if (address != 0) {
    finish(ethernet, address, request().clientMac, wire.DHCP_CLIENT_PORT);
  } else if (yiaddr == 0 || (request().flags & wire.DHCP_BROADCAST) != 0) {
    finish(ethernet, ADDRESS_ANY_BROADCAST, MAC_BROADCAST, wire.DHCP_CLIENT_PORT);
  } else {
    finish(ethernet, yiaddr, request().clientMac, wire.DHCP_CLIENT_PORT);
  }
}

/** The part of OFFER and ACK behind type, server and lease. */
function fill(): void {
  putEcho(wire.OPTION_CLIENT);
  putFqdn();
  DhcpView.at(reply.message).siaddr = config(abi.CONFIG_DHCP_SIADDR_OFFSET);
  const sname = reply.message + wire.DHCP_SNAME_OFFSET;
  fillField(wire.OPTION_TFTP_NAME, sname, wire.DHCP_SNAME_SIZE);
  fillBoot(reply.message + wire.DHCP_FILE_OFFSET, wire.DHCP_FILE_SIZE);
  putParameters();
}

/** Gives the address: OFFER, or ACK. */
function grant(type: u32, isRapid: bool, now: i64): void {
  const ethernet = begin(type);
  if (ethernet == 0) return;
  const guest = config(abi.CONFIG_GUEST_ADDRESS_OFFSET);
  const ciaddr = type == wire.DHCP_ACK && !isRapid ? request().ciaddr : 0;
  DhcpView.at(reply.message).ciaddr = ciaddr;
  DhcpView.at(reply.message).yiaddr = guest;
  putLease();
  if (isRapid) put(wire.OPTION_RAPID_COMMIT, reply.message, 0);
  fill();
  send(ethernet, ciaddr, guest);
  if (type == wire.DHCP_OFFER) {
    count(abi.STAT_DHCP_OFFERS);
  } else {
    count(abi.STAT_DHCP_ACKS);
    if (request().giaddr == 0) neighborLearn(guest, request().clientMac, now);
  }
}

/** Refuses: everything but type, server, text and client identifier stays empty. */
function refuse(): void {
  const ethernet = begin(wire.DHCP_NAK);
  if (ethernet == 0) return;
  // The relay has to broadcast, as the client's address is wrong (RFC 2131 §4.3.2).
  if (request().giaddr != 0)
    DhcpView.at(reply.message).flags = request().flags | wire.DHCP_BROADCAST;
  put(wire.OPTION_MESSAGE, NAK_TEXT, NAK_TEXT_SIZE);
  putEcho(wire.OPTION_CLIENT);
  send(ethernet, 0, 0);
  count(abi.STAT_DHCP_NAKS);
}

// ---------------------------------------------------------------- messages

/** Value of an option that is one address; 0 = absent. */
function addressOption(code: u32): u32 {
  return wire.dhcpOptionLength(code) == ADDRESS_SIZE ? load32(wire.dhcpOptionValue(code)) : 0;
}

function isForUs(): bool {
  return addressOption(wire.OPTION_SERVER) == config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET);
}

function takeDiscover(now: i64): void {
  presenceDoubt();
  if (now < declinedUntil) {
    drop(abi.DROP_DHCP_IGNORED);
    return;
  }
  const isRapid = wire.dhcpOptionLength(wire.OPTION_RAPID_COMMIT) == 0;
  grant(isRapid ? wire.DHCP_ACK : wire.DHCP_OFFER, isRapid, now);
}

/** BOOTP: the address is the client's for good. */
function takeBootp(now: i64): void {
  if (now < declinedUntil) {
    drop(abi.DROP_DHCP_IGNORED);
    return;
  }
  const ethernet = begin(0);
  if (ethernet == 0) return;
  const guest = config(abi.CONFIG_GUEST_ADDRESS_OFFSET);
  const ciaddr = request().ciaddr;
  DhcpView.at(reply.message).ciaddr = ciaddr;
  DhcpView.at(reply.message).yiaddr = guest;
  fill();
  send(ethernet, ciaddr == guest ? ciaddr : 0, guest);
  count(abi.STAT_DHCP_ACKS);
  if (request().giaddr == 0) neighborLearn(guest, request().clientMac, now);
}

/** SELECTING, INIT-REBOOT, RENEWING and REBINDING all name an address; ours is the right one. */
function takeRequest(now: i64): void {
  const isSelecting = wire.dhcpOptionLength(wire.OPTION_SERVER) >= 0;
  const requested = addressOption(wire.OPTION_REQUESTED_ADDRESS);
  const wanted = requested != 0 ? requested : request().ciaddr;
  if ((isSelecting && !isForUs()) || (!isSelecting && wanted == 0)) {
    drop(abi.DROP_DHCP_IGNORED);
    return;
  }
  const ciaddr = request().ciaddr;
  const guest = config(abi.CONFIG_GUEST_ADDRESS_OFFSET);
  const isRight = wanted == guest && (ciaddr == 0 || ciaddr == guest);
  if (isRight && now >= declinedUntil) grant(wire.DHCP_ACK, false, now);
  else refuse();
}

function takeDecline(now: i64): void {
  const declined = addressOption(wire.OPTION_REQUESTED_ADDRESS);
  if (!isForUs() || declined != config(abi.CONFIG_GUEST_ADDRESS_OFFSET)) {
    drop(abi.DROP_DHCP_IGNORED);
    return;
  }
  declinedUntil = now + DECLINE_HOLD_US;
  count(abi.STAT_CONSUMED_LOCAL);
}

/** A client with an address of its own wants the rest: ACK without address and lease. */
function takeInform(): void {
  const ciaddr = request().ciaddr;
  const client = ciaddr != 0 ? ciaddr : packet.source;
  const gateway = config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET);
  const prefixLength = config(abi.CONFIG_PREFIX_LENGTH_OFFSET);
  const isInside = addressInPrefix(client, gateway, prefixLength);
  if (client != 0 && (!isInside || isOwnAddress(client) || client == networkBroadcast())) {
    drop(abi.DROP_DHCP_IGNORED);
    return;
  }
  const ethernet = begin(wire.DHCP_ACK);
  if (ethernet == 0) return;
  DhcpView.at(reply.message).ciaddr = ciaddr;
  fill();
  send(ethernet, client, 0);
  count(abi.STAT_DHCP_ACKS);
}

/** Whether an option of this length is absent, or of `size` octets. */
function isAbsentOr(length: i32, size: i32): bool {
  return length == -1 || length == size;
}

/** Whether the message is a request of an Ethernet client; counts it if not. */
function isAcceptable(message: usize, length: u32): bool {
  if (wire.dhcpIsBare(message, length)) wire.dhcpOptionsNone();
  else if (wire.dhcpCheck(message, length) != WIRE_OK || !wire.dhcpOptionsParse(message, length)) {
    drop(abi.DROP_DHCP_MALFORMED);
    return false;
  }
  const client = request().clientMac;
  const isEthernet = request().isEthernet;
  const server = wire.dhcpOptionLength(wire.OPTION_SERVER);
  const requested = wire.dhcpOptionLength(wire.OPTION_REQUESTED_ADDRESS);
  const type = wire.dhcpOptionLength(wire.OPTION_TYPE);
  const hasAddresses = isAbsentOr(server, ADDRESS_SIZE) && isAbsentOr(requested, ADDRESS_SIZE);
  const isSized = hasAddresses && isAbsentOr(type, 1);
  if (!isEthernet || !isSized || client == 0 || macIsGroup(client)) {
    drop(abi.DROP_DHCP_MALFORMED);
    return false;
  }
  const relay = request().giaddr;
  const gateway = config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET);
  const isFar =
    relay != 0 && !addressInPrefix(relay, gateway, config(abi.CONFIG_PREFIX_LENGTH_OFFSET));
  if (request().op != wire.BOOT_REQUEST || isFar || isOwnAddress(relay) || client == gatewayMac()) {
    drop(abi.DROP_DHCP_IGNORED);
    return false;
  }
  return true;
}

/** Takes the packet under way, a UDP datagram to port 67. `now` in microseconds. */
export function dhcpInput(now: i64): void {
  if ((config(abi.CONFIG_FLAGS_OFFSET) & abi.CONFIG_FLAG_DHCP) == 0) {
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
  const isSound =
    packet.isChecksumTrusted || udpChecksumOk(udp, size, packet.source, packet.destination);
  if (!isSound) {
    drop(abi.DROP_UDP_CHECKSUM);
    return;
  }
  const message = udp + UDP_HEADER_SIZE;
  if (!isAcceptable(message, size - UDP_HEADER_SIZE)) return;
  if (wire.dhcpOptionLength(wire.OPTION_TYPE) < 0) {
    takeBootp(now);
    return;
  }
  const type = load8(wire.dhcpOptionValue(wire.OPTION_TYPE));
  if (type == wire.DHCP_DISCOVER) takeDiscover(now);
  else if (type == wire.DHCP_REQUEST) takeRequest(now);
  else if (type == wire.DHCP_DECLINE) takeDecline(now);
  else if (type == wire.DHCP_INFORM) takeInform();
  else if (type == wire.DHCP_RELEASE && isForUs()) count(abi.STAT_CONSUMED_LOCAL);
  else drop(abi.DROP_DHCP_IGNORED);
}
