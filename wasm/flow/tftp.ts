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
import * as abi from "../abi";
import { config } from "../memory";
import { next } from "../prng";
import { GATEWAY6 } from "./addresses";

export const TFTP_PORT: u32 = 69;

const PORTS_FIRST: u32 = 49152;
const PORTS_BITS: u32 = 14;

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
export function tftpPort(guestPort: u32): u32 {
  let hash = (guestPort ^ secret) * 0x9e3779b1;
  hash = (hash ^ (hash >>> 15)) * 0x85ebca6b;
  return PORTS_FIRST + (hash >>> (32 - PORTS_BITS));
}
