/**
 * Datagrams between the guest and the host's TFTP service, which answers at the gateway's address.
 *
 * Theory of operation
 *   The service is no host on any network: a flow to it has, in place of a UDP socket, one end of a
 *   pair of sockets that never leave the program (FAMILY_LOCAL of OP_UDP_OPEN). So nobody but the
 *   guest can reach it, and all else is as for any UDP flow: who may have how much, idle time,
 *   batches, recordings. The key of such a flow is the guest's end, the gateway's address and the
 *   port that the service answers from.
 *
 *   A request goes to port 69. All after it, in both directions, is from and to the transfer's own
 *   port at the gateway (RFC 1350 §4), an ephemeral one (RFC 6335 §6): a keyed hash of the
 *   guest's port, so that a transfer need not be remembered to be recognised. What is sent to such
 *   a port without a transfer is ordinary UDP.
 *
 *   The service ends a transfer by closing its end: a message of no octets here. The flow ends then
 *   with the next look at time, and its slot and descriptor are free at once.
 *
 * Source: RFC 1350, RFC 6335 §6.
 */
import * as abi from "../abi/index";
import { config } from "../memory";
import { GOLDEN_RATIO, next } from "../prng";
import { drop } from "../stats";
import { GATEWAY6 } from "./addresses";
import { datagramTouch, F_LOCAL, F_OVER, has, UdpFlow } from "./datagram";
import { datagramOpen } from "./datagram-send";
import { closeRoom, datagramEnd } from "./evict";
import { SHARE_DATAGRAM } from "./kinds";
import { LOOPBACK_ADDRESS } from "./nat";
import { packet } from "./packet";
import { flowFind, isNone } from "./table";
import { udpQueue } from "./udp-queue";

const TFTP_PORT: u32 = 69;

const PORTS_FIRST: u32 = 49152;
const PORTS_BITS: u32 = 14;
const HASH_BITS: u32 = 32;
/** An odd word that spreads what the first product has left in few bits. */
const MIX: u32 = 0x85ebca6b;

let secret: u32 = 0;

function isServed(): bool {
  return (config(abi.CONFIG_FLAGS_OFFSET) & abi.CONFIG_FLAG_TFTP) != 0;
}

/** Draws what the ports of transfers are made from. */
export function tftpInit(): void {
  secret = isServed() ? next() : 0;
}

/** Whether the service is at this address. */
export function tftpAddressed(address: u32): bool {
  if (!isServed() || address == 0) return false;
  return address == config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET) || address == GATEWAY6;
}

/** Port that the service has for the transfer of a guest's port. */
function tftpPort(guestPort: u32): u32 {
  let hash = (guestPort ^ secret) * GOLDEN_RATIO;
  hash = (hash ^ (hash >>> 15)) * MIX;
  return PORTS_FIRST + (hash >>> (HASH_BITS - PORTS_BITS));
}

/**
 * Takes the packet under way, a datagram for `port` of the gateway; false = it has nothing to do
 * with the TFTP service.
 */
export function tftpInput(guestPort: u32, port: u32, now: i64): bool {
  const own = tftpPort(guestPort);
  if (port != TFTP_PORT && port != own) return false;
  const guest = packet.source;
  const gateway = packet.destination;
  const ports = (guestPort << 16) | own;
  let flow = changetype<UdpFlow>(flowFind(abi.KIND_UDP, guest, gateway, ports));
  if (isNone(flow) && port != TFTP_PORT) return false;
  if (!isNone(flow) && has(flow, F_OVER)) {
    if (port != TFTP_PORT || closeRoom() == 0) {
      drop(abi.DROP_UDP_SEND);
      return true;
    }
    datagramEnd(flow);
    flow = changetype<UdpFlow>(0);
  }
  if (isNone(flow)) {
    flow = datagramOpen(abi.KIND_UDP, SHARE_DATAGRAM, guest, gateway, ports);
    if (isNone(flow)) {
      drop(abi.DROP_UDP_TABLE_FULL);
      return true;
    }
    flow.flags |= F_LOCAL;
    flow.hostAddress = LOOPBACK_ADDRESS;
    flow.hostPort = <u16>TFTP_PORT;
    flow.segmentMax = 0; // a message of the pair's is one datagram
  }
  flow.guestMac = packet.mac;
  datagramTouch(flow, now);
  udpQueue(flow, LOOPBACK_ADDRESS, TFTP_PORT, 0, 0);
  return true;
}
