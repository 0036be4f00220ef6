/**
 * The domain that KubeVirt hands over, changed so that each planned interface is attached.
 *
 * Contract: a pure function. Everything that is not ours stays byte for byte. Applied to its own
 * answer, also when KubeVirt's schema has stripped that answer, it gives one interface and one set
 * of arguments again. Ours are: `<interface>` elements with the alias of a planned interface,
 * whoever made them, the QEMU arguments of `arguments.ts`, and shared memory where needed.
 * Source: libvirt's domain format; KubeVirt's DomainSpec for what a stripped answer looks like.
 */
import { quote } from "../../config/errors.ts";
import { type ArgumentPair, argumentsOf, type Board, isOwnPair, readFields } from "./arguments.ts";
import { formatPci } from "./device.ts";
import { brief, invalid, unsupported } from "./errors.ts";
import { append, insertAfter, insertBefore, type NewElement, remove, replace } from "./layout.ts";
import type { Attachment, BindingPlan } from "./plan.ts";
import { addressFault, chooseSlot, type Occupants } from "./slots.ts";
import type { Vmi } from "./vmi.ts";
import {
  applyEdits,
  attributeOf,
  childOf,
  childrenOf,
  type Edit,
  parseXml,
  type XmlElement,
} from "./xml.ts";

const QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0";
const QEMU_PREFIX = "qemu";
const PLACEHOLDER = "placeholder-";

/**
 * Children of an interface that are written anew, or that libvirt refuses for our kinds of link.
 * Others (a bandwidth another sidecar has set) are kept as they are.
 */
const REPLACED_CHILDREN = new Set([
  "acpi",
  "alias",
  "backend",
  "boot",
  "coalesce",
  "driver",
  "filterref",
  "guest",
  "ip",
  "link",
  "mac",
  "model",
  "mtu",
  "portForward",
  "rom",
  "route",
  "source",
  "target",
  "tune",
  "virtualport",
  "vlan",
]);

/** Attaches every planned interface. Throws `HookError`. */
export function mutateDomain(xml: string, vmi: Vmi, plans: readonly BindingPlan[]): string {
  if (plans.length === 0) readDomain(xml);
  return plans.reduce((text, plan) => mutate(text, vmi, plan), xml);
}

interface Domain {
  readonly text: string;
  readonly root: XmlElement;
  readonly devices: XmlElement;
}

function readDomain(text: string): Domain {
  const root = parseXml(text);
  if (root.name !== "domain" || root.namespace !== "") {
    throw invalid(`parse domain XML: root ${brief(root.name)}: wanted "domain"`);
  }
  const devices = childOf(root, "devices");
  if (devices === undefined) throw invalid('parse domain XML: no element "devices"');
  return { text, root, devices };
}

function mutate(text: string, vmi: Vmi, plan: BindingPlan): string {
  const domain = readDomain(text);
  return applyEdits(text, [
    ...editInterface(domain, vmi, plan),
    ...editArguments(domain, plan),
    ...(plan.attachment.kind === "vhost-user" ? editMemory(domain, plan) : []),
  ]);
}

function editInterface({ text, root, devices }: Domain, vmi: Vmi, plan: BindingPlan): Edit[] {
  const interfaces = childrenOf(devices, "interface");
  const [first, ...surplus] = interfaces.filter((each) => aliasOf(each) === plan.alias);
  const edits = surplus.map((each) => remove(text, each));
  const source = sourceOf(plan.attachment);
  if (source === undefined) return first === undefined ? edits : [remove(text, first), ...edits];
  const children = [
    ...ownChildren(plan, source, isConfidential(root)),
    ...keptChildren(text, plan, first),
  ];
  const attributes = { type: source.type, ...declarationsOf(first) };
  const wanted: NewElement = { name: "interface", attributes, children };
  if (first !== undefined) return [replace(text, devices, first, wanted), ...edits];
  // The guest numbers its cards in this order, so the VMI's order is kept.
  const next = interfaces.find((each) => comesAfter(each, vmi, plan));
  if (next !== undefined) return [insertBefore(text, devices, next, wanted)];
  const last = interfaces.at(-1);
  if (last !== undefined) return [insertAfter(text, devices, last, wanted)];
  return [...append(text, devices, [wanted])];
}

function aliasOf(element: XmlElement): string | undefined {
  return attributeOf(childOf(element, "alias"), "name");
}

function comesAfter(element: XmlElement, vmi: Vmi, plan: BindingPlan): boolean {
  const alias = aliasOf(element) ?? "";
  const target = attributeOf(childOf(element, "target"), "dev") ?? "";
  if (alias.startsWith(PLACEHOLDER) || target.startsWith(PLACEHOLDER)) return true;
  const other = vmi.interfaces.find(({ name }) => alias === `ua-${name}`);
  return other !== undefined && other.index > plan.index;
}

interface Source {
  readonly type: string;
  readonly element: NewElement;
}

/** Type and source of the interface; undefined where libvirt has none for the link. */
function sourceOf(attachment: Attachment): Source | undefined {
  switch (attachment.kind) {
    case "client":
      return {
        type: "client",
        element: {
          name: "source",
          attributes: { address: "127.0.0.1", port: String(attachment.port) },
        },
      };
    case "vhost-user":
      return {
        type: "vhostuser",
        element: {
          name: "source",
          attributes: { type: "unix", path: attachment.path, mode: "client" },
          children: [{ name: "reconnect", attributes: { enabled: "yes", timeout: "1" } }],
        },
      };
    case "stream":
    case "user":
      return undefined;
  }
}

function ownChildren(
  { alias, device }: BindingPlan,
  source: Source,
  isConfidential: boolean,
): NewElement[] {
  const { pci, bootOrder, acpiIndex, linkState } = device;
  const element = (name: string, attributes: NewElement["attributes"]): NewElement => ({
    name,
    attributes: attributes ?? {},
  });
  const children = [
    element("mac", { address: device.mac }),
    source.element,
    element("model", { type: device.model }),
  ];
  if (isConfidential && device.isVirtio) children.push(element("driver", { iommu: "on" }));
  if (linkState !== undefined) children.push(element("link", { state: linkState }));
  if (bootOrder !== undefined) children.push(element("boot", { order: String(bootOrder) }));
  else if (device.hasRom) children.push(element("rom", { enabled: "no" }));
  if (acpiIndex !== undefined) children.push(element("acpi", { index: String(acpiIndex) }));
  children.push(element("alias", { name: alias }));
  if (pci !== undefined) {
    const hex = (value: number, width: number): string =>
      `0x${value.toString(16).padStart(width, "0")}`;
    const place = { domain: hex(pci.domain, 4), bus: hex(pci.bus, 2), slot: hex(pci.slot, 2) };
    children.push(element("address", { type: "pci", ...place, function: hex(pci.function, 1) }));
  }
  return children;
}

/** Children of an element that gives way to ours which are left as they are. */
function keptChildren(
  text: string,
  { device }: BindingPlan,
  old: XmlElement | undefined,
): string[] {
  const isReplaced = ({ local, namespace }: XmlElement): boolean => {
    if (namespace !== "") return false;
    // An address that libvirt has assigned stays, so that the card keeps its slot.
    return local === "address" ? device.pci !== undefined : REPLACED_CHILDREN.has(local);
  };
  const kept = (old?.children ?? []).filter((child) => !isReplaced(child));
  return kept.map((child) => text.slice(child.start, child.end));
}

/** What declares the prefixes of kept children. */
function declarationsOf(old: XmlElement | undefined): Record<string, string> {
  const declared = (old?.attributes ?? []).filter(({ name }) => name.startsWith("xmlns:"));
  return Object.fromEntries(declared.map(({ name, value }) => [name, value]));
}

function isConfidential(root: XmlElement): boolean {
  return childOf(root, "launchSecurity") !== undefined;
}

function boardOf({ root, devices }: Domain, plan: BindingPlan): Board {
  const { interfaceName, device } = plan;
  const machine = attributeOf(findIn(root, "os", "type"), "machine") ?? "";
  const others = childrenOf(root, "commandline", QEMU_NAMESPACE)
    .flatMap((each) => childrenOf(each, "arg", QEMU_NAMESPACE))
    .map((each) => attributeOf(each, "value") ?? "")
    .filter((value) => !isOwnPair("-device", value, interfaceName))
    .map(readFields);
  const present = devices.children.filter((each) => aliasOf(each) !== plan.alias);
  const occupants = { devices: present, others, machine };
  checkAddress(plan, occupants);
  const isChosenHere = device.pci === undefined && device.hasRom;
  return {
    machine,
    slot: isChosenHere ? chooseSlot(occupants) : undefined,
    isConfidential: isConfidential(root),
  };
}

/** libvirt refuses such an address where it knows of the card; QEMU would only fail to start. */
function checkAddress(plan: BindingPlan, occupants: Occupants): void {
  const { pci } = plan.device;
  const fault = pci === undefined ? undefined : addressFault(pci, occupants);
  if (pci === undefined || fault === undefined) return;
  throw unsupported(
    `iface ${quote(plan.interfaceName)}: link ${quote(plan.attachment.kind)}: ` +
      `PCI address ${quote(formatPci(pci))} ${fault}`,
  );
}

function editArguments(domain: Domain, plan: BindingPlan): Edit[] {
  const { text, root, devices } = domain;
  const isOurs = plan.attachment.kind === "user" || plan.attachment.kind === "stream";
  const missing = isOurs ? [...argumentsOf(plan, boardOf(domain, plan))] : [];
  const commandLines = childrenOf(root, "commandline", QEMU_NAMESPACE);
  const [first] = commandLines;
  const edits: Edit[] = [];
  for (const commandLine of commandLines) {
    const stale = ownArguments(commandLine, plan.interfaceName).filter(({ pair }) => {
      const at = missing.findIndex((wanted) => wanted.join("\0") === pair.join("\0"));
      if (at >= 0) missing.splice(at, 1);
      return at < 0;
    });
    const elements = stale.flatMap((each) => each.elements);
    const becomesEmpty = missing.length === 0 || commandLine !== first;
    if (elements.length > 0 && becomesEmpty && isAll(text, commandLine, elements)) {
      edits.push(remove(text, commandLine));
    } else {
      edits.push(...elements.map((each) => remove(text, each)));
    }
  }
  if (missing.length === 0) return edits;
  if (first !== undefined) return [...edits, ...addArguments(text, first, missing)];
  const { prefix, edit } = declare(root);
  const children = argumentElements(missing, prefix);
  const added = insertAfter(text, root, devices, { name: `${prefix}commandline`, children });
  return [...edits, ...edit, added];
}

/** Behind the last argument: libvirt's schema wants all of them before the environment. */
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

interface OwnArgument {
  readonly pair: ArgumentPair;
  readonly elements: readonly XmlElement[];
}

function ownArguments(commandLine: XmlElement, interfaceName: string): OwnArgument[] {
  const found: OwnArgument[] = [];
  const elements = childrenOf(commandLine, "arg", QEMU_NAMESPACE);
  for (let index = 0; index + 1 < elements.length; index += 1) {
    const both = elements.slice(index, index + 2);
    const [option = "", value = ""] = both.map((each) => attributeOf(each, "value") ?? "");
    if (!isOwnPair(option, value, interfaceName)) continue;
    found.push({ pair: [option, value], elements: both });
    index += 1;
  }
  return found;
}

/** Whether nothing but these is in `parent`. */
function isAll(text: string, parent: XmlElement, elements: readonly XmlElement[]): boolean {
  let rest = "";
  let at = parent.openEnd;
  for (const element of elements) {
    rest += text.slice(at, element.start);
    at = element.end;
  }
  return /^[ \t\r\n]*$/.test(rest + text.slice(at, parent.closeStart));
}

function argumentElements(pairs: readonly ArgumentPair[], prefix: string): NewElement[] {
  return pairs.flat().map((value) => ({ name: `${prefix}arg`, attributes: { value } }));
}

/** The prefix of QEMU's namespace, colon included, and the edit that declares it if need be. */
function declare(root: XmlElement): { prefix: string; edit: Edit[] } {
  const declared = root.attributes.filter(({ name }) => name.startsWith("xmlns:"));
  const known = declared.find(({ value }) => value === QEMU_NAMESPACE);
  if (known !== undefined) return { prefix: `${known.local}:`, edit: [] };
  let prefix = QEMU_PREFIX;
  for (let suffix = 1; declared.some(({ local }) => local === prefix); suffix += 1) {
    prefix = `${QEMU_PREFIX}${suffix}`;
  }
  const at = root.attributes.at(-1)?.end ?? root.start + 1 + root.name.length;
  const added = ` xmlns:${prefix}="${QEMU_NAMESPACE}"`;
  return { prefix: `${prefix}:`, edit: [{ start: at, end: at, text: added }] };
}

/**
 * vhost-user hands the guest's memory to another process, so that memory must be shared and have a
 * file descriptor. What is there already is completed, never overruled.
 */
function editMemory({ text, root, devices }: Domain, plan: BindingPlan): Edit[] {
  const what = `iface ${quote(plan.interfaceName)}: link "vhost-user"`;
  const cells = findIn(root, "cpu", "numa");
  for (const cell of cells === undefined ? [] : childrenOf(cells, "cell")) {
    const access = attributeOf(cell, "memAccess") ?? "shared";
    if (access === "shared") continue;
    throw unsupported(`${what}: memory access ${brief(access)} of a NUMA cell: wanted "shared"`);
  }
  const shared: NewElement = { name: "access", attributes: { mode: "shared" } };
  const memfd: NewElement = { name: "source", attributes: { type: "memfd" } };
  const backing = childOf(root, "memoryBacking");
  if (backing === undefined) {
    const element = { name: "memoryBacking", children: [memfd, shared] };
    const memory = childOf(root, "memory");
    if (memory !== undefined) return [insertAfter(text, root, memory, element)];
    return [insertBefore(text, root, devices, element)];
  }
  const mode = attributeOf(childOf(backing, "access"), "mode");
  if (mode !== undefined && mode !== "shared") {
    throw unsupported(`${what}: memory access ${brief(mode)}: wanted "shared"`);
  }
  const source = attributeOf(childOf(backing, "source"), "type");
  if (source === "anonymous") {
    throw unsupported(`${what}: memory source "anonymous": wanted "memfd" or "file"`);
  }
  const needsSource = source === undefined && childOf(backing, "hugepages") === undefined;
  const missing = [...(needsSource ? [memfd] : []), ...(mode === undefined ? [shared] : [])];
  return [...append(text, backing, missing)];
}

function findIn(root: XmlElement, outer: string, inner: string): XmlElement | undefined {
  const element = childOf(root, outer);
  return element === undefined ? undefined : childOf(element, inner);
}
