/**
 * The network card of one interface as the VMI asks for it: model, MAC, slot, boot order, state.
 * Source: KubeVirt API v1, Interface; libvirt's domain format, network interfaces.
 */
import { createHash } from "node:crypto";
import { type MacOctets, readMac } from "../../config/address.ts";
import { quote } from "../../config/errors.ts";
import { toHex } from "../../lib/bytes.ts";
import { invalid, quoteTruncated, unsupported } from "./errors.ts";
import type { Vmi, VmiInterface } from "./vmi.ts";

/** PCI address of the card in the guest. QEMU has no domain but 0. */
export interface PciAddress {
  readonly domain: number;
  readonly bus: number;
  /** 0 to 31. */
  readonly slot: number;
  /** 0 to 7. */
  readonly function: number;
}

export interface Device {
  /** As libvirt names it. */
  readonly model: string;
  /** As QEMU names it. */
  readonly driver: string;
  readonly isVirtio: boolean;
  /** Cards of s390x have neither option ROM nor PCI slot. */
  readonly hasRom: boolean;
  /** Six lower-case pairs with colons. */
  readonly mac: string;
  readonly pci: PciAddress | undefined;
  readonly bootOrder: number | undefined;
  readonly acpiIndex: number | undefined;
  readonly linkState: "up" | "down" | undefined;
}

const EMULATED = ["e1000", "e1000e", "igb", "ne2k_pci", "pcnet", "rtl8139"];
const VIRTIO = "virtio";
const PCI_ADDRESS = /^([0-9a-f]{4}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-9a-f])$/i;
const SLOT_MAX = 0x1f;
const FUNCTION_MAX = 7;
/** QEMU's own bound of `acpi-index`. */
const ACPI_INDEX_MAX = 16383;
const BOOT_ORDER_MAX = 0x7fff_ffff;

/** Derives the card of an interface. Throws `HookError`. */
export function deriveDevice(vmi: Vmi, iface: VmiInterface): Device {
  const isS390x = vmi.architecture === "s390x";
  const what = `iface ${quote(iface.name)}`;
  return {
    ...chooseModel(vmi, iface, isS390x),
    hasRom: !isS390x,
    mac: iface.macAddress === undefined ? deriveMac(vmi, iface) : readGivenMac(iface),
    pci: iface.pciAddress === undefined ? undefined : readPci(what, iface.pciAddress),
    bootOrder: readBounded(`${what}: boot order`, iface.bootOrder, BOOT_ORDER_MAX),
    acpiIndex: readBounded(`${what}: ACPI index`, iface.acpiIndex, ACPI_INDEX_MAX),
    linkState: readState(what, iface.state),
  };
}

function chooseModel(
  vmi: Vmi,
  iface: VmiInterface,
  isS390x: boolean,
): Pick<Device, "model" | "driver" | "isVirtio"> {
  const asked = iface.model ?? VIRTIO;
  if (asked === VIRTIO && isS390x) {
    return { model: VIRTIO, driver: "virtio-net-ccw", isVirtio: true };
  }
  if (asked === VIRTIO) {
    const flavour = vmi.useVirtioTransitional ? "transitional" : "non-transitional";
    return { model: `virtio-${flavour}`, driver: `virtio-net-pci-${flavour}`, isVirtio: true };
  }
  if (EMULATED.includes(asked)) return { model: asked, driver: asked, isVirtio: false };
  const known = [VIRTIO, ...EMULATED].join(", ");
  throw invalid(
    `iface ${quote(iface.name)}: model ${quoteTruncated(asked)}: wanted one of ${known}`,
  );
}

/** The same for a VM wherever and however often it starts: only its names go in. */
function deriveMac(vmi: Vmi, iface: VmiInterface): string {
  const names = [vmi.namespace, vmi.name, iface.name].join("\0");
  const digest = createHash("sha256").update(names).digest();
  const octets = Uint8Array.from(digest.subarray(0, 6));
  // Locally administered, one station's (RFC 9542 §2.1).
  octets[0] = ((octets[0] ?? 0) & 0xfc) | 0x02;
  return toHex(octets, ":");
}

function readGivenMac(iface: VmiInterface): string {
  const text = iface.macAddress ?? "";
  const isUniform = !(text.includes(":") && text.includes("-"));
  const mac: MacOctets | undefined = isUniform ? readMac(text.replaceAll("-", ":")) : undefined;
  const what = `iface ${quote(iface.name)}: MAC address ${quoteTruncated(text)}`;
  if (mac === undefined) throw invalid(`${what}: wanted six octets such as "02:00:00:12:34:56"`);
  if ((mac[0] & 1) === 1 || mac.every((octet) => octet === 0)) {
    throw invalid(`${what}: wanted a unicast address`);
  }
  return toHex(Uint8Array.from(mac), ":");
}

/** As KubeVirt writes it: `0000:81:01.0`. */
export function formatPci({ domain, bus, slot, function: fn }: PciAddress): string {
  const hex = (value: number, width: number): string => value.toString(16).padStart(width, "0");
  return `${hex(domain, 4)}:${hex(bus, 2)}:${hex(slot, 2)}.${fn}`;
}

function readPci(what: string, text: string): PciAddress {
  const numbers = PCI_ADDRESS.exec(text)
    ?.slice(1)
    .map((digits) => Number.parseInt(digits, 16));
  const [domain = 0, bus = 0, slot = 0, fn = 0] = numbers ?? [];
  if (numbers === undefined || slot > SLOT_MAX || fn > FUNCTION_MAX) {
    throw invalid(
      `${what}: PCI address ${quoteTruncated(text)}: wanted one such as "0000:81:01.0"`,
    );
  }
  if (domain !== 0)
    throw unsupported(`${what}: PCI address ${quoteTruncated(text)}: wanted domain "0000"`);
  return { domain, bus, slot, function: fn };
}

function readBounded(what: string, value: number | undefined, max: number): number | undefined {
  if (value === undefined || (value >= 1 && value <= max)) return value;
  throw invalid(`${what} "${value}": wanted 1 to ${max}`);
}

function readState(what: string, state: string | undefined): "up" | "down" | undefined {
  if (state === undefined || state === "up" || state === "down") return state;
  throw invalid(`${what}: state ${quoteTruncated(state)}: wanted "up" or "down"`);
}
