/**
 * From the plan for an interface, and what `serve` was asked to do, to what its guest network is
 * started with. Pure.
 */
import type { BindingOptions } from "../config/attach.ts";
import { bootOfDhcp } from "../config/boot.ts";
import { TIMEOUTS_DEFAULT } from "../config/limit-options.ts";
import type { StreamLinkSettings, VhostUserLinkSettings } from "../config/link.ts";
import { IPV6_MTU_MIN } from "../config/network.ts";
import type { ServeOptions } from "../config/serve.ts";
import { defaultGatewayMac } from "../config/subnet.ts";
import type { BindingPlan } from "../hooks/domain/plan.ts";
import type { IpVersions } from "./hook-context.ts";

/** Links that a sidecar has. */
export type ServeLink = StreamLinkSettings | VhostUserLinkSettings;

/** @param link where QEMU is, @param versions those that the pod has */
export function networkOptions(
  plan: BindingPlan,
  versions: IpVersions,
  link: ServeLink,
  asked: ServeOptions,
): BindingOptions {
  const { pcap, record } = asked.capture;
  const network = {
    subnet: plan.subnet,
    ipv4: versions.ipv4,
    subnet6: versions.ipv6 && plan.mtu >= IPV6_MTU_MIN ? plan.subnet6 : undefined,
    mtu: plan.mtu,
    gatewayMac: defaultGatewayMac(plan.subnet.gateway),
  };
  return {
    link,
    network,
    // No servers: those of the pod's resolv.conf, followed live.
    dns: { ...asked.resolvers, announceIpv6: "auto", search: plan.search },
    dhcp: plan.dhcpOptions,
    boot: bootOfDhcp(plan.tftpServerName, plan.bootFileName, network),
    // The domain is defined by then: better a machine without one port than none.
    publish: { rules: plan.publish, needsEveryPort: false },
    hostSide: asked.hostSide,
    capture: {
      ...asked.capture,
      pcap: pcap === undefined || plan.index === 0 ? pcap : `${pcap}.${plan.index}`,
      record: record === undefined ? undefined : `${record}.${plan.interfaceName}`,
    },
    log: asked.log,
    limits: { ...asked.limits, ...TIMEOUTS_DEFAULT },
    exitFd: undefined,
    seed: undefined,
  };
}
