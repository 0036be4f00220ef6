/**
 * PCI slots for cards that libvirt does not know of. QEMU would choose the first free slot, and the
 * guest's name for the card would change with every device added before it; where devices sit on
 * the first bus itself (i440fx, pseries), libvirt would later assign that slot as well. So the card
 * gets a free high slot, which libvirt assigns last.
 *
 * Source: libvirt's PCI addressing (pci-addresses); QEMU's q35, virt, i440fx and pseries machines.
 */
import type { PciAddress } from "./device.ts";
import { attributeOf, childrenOf, type XmlElement } from "./xml.ts";

/**
 * In the order they are tried. libvirt goes upwards from 1 and keeps 0x1a to 0x1b and 0x1d to 0x1f
 * for parts of the q35 chip set.
 */
const SLOTS = [0x1c, 0x19, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 0x10];

const CONVENTIONAL = /^(?:pc|pc-i440fx.*|pseries.*)$/;
const EXPRESS = /^(?:q35|pc-q35-.*|virt|virt-.*)$/;
const BUS = /^pcie?\.([0-9]{1,3})$/;

/** The name libvirt gives a bus: the first is the machine's, the others are controllers. */
export function busOf(bus: number, machine: string): string {
  return bus === 0 && EXPRESS.test(machine) ? "pcie.0" : `pci.${bus}`;
}

/** An address on a PCI bus of the guest. */
export interface OccupiedSlot {
  readonly bus: number;
  readonly slot: number;
  readonly fn: number;
}

/** What occupies the PCI buses of a domain. */
export interface PciOccupancy {
  readonly taken: readonly OccupiedSlot[];
  /** Buses that the domain has a controller for. */
  readonly buses: ReadonlySet<number>;
  readonly machine: string;
}

/**
 * A free slot of the first bus; undefined for machines without PCI, or when none is free.
 */
export function chooseSlot({ taken, machine }: PciOccupancy): number | undefined {
  if (!CONVENTIONAL.test(machine) && !EXPRESS.test(machine)) return undefined;
  const used = new Set(taken.map(({ bus, slot }) => (bus === 0 ? slot : -1)));
  return SLOTS.find((slot) => !used.has(slot));
}

/** What prevents a card that libvirt does not know of from an address; undefined for nothing. */
export function addressConflict(
  pci: PciAddress,
  { taken, buses }: PciOccupancy,
): string | undefined {
  const isTaken = taken.some(
    (each) =>
      each.bus === pci.bus && each.slot === pci.slot && (each.fn === pci.function || each.fn === 0),
  );
  if (isTaken) return "is taken by another device";
  if (pci.bus === 0 || buses.has(pci.bus)) return undefined;
  return "is on a bus that the domain has no controller for";
}

/** PCI addresses of a device of the domain. */
export function deviceAddresses(device: XmlElement): readonly OccupiedSlot[] {
  return childrenOf(device, "address")
    .filter((address) => attributeOf(address, "type") === "pci")
    .map((address) => ({
      bus: Number(attributeOf(address, "bus") ?? 0),
      slot: Number(attributeOf(address, "slot")),
      fn: Number(attributeOf(address, "function") ?? 0),
    }));
}

/** The PCI address in the fields of a `-device` argument. */
export function optionAddress(fields: ReadonlyMap<string, string>): OccupiedSlot | undefined {
  const [slot, fn = "0"] = fields.get("addr")?.split(".") ?? [];
  const bus = BUS.exec(fields.get("bus") ?? "pci.0")?.[1];
  if (slot === undefined || bus === undefined) return undefined;
  return { bus: Number(bus), slot: Number.parseInt(slot, 16), fn: Number.parseInt(fn, 16) };
}

/** Numbers of the PCI buses that a domain has controllers for. */
export function busesOf(devices: readonly XmlElement[]): ReadonlySet<number> {
  const controllers = devices.filter(
    (each) => each.name === "controller" && attributeOf(each, "type") === "pci",
  );
  return new Set(controllers.map((each) => Number(attributeOf(each, "index"))));
}
