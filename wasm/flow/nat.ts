/**
 * What an address of the guest's view means on the host, and the reverse.
 *
 *     guest says                      host side
 *     gateway                         127.0.0.1 or ::1 with CONFIG_FLAG_HOST_LOOPBACK, else refused
 *     DNS address                     refused here; `flow/dns` and `tcp/open` look first
 *     rest of its own network         unusable: nobody is there; of IPv6 that is fe80::/10, too
 *     loopback, 0/8, multicast, 240/4 unusable; of IPv6 ::/96, ::ffff:0:0/96 and ff00::/8
 *     the host's own addresses and    refused or itself, see `reach`
 *       what is next to it
 *     anything else                   itself
 *
 *     host says                       guest sees
 *     127/8, 0/8, guest network       gateway: the guest could not answer the true address
 *     ::1, fe80::/10, guest network   gateway
 *     anything else                   itself
 *
 * Contract: pure functions of the configuration; addresses as in `addresses`. "Refused" and
 * "unusable" are both 0 from `natToHost`; `natUnusable` tells which ones are dropped without a
 * word, `natRefusal` why the others are.
 * Source: RFC 1122 §3.2.1.3, RFC 6890 §2.2.2, RFC 4787 §4, RFC 4291.
 */
import * as abi from "../abi/index";
import { config } from "../memory";
import {
  addressIsLoopback,
  addressIsThisNetwork,
  addressIsUnusableDestination,
  PREFIX_LENGTH_BARE,
} from "../wire/addr";
import {
  address6InPrefix,
  address6IsHostZero,
  address6IsLinkLocal,
  address6IsUnusable,
} from "../wire/addr6";
import { GATEWAY6, HOST_LOOPBACK6, isIpv6, octetsOf } from "./addresses";
import { isOwnAddress, networkBroadcast, networkMask } from "./emit";
import { reachRefusal } from "./reach";

export const LOOPBACK_ADDRESS: u32 = 0x7f000001;

/** On the guest's link: its prefix, or link-local. */
function isInside6(address: u32): bool {
  const p = octetsOf(address);
  return (
    address6IsLinkLocal(p) ||
    address6InPrefix(p, octetsOf(GATEWAY6), config(abi.CONFIG_PREFIX6_LENGTH_OFFSET))
  );
}

/** Whether the address lies in the guest network, the engine's own addresses included. */
export function natInside(address: u32): bool {
  if (isIpv6(address)) return isInside6(address);
  return ((address ^ config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET)) & networkMask()) == 0;
}

/** Whether a guest may use the address: inside, not the engine's, not the network as a whole. */
export function natIsGuest(address: u32): bool {
  if (!natInside(address) || isOwnAddress(address) || address == 0) return false;
  if (isIpv6(address)) {
    const p = octetsOf(address);
    return (
      address6IsLinkLocal(p) || !address6IsHostZero(p, config(abi.CONFIG_PREFIX6_LENGTH_OFFSET))
    );
  }
  if (config(abi.CONFIG_PREFIX_LENGTH_OFFSET) >= PREFIX_LENGTH_BARE) return true;
  return address != networkBroadcast() && (address & ~networkMask()) != 0;
}

/** Destinations that lead nowhere and are dropped silently. */
export function natUnusable(address: u32): bool {
  if (isOwnAddress(address)) return false;
  if (isIpv6(address)) return address6IsUnusable(octetsOf(address)) || isInside6(address);
  return addressIsUnusableDestination(address) || natInside(address);
}

/** Host address that `port` of a guest's destination stands for; 0 = none. */
export function natToHost(address: u32, protocol: u32, port: u32): u32 {
  if (address == config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET) || address == GATEWAY6) {
    const open = (config(abi.CONFIG_FLAGS_OFFSET) & abi.CONFIG_FLAG_HOST_LOOPBACK) != 0;
    if (!open) return 0;
    return isIpv6(address) ? HOST_LOOPBACK6 : LOOPBACK_ADDRESS;
  }
  if (isOwnAddress(address) || natUnusable(address)) return 0;
  return reachRefusal(address, protocol, port) == abi.DROP_NONE ? address : 0;
}

/** Why `natToHost` gave 0 for an address that is not unusable: a DROP_*. */
export function natRefusal(address: u32, protocol: u32, port: u32): i32 {
  return isOwnAddress(address) ? abi.DROP_LOOPBACK : reachRefusal(address, protocol, port);
}

/** Address under which the guest sees a host's. */
export function natToGuest(address: u32): u32 {
  if (isIpv6(address)) {
    return address6IsUnusable(octetsOf(address)) || isInside6(address) ? GATEWAY6 : address;
  }
  if (addressIsLoopback(address) || addressIsThisNetwork(address) || natInside(address)) {
    return config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET);
  }
  return address;
}
