/**
 * The virtual machine of KubeVirt's user guide, as virt-launcher hands it to the hooks: the VMI,
 * and the domain of each of the calls of OnDefineDomain. And the other way: where the card of an
 * answer is plugged in.
 */
import {
  attributeOf,
  childOf,
  childrenOf,
  parseXml,
  type XmlElement,
} from "../../hooks/domain/xml.ts";
import machine from "./machine.json" with { type: "json" };

export interface Machine {
  /** JSON. */
  readonly vmi: string;
  /** XML, in the order of the calls. */
  readonly domains: readonly string[];
}

/** Where a domain plugs the guest's card in. */
export type PluggedLink =
  | { readonly kind: "client"; readonly host: string; readonly port: number; readonly mac: string }
  | { readonly kind: "stream"; readonly path: string; readonly mac: string };

const QEMU = "http://libvirt.org/schemas/domain/qemu/1.0";

/** @param port what the guide has port 80 for, which an ordinary user may not listen on */
export function userGuideMachine(port: number): Machine {
  const { vmi, domains } = machine;
  const { devices } = vmi.spec.domain;
  const interfaces = devices.interfaces.map((each) => ({
    ...each,
    ports: [{ name: "http", port, protocol: "TCP" }],
  }));
  const domain = { ...vmi.spec.domain, devices: { ...devices, interfaces } };
  return {
    vmi: JSON.stringify({ ...vmi, spec: { ...vmi.spec, domain } }),
    domains: domains.map((lines) => lines.join("\n")),
  };
}

/** The link of the first card that is ours. @throws Error where the domain has none */
export function linkOf(xml: string): PluggedLink {
  const root = parseXml(xml);
  const devices = childOf(root, "devices");
  const cards = devices === undefined ? [] : childrenOf(devices, "interface");
  for (const card of cards) {
    if (attributeOf(card, "type") !== "client") continue;
    const source = childOf(card, "source");
    const host = attributeOf(source, "address") ?? "";
    const mac = attributeOf(childOf(card, "mac"), "address") ?? "";
    return { kind: "client", host, port: Number(attributeOf(source, "port")), mac };
  }
  const stream = streamOf(root);
  if (stream === undefined) throw new Error("The domain names no link");
  return stream;
}

/** By QEMU's own arguments: libvirt has no such interface. */
function streamOf(root: XmlElement): PluggedLink | undefined {
  const [commandLine] = childrenOf(root, "commandline", QEMU);
  if (commandLine === undefined) return undefined;
  const values = childrenOf(commandLine, "arg", QEMU).map((arg) => attributeOf(arg, "value") ?? "");
  const after = (option: string): string => values[values.indexOf(option) + 1] ?? "";
  const path = /^stream,.*\baddr\.path=([^,]+)/.exec(after("-netdev"))?.[1];
  const mac = /"mac":"([0-9a-f:]+)"/.exec(after("-device"))?.[1];
  return path === undefined || mac === undefined ? undefined : { kind: "stream", path, mac };
}
