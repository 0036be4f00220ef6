/**
 * Where on the host the guest's traffic goes out: from which addresses, by which interface. A host
 * with several has its routes choose unless someone says otherwise here.
 */
import { octetsOfIpv6, readIpv6 } from "../lib/addr6.ts";
import { readIpv4 } from "./address.ts";
import { ConfigError, quote } from "./errors.ts";
import { readMany, readOne, type Settings } from "./settings.ts";

export interface OutboundChoice {
  /** Address that traffic of IPv4 goes out from, in host order; undefined = the routes' choice. */
  readonly ipv4: number | undefined;
  /** The same of IPv6, 16 octets. */
  readonly ipv6: readonly number[] | undefined;
  /** Interface that all traffic goes out by, 1 to 15 characters; undefined = the routes' choice. */
  readonly device: string | undefined;
}

const DEVICE_SIZE_MAX = 15;

/** Reads both options. Throws `ConfigError`. */
export function readOutbound(settings: Settings): OutboundChoice {
  const addresses = readMany(settings, "outbound-address", parseAddresses).flat();
  const four = addresses.filter((address) => typeof address === "number");
  const six = addresses.filter((address) => typeof address !== "number");
  if (four.length > 1 || six.length > 1) {
    const version = four.length > 1 ? 4 : 6;
    throw new ConfigError(`give one outbound address of IPv${version}, not several`);
  }
  return {
    ipv4: four[0],
    ipv6: six[0],
    device: readOne(settings, "outbound-interface", undefined, parseDevice),
  };
}

function parseAddresses(text: string): (number | readonly number[])[] {
  return text.split(",").map(parseAddress);
}

function parseAddress(text: string): number | readonly number[] {
  const four = readIpv4(text);
  if (four !== undefined) {
    const first = four >>> 24;
    if (first !== 0 && first !== 127 && first < 224) return four;
  }
  const six = readIpv6(text);
  const first = six?.[0] ?? 0;
  // None of :: and ::1, of a link alone, or of a group.
  if (six !== undefined && first !== 0 && (first & 0xffc0) !== 0xfe80 && first < 0xff00) {
    return octetsOfIpv6(six);
  }
  throw new ConfigError("wanted an address that other hosts can answer to, of IPv4, IPv6 or both");
}

function parseDevice(text: string): string {
  if (/^[!-~]+$/.test(text) && !text.includes("/") && text.length <= DEVICE_SIZE_MAX) return text;
  throw new ConfigError(`wanted the name of an interface such as ${quote("eth0")}`);
}
