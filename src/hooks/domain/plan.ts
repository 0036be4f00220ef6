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
import { LINK_CHOICES } from "../../config/hook-settings.ts";
import { MTU_BOUNDS, MTU_DEFAULT } from "../../config/network.ts";
import type { PublishRule } from "../../config/publish-rule.ts";
import { parseResolvConf, type ResolvConf } from "../../config/resolv.ts";
import { integerBetween, oneOf } from "../../config/settings.ts";
import { defaultGatewayMac, parseSubnet, type Subnet } from "../../config/subnet.ts";
import { parseSubnet6, SUBNET6_DEFAULT, type Subnet6 } from "../../config/subnet6.ts";
import { formatCidr4, type Ipv4Network, prefixMask } from "../../lib/addr.ts";
import { toHex } from "../../lib/bytes.ts";
import { deepFreeze } from "../../lib/deep-freeze.ts";
import { type Device, deriveDevice } from "./device.ts";
import { invalid, quoteTruncated, unsupported, withContext } from "./errors.ts";
import { normalizeNetwork, removeDuplicatePorts } from "./leniency.ts";
import { type Selected, selectInterfaces } from "./select.ts";
import { ANNOTATION_PREFIX, type Vmi, type VmiInterface } from "./vmi.ts";

/** Inputs of a plan besides the VMI. */
export interface PlanContext {
  readonly settings: HookSettings;
  /** Text of the pod's resolv.conf. */
  readonly resolvConf: string;
  /** IPv4 networks of the pod's own interfaces, loopback left out. */
  readonly podNetworks: readonly Ipv4Network[];
  /** What `auto` stands for: `client` where a data plane runs, `user` where none does. */
  readonly autoLink: LinkKind;
}

/** How QEMU reaches its network backend. Paths are those of the compute container. */
export type Attachment =
  /** QEMU connects to a loopback TCP port. */
  | { readonly kind: "client"; readonly port: number }
  /** QEMU connects to a unix socket. */
  | { readonly kind: "stream"; readonly path: string; readonly file: string }
  /** QEMU connects to a unix socket and shares its memory. */
  | { readonly kind: "vhost-user"; readonly path: string; readonly file: string }
  /** QEMU's own user networking: no data plane of ours. */
  | { readonly kind: "user" };

/** The plan for one interface, deep-frozen. Addresses are numbers in host order. */
export interface BindingPlan {
  readonly interfaceName: string;
  /** Place in the VMI's list of interfaces. */
  readonly index: number;
  /** Alias by which KubeVirt finds the interface in the domain. */
  readonly alias: string;
  readonly device: Device;
  readonly attachment: Attachment;
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

const LINK_ANNOTATION = `${ANNOTATION_PREFIX}link`;
const MTU_ANNOTATION = `${ANNOTATION_PREFIX}mtu`;

/** Folder of the hook sockets, as the compute container sees it. */
const HOOKS_FOLDER = "/var/run/kubevirt-hooks";
/** The only folder in it whose files virt-launcher does not take for hook sockets. */
const USER_FOLDER = "userdata";

/** Octets of the path of a unix socket, its final zero left out (unix(7)). */
const SOCKET_PATH_SIZE_MAX = 107;

/** The MTU of emulated cards, whose drivers know no larger one, and of QEMU's user networking. */
const MTU_ETHERNET = 1500;
const PORT_MAX = 65535;
const HOSTNAME_SIZE_MAX = 63;
const CLUSTER_DOMAIN = "cluster.local";

/** One plan for each of our interfaces, in the VMI's order. Throws `HookError`. */
export function derivePlans(vmi: Vmi, context: PlanContext): readonly BindingPlan[] {
  const conf = parseResolvConf(context.resolvConf);
  const link = chooseLink(vmi, context);
  const selected = selectInterfaces(vmi, context.settings.bindingName);
  const plans = selected.map((each) => derivePlan(vmi, each, link, conf, context));
  checkPortsTogether(plans);
  return deepFreeze(plans);
}

function derivePlan(
  vmi: Vmi,
  { iface, network }: Selected,
  link: LinkKind,
  conf: ResolvConf,
  context: PlanContext,
): BindingPlan {
  const device = deriveDevice(vmi, iface);
  const attachment = deriveAttachment(iface, link, context.settings);
  checkAttachment(iface, device, attachment);
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
    subnet,
    subnet6: withContext(`${what}: invalid network CIDR ${quoteTruncated(cidr6.value)}`, () =>
      parseSubnet6(cidr6.value),
    ),
    isSubnet6Given: network.cidr6 !== undefined,
    mtu: chooseMtu(vmi, device, link, context.settings),
    publish: ports.value,
    hostname,
    search,
    dhcpOptions: options,
    tftpServerName: iface.dhcpOptions.tftpServerName,
    bootFileName: iface.dhcpOptions.bootFileName,
    warnings: [...cidr.warnings, ...cidr6.warnings, ...ports.warnings],
  };
}

function chooseLink(vmi: Vmi, { settings, autoLink }: PlanContext): LinkKind {
  const asked = annotation(vmi, LINK_ANNOTATION, settings);
  const choice =
    asked === undefined
      ? settings.link
      : withContext(`annotation "${LINK_ANNOTATION}" ${quoteTruncated(asked)}`, () =>
          oneOf(LINK_CHOICES)(asked),
        );
  return choice === "auto" ? autoLink : choice;
}

/** Virtio cards get a large MTU: TCP ends here, and the pod's MTU limits only datagrams. */
function chooseMtu(vmi: Vmi, device: Device, link: LinkKind, settings: HookSettings): number {
  const asked = annotation(vmi, MTU_ANNOTATION, settings);
  if (asked !== undefined) {
    const read = integerBetween(...MTU_BOUNDS);
    return withContext(`annotation "${MTU_ANNOTATION}" ${quoteTruncated(asked)}`, () =>
      read(asked),
    );
  }
  if (settings.mtu !== undefined) return settings.mtu;
  return device.isVirtio && link !== "user" ? MTU_DEFAULT : MTU_ETHERNET;
}

function annotation(vmi: Vmi, key: string, settings: HookSettings): string | undefined {
  const value = vmi.annotations.get(key);
  if (value === undefined || value === "" || settings.allowsAnnotations) return value || undefined;
  throw unsupported(`annotation ${quote(key)} is not allowed here`);
}

/** File names have the interface's index, not its name, so that paths are short. */
function deriveAttachment(iface: VmiInterface, kind: LinkKind, settings: HookSettings): Attachment {
  if (kind === "user") return { kind };
  if (kind === "client") return { kind, port: settings.loopbackPort + iface.index };
  const folder = [HOOKS_FOLDER, settings.containerName, USER_FOLDER]
    .filter((part) => part !== undefined)
    .join("/");
  const file = `${kind}-${iface.index}.sock`;
  const path = `${folder}/${file}`;
  if (path.length > SOCKET_PATH_SIZE_MAX) {
    const what = `iface ${quote(iface.name)}: link ${quote(kind)}: socket path ${quote(path)}`;
    throw unsupported(`${what} is longer than ${SOCKET_PATH_SIZE_MAX} octets`);
  }
  return { kind, path, file };
}

function checkAttachment(iface: VmiInterface, device: Device, { kind }: Attachment): void {
  const what = `iface ${quote(iface.name)}`;
  if (kind === "vhost-user" && !device.isVirtio) {
    throw unsupported(`${what}: model ${quote(device.model)}: link "vhost-user" needs "virtio"`);
  }
  if ((kind === "stream" || kind === "user") && device.linkState === "down") {
    throw unsupported(`${what}: state "down" is not possible with link ${quote(kind)}`);
  }
  if (kind !== "user") return;
  const { ntpServers, privateOptions } = iface.dhcpOptions;
  // QEMU's DHCP server does not support these.
  const missing = [
    ...(ntpServers.length > 0 ? ["ntpServers"] : []),
    ...(privateOptions.length > 0 ? ["privateOptions"] : []),
  ];
  for (const name of missing) {
    throw unsupported(`${what}: dhcpOptions ${quote(name)} are not possible with link "user"`);
  }
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
