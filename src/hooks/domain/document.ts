/** The parts of a domain that are read: its root, its devices, their aliases. */
import { invalid, quoteTruncated } from "./errors.ts";
import { attributeOf, childOf, parseXml, type XmlElement } from "./xml.ts";

/** A domain as text and tree. */
export interface Domain {
  readonly text: string;
  readonly root: XmlElement;
  readonly devices: XmlElement;
}

/** Reads a domain. Throws `HookError`. */
export function readDomain(text: string): Domain {
  const root = parseXml(text);
  if (root.name !== "domain" || root.namespace !== "") {
    throw invalid(`parse domain XML: root ${quoteTruncated(root.name)}: wanted "domain"`);
  }
  const devices = childOf(root, "devices");
  if (devices === undefined) throw invalid('parse domain XML: no element "devices"');
  return { text, root, devices };
}

/** The alias of a device; KubeVirt's begin with `ua-`. */
export function aliasOf(device: XmlElement): string | undefined {
  return attributeOf(childOf(device, "alias"), "name");
}

/** The guest's memory is encrypted. */
export function isConfidential(root: XmlElement): boolean {
  return childOf(root, "launchSecurity") !== undefined;
}

/** The first `inner` in the first `outer` of the root. */
export function findIn(root: XmlElement, outer: string, inner: string): XmlElement | undefined {
  const element = childOf(root, outer);
  return element === undefined ? undefined : childOf(element, inner);
}
