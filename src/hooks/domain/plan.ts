/**
 * The plan for each bound interface: its card, its link, and the guest's network configuration. One
 * frozen, validated value per interface, from which `mutate.ts` makes the domain's XML and the data
 * plane starts the network.
 *
 * Contract: pure. The XML made from a plan is the same in every pod of a VM, except for the path of
 * a socket (`stream`, `vhost-user`), so that the domain can migrate.
 */

import {
  type DhcpOption,
  dhcpOptionsOf,
  fitSearchList,
  searchOptions,
} from "../../config/dhcp-options.ts";
import { quote } from "../../config/errors.ts";
import type { HookSettings, LinkKind } from "../../config/hook-settings.ts";
import { MTU_BOUNDS, MTU_DEFAULT } from "../../config/network.ts";
import type { PublishRule } from "../../config/publish-rule.ts";
import { parseResolvConf, type ResolvConf } from "../../config/resolv.ts";
import { integerBetween } from "../../config/settings.ts";
import { defaultGatewayMac, parseSubnet, type Subnet } from "../../config/subnet.ts";
import { parseSubnet6, SUBNET6_DEFAULT, type Subnet6 } from "../../config/subnet6.ts";
import { formatCidr4, type Ipv4Network, prefixMask } from "../../lib/addr.ts";
import { toHex } from "../../lib/bytes.ts";
import { deepFreeze } from "../../lib/deep-freeze.ts";
import {
  type Attachment,
  type Card,
  chooseLink,
  deriveAttachment,
  type LinkChoice,
  type LinkContext,
  readWish,
} from "./attachment.ts";
import { type Device, deriveDevice } from "./device.ts";
import { invalid, quoteTruncated, unsupported, withContext } from "./errors.ts";
import { normalizeNetwork, removeDuplicatePorts } from "./leniency.ts";
import type { GuestMemory } from "./memory.ts";
import { selectInterfaces } from "./select.ts";
import {
  ANNOTATION_PREFIX,
  readAnnotation,
  type Vmi,
  type VmiInterface,
  type VmiNetwork,
} from "./vmi.ts";

/** Inputs of a plan besides VMI and domain. */
export interface PlanContext extends LinkContext {
  /** Text of the pod's resolv.conf. */
  readonly resolvConf: string;
  /** IPv4 networks of the pod's own interfaces, loopback left out. */
  readonly podNetworks: readonly Ipv4Network[];
}

/** The plan for one interface, deep-frozen. Addresses are numbers in host order. */
export interface BindingPlan {
  readonly interfaceName: string;
  /** Place in the VMI's list of interfaces. */
  readonly index: number;
  /** Alias by which KubeVirt finds the interface in the domain. */
  readonly alias: string;
  readonly device: Device;
  readonly attachment: Attachment;
  /** Why it is this one, for the log. */
  readonly linkReason: string;
  readonly subnet: Subnet;
  readonly subnet6: Subnet6;
  /** The VMI names the IPv6 network; otherwise it is the default. */
  readonly isSubnet6Given: boolean;
  /** Octets of an IP packet. */
  readonly mtu: number;
  /** Ports of all the pod's addresses that lead to the same port of the guest. */
  readonly publish: readonly PublishRule[];
  readonly hostname: string;
  /** Search list the guest gets, at most what fits in a DHCP answer. */
  readonly search: readonly string[];
  /** DHCP options; those the engine knows itself are not among them. */
  readonly dhcpOptions: readonly DhcpOption[];
  /** Options 66 and 67 once more, for a DHCP server that is told by name. */
  readonly tftpServerName: string | undefined;
  readonly bootFileName: string | undefined;
  /** Corrections of the VMI's values, a line each. */
  readonly warnings: readonly string[];
}

const MTU_ANNOTATION = `${ANNOTATION_PREFIX}mtu`;

/** The MTU of emulated cards, whose drivers know no larger one, and of QEMU's user networking. */
const MTU_ETHERNET = 1500;
const PORT_MAX = 65535;
const HOSTNAME_SIZE_MAX = 63;
const CLUSTER_DOMAIN = "cluster.local";

/**
 * One plan for each of our interfaces, in the VMI's order. Throws `HookError`.
 * @param memory as the domain has it
 */
export function derivePlans(
  vmi: Vmi,
  memory: GuestMemory,
  context: PlanContext,
): readonly BindingPlan[] {
  const conf = parseResolvConf(context.resolvConf);
  const asked = readWish(vmi, context.settings);
  const selected = selectInterfaces(vmi, context.settings.bindingName);
  const plans = selected.map(({ iface, network }) => {
    const card = { vmi, iface, device: deriveDevice(vmi, iface), memory };
    return derivePlan(card, network, chooseLink(asked, card, context), conf, context);
  });
  checkPortsTogether(plans);
  return deepFreeze(plans);
}

function derivePlan(
  card: Card,
  network: VmiNetwork,
  link: LinkChoice,
  conf: ResolvConf,
  context: PlanContext,
): BindingPlan {
  const { vmi, iface, device } = card;
  const attachment = deriveAttachment(card, link.kind, context.settings);
  const what = `iface ${quote(iface.name)}`;
  const cidr = normalizeNetwork(what, network.cidr ?? context.settings.cidr);
  const subnet = deriveSubnet(iface, cidr.value, context.podNetworks);
  if (device.mac === toHex(Uint8Array.from(defaultGatewayMac(subnet.gateway)), ":")) {
    throw invalid(`${what}: MAC address ${quote(device.mac)} is the gateway's`);
  }
  const cidr6 = normalizeNetwork(what, network.cidr6 ?? SUBNET6_DEFAULT);
  const ports = removeDuplicatePorts(what, derivePorts(iface));
  const { search, hostname, options } = deriveDhcp(vmi, iface, conf);
  return {
    interfaceName: iface.name,
    index: iface.index,
    alias: `ua-${iface.name}`,
    device,
    attachment,
    linkReason: link.reason,
    subnet,
    subnet6: withContext(`${what}: invalid network CIDR ${quoteTruncated(cidr6.value)}`, () =>
      parseSubnet6(cidr6.value),
    ),
    isSubnet6Given: network.cidr6 !== undefined,
    mtu: chooseMtu(vmi, device, link.kind, context.settings),
    publish: ports.value,
    hostname,
    search,
    dhcpOptions: options,
    tftpServerName: iface.dhcpOptions.tftpServerName,
    bootFileName: iface.dhcpOptions.bootFileName,
    warnings: [
      ...link.warnings.map((text) => `${what}: ${text}`),
      ...cidr.warnings,
      ...cidr6.warnings,
      ...ports.warnings,
    ],
  };
}

/** Virtio cards get a large MTU: TCP ends here, and the pod's MTU limits only datagrams. */
function chooseMtu(vmi: Vmi, device: Device, link: LinkKind, settings: HookSettings): number {
  const asked = readAnnotation(vmi, MTU_ANNOTATION, settings.allowsAnnotations);
  if (asked !== undefined) {
    const read = integerBetween(...MTU_BOUNDS);
    return withContext(`annotation "${MTU_ANNOTATION}" ${quoteTruncated(asked)}`, () =>
      read(asked),
    );
  }
  if (settings.mtu !== undefined) return settings.mtu;
  return device.isVirtio && link !== "user" ? MTU_DEFAULT : MTU_ETHERNET;
}

function deriveSubnet(
  iface: VmiInterface,
  cidr: string,
  podNetworks: readonly Ipv4Network[],
): Subnet {
  const what = `iface ${quote(iface.name)}: invalid network CIDR ${quoteTruncated(cidr)}`;
  const subnet = withContext(what, () => parseSubnet(cidr));
  for (const pod of podNetworks) {
    const mask = prefixMask(Math.min(pod.prefixLength, subnet.prefixLength));
    if (((pod.address ^ subnet.network) & mask) === 0) {
      throw unsupported(`${what}: overlaps the pod network ${quote(formatCidr4(pod))}`);
    }
  }
  return subnet;
}

function derivePorts(iface: VmiInterface): PublishRule[] {
  return iface.ports.map((each) => {
    const { port } = each;
    if (port < 1 || port > PORT_MAX) {
      throw invalid(`iface ${quote(iface.name)}: invalid port "${port}": wanted 1 to ${PORT_MAX}`);
    }
    const protocol = (each.protocol ?? "tcp").toLowerCase();
    if (protocol !== "tcp" && protocol !== "udp") {
      const name = quoteTruncated(each.protocol ?? "");
      throw invalid(
        `iface ${quote(iface.name)}: invalid protocol ${name} of port "${port}": ` +
          'wanted "TCP" or "UDP"',
      );
    }
    return { protocol, hostAddress: 0, hostPort: port, guestPort: port };
  });
}

/** A port can be published once in all interfaces, and must not be that of a link. */
function checkPortsTogether(plans: readonly BindingPlan[]): void {
  const links = new Set(
    plans.flatMap(({ attachment }) => (attachment.kind === "client" ? [attachment.port] : [])),
  );
  const takenBy = new Map<string, string>();
  for (const { interfaceName, publish } of plans) {
    for (const { protocol, hostPort } of publish) {
      const port = `${hostPort}/${protocol.toUpperCase()}`;
      const what = `iface ${quote(interfaceName)}: port ${quote(port)}`;
      if (protocol === "tcp" && links.has(hostPort)) {
        throw unsupported(`${what} is used by the binding itself`);
      }
      const other = takenBy.get(port);
      if (other !== undefined) throw invalid(`${what} is already used by iface ${quote(other)}`);
      takenBy.set(port, interfaceName);
    }
  }
}

interface Dhcp {
  readonly search: readonly string[];
  readonly hostname: string;
  readonly options: readonly DhcpOption[];
}

function deriveDhcp(vmi: Vmi, iface: VmiInterface, conf: ResolvConf): Dhcp {
  const { dhcpOptions } = iface;
  const hostname = deriveHostname(vmi);
  return withContext(`iface ${quote(iface.name)}`, () => {
    const own = dhcpOptionsOf({
      hostName: hostname,
      ntpServers: dhcpOptions.ntpServers,
      tftpServerName: dhcpOptions.tftpServerName,
      bootFileName: dhcpOptions.bootFileName,
      privateOptions: dhcpOptions.privateOptions,
    });
    const search = fitSearchList(own, searchList(vmi, conf));
    return { search, hostname, options: [...own, ...searchOptions(search)] };
  });
}

/** The pod's host name, made the way KubeVirt makes it. */
function deriveHostname(vmi: Vmi): string {
  const name = vmi.hostname ?? vmi.name.split(".")[0] ?? "";
  return name.slice(0, HOSTNAME_SIZE_MAX).replace(/-+$/, "");
}

/** The pod's search list; a VM with a subdomain gets the domain of its siblings first. */
function searchList(vmi: Vmi, conf: ResolvConf): string[] {
  // A comment behind the list is no domain.
  const remarkAt = conf.search.findIndex((word) => /^[#;]/.test(word));
  const written = remarkAt < 0 ? conf.search : conf.search.slice(0, remarkAt);
  const given = written.length === 0 ? [CLUSTER_DOMAIN] : written;
  const domains = given.map((domain) => domain.toLowerCase().replace(/\.$/, ""));
  if (vmi.subdomain === undefined) return domains;
  const services = domains.filter((domain) => domain.includes(".svc."));
  const [longest] = services.sort((a, b) => b.length - a.length);
  if (longest === undefined) return domains;
  const own = `${vmi.subdomain}.${longest}`.toLowerCase();
  return domains.includes(own) ? domains : [own, ...domains];
}
