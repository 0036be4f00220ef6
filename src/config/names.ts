/**
 * DNS for the guest: the resolvers behind its DNS addresses, and the names it is told.
 */
import { isIpv6, readDomain, readHostName, readIpv4 } from "./address.ts";
import { ConfigError } from "./errors.ts";
import { NETWORK } from "./headings.ts";
import { choice, integer, list, type Option, type Values, value } from "./option.ts";
import { NAMESERVER_COUNT_MAX, RESOLV_CONF_PATH } from "./resolv.ts";

/** When the guest is told of the IPv6 DNS address; what "auto" is says `wasm/flow/resolvers`. */
const DNS6_CHOICES = ["auto", "always", "never"] as const;
export type Dns6 = (typeof DNS6_CHOICES)[number];

const DNS_PORT_DEFAULT = 53;

const servers = list({
  name: "dns",
  argument: "ADDR",
  description:
    `resolver behind the guest's DNS address, up to ${NAMESERVER_COUNT_MAX} times ` +
    `(default: those of ${RESOLV_CONF_PATH})`,
  heading: NETWORK,
  parse: parseResolver,
});

/** Who answers the guest's questions. */
export const RESOLVER_OPTIONS = {
  /**
   * Resolvers in place of resolv.conf's, IPv4 or IPv6 with zone if need be, at most 3; empty = use
   * resolv.conf.
   */
  servers: { ...servers, read: (settings) => checkCount(servers.read(settings)) } satisfies Option<
    readonly string[]
  >,
  /** Port the resolvers take queries at. */
  port: integer({
    name: "dns-port",
    argument: "N",
    description: "port the resolvers take queries at, {bounds} (default {default})",
    heading: NETWORK,
    bounds: [1, 65535],
    fallback: DNS_PORT_DEFAULT,
  }),
};

/** What the guest is told of DNS. */
export const DNS_OPTIONS = {
  /** Whether the guest is told of the IPv6 DNS address. */
  announceIpv6: choice<Dns6, Dns6>({
    name: "dns6",
    choices: DNS6_CHOICES,
    description:
      "tell the guest of the IPv6 DNS address: where a resolver has IPv6 or IPv4 is not served, " +
      "in any case, or not at all (default {default})",
    heading: NETWORK,
    fallback: "auto",
  }),
  /** Search list in place of resolv.conf's; empty = use resolv.conf. */
  search: list({
    name: "search",
    argument: "DOMAIN",
    description: `search domain the guest gets by DHCP (default: those of ${RESOLV_CONF_PATH})`,
    heading: NETWORK,
    parse: parseSearch,
  }),
};

export const HOSTNAME_OPTIONS = {
  hostname: value({
    name: "hostname",
    argument: "NAME",
    description: "host name the guest gets by DHCP",
    heading: NETWORK,
    parse: parseHostname,
  }),
};

export type ResolverOptions = Values<typeof RESOLVER_OPTIONS>;
export type DnsOptions = ResolverOptions & Values<typeof DNS_OPTIONS>;

function checkCount(addresses: readonly string[]): readonly string[] {
  if (addresses.length <= NAMESERVER_COUNT_MAX) return addresses;
  throw new ConfigError(`give at most ${NAMESERVER_COUNT_MAX} resolvers, not ${addresses.length}`);
}

function parseResolver(text: string): string {
  if (isIpv6(text)) {
    if (/^(ff|::$|0(:0)*$)/i.test(text)) throw new ConfigError("wanted the address of a resolver");
    return text;
  }
  const address = readIpv4(text);
  const first = (address ?? 0) >>> 24;
  if (address === undefined || first === 0 || first >= 224) {
    throw new ConfigError("wanted the address of a resolver");
  }
  return text; // strict reading leaves one way to write an address
}

function parseSearch(text: string): string {
  const domain = readDomain(text);
  if (domain === undefined) throw new ConfigError("wanted a DNS name");
  return domain;
}

function parseHostname(text: string): string {
  const name = readHostName(text);
  if (name === undefined) {
    throw new ConfigError("wanted a host name of letters, digits, hyphens and dots");
  }
  return name;
}
