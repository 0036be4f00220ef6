/** Options that say how far a guest gets into the host, and how its UDP looks from outside. */
import {
  ACCESS_CHOICES,
  type HostSideDefaults,
  UDP_FILTER_CHOICES,
  UDP_PORT_CHOICES,
} from "../config/host-side.ts";
import type { OptionRow } from "./option-row.ts";

/** Heading they stand under in the help. */
export const HOST = "Host side:";

/** FILTER_COUNT of `wasm/abi.ts`; a test compares them. */
export const FILTER_ADDRESSES = 48;

/** Rows of a command with these defaults. */
export function reachRows(defaults: HostSideDefaults): OptionRow[] {
  return [
    {
      name: "host-loopback",
      description: "let the guest reach the host's 127.0.0.1 at the gateway address",
      group: HOST,
    },
    {
      name: "host-address",
      argument: ACCESS_CHOICES.join("|"),
      description:
        "whether the guest reaches the host's own addresses and link-local ones; published ports " +
        `it reaches in any case (default ${defaults.hostAddress})`,
      group: HOST,
    },
    {
      name: "metadata-address",
      argument: ACCESS_CHOICES.join("|"),
      description:
        "whether the guest reaches 169.254.169.254, fd00:ec2::254 and fd20:ce::254, the metadata " +
        `services of clouds (default ${defaults.metadataAddress})`,
      group: HOST,
    },
    {
      name: "outbound-address",
      argument: "ADDR[,ADDR]",
      repeatable: true,
      description:
        "address of this host that the guest's traffic goes out from, one of IPv4, of IPv6 or of " +
        "each (default: as the routes say)",
      group: HOST,
    },
    {
      name: "outbound-interface",
      argument: "NAME",
      description:
        "interface that it goes out by, whatever the routes say, from Linux 5.7 on; the host's " +
        "loopback is then out of reach for UDP (default: as the routes say)",
      group: HOST,
    },
    {
      name: "udp-ports",
      argument: UDP_PORT_CHOICES.join("|"),
      description:
        "host ports that the guest's UDP leaves from: any that is free, or the guest's own if it " +
        `is free and 1024 or more (default ${defaults.udpPorts})`,
      group: HOST,
    },
    {
      name: "udp-filter",
      argument: UDP_FILTER_CHOICES.join("|"),
      description:
        "take UDP for ports that are not published from everybody, or only from the last " +
        `${FILTER_ADDRESSES} addresses that the guest's port has sent to ` +
        `(default ${defaults.udpFilter})`,
      group: HOST,
    },
    {
      name: "strict-df",
      description:
        "refuse datagrams with DF, and of IPv6, that the way out does not take whole, instead of " +
        "fragmenting them; the guest is told the MTU in either case",
      group: HOST,
    },
  ];
}
