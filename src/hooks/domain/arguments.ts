/**
 * QEMU arguments of the attachments that libvirt has no element for: one `-netdev` and one
 * `-device` each, and how such pairs are recognised, so that none is added twice.
 *
 * Values are in QEMU's own syntax where a key can come twice, else in JSON; in the former a comma
 * is written twice. Search domains are DNS names already: nothing in them can end an option.
 *
 * Ids begin with `slirp-`: libvirt makes its own (`net0`, `rng0`, `ua-…`), and an interface may
 * have such a name. The historical sidecar used the bare name; its pairs count as ours as well.
 * Source: qemu(1), `-netdev user`, `-netdev stream`; QEMU's JSON form of `-device`.
 */
import type { Subnet6 } from "../../config/subnet6.ts";
import { formatCidr4, formatIpv4 } from "../../lib/addr.ts";
import { formatIpv6 } from "../../lib/addr6.ts";
import { readFields } from "./fields.ts";
import type { BindingPlan } from "./plan.ts";
import { busOf } from "./slots.ts";

/** An option of QEMU and its value. */
export type ArgumentPair = readonly [option: string, value: string];

/** What the arguments of a card depend on in the domain. */
export interface MachineContext {
  /** The domain's machine type; empty when it names none. */
  readonly type: string;
  /** Slot of the first bus to take where the VMI asks for none; undefined leaves it to QEMU. */
  readonly slot: number | undefined;
  /** The guest's memory is encrypted, so virtio has to go through its IOMMU interface. */
  readonly isConfidential: boolean;
}

/** Prefix lengths at which QEMU chooses the addresses of gateway, DNS and guest as we do. */
const SAME_ADDRESSES_MIN = 24;
const SAME_ADDRESSES_MAX = 27;

/** The pairs that a plan needs; none for links that libvirt has elements for. */
export function argumentsOf(plan: BindingPlan, machine: MachineContext): readonly ArgumentPair[] {
  const { attachment } = plan;
  switch (attachment.kind) {
    case "client":
    case "vhost-user":
      return [];
    case "stream":
      return pairs(plan, machine, [
        "stream",
        `id=${idOf(plan.interfaceName)}`,
        "server=off",
        "addr.type=unix",
        `addr.path=${escapeComma(attachment.path)}`,
      ]);
    case "user":
      return pairs(plan, machine, userNetdev(plan));
  }
}

/** The ids of an interface's arguments: ours, and the historical sidecar's. */
export function idsOf(interfaceName: string): readonly [own: string, former: string] {
  return [idOf(interfaceName), interfaceName];
}

/** The id in a pair, if this program or its predecessor makes such pairs. */
export function pairId(option: string, value: string): string | undefined {
  switch (option) {
    case "-netdev":
    case "--netdev": {
      const fields = readFields(value);
      return /^(?:user|stream)$/.test(fields.get("type") ?? "") ? fields.get("id") : undefined;
    }
    case "-device":
    case "--device":
      return readFields(value).get("netdev");
    default:
      return undefined;
  }
}

function idOf(interfaceName: string): string {
  return `slirp-${interfaceName}`;
}

function pairs(
  plan: BindingPlan,
  machine: MachineContext,
  netdev: readonly string[],
): ArgumentPair[] {
  return [
    ["-netdev", netdev.join(",")],
    ["-device", JSON.stringify(deviceOf(plan, machine))],
  ];
}

function userNetdev(plan: BindingPlan): string[] {
  const { subnet, subnet6, tftpServerName, bootFileName } = plan;
  const { prefixLength } = subnet;
  const isAsOurs = prefixLength >= SAME_ADDRESSES_MIN && prefixLength <= SAME_ADDRESSES_MAX;
  const addresses = [
    `host=${formatIpv4(subnet.gateway)}`,
    `dns=${formatIpv4(subnet.dns)}`,
    `dhcpstart=${formatIpv4(subnet.guest)}`,
  ];
  const given = (key: string, value: string | undefined): string[] =>
    value === undefined ? [] : [`${key}=${escapeComma(value)}`];
  return [
    "user",
    `id=${idOf(plan.interfaceName)}`,
    `net=${formatCidr4({ address: subnet.network, prefixLength })}`,
    ...(isAsOurs ? [] : addresses),
    // Where the VMI names none, QEMU's own fec0::/64 is left in place.
    ...(plan.isSubnet6Given ? user6(subnet6) : []),
    ...given("hostname", plan.hostname),
    ...given("tftp-server-name", tftpServerName),
    ...given("bootfile", bootFileName),
    ...plan.search.flatMap((domain) => given("dnssearch", domain)),
    ...plan.publish.map(
      ({ protocol, hostPort, guestPort }) => `hostfwd=${protocol}::${hostPort}-:${guestPort}`,
    ),
  ];
}

function user6({ network, prefixLength, gateway, dns }: Subnet6): string[] {
  return [
    `ipv6-net=${formatIpv6(network)}/${prefixLength}`,
    `ipv6-host=${formatIpv6(gateway)}`,
    `ipv6-dns=${formatIpv6(dns)}`,
  ];
}

function escapeComma(value: string): string {
  return value.replaceAll(",", ",,");
}

function deviceOf({ interfaceName, device }: BindingPlan, machine: MachineContext): object {
  const id = idOf(interfaceName);
  const { bootOrder, acpiIndex } = device;
  const { slot } = machine;
  const pci = device.pci ?? (slot === undefined ? undefined : { bus: 0, slot, function: 0 });
  return {
    driver: device.driver,
    netdev: id,
    id,
    mac: device.mac,
    ...(pci === undefined
      ? {}
      : { bus: busOf(pci.bus, machine.type), addr: `0x${hex(pci.slot)}.0x${hex(pci.function)}` }),
    ...(bootOrder === undefined ? {} : { bootindex: bootOrder }),
    ...(acpiIndex === undefined ? {} : { "acpi-index": acpiIndex }),
    // As in an interface element: network boot needs a place in the boot order.
    ...(bootOrder === undefined && device.hasRom ? { romfile: "" } : {}),
    ...(machine.isConfidential && device.isVirtio ? { iommu_platform: true } : {}),
  };
}

function hex(value: number): string {
  return value.toString(16);
}
