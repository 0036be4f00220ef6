/**
 * Values that KubeVirt's admission accepts although they are not quite valid. KubeVirt's own slirp
 * plugin ran VMs with them, so they are corrected here, with a warning.
 *
 *     a port listed twice           one forward: both lead to the same port of the guest
 *     a network with host bits      the network with its host bits cleared
 *
 * Ambiguous values (SCTP, port 70000, one port of two interfaces) are refused elsewhere.
 */
import { readIpv4 } from "../../config/address.ts";
import { quote } from "../../config/errors.ts";
import type { PublishRule } from "../../config/publish-rule.ts";
import { hostMask } from "../../config/subnet6.ts";
import { formatIpv4, prefixMask } from "../../lib/addr.ts";
import { formatIpv6, readIpv6 } from "../../lib/addr6.ts";

/** A corrected value, and the warnings about its correction. */
export interface Normalized<T> {
  readonly value: T;
  readonly warnings: readonly string[];
}

const BITS_IPV4 = 32;
const BITS_IPV6 = 128;

/** `A.B.C.D/N` or its IPv6 form without host bits; other text is returned unchanged. */
export function normalizeNetwork(what: string, text: string): Normalized<string> {
  const value = clearHostBits(text);
  if (value === text) return { value, warnings: [] };
  return {
    value,
    warnings: [`${what}: network ${quote(text)} has host bits, using ${quote(value)}`],
  };
}

function clearHostBits(text: string): string {
  const [, start = "", length = ""] = /^([0-9a-fA-F:.]+)\/(\d{1,3})$/.exec(text) ?? [];
  const bits = Number(length);
  const four = readIpv4(start);
  if (four !== undefined && bits > 0 && bits <= BITS_IPV4) {
    const network = (four & prefixMask(bits)) >>> 0;
    return network === four ? text : `${formatIpv4(network)}/${bits}`;
  }
  const six = readIpv6(start);
  if (six === undefined || bits > BITS_IPV6) return text;
  const cleared = six.map((group, i) => group & ~hostMask(bits, i));
  return cleared.every((group, i) => group === six[i]) ? text : `${formatIpv6(cleared)}/${bits}`;
}

/** The same ports, each once. */
export function removeDuplicatePorts(
  what: string,
  ports: readonly PublishRule[],
): Normalized<PublishRule[]> {
  const seen = new Set<string>();
  const twice = new Set<string>();
  const value = ports.filter(({ protocol, hostPort }) => {
    const port = `${hostPort}/${protocol.toUpperCase()}`;
    if (seen.has(port)) {
      twice.add(port);
      return false;
    }
    seen.add(port);
    return true;
  });
  const warnings = [...twice].map((port) => `${what}: port ${quote(port)} is listed twice`);
  return { value, warnings };
}
