/**
 * The resolvers behind the guest's DNS address, and which of them is the right one now.
 *
 * They are read from the configuration whenever something is asked, so that a change counts for
 * the next query. `resolverEpoch` is the number of the list: places in an older one mean nothing.
 *
 * The order is the list's, as in resolv.conf(5). One that did not answer in time although nothing
 * else was heard of it, or that cannot be reached, counts as down and comes last. It is up again
 * with its first word; to hear one, a query goes to it as well as to its stand-in every 10 seconds
 * (`resolverProbe`), which costs the guest no time. What has no timers of its own (connections,
 * DNS over QUIC) goes to it again after these 10 seconds.
 *
 * Health is of the resolver, not of a guest's port: what one query finds out counts for all.
 */
import * as abi from "../abi/index";
import { CONFIG, config } from "../memory";
import { SECOND_US } from "../timer";
import { ADDRESS6_SIZE } from "../wire/addr6";
import { addressIntern, DNS6, SIX } from "./addresses";

export const DNS_PORT: u32 = 53;
export const DNS_TLS_PORT: u32 = 853;

/** How long one that is down is left in peace, microseconds. */
const HOLD_US: i64 = 10 * SECOND_US;

/** What the list was when it got its number: count and IPv4 addresses, then the IPv6 ones. */
const SEEN_SIZE4: i32 = (1 + abi.RESOLVER_COUNT) << 2;
const SEEN_SIZE6: i32 = abi.RESOLVER_COUNT * abi.CONFIG_RESOLVER6_SIZE;
const SEEN: usize = memory.data(SEEN_SIZE4 + SEEN_SIZE6, 8);
/** RESOLVER_COUNT times {time it may be probed i64, 0 = it is up; last word i64}. */
const HEALTH_SHIFT: i32 = 4;
const HEALTH_HEARD_OFFSET: usize = 8;
const HEALTH_SIZE: i32 = abi.RESOLVER_COUNT << HEALTH_SHIFT;
const HEALTH: usize = memory.data(HEALTH_SIZE, 8);
/** What no list is, octet for octet. */
const NEVER_SEEN: u8 = 0xff;

/** Number of the list. */
export let resolverEpoch: u32 = 0;

export function resolversInit(): void {
  memory.fill(SEEN, NEVER_SEEN, SEEN_SIZE4 + SEEN_SIZE6);
  resolversRefresh();
}

/** Takes note of a list that has changed: it gets a new number, and all of it counts as up. */
export function resolversRefresh(): void {
  const list4 = CONFIG + abi.CONFIG_RESOLVERS_COUNT_OFFSET;
  const list6 = CONFIG + abi.CONFIG_RESOLVERS6_OFFSET;
  if (
    memory.compare(SEEN, list4, SEEN_SIZE4) == 0 &&
    memory.compare(SEEN + SEEN_SIZE4, list6, SEEN_SIZE6) == 0
  )
    return;
  memory.copy(SEEN, list4, SEEN_SIZE4);
  memory.copy(SEEN + SEEN_SIZE4, list6, SEEN_SIZE6);
  memory.fill(HEALTH, 0, HEALTH_SIZE);
  resolverEpoch++;
}

/** How many are listed, of address 0 too. */
export function resolverCount(): u32 {
  return min<u32>(config(abi.CONFIG_RESOLVERS_COUNT_OFFSET), abi.RESOLVER_COUNT);
}

/** Address as in `addresses`; 0 = none. */
export function resolverAt(index: u32): u32 {
  const address = load<u32>(CONFIG + abi.CONFIG_RESOLVERS_OFFSET + ((<usize>index) << 2));
  if (address != SIX) return address;
  const p = CONFIG + abi.CONFIG_RESOLVERS6_OFFSET + <usize>index * abi.CONFIG_RESOLVER6_SIZE;
  return addressIntern(p, load<u32>(p, ADDRESS6_SIZE));
}

// ---------------------------------------------------------------- health

function healthOf(index: u32): usize {
  return HEALTH + ((<usize>index) << HEALTH_SHIFT);
}

/** Whether nothing speaks against it. */
export function resolverIsUp(index: u32): bool {
  return load<i64>(healthOf(index)) == 0;
}

/** It has said something, whatever it was. */
export function resolverHeard(index: u32, now: i64): void {
  store<i64>(healthOf(index), 0);
  store<i64>(healthOf(index), now, HEALTH_HEARD_OFFSET);
}

/** It cannot be reached: others come first from now on. */
export function resolverFailed(index: u32, now: i64): void {
  store<i64>(healthOf(index), now + HOLD_US);
}

/**
 * What it was asked at `since` it has not answered in time. If it has said anything since, it was
 * the question that is slow, or the datagram that was lost.
 */
export function resolverSilent(index: u32, since: i64, now: i64): void {
  if (load<i64>(healthOf(index), HEALTH_HEARD_OFFSET) < since) resolverFailed(index, now);
}

// ---------------------------------------------------------------- choice

/** The best that is not in `asked`, a set of places; -1 = there is none. */
export function resolverChoose(asked: u32): i32 {
  const total = resolverCount();
  let last = -1;
  for (let index: u32 = 0; index < total; index++) {
    if ((asked & (1 << index)) != 0 || resolverAt(index) == 0) continue;
    if (resolverIsUp(index)) return index;
    if (last < 0) last = index;
  }
  return last;
}

/** One that is down, comes before `chosen` in the list and should be asked again; or -1. */
export function resolverProbe(chosen: u32, asked: u32, now: i64): i32 {
  for (let index: u32 = 0; index < chosen; index++) {
    const due = load<i64>(healthOf(index));
    if (due == 0 || due > now || (asked & (1 << index)) != 0 || resolverAt(index) == 0) continue;
    store<i64>(healthOf(index), now + HOLD_US);
    return index;
  }
  return -1;
}

/** Where to go now for what has no timers of its own, those in `asked` left out; or -1. */
export function resolverNow(asked: u32, now: i64): i32 {
  const total = resolverCount();
  for (let index: u32 = 0; index < total; index++) {
    if ((asked & (1 << index)) != 0 || resolverAt(index) == 0) continue;
    if (load<i64>(healthOf(index)) <= now) return index;
  }
  return resolverChoose(asked);
}

// ---------------------------------------------------------------- the DNS address

/** Whether the address is one of the guest's DNS addresses, whatever the port. */
export function dnsAddressed(address: u32): bool {
  return (
    (address == config(abi.CONFIG_DNS_ADDRESS_OFFSET) || address == DNS6) &&
    address != 0 &&
    (config(abi.CONFIG_FLAGS_OFFSET) & abi.CONFIG_FLAG_DNS) != 0
  );
}

/**
 * Whether the guest is told of the IPv6 DNS address. It asks for names over IPv4 as well; one that
 * prefers IPv6 may then prefer IPv6 servers, too, that it cannot reach (old iPXE). So by default it
 * hears of the address where the host itself asks over IPv6, as guests of libslirp and passt do, or
 * where there is no other.
 */
export function dns6Named(): bool {
  const flags = <i32>config(abi.CONFIG_FLAGS_OFFSET);
  if ((flags & abi.CONFIG_FLAG_DNS) == 0 || (flags & abi.CONFIG_FLAG_NO_DNS6) != 0) return false;
  if ((flags & abi.CONFIG_FLAG_DNS6_AUTO) == 0 || (flags & abi.CONFIG_FLAG_NO_IPV4) != 0) {
    return true;
  }
  for (let i: u32 = 0; i < resolverCount(); i++) {
    if (load<u32>(CONFIG + abi.CONFIG_RESOLVERS_OFFSET + ((<usize>i) << 2)) == SIX) return true;
  }
  return false;
}

/** Whether a resolver answers on this port of the DNS address. */
export function dnsPort(port: u32): bool {
  return port == DNS_PORT || port == DNS_TLS_PORT;
}

/** Port of the resolvers for what goes to this port of the DNS address. */
export function resolverPort(port: u32): u32 {
  const own = config(abi.CONFIG_DNS_PORT_OFFSET);
  return port == DNS_PORT && own != 0 ? own : port;
}
