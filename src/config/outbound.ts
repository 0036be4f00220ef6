/**
 * Where on the host the guest's traffic goes out: from which addresses, by which interface. A host
 * with several has its routes choose unless someone says otherwise here.
 */
import { type IpAddress, type Ipv6Groups, readIpv6 } from "../lib/addr6.ts";
import { readIpv4 } from "./address.ts";
import { ConfigError, quote } from "./errors.ts";
import { HOST } from "./headings.ts";
import { list, type Option, value } from "./option.ts";

export interface OutboundChoice {
  /** Address that traffic of IPv4 goes out from, in host order; undefined = the routes' choice. */
  readonly ipv4: number | undefined;
  /** The same of IPv6. */
  readonly ipv6: Ipv6Groups | undefined;
  /** Interface that all traffic goes out by, 1 to 15 characters; undefined = the routes' choice. */
  readonly device: string | undefined;
}

const DEVICE_SIZE_MAX = 15;

const addressLists = list({
  name: "outbound-address",
  argument: "ADDR[,ADDR]",
  description:
    "address of this host that the guest's traffic goes out from, one of IPv4, of IPv6 or of " +
    "each (default: as the routes say)",
  heading: HOST,
  parse: parseAddresses,
});

export const OUTBOUND_OPTIONS = {
  addresses: {
    ...addressLists,
    read: (settings) => oneOfEach(addressLists.read(settings).flat()),
  } satisfies Option<Pick<OutboundChoice, "ipv4" | "ipv6">>,
  device: value({
    name: "outbound-interface",
    argument: "NAME",
    description:
      "interface that it goes out by, whatever the routes say, from Linux 5.7 on; the host's " +
      "loopback is then out of reach for UDP (default: as the routes say)",
    heading: HOST,
    parse: parseDevice,
  }),
};

function oneOfEach(addresses: readonly IpAddress[]): Pick<OutboundChoice, "ipv4" | "ipv6"> {
  const four = addresses.filter((address) => typeof address === "number");
  const six = addresses.filter((address) => typeof address !== "number");
  if (four.length > 1 || six.length > 1) {
    const version = four.length > 1 ? 4 : 6;
    throw new ConfigError(`give one outbound address of IPv${version}, not several`);
  }
  return { ipv4: four[0], ipv6: six[0] };
}

function parseAddresses(text: string): IpAddress[] {
  return text.split(",").map(parseAddress);
}

function parseAddress(text: string): IpAddress {
  const four = readIpv4(text);
  if (four !== undefined) {
    const first = four >>> 24;
    if (first !== 0 && first !== 127 && first < 224) return four;
  }
  const six = readIpv6(text);
  const first = six?.[0] ?? 0;
  // None of :: and ::1, of a link alone, or of a group.
  if (six !== undefined && first !== 0 && (first & 0xffc0) !== 0xfe80 && first < 0xff00) {
    return six;
  }
  throw new ConfigError("wanted an address that other hosts can answer to, of IPv4, IPv6 or both");
}

function parseDevice(text: string): string {
  if (/^[!-~]+$/.test(text) && !text.includes("/") && text.length <= DEVICE_SIZE_MAX) return text;
  throw new ConfigError(`wanted the name of an interface such as ${quote("eth0")}`);
}
