/**
 * The resolvers behind the guest's DNS address, and which of them comes first.
 *
 * They are read from the configuration whenever a flow starts, so changes count at once. One that
 * does not work is given up as the first choice for all, datagrams and connections alike.
 */
import * as abi from "../abi";
import { CONFIG, config } from "../memory";
import { DNS6, SIX, addressIntern } from "./addresses";

export const DNS_PORT: u32 = 53;
export const DNS_TLS_PORT: u32 = 853;

/** First choice for new flows, a place in the list. */
export let resolverFirst: u32 = 0;

export function resolversInit(): void {
  resolverFirst = 0;
}

/** How many are listed, of address 0 too. */
export function resolverCount(): u32 {
  return min<u32>(config(abi.CONFIG_RESOLVERS_COUNT_OFFSET), abi.RESOLVER_COUNT);
}

/** Address as in `addresses`; 0 = none. */
export function resolverAt(index: u32): u32 {
  const address = load<u32>(CONFIG + abi.CONFIG_RESOLVERS_OFFSET + (<usize>index << 2));
  if (address != SIX) return address;
  const p = CONFIG + abi.CONFIG_RESOLVERS6_OFFSET + <usize>index * abi.CONFIG_RESOLVER6_SIZE;
  return addressIntern(p, load<u32>(p, 16));
}

/** Address of the first choice or the next that has one; 0 = there is no resolver. */
export function resolverAddress(): u32 {
  const total = resolverCount();
  for (let i: u32 = 0; i < total; i++) {
    const address = resolverAt((resolverFirst + i) % total);
    if (address != 0) return address;
  }
  return 0;
}

/** This one does not work: others come first from now on. */
export function resolverFailed(index: u32): void {
  const total = resolverCount();
  if (total > 1 && resolverFirst == index) resolverFirst = (index + 1) % total;
}

/** Whether the address is one of the guest's DNS addresses, whatever the port. */
export function dnsAddressed(address: u32): bool {
  return (
    (address == config(abi.CONFIG_DNS_ADDRESS_OFFSET) || address == DNS6) && address != 0 &&
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
    if (load<u32>(CONFIG + abi.CONFIG_RESOLVERS_OFFSET + (<usize>i << 2)) == SIX) return true;
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
