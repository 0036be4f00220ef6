/**
 * What an address of the guest's view means on the host, and the reverse.
 *
 *     guest says                      host side
 *     gateway                         127.0.0.1 with CONFIG_FLAG_HOST_LOOPBACK, else refused
 *     DNS address                     refused here; `flow/dns` and `tcp/open` look first
 *     rest of its own network         unusable: nobody is there
 *     loopback, 0/8, multicast, 240/4 unusable
 *     anything else                   itself
 *
 *     host says                       guest sees
 *     127/8, 0/8, guest network       gateway: the guest could not answer the true address
 *     anything else                   itself
 *
 * Contract: pure functions of the configuration; addresses in host order. "Refused" and "unusable"
 * are both 0 from `natToHost`; `natUnusable` tells which ones are dropped without a word.
 * Source: RFC 1122 §3.2.1.3, RFC 6890 §2.2.2, RFC 4787 §4.
 */
import * as abi from "../abi";
import { config } from "../memory";
import { addressIsLoopback, addressIsThisNetwork, addressIsUnusableDestination }
  from "../wire/addr";
import { isOwnAddress, networkBroadcast, networkMask } from "./emit";

export const LOOPBACK_ADDRESS: u32 = 0x7f000001;

/** Whether the address lies in the guest network, the engine's own addresses included. */
// @ts-ignore: decorator
@inline export function natInside(address: u32): bool {
  return ((address ^ config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET)) & networkMask()) == 0;
}

/** Whether a guest may use the address: inside, not the engine's, not the network as a whole. */
export function natIsGuest(address: u32): bool {
  if (!natInside(address) || isOwnAddress(address) || address == 0) return false;
  if (config(abi.CONFIG_PREFIX_LENGTH_OFFSET) >= 31) return true;
  return address != networkBroadcast() && (address & ~networkMask()) != 0;
}

/** Destinations that lead nowhere and are dropped silently. */
export function natUnusable(address: u32): bool {
  if (isOwnAddress(address)) return false;
  return addressIsUnusableDestination(address) || natInside(address);
}

/** Host address a guest's destination stands for; 0 = none. */
export function natToHost(address: u32): u32 {
  if (address == config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET)) {
    const open = (config(abi.CONFIG_FLAGS_OFFSET) & abi.CONFIG_FLAG_HOST_LOOPBACK) != 0;
    return open ? LOOPBACK_ADDRESS : 0;
  }
  return isOwnAddress(address) || natUnusable(address) ? 0 : address;
}

/** Address under which the guest sees a host's. */
export function natToGuest(address: u32): u32 {
  if (addressIsLoopback(address) || addressIsThisNetwork(address) || natInside(address)) {
    return config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET);
  }
  return address;
}
