/**
 * Changes the domain that KubeVirt passes so that each planned interface is attached.
 *
 * Contract: a pure function. Everything that is not ours stays byte for byte. Applied to its own
 * answer, also when KubeVirt's schema has stripped that answer, it gives one interface and one set
 * of arguments again. Ours are `<interface>` elements with the alias of a planned interface,
 * whoever made them, the QEMU arguments of `arguments.ts`, and shared memory where needed. Time and
 * memory are linear in the domain and in the plans.
 *
 * A vhost-user interface has no `<mtu>`: libvirt 9.0 would set it on a device of the host as well,
 * which there is none of, and the start would fail. The guest hears of its MTU by DHCP and router
 * advertisements, as on the other links.
 * Source: libvirt's domain format; KubeVirt's DomainSpec for what a stripped answer looks like.
 */
import type { Attachment } from "./attachment.ts";
import { editArguments } from "./command-line.ts";
import { aliasOf, type Domain, isConfidential } from "./document.ts";
import type { Edit } from "./edits.ts";
import { append, insertAfter, insertBefore, type NewElement, remove, replace } from "./layout.ts";
import { shareMemory } from "./memory.ts";
import type { BindingPlan } from "./plan.ts";
import type { Vmi } from "./vmi.ts";
import { attributeOf, childOf, childrenOf, type XmlElement } from "./xml.ts";

const PLACEHOLDER = "placeholder-";

/**
 * Children of an interface that are written anew, or that libvirt refuses for our kinds of link.
 * Others (such as a bandwidth that another sidecar has set) are kept.
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

/** The edits that attach every planned interface. Throws `HookError`. */
export function editDomain(
  domain: Domain,
  vmi: Vmi,
  plans: readonly BindingPlan[],
): readonly Edit[] {
  const isShared = plans.some(({ attachment }) => attachment.kind === "vhost-user");
  return [
    ...editInterfaces(domain, vmi, plans),
    ...editArguments(domain, plans),
    ...(isShared ? shareMemory(domain) : []),
  ];
}

/** Keeps the VMI's order, as the guest numbers its cards in the order of the elements. */
function editInterfaces(domain: Domain, vmi: Vmi, plans: readonly BindingPlan[]): Edit[] {
  const { text, root, devices } = domain;
  const { present, kept, edits } = classifyInterfaces(domain, vmi, plans);
  const last = kept.at(-1)?.element;
  const missing: NewElement[] = [];
  let at = 0;
  for (const plan of plans) {
    const source = sourceOf(plan.attachment);
    if (source === undefined) continue;
    const first = present.get(plan.alias);
    const children = [
      ...ownChildren(plan, source, isConfidential(root)),
      ...keptChildren(text, plan, first),
    ];
    const attributes = { type: source.type, ...declarationsOf(first) };
    const wanted: NewElement = { name: "interface", attributes, children };
    // Plans come in the VMI's order, so `at` never moves back.
    while (at < kept.length && (kept[at]?.rank ?? 0) <= plan.index) at += 1;
    const next = kept[at]?.element;
    if (first !== undefined) edits.push(replace(text, devices, first, wanted));
    else if (next !== undefined) edits.push(insertBefore(text, devices, next, wanted));
    else if (last !== undefined) edits.push(insertAfter(text, devices, last, wanted));
    else missing.push(wanted);
  }
  return [...edits, ...append(text, devices, missing)];
}

interface KeptInterface {
  readonly element: XmlElement;
  /** Index in the VMI's list; -1 for others, infinite for placeholders, which stay last. */
  readonly rank: number;
}

/** Finds our interfaces and those that stay, and removes surplus ones of ours. */
function classifyInterfaces(
  { text, devices }: Domain,
  vmi: Vmi,
  plans: readonly BindingPlan[],
): {
  readonly present: ReadonlyMap<string, XmlElement>;
  readonly kept: readonly KeptInterface[];
  readonly edits: Edit[];
} {
  const byAlias = new Map(plans.map((plan) => [plan.alias, plan]));
  const indices = new Map(vmi.interfaces.map(({ name, index }) => [`ua-${name}`, index]));
  const present = new Map<string, XmlElement>();
  const kept: KeptInterface[] = [];
  const edits: Edit[] = [];
  for (const element of childrenOf(devices, "interface")) {
    const alias = aliasOf(element) ?? "";
    const plan = byAlias.get(alias);
    const isSurplus =
      plan !== undefined && (present.has(alias) || sourceOf(plan.attachment) === undefined);
    if (isSurplus) {
      edits.push(remove(text, element));
      continue;
    }
    if (plan !== undefined) present.set(alias, element);
    kept.push({ element, rank: rankOf(element, alias, indices) });
  }
  return { present, kept, edits };
}

function rankOf(element: XmlElement, alias: string, indices: ReadonlyMap<string, number>): number {
  const target = attributeOf(childOf(element, "target"), "dev") ?? "";
  const isPlaceholder = alias.startsWith(PLACEHOLDER) || target.startsWith(PLACEHOLDER);
  return isPlaceholder ? Number.POSITIVE_INFINITY : (indices.get(alias) ?? -1);
}

interface Source {
  readonly type: string;
  readonly element: NewElement;
}

/** Type and source of the interface; undefined for links that libvirt has no element for. */
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

/** Children of a replaced element that are kept as they are. */
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

/** The namespace declarations that kept children need. */
function declarationsOf(old: XmlElement | undefined): Record<string, string> {
  const declared = (old?.attributes ?? []).filter(({ name }) => name.startsWith("xmlns:"));
  return Object.fromEntries(declared.map(({ name, value }) => [name, value]));
}
