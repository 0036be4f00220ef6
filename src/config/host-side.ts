/**
 * How far a guest gets into the host it is served from, and what its UDP looks like from outside:
 * the options that `attach` and `serve` share, with defaults of their own.
 *
 * `attach` serves whoever started it and does as slirp4netns and pasta do: the host's own addresses
 * and everything on its links can be reached, loopback cannot. In `serve` guest and pod belong to
 * different people: a virtual machine's owner is not to reach what runs in the pod or on the node's
 * link-local addresses, and strangers are not to reach a guest that has not spoken to them.
 */
import { FILTER_COUNT } from "../../wasm/abi.ts";
import { ConfigError } from "./errors.ts";
import { HOST } from "./headings.ts";
import { choice, flag, isGiven, readGroup } from "./option.ts";
import { OUTBOUND_OPTIONS, type OutboundChoice } from "./outbound.ts";
import type { Settings } from "./settings.ts";

const ACCESS_CHOICES = ["allow", "refuse"] as const;
type Access = (typeof ACCESS_CHOICES)[number];
const UDP_PORT_CHOICES = ["ephemeral", "preserve"] as const;
type UdpPorts = (typeof UDP_PORT_CHOICES)[number];
const UDP_FILTER_CHOICES = ["endpoint-independent", "address-dependent"] as const;
type UdpFilter = (typeof UDP_FILTER_CHOICES)[number];

export interface HostSide {
  /** The gateway addresses reach the host's 127.0.0.1 and ::1. */
  readonly hostLoopback: boolean;
  /**
   * The host's own addresses, as they are at the time, and link-local ones. Published ports can be
   * reached there in any case.
   */
  readonly hostAddress: Access;
  /** 169.254.169.254, fd00:ec2::254 and fd20:ce::254, where clouds tell machines their secrets. */
  readonly metadataAddress: Access;
  /** Ports that the guest's UDP leaves from: the kernel's choice, or the guest's own if free. */
  readonly udpPorts: UdpPorts;
  /** UDP from addresses the guest has not sent to is dropped (RFC 4787 REQ-8). */
  readonly strictFilter: boolean;
  readonly outbound: OutboundChoice;
  /**
   * Datagrams that must not be fragmented and that the way out does not take whole are dropped;
   * else they are fragmented. The guest is told in either case.
   */
  readonly strictDf: boolean;
}

/** What can be chosen without a flag, with the choice when nobody chooses. */
interface HostSideDefaults {
  readonly hostAddress: Access;
  readonly metadataAddress: Access;
  readonly udpPorts: UdpPorts;
  readonly udpFilter: UdpFilter;
}

export const ATTACH_HOST_SIDE = {
  hostAddress: "allow",
  metadataAddress: "allow",
  udpPorts: "ephemeral",
  udpFilter: "endpoint-independent",
} as const satisfies HostSideDefaults;

export const SERVE_HOST_SIDE = {
  hostAddress: "refuse",
  metadataAddress: "refuse",
  udpPorts: "ephemeral",
  udpFilter: "address-dependent",
} as const satisfies HostSideDefaults;

/** Options of a command with these defaults. */
export function hostSideOptions(defaults: HostSideDefaults) {
  return {
    hostLoopback: flag({
      name: "host-loopback",
      description: "let the guest reach the host's 127.0.0.1 at the gateway address",
      heading: HOST,
    }),
    hostAddress: choice<Access, Access>({
      name: "host-address",
      choices: ACCESS_CHOICES,
      description:
        "whether the guest reaches the host's own addresses and link-local ones; published ports " +
        "it reaches in any case (default {default})",
      heading: HOST,
      fallback: defaults.hostAddress,
    }),
    metadataAddress: choice<Access, Access>({
      name: "metadata-address",
      choices: ACCESS_CHOICES,
      description:
        "whether the guest reaches 169.254.169.254, fd00:ec2::254 and fd20:ce::254, the metadata " +
        "services of clouds (default {default})",
      heading: HOST,
      fallback: defaults.metadataAddress,
    }),
    ...OUTBOUND_OPTIONS,
    udpPorts: choice<UdpPorts, UdpPorts>({
      name: "udp-ports",
      choices: UDP_PORT_CHOICES,
      description:
        "host ports that the guest's UDP leaves from: any that is free, or the guest's own if it " +
        "is free and 1024 or more (default {default})",
      heading: HOST,
      fallback: defaults.udpPorts,
    }),
    udpFilter: choice<UdpFilter, UdpFilter>({
      name: "udp-filter",
      choices: UDP_FILTER_CHOICES,
      description:
        "take UDP for ports that are not published from everybody, or only from the last " +
        `${FILTER_COUNT} addresses that the guest's port has sent to (default {default})`,
      heading: HOST,
      fallback: defaults.udpFilter,
    }),
    strictDf: flag({
      name: "strict-df",
      description:
        "refuse datagrams with DF, and of IPv6, that the way out does not take whole, instead of " +
        "fragmenting them; the guest is told the MTU in either case",
      heading: HOST,
    }),
  };
}

/** A short form of one value of `--udp-filter`, which `attach` has. */
export const STRICT_FILTER_OPTIONS = {
  strictFilter: flag({
    name: "strict-filter",
    description: "short for --udp-filter address-dependent",
    heading: HOST,
  }),
};

/** Reads them. Throws `ConfigError`. */
export function readHostSide(
  settings: Settings,
  options: ReturnType<typeof hostSideOptions>,
): HostSide {
  const { udpFilter, addresses, device, ...rest } = readGroup(options, settings);
  const { strictFilter } = readGroup(STRICT_FILTER_OPTIONS, settings);
  if (strictFilter && isGiven(settings, "udp-filter") && udpFilter === "endpoint-independent") {
    throw new ConfigError('drop "--udp-filter" or "--strict-filter": they contradict each other');
  }
  return {
    ...rest,
    strictFilter: strictFilter || udpFilter === "address-dependent",
    outbound: { ...addresses, device },
  };
}
