/**
 * The parts of a VirtualMachineInstance that a network binding looks at, read from KubeVirt's JSON
 * into a small value of its own.
 *
 * Contract: the text is untrusted. Types and sizes are checked here, values (an address, a port, a
 * model) in `plan.ts`. Unknown fields are ignored, as newer releases of KubeVirt add some. Throws
 * `HookError` with the path of the invalid field.
 * Source: KubeVirt API v1, VirtualMachineInstanceSpec.
 */
import { quote } from "../../config/errors.ts";
import { invalid, quoteTruncated, unsupported } from "./errors.ts";
import { TEXT_SIZE_MAX } from "./markup.ts";

/** A port as written; neither number nor protocol is validated yet. */
export interface VmiPort {
  readonly name: string | undefined;
  readonly protocol: string | undefined;
  readonly port: number;
}

export interface VmiDhcpOptions {
  readonly bootFileName: string | undefined;
  readonly tftpServerName: string | undefined;
  readonly ntpServers: readonly string[];
  readonly privateOptions: readonly { readonly code: number; readonly value: string }[];
}

export interface VmiInterface {
  readonly name: string;
  /** Place in the list of interfaces, from 0. */
  readonly index: number;
  /** Name of the network binding plugin. */
  readonly bindingName: string | undefined;
  /** Asks for `slirp: {}`, as before KubeVirt 1.8. */
  readonly isLegacySlirp: boolean;
  readonly macAddress: string | undefined;
  readonly model: string | undefined;
  readonly pciAddress: string | undefined;
  readonly acpiIndex: number | undefined;
  readonly bootOrder: number | undefined;
  /** `up`, `down` or `absent`. */
  readonly state: string | undefined;
  readonly ports: readonly VmiPort[];
  readonly dhcpOptions: VmiDhcpOptions;
}

export interface VmiNetwork {
  readonly name: string;
  readonly isPod: boolean;
  readonly cidr: string | undefined;
  readonly cidr6: string | undefined;
}

export interface Vmi {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string | undefined;
  readonly annotations: ReadonlyMap<string, string>;
  readonly hostname: string | undefined;
  readonly subdomain: string | undefined;
  /** As Kubernetes names it: `amd64`, `arm64`, `s390x`. */
  readonly architecture: string | undefined;
  readonly useVirtioTransitional: boolean;
  readonly interfaces: readonly VmiInterface[];
  readonly networks: readonly VmiNetwork[];
}

/** What our annotations begin with. */
export const ANNOTATION_PREFIX = "slirp.network.kubevirt.io/";

const DEPTH_MAX = 128;
/**
 * Values, names of fields among them: a parser makes an object of each. KubeVirt's own documents
 * have some hundreds, one with 256 interfaces and all their ports some 10,000.
 */
const VALUE_COUNT_MAX = 100_000;
const INTERFACE_COUNT_MAX = 256;
const PORT_COUNT_MAX = 4096;
const LIST_COUNT_MAX = 256;
const TEXT_FIELD_SIZE_MAX = 1024;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** KubeVirt's rule for the name of an interface; its alias and QEMU's ids are made from it. */
const INTERFACE_NAME = /^[A-Za-z0-9_-]{1,128}$/;

/** Reads the JSON text of a VMI. */
export function readVmi(text: string): Vmi {
  const root = JsonNode.parse(text);
  const metadata = root.child("metadata");
  const spec = root.child("spec");
  const devices = spec.child("domain").child("devices");
  const name = metadata.text("name");
  if (name === undefined || name === "") throw invalid('parse VMI: no "metadata.name"');
  return {
    name,
    namespace: metadata.text("namespace") || "default",
    uid: metadata.text("uid"),
    annotations: readAnnotations(metadata.child("annotations")),
    hostname: spec.text("hostname") || undefined,
    subdomain: spec.text("subdomain") || undefined,
    architecture: spec.text("architecture"),
    useVirtioTransitional: devices.flag("useVirtioTransitional"),
    interfaces: readInterfaces(devices),
    networks: spec.list("networks", INTERFACE_COUNT_MAX).map(readNetwork),
  };
}

/**
 * An annotation of ours; undefined for none, and an empty one is none.
 * @param isAllowed whether VMs may have any. Throws `HookError` where one has and may not
 */
export function readAnnotation(vmi: Vmi, key: string, isAllowed: boolean): string | undefined {
  const value = vmi.annotations.get(key) || undefined;
  if (value === undefined || isAllowed) return value;
  throw unsupported(`annotation ${quote(key)} is not allowed here`);
}

function readInterfaces(devices: JsonNode): VmiInterface[] {
  const interfaces = devices.list("interfaces", INTERFACE_COUNT_MAX).map(readInterface);
  const names = new Set<string>();
  for (const { name } of interfaces) {
    if (names.has(name)) throw invalid(`parse VMI: iface ${quoteTruncated(name)} is listed twice`);
    names.add(name);
  }
  return interfaces;
}

function readInterface(node: JsonNode, index: number): VmiInterface {
  const name = node.text("name") ?? "";
  if (!INTERFACE_NAME.test(name)) {
    throw invalid(
      `parse VMI: iface name ${quoteTruncated(name)}: wanted letters, digits, "-" and "_"`,
    );
  }
  return {
    name,
    index,
    bindingName: node.child("binding").text("name"),
    isLegacySlirp: node.child("slirp").isPresent,
    macAddress: node.text("macAddress") || undefined,
    model: node.text("model") || undefined,
    pciAddress: node.text("pciAddress") || undefined,
    acpiIndex: node.integer("acpiIndex"),
    bootOrder: node.integer("bootOrder"),
    state: node.text("state") || undefined,
    ports: node.list("ports", PORT_COUNT_MAX).map(readPort),
    dhcpOptions: readDhcpOptions(node.child("dhcpOptions")),
  };
}

function readPort(node: JsonNode): VmiPort {
  return {
    name: node.text("name"),
    protocol: node.text("protocol") || undefined,
    port: node.integer("port") ?? 0,
  };
}

function readDhcpOptions(node: JsonNode): VmiDhcpOptions {
  return {
    bootFileName: node.text("bootFileName") || undefined,
    tftpServerName: node.text("tftpServerName") || undefined,
    ntpServers: node.texts("ntpServers"),
    privateOptions: node.list("privateOptions", LIST_COUNT_MAX).map((each) => ({
      code: each.integer("option") ?? 0,
      value: each.text("value") ?? "",
    })),
  };
}

function readNetwork(node: JsonNode): VmiNetwork {
  const pod = node.child("pod");
  return {
    name: node.text("name") ?? "",
    isPod: pod.isPresent,
    cidr: pod.text("vmNetworkCIDR") || undefined,
    cidr6: pod.text("vmIPv6NetworkCIDR") || undefined,
  };
}

/** Only our own: others may be of any size. */
function readAnnotations(node: JsonNode): Map<string, string> {
  const found = new Map<string, string>();
  for (const key of node.keys()) {
    if (key.startsWith(ANNOTATION_PREFIX)) found.set(key, node.text(key) ?? "");
  }
  return found;
}

/** A JSON value and where it stands. An absent value and null are the same, as they are to Go. */
class JsonNode {
  readonly #value: unknown;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    this.#value = value ?? undefined;
    this.#path = path;
  }

  static parse(text: string): JsonNode {
    if (text.length > TEXT_SIZE_MAX) {
      throw invalid(`parse VMI: ${text.length} characters are more than ${TEXT_SIZE_MAX}`);
    }
    checkShape(text);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      // The runtimes word it differently and quote the text, which may be long.
      throw invalid("parse VMI: not JSON");
    }
    const root = new JsonNode(value, "");
    if (!root.#isObject()) throw invalid("parse VMI: not a JSON object");
    return root;
  }

  get isPresent(): boolean {
    return this.#value !== undefined;
  }

  keys(): string[] {
    return this.#isObject() ? Object.keys(this.#value as object) : [];
  }

  child(name: string): JsonNode {
    const node = new JsonNode(this.#field(name), this.#pathOf(name));
    if (node.isPresent && !node.#isObject()) throw node.#wanted("an object");
    return node;
  }

  text(name: string): string | undefined {
    const value = this.#field(name);
    if (value === undefined) return undefined;
    const node = new JsonNode(value, this.#pathOf(name));
    if (typeof value !== "string") throw node.#wanted("text");
    if (value.length > TEXT_FIELD_SIZE_MAX) {
      throw node.#wanted(`at most ${TEXT_FIELD_SIZE_MAX} characters`);
    }
    return value;
  }

  integer(name: string): number | undefined {
    const value = this.#field(name);
    if (value === undefined) return undefined;
    if (typeof value === "number" && Number.isSafeInteger(value)) return value;
    throw new JsonNode(value, this.#pathOf(name)).#wanted("an integer");
  }

  flag(name: string): boolean {
    const value = this.#field(name);
    if (value === undefined || typeof value === "boolean") return value === true;
    throw new JsonNode(value, this.#pathOf(name)).#wanted("true or false");
  }

  list(name: string, countMax: number): JsonNode[] {
    return this.#items(name, countMax).map((value, index) => {
      const node = new JsonNode(value, `${this.#pathOf(name)}[${index}]`);
      if (!node.#isObject()) throw node.#wanted("an object");
      return node;
    });
  }

  texts(name: string): string[] {
    return this.#items(name, LIST_COUNT_MAX).map((value, index) => {
      if (typeof value === "string" && value.length <= TEXT_FIELD_SIZE_MAX) return value;
      throw new JsonNode(value, `${this.#pathOf(name)}[${index}]`).#wanted("text");
    });
  }

  #items(name: string, countMax: number): unknown[] {
    const value = this.#field(name);
    if (value === undefined) return [];
    const node = new JsonNode(value, this.#pathOf(name));
    if (!Array.isArray(value)) throw node.#wanted("a list");
    if (value.length > countMax) throw node.#wanted(`at most ${countMax} entries`);
    return value;
  }

  #isObject(): boolean {
    return typeof this.#value === "object" && !Array.isArray(this.#value);
  }

  #field(name: string): unknown {
    if (!this.#isObject() || !Object.hasOwn(this.#value as object, name)) return undefined;
    return (this.#value as Readonly<Record<string, unknown>>)[name] ?? undefined;
  }

  #pathOf(name: string): string {
    return this.#path === "" ? name : `${this.#path}.${name}`;
  }

  #wanted(what: string): Error {
    return invalid(`parse VMI: field ${quoteTruncated(this.#path)}: wanted ${what}`);
  }
}

/**
 * Refuses deep nesting and great numbers of values before `JSON.parse` makes objects of them: not
 * every parser bounds its stack, and none what it allocates.
 */
function checkShape(text: string): void {
  let depth = 0;
  let count = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) {
      at = endOfText(text, at);
    } else if (unit === OPEN_LIST || unit === OPEN_OBJECT) {
      depth += 1;
      count += 1;
    } else if (unit === CLOSE_LIST || unit === CLOSE_OBJECT) {
      depth -= 1;
    } else if (unit === COMMA || unit === COLON) {
      count += 1;
    }
    if (depth > DEPTH_MAX) throw invalid(`parse VMI: nested deeper than ${DEPTH_MAX}`);
    if (count > VALUE_COUNT_MAX) throw invalid(`parse VMI: more than ${VALUE_COUNT_MAX} values`);
  }
}

/** Where the text that begins at `start` ends; the end of all if it does not. */
function endOfText(text: string, start: number): number {
  let at = start + 1;
  for (; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) break;
    if (unit === BACKSLASH) at += 1;
  }
  return at;
}
