/**
 * The arguments of all planned interfaces in a domain's `qemu:commandline`: present ones stay,
 * stale ones are removed, missing ones are added behind the last argument.
 *
 * The list is read once for all interfaces. The id of an argument names its interface, which is
 * looked up in a map.
 */
import { quote } from "../../config/errors.ts";
import { type ArgumentPair, argumentsOf, idsOf, type MachineContext, pairId } from "./arguments.ts";
import { formatPci } from "./device.ts";
import { aliasOf, type Domain, findIn, isConfidential } from "./document.ts";
import type { Edit } from "./edits.ts";
import { unsupported } from "./errors.ts";
import { readFields } from "./fields.ts";
import {
  append,
  attributesEnd,
  insertAfter,
  insertBefore,
  type NewElement,
  remove,
} from "./layout.ts";
import type { BindingPlan } from "./plan.ts";
import {
  addressConflict,
  busesOf,
  chooseSlot,
  deviceAddresses,
  type OccupiedSlot,
  optionAddress,
  type PciOccupancy,
} from "./slots.ts";
import { attributeOf, childrenOf, type XmlElement } from "./xml.ts";

const QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0";
const QEMU_PREFIX = "qemu";

/** A pair in the domain that is one of ours. */
interface OwnPair {
  readonly pair: ArgumentPair;
  readonly elements: readonly XmlElement[];
  /** Name of the interface. */
  readonly owner: string;
}

interface CommandLine {
  readonly element: XmlElement;
  readonly own: readonly OwnPair[];
}

/** An occupied slot; its owner is the interface of ours that occupies it. */
interface OwnedSlot extends OccupiedSlot {
  readonly owner: string | undefined;
}

/** Gives every planned interface the arguments it needs, and no others. Throws `HookError`. */
export function editArguments(domain: Domain, plans: readonly BindingPlan[]): Edit[] {
  const { text, root, devices } = domain;
  const { commandLines, held } = readArguments(domain, plans);
  const missing = planArguments(domain, plans, held);
  const first = commandLines[0]?.element;
  const edits: Edit[] = [];
  const stale = commandLines.map(({ own }) => own.filter((each) => !removePresent(missing, each)));
  const added = [...missing.values()].flat();
  for (const [index, { element }] of commandLines.entries()) {
    const pairs = stale[index] ?? [];
    const elements = pairs.flatMap((each) => each.elements);
    const becomesEmpty = added.length === 0 || element !== first;
    if (pairs.length > 0 && becomesEmpty && containsOnly(text, element, elements)) {
      edits.push(remove(text, element));
    } else {
      for (const each of elements) edits.push(remove(text, each));
    }
  }
  if (added.length === 0) return edits;
  if (first !== undefined) return [...edits, ...addArguments(text, first, added)];
  const { prefix, edit } = declare(text, root);
  const children = argumentElements(added, prefix);
  const commandLine = { name: `${prefix}commandline`, children };
  return [...edits, ...edit, insertAfter(text, root, devices, commandLine)];
}

/** Our arguments in the domain, and all occupied PCI slots. */
function readArguments(
  { root, devices }: Domain,
  plans: readonly BindingPlan[],
): { readonly commandLines: readonly CommandLine[]; readonly held: readonly OwnedSlot[] } {
  const aliases = new Map(plans.map(({ alias, interfaceName }) => [alias, interfaceName]));
  const held: OwnedSlot[] = devices.children.flatMap((device) => {
    const addresses = deviceAddresses(device);
    if (addresses.length === 0) return [];
    const owner = aliases.get(aliasOf(device) ?? "");
    return addresses.map((address) => ({ ...address, owner }));
  });
  const owners = ownersOf(plans);
  const commandLines = childrenOf(root, "commandline", QEMU_NAMESPACE).map((element) => {
    const list = childrenOf(element, "arg", QEMU_NAMESPACE);
    const values = list.map((each) => attributeOf(each, "value") ?? "");
    const own: OwnPair[] = [];
    for (let index = 0; index < list.length; index += 1) {
      const option = values[index] ?? "";
      const value = values[index + 1];
      const owner = owners.get((value === undefined ? undefined : pairId(option, value)) ?? "");
      if (value !== undefined && owner !== undefined) {
        own.push({ pair: [option, value], elements: list.slice(index, index + 2), owner });
        index += 1;
      }
      const address = addressIn(owner === undefined ? option : (value ?? ""));
      if (address !== undefined) held.push({ ...address, owner });
    }
    return { element, own };
  });
  return { commandLines, held };
}

function addressIn(value: string): OccupiedSlot | undefined {
  return value.includes("addr") ? optionAddress(readFields(value)) : undefined;
}

/** Interfaces by the ids of their arguments. Our own ids go before those of the predecessor. */
function ownersOf(plans: readonly BindingPlan[]): ReadonlyMap<string, string> {
  const ids = plans.map(({ interfaceName }) => ({ interfaceName, ids: idsOf(interfaceName) }));
  return new Map([
    ...ids.map(({ interfaceName, ids: [, former] }) => [former, interfaceName] as const),
    ...ids.map(({ interfaceName, ids: [own] }) => [own, interfaceName] as const),
  ]);
}

/** The arguments of each interface, by its name. Each frees its old slot and occupies its new. */
function planArguments(
  domain: Domain,
  plans: readonly BindingPlan[],
  occupied: readonly OwnedSlot[],
): Map<string, ArgumentPair[]> {
  const buses = busesOf(domain.devices.children);
  const machine = attributeOf(findIn(domain.root, "os", "type"), "machine") ?? "";
  const isEncrypted = isConfidential(domain.root);
  const needed = new Map<string, ArgumentPair[]>();
  let held = occupied;
  for (const plan of plans) {
    const { interfaceName: owner, attachment } = plan;
    if (attachment.kind !== "user" && attachment.kind !== "stream") continue;
    const others = held.filter((each) => each.owner !== owner);
    const machineContext = machineContextOf(plan, { taken: others, buses, machine }, isEncrypted);
    const pairs = [...argumentsOf(plan, machineContext)];
    needed.set(owner, pairs);
    const places = pairs.flatMap(([, value]) => addressIn(value) ?? []);
    held = [...others, ...places.map((place) => ({ ...place, owner }))];
  }
  return needed;
}

function machineContextOf(
  plan: BindingPlan,
  occupancy: PciOccupancy,
  isEncrypted: boolean,
): MachineContext {
  checkAddress(plan, occupancy);
  const { pci, hasRom } = plan.device;
  return {
    type: occupancy.machine,
    slot: pci === undefined && hasRom ? chooseSlot(occupancy) : undefined,
    isConfidential: isEncrypted,
  };
}

/** QEMU would only fail to start; libvirt checks no card that it does not know of. */
function checkAddress(plan: BindingPlan, occupancy: PciOccupancy): void {
  const { pci } = plan.device;
  const fault = pci === undefined ? undefined : addressConflict(pci, occupancy);
  if (pci === undefined || fault === undefined) return;
  throw unsupported(
    `iface ${quote(plan.interfaceName)}: link ${quote(plan.attachment.kind)}: ` +
      `PCI address ${quote(formatPci(pci))} ${fault}`,
  );
}

/** Removes a pair of the domain from the missing ones; false when no interface needs it. */
function removePresent(
  missing: ReadonlyMap<string, ArgumentPair[]>,
  { owner, pair }: OwnPair,
): boolean {
  const wanted = missing.get(owner) ?? [];
  const at = wanted.findIndex(([option, value]) => option === pair[0] && value === pair[1]);
  if (at >= 0) wanted.splice(at, 1);
  return at >= 0;
}

/** Adds behind the last argument: libvirt's schema wants arguments before variables. */
function addArguments(
  text: string,
  commandLine: XmlElement,
  pairs: readonly ArgumentPair[],
): readonly Edit[] {
  const prefix = commandLine.name.slice(0, -commandLine.local.length);
  const elements = argumentElements(pairs, prefix);
  const last = childrenOf(commandLine, "arg", QEMU_NAMESPACE).at(-1);
  if (last !== undefined) {
    return elements.map((each) => insertAfter(text, commandLine, last, each));
  }
  const [next] = commandLine.children;
  if (next === undefined) return append(text, commandLine, elements);
  return elements.map((each) => insertBefore(text, commandLine, next, each));
}

/** Whether `parent` contains these elements alone, apart from white space. */
function containsOnly(text: string, parent: XmlElement, elements: readonly XmlElement[]): boolean {
  if (elements.length !== parent.children.length) return false;
  const rest: string[] = [];
  let at = parent.openEnd;
  for (const element of elements) {
    rest.push(text.slice(at, element.start));
    at = element.end;
  }
  rest.push(text.slice(at, parent.closeStart));
  return rest.every((each) => /^[ \t\r\n]*$/.test(each));
}

function argumentElements(pairs: readonly ArgumentPair[], prefix: string): NewElement[] {
  return pairs.flat().map((value) => ({ name: `${prefix}arg`, attributes: { value } }));
}

/** The prefix of QEMU's namespace with its colon, and the edit that declares it where needed. */
function declare(text: string, root: XmlElement): { prefix: string; edit: Edit[] } {
  const declared = root.attributes.filter(({ name }) => name.startsWith("xmlns:"));
  const known = declared.find(({ value }) => value === QEMU_NAMESPACE);
  if (known !== undefined) return { prefix: `${known.local}:`, edit: [] };
  let prefix = QEMU_PREFIX;
  for (let suffix = 1; declared.some(({ local }) => local === prefix); suffix += 1) {
    prefix = `${QEMU_PREFIX}${suffix}`;
  }
  const at = attributesEnd(text, root);
  const added = ` xmlns:${prefix}="${QEMU_NAMESPACE}"`;
  return { prefix: `${prefix}:`, edit: [{ start: at, end: at, text: added }] };
}
