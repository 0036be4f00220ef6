/**
 * XML read by fast-xml-parser, as a tree of elements that remember where in the text they stand. A
 * change is a splice into the original text (`edits.ts`), so comments, CDATA, entities, quotes,
 * attribute order and white space elsewhere stay as they came.
 *
 * Contract: XML 1.0 with namespaces, within the limits of `markup.ts`, which checks the text and
 * hands the library its tags alone. Throws `HookError` for everything else.
 *
 * A namespace goes by a number from its declaration on, so that no name drags the text of its
 * namespace along; references in values are replaced when somebody asks.
 * Source: Namespaces in XML 1.0 (third edition).
 */
import { XMLParser } from "fast-xml-parser";
import { type HookError, quoteTruncated } from "./errors.ts";
import { DEPTH_MAX, malformed, readTags, type Tags } from "./markup.ts";
import { localOf, prefixOf } from "./names.ts";
import { decode } from "./references.ts";

const XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace";
const XMLNS_NAMESPACE = "http://www.w3.org/2000/xmlns/";

export interface XmlAttribute {
  readonly name: string;
  /** Name without prefix. */
  readonly local: string;
  /** Empty for names without a prefix. */
  readonly namespace: string;
  /** References replaced; worked out anew each time it is asked for. */
  readonly value: string;
}

/** Offsets count UTF-16 units from the start of the text; an `end` is that of the next unit. */
export interface XmlElement {
  /** As written, with its prefix. */
  readonly name: string;
  readonly local: string;
  /** Empty for none. */
  readonly namespace: string;
  readonly attributes: readonly XmlAttribute[];
  readonly children: readonly XmlElement[];
  readonly start: number;
  /** Where the start tag ends. */
  readonly openEnd: number;
  /** Where the end tag begins; `openEnd` when there is none. */
  readonly closeStart: number;
  readonly end: number;
  /** Written as `<name/>`. */
  readonly isEmptyTag: boolean;
}

const NOTHING: readonly never[] = Object.freeze([]);

/** Reads a document and answers its root. Throws `HookError`. */
export function parseXml(text: string): XmlElement {
  const tags = readTags(text);
  return new Adapter(text, tags).rootOf(LIBRARY.parse(tags.text));
}

/** The children with this name that are in no namespace. */
export function childrenOf(
  parent: XmlElement,
  local: string,
  namespace = "",
): readonly XmlElement[] {
  if (parent.children.length === 0) return NOTHING;
  return parent.children.filter((each) => each.local === local && each.namespace === namespace);
}

/** The first such child. */
export function childOf(parent: XmlElement, local: string): XmlElement | undefined {
  return parent.children.find((each) => each.local === local && each.namespace === "");
}

/** Value of an attribute that is in no namespace. */
export function attributeOf(element: XmlElement | undefined, name: string): string | undefined {
  return element?.attributes.find((each) => each.name === name)?.value;
}

/** In front of names that JavaScript's own objects have. No name in XML begins so. */
const MARK = "@";
const ATTRIBUTES = ":@";

/** An element: its children under its name, its attributes by theirs, with values as written. */
interface LibraryNode {
  readonly [name: string]: readonly LibraryNode[] | Readonly<Record<string, string>> | undefined;
}

const LIBRARY = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: "",
  transformAttributeName: markName,
  transformTagName: markName,
  parseAttributeValue: false,
  processEntities: false,
  trimValues: false,
  maxNestedTags: DEPTH_MAX,
  // The path of each element as text would take quadratic time.
  jPath: false,
});

/** The library refuses some of these names, changes others, and asks twice for some elements. */
function markName(name: string): string {
  return name in Object.prototype || name === "prototype" ? MARK + name : name;
}

/** The key of a node that its children are under. */
function keyOf(node: LibraryNode): string {
  for (const key in node) if (key !== ATTRIBUTES) return key;
  throw new Error("Internal error: an element without a name");
}

function writtenOf(node: LibraryNode): readonly [string, string][] {
  const attributes = node[ATTRIBUTES] as Readonly<Record<string, string>> | undefined;
  return attributes === undefined ? NOTHING : Object.entries(attributes);
}

function unmarkName(name: string): string {
  return name.startsWith(MARK) ? name.slice(MARK.length) : name;
}

/** A namespace and its number, the same for all declarations of the same text. */
interface Namespace {
  readonly name: string;
  readonly id: number;
}

const NO_NAMESPACE: Namespace = Object.freeze({ name: "", id: 0 });
const XML: Namespace = Object.freeze({ name: XML_NAMESPACE, id: 1 });
const XMLNS: Namespace = Object.freeze({ name: XMLNS_NAMESPACE, id: 2 });

/** What an element declares, and what holds around it. */
interface Scope {
  readonly prefixes: ReadonlyMap<string, Namespace>;
  readonly outer: Scope | undefined;
}

const PREDEFINED: Scope = { prefixes: new Map([["xml", XML]]), outer: undefined };

class Attribute implements XmlAttribute {
  readonly name: string;
  /** Between the quotes. */
  readonly #raw: string;
  readonly #space: Namespace;

  constructor(name: string, raw: string, space: Namespace) {
    this.name = name;
    this.#raw = raw;
    this.#space = space;
  }

  get local(): string {
    return localOf(this.name);
  }

  get namespace(): string {
    return this.#space.name;
  }

  get value(): string {
    return decode(this.#raw);
  }
}

/** Makes elements of the library's nodes, with their places and namespaces. */
class Adapter {
  readonly #text: string;
  readonly #tags: Tags;
  /** Number of the next tag: the library's nodes come in the order of the text. */
  #next = 0;
  readonly #namespaces = new Map([
    ["", NO_NAMESPACE],
    [XML_NAMESPACE, XML],
  ]);

  constructor(text: string, tags: Tags) {
    this.#text = text;
    this.#tags = tags;
  }

  rootOf([root]: readonly LibraryNode[]): XmlElement {
    const element = root === undefined ? undefined : this.#elementOf(root, PREDEFINED);
    if (element === undefined || this.#next !== this.#tags.starts.length) {
      throw new Error("Internal error: the XML library and the checks read different tags");
    }
    return element;
  }

  /** Calls itself no deeper than `DEPTH_MAX` elements are. */
  #elementOf(node: LibraryNode, outer: Scope): XmlElement {
    const start = this.#tags.starts[this.#next] ?? 0;
    const openEnd = this.#tags.ends[this.#next] ?? 0;
    const isEmptyTag = this.#text.startsWith("/>", openEnd - "/>".length);
    this.#next += 1;
    const key = keyOf(node);
    const name = unmarkName(key);
    const written = writtenOf(node);
    const scope = this.#declare(written, outer, start);
    const namespace = this.#resolve(name, scope, start, false).name;
    const attributes = written.length === 0 ? NOTHING : this.#attributesOf(written, scope, start);
    const nodes = node[key] as readonly LibraryNode[];
    const children =
      nodes.length === 0 ? NOTHING : nodes.map((each) => this.#elementOf(each, scope));
    const local = localOf(name);
    const parts = { name, local, namespace, attributes, children, start, openEnd, isEmptyTag };
    if (isEmptyTag) return { ...parts, closeStart: openEnd, end: openEnd };
    const closeStart = this.#tags.starts[this.#next] ?? 0;
    const end = this.#tags.ends[this.#next] ?? 0;
    this.#next += 1;
    return { ...parts, closeStart, end };
  }

  #attributesOf(written: readonly [string, string][], scope: Scope, start: number): Attribute[] {
    const seen = new Set<string>();
    return written.map(([key, raw]) => {
      const name = unmarkName(key);
      const space = this.#resolve(name, scope, start, true);
      // Two attributes may not be the same by two prefixes of one namespace.
      const meaning = `${space.id} ${localOf(name)}`;
      if (seen.has(meaning))
        throw this.#error(`attribute ${quoteTruncated(name)} is repeated`, start);
      seen.add(meaning);
      return new Attribute(name, raw, space);
    });
  }

  #declare(written: readonly [string, string][], outer: Scope, start: number): Scope {
    let prefixes: Map<string, Namespace> | undefined;
    for (const [name, raw] of written) {
      if (name !== "xmlns" && prefixOf(name) !== "xmlns") continue;
      const prefix = name === "xmlns" ? "" : localOf(name);
      const value = decode(raw);
      const isMisused =
        (prefix !== "" && value === "") ||
        prefix === "xmlns" ||
        value === XMLNS_NAMESPACE ||
        (prefix === "xml") !== (value === XML_NAMESPACE);
      if (isMisused) throw this.#error(`prefix ${quoteTruncated(prefix)} is misused`, start);
      const id = XMLNS.id + this.#namespaces.size;
      const namespace = this.#namespaces.get(value) ?? { name: value, id };
      this.#namespaces.set(value, namespace);
      prefixes ??= new Map();
      prefixes.set(prefix, namespace);
    }
    return prefixes === undefined ? outer : { prefixes, outer };
  }

  /** The namespace a name is in. */
  #resolve(name: string, scope: Scope, start: number, isAttribute: boolean): Namespace {
    const prefix = prefixOf(name);
    if (isAttribute && (prefix === "xmlns" || name === "xmlns")) return XMLNS;
    if (isAttribute && prefix === "") return NO_NAMESPACE;
    for (let each: Scope | undefined = scope; each !== undefined; each = each.outer) {
      const namespace = each.prefixes.get(prefix);
      if (namespace !== undefined) return namespace;
    }
    if (prefix === "") return NO_NAMESPACE;
    throw this.#error(`prefix ${quoteTruncated(prefix)} is not declared`, start);
  }

  #error(problem: string, at: number): HookError {
    return malformed(this.#text, at, problem);
  }
}
