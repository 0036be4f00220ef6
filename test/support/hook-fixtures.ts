/**
 * What virt-launcher hands to the hooks (`test/fixtures/hooks`), and what it does with the answers.
 *
 * A case is a VMI with the domain of the first call, some with those of the second and third; its
 * resolv.conf is the pod's where the case has none of its own.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { type LinkChoice, readHookSettings } from "../../src/config/hook-settings.ts";
import { readDomain } from "../../src/hooks/domain/document.ts";
import { applyEdits, type Edit } from "../../src/hooks/domain/edits.ts";
import { type GuestMemory, readMemory } from "../../src/hooks/domain/memory.ts";
import { editDomain } from "../../src/hooks/domain/mutate.ts";
import { type BindingPlan, derivePlans, type PlanContext } from "../../src/hooks/domain/plan.ts";
import { readVmi, type Vmi } from "../../src/hooks/domain/vmi.ts";
import { parseXml, type XmlElement } from "../../src/hooks/domain/xml.ts";

const FOLDER = new URL("../fixtures/hooks/", import.meta.url);

export const CASES: readonly string[] = readdirSync(FOLDER)
  .flatMap((file) => (file.endsWith(".vmi.json") ? [file.slice(0, -".vmi.json".length)] : []))
  .sort();

export function fixture(file: string): string {
  return readFileSync(new URL(file, FOLDER), "utf8");
}

function hasFixture(file: string): boolean {
  return existsSync(new URL(file, FOLDER));
}

/** Texts of the domains of a case, in the order of the calls. */
export function domainsOf(name: string): string[] {
  return ["domain.xml", "second.domain.xml", "third.domain.xml"]
    .map((ending) => `${name}.${ending}`)
    .filter(hasFixture)
    .map(fixture);
}

/** The surroundings of a case: the environment given, the case's resolv.conf, a usual pod. */
export function contextOf(
  name: string,
  env: Readonly<Record<string, string>> = {},
  rest: Partial<PlanContext> = {},
): PlanContext {
  const own = `${name}.resolv.conf`;
  return {
    settings: readHookSettings({ CONTAINER_NAME: "hook-sidecar-0", ...env }),
    resolvConf: fixture(hasFixture(own) ? own : "resolv.conf"),
    podNetworks: [{ address: 0x0af4_0100, prefixLength: 24 }],
    autoLink: "vhost-user",
    memoryLimit: undefined,
    ...rest,
  };
}

/** Memory that nothing stands against to share. */
export const MEMORY: GuestMemory = Object.freeze({
  obstacle: undefined,
  size: 1 << 30,
  isHuge: false,
  isPreallocated: false,
});

/** The plans for a domain. */
export function plansFor(xml: string, vmi: Vmi, context: PlanContext): readonly BindingPlan[] {
  return derivePlans(vmi, readMemory(readDomain(xml)), context);
}

/** What the hook makes of a domain. */
export function mutateDomain(xml: string, vmi: Vmi, plans: readonly BindingPlan[]): string {
  return applyEdits(xml, editDomain(readDomain(xml), vmi, plans));
}

/** The same from the beginning. */
export function answerTo(xml: string, vmi: Vmi, context: PlanContext): string {
  return mutateDomain(xml, vmi, plansFor(xml, vmi, context));
}

export function plansOf(name: string, link: LinkChoice): readonly BindingPlan[] {
  const vmi = readVmi(fixture(`${name}.vmi.json`));
  const [domain = ""] = domainsOf(name);
  return plansFor(domain, vmi, contextOf(name, { SLIRP_LINK: link }));
}

/** One call of OnDefineDomain for a case with this domain. */
export function define(name: string, link: LinkChoice, domain: string): string {
  const vmi = readVmi(fixture(`${name}.vmi.json`));
  return answerTo(domain, vmi, contextOf(name, { SLIRP_LINK: link }));
}

/** Message of what `work` throws; empty when it throws nothing. */
export function messageOf(work: () => unknown): string {
  try {
    work();
    return "";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Attributes that KubeVirt's schema keeps of an interface's children; of others it keeps none. */
const KEPT: Readonly<Record<string, readonly string[]>> = {
  acpi: ["index"],
  address: ["type", "domain", "bus", "slot", "function"],
  alias: ["name"],
  backend: ["type", "logFile"],
  bandwidth: [],
  boot: ["order"],
  driver: ["name", "queues", "iommu"],
  filterref: ["filter"],
  link: ["state"],
  mac: ["address"],
  model: ["type"],
  mtu: ["size"],
  portForward: ["proto", "address", "dev"],
  rom: ["enabled"],
  source: ["network", "dev", "bridge", "mode"],
  target: ["dev", "managed"],
};

/**
 * What is left of an answer once it has gone through KubeVirt's `api.DomainSpec`: comments, QEMU's
 * namespace and arguments, and whatever of an interface the schema does not know are lost.
 *
 * @param keepsArguments as main does since PR #18460: the arguments come back
 */
export function strip(xml: string, keepsArguments = false): string {
  const text = xml.replace(/\s*<!--.*?-->/gs, "");
  const root = parseXml(text);
  const edits: Edit[] = [];
  const drop = ({ start, end }: { start: number; end: number }): void => {
    const blank = /\s*$/.exec(text.slice(0, start))?.[0].length ?? 0;
    edits.push({ start: start - blank, end, text: "" });
  };
  if (!keepsArguments) {
    dropAttributes(text, root, (name) => name !== "xmlns:qemu", drop);
    for (const child of root.children) if (child.local === "commandline") drop(child);
  }
  const devices = root.children.find(({ local }) => local === "devices");
  for (const device of devices?.children ?? []) {
    if (device.local === "interface") stripInterface(text, device, drop);
  }
  return applyEdits(text, edits);
}

/** Drops the attributes of a start tag that are not kept. */
function dropAttributes(
  text: string,
  { start, openEnd }: XmlElement,
  isKept: (name: string) => boolean,
  drop: (part: { start: number; end: number }) => void,
): void {
  for (const match of text.slice(start, openEnd).matchAll(/([^\s=]+)\s*=\s*(?:"[^"]*"|'[^']*')/g)) {
    const at = start + match.index;
    if (!isKept(match[1] ?? "")) drop({ start: at, end: at + match[0].length });
  }
}

function stripInterface(
  text: string,
  element: XmlElement,
  drop: (part: { start: number; end: number }) => void,
): void {
  for (const child of element.children) {
    const kept = Object.hasOwn(KEPT, child.local) ? KEPT[child.local] : undefined;
    if (kept === undefined) {
      drop(child);
      continue;
    }
    dropAttributes(text, child, (name) => kept.includes(name), drop);
    for (const inner of child.children) if (child.local !== "portForward") drop(inner);
  }
}
