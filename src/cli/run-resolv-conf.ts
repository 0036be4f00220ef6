/** The resolv.conf of a command that `run` starts. */

import { readFileSync } from "node:fs";
import type { BindingOptions } from "../config/attach.ts";
import { parseResolvConf, RESOLV_CONF_PATH } from "../config/resolv.ts";
import { formatIpv4 } from "../lib/addr.ts";
import { formatIpv6 } from "../lib/addr6.ts";

/** Text of a resolv.conf; empty where there is none: then there is nothing to take over. */
function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/**
 * The DNS addresses of the network; search list and options are those outside.
 * @param outside text of the resolv.conf there
 */
export function resolvConfOf(
  { network, dns }: Pick<BindingOptions, "network" | "dns">,
  outside: string = readText(RESOLV_CONF_PATH),
): string {
  const { ipv4, subnet, subnet6 } = network;
  const conf = parseResolvConf(outside);
  const domains = dns.search.length > 0 ? dns.search : conf.search;
  const servers = [
    ...(ipv4 ? [formatIpv4(subnet.dns)] : []),
    ...(subnet6 === undefined ? [] : [formatIpv6(subnet6.dns)]),
  ];
  const lines = [
    ...servers.map((address) => `nameserver ${address}`),
    ...(domains.length > 0 ? [`search ${domains.join(" ")}`] : []),
    ...(conf.options.length > 0 ? [`options ${conf.options.join(" ")}`] : []),
  ];
  return `${lines.join("\n")}\n`;
}
