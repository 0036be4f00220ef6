/**
 * How far a guest gets into the host it is served from, and what its UDP looks like from outside:
 * the options that `attach` and `serve` share, with defaults of their own.
 *
 * `attach` serves whoever started it and does as slirp4netns and pasta do: the host's own addresses
 * and everything on its links can be reached, loopback cannot. In `serve` guest and pod belong to
 * different people: a virtual machine's owner is not to reach what runs in the pod or on the node's
 * link-local addresses, and strangers are not to reach a guest that has not spoken to them.
 */
import { ConfigError } from "./errors.ts";
import { type OutboundChoice, readOutbound } from "./outbound.ts";
import { oneOf, readFlag, readOne, type Settings } from "./settings.ts";

export const ACCESS_CHOICES = Object.freeze(["allow", "refuse"] as const);
export type Access = (typeof ACCESS_CHOICES)[number];
export const UDP_PORT_CHOICES = Object.freeze(["ephemeral", "preserve"] as const);
export type UdpPorts = (typeof UDP_PORT_CHOICES)[number];
export const UDP_FILTER_CHOICES = Object.freeze([
  "endpoint-independent",
  "address-dependent",
] as const);
export type UdpFilter = (typeof UDP_FILTER_CHOICES)[number];

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
export interface HostSideDefaults {
  readonly hostAddress: Access;
  readonly metadataAddress: Access;
  readonly udpPorts: UdpPorts;
  readonly udpFilter: UdpFilter;
}

export const ATTACH_HOST_SIDE: HostSideDefaults = Object.freeze({
  hostAddress: "allow",
  metadataAddress: "allow",
  udpPorts: "ephemeral",
  udpFilter: "endpoint-independent",
});

export const SERVE_HOST_SIDE: HostSideDefaults = Object.freeze({
  hostAddress: "refuse",
  metadataAddress: "refuse",
  udpPorts: "ephemeral",
  udpFilter: "address-dependent",
});

/** Reads them. Throws `ConfigError`. */
export function readHostSide(settings: Settings, defaults: HostSideDefaults): HostSide {
  const access = oneOf(ACCESS_CHOICES);
  const filter = readOne(settings, "udp-filter", undefined, oneOf(UDP_FILTER_CHOICES));
  const isStrict = readFlag(settings, "strict-filter");
  if (isStrict && filter === "endpoint-independent") {
    throw new ConfigError('drop "--udp-filter" or "--strict-filter": they contradict each other');
  }
  const chosen = isStrict ? "address-dependent" : (filter ?? defaults.udpFilter);
  return {
    hostLoopback: readFlag(settings, "host-loopback"),
    hostAddress: readOne(settings, "host-address", defaults.hostAddress, access),
    metadataAddress: readOne(settings, "metadata-address", defaults.metadataAddress, access),
    udpPorts: readOne(settings, "udp-ports", defaults.udpPorts, oneOf(UDP_PORT_CHOICES)),
    strictFilter: chosen === "address-dependent",
    outbound: readOutbound(settings),
    strictDf: readFlag(settings, "strict-df"),
  };
}

/** These options alone of options that have more. */
export function hostSideOf(options: HostSide): HostSide {
  const { hostLoopback, hostAddress, metadataAddress, udpPorts, strictFilter } = options;
  const { strictDf, outbound } = options;
  const reach = { hostLoopback, hostAddress, metadataAddress };
  return { ...reach, udpPorts, strictFilter, strictDf, outbound };
}
