/** What the guest is told by DHCP, DHCPv6 and router advertisements beside its addresses. */
import { dhcpOptionsOf, encodeDhcpOptions } from "../config/dhcp-options.ts";
import { checkSearchList6, encodeDhcp6Options } from "../config/dhcp6-options.ts";
import { EngineError } from "../engine/errors.ts";
import { messageOf } from "../lib/message.ts";

export interface DhcpContent {
  readonly hostName?: string;
  readonly searchDomains?: readonly string[];
  /** IPv4 addresses. */
  readonly ntpServers?: readonly string[];
}

/** Options of DHCP and of DHCPv6 as they go on the wire. */
export interface DhcpLists {
  readonly ipv4: Uint8Array;
  readonly ipv6: Uint8Array;
}

/**
 * The options that say this, for `NetworkSettings.dhcp`.
 * @throws EngineError CONFIG for what is no name or address, or is too long
 */
export function dhcpOptions(content: DhcpContent): DhcpLists {
  const { hostName, searchDomains = [], ntpServers } = content;
  try {
    const options = dhcpOptionsOf({ hostName, search: searchDomains, ntpServers });
    checkSearchList6(searchDomains);
    return { ipv4: encodeDhcpOptions(options), ipv6: encodeDhcp6Options(searchDomains) };
  } catch (cause) {
    throw new EngineError("CONFIG", messageOf(cause), { cause });
  }
}
