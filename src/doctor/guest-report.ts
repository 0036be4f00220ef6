/**
 * What a guest says of its network, by the script of `in-guest.ts`: lines "report KEY=VALUE"
 * anywhere in its output. All of it is the guest's own word: of the keys there are the first value
 * counts, as far as it has the form that its key has, and nothing else is kept.
 */

/** Octets that are read of a report. */
export const REPORT_SIZE_MAX = 64 * 1024;
const DNS_MOST = 3;

const ADDRESS = /^[0-9a-fA-F.:]{2,45}$/;
const COUNT = /^\d{1,15}$/;
const FORMS = {
  dev: /^[\w.@-]{1,15}$/,
  address: /^\d{1,3}(?:\.\d{1,3}){3}\/\d{1,2}$/,
  gateway: ADDRESS,
  gateway_mac: /^[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}$/,
  mtu: COUNT,
  dns: ADDRESS,
  tx_packets: COUNT,
  rx_packets: COUNT,
} as const;

type Key = keyof typeof FORMS;

/** Undefined: the guest does not say. */
export interface GuestReport {
  /** Name of its interface. */
  readonly dev: string | undefined;
  /** Without prefix length. */
  readonly address: string | undefined;
  readonly gateway: string | undefined;
  /** In lower case. */
  readonly gatewayMac: string | undefined;
  readonly mtu: number | undefined;
  readonly dns: readonly string[];
  /** Frames that it has sent and got since its interface is there. */
  readonly sent: number | undefined;
  readonly received: number | undefined;
}

/**
 * Undefined where there is no line of a report.
 * @param text at most REPORT_SIZE_MAX of it counts
 */
export function parseGuestReport(text: string): GuestReport | undefined {
  const found = new Map<Key, string[]>();
  for (const line of text.slice(0, REPORT_SIZE_MAX).split("\n")) {
    const [, name, value = ""] = /^\s*report +([a-z_]+)=(\S+)\s*$/.exec(line) ?? [];
    if (name === undefined || !isKey(name) || !FORMS[name].test(value)) continue;
    const values = found.get(name) ?? [];
    if (values.length < DNS_MOST) found.set(name, [...values, value]);
  }
  if (found.size === 0) return undefined;
  const first = (key: Key): string | undefined => found.get(key)?.[0];
  const count = (key: Key): number | undefined => {
    const value = first(key);
    return value === undefined ? undefined : Number(value);
  };
  return {
    dev: first("dev"),
    address: first("address")?.split("/")[0],
    gateway: first("gateway"),
    gatewayMac: first("gateway_mac")?.toLowerCase(),
    mtu: count("mtu"),
    dns: found.get("dns") ?? [],
    sent: count("tx_packets"),
    received: count("rx_packets"),
  };
}

function isKey(name: string): name is Key {
  return Object.hasOwn(FORMS, name);
}
