/**
 * XML read just far enough to be edited without loss: a tree of elements that remember where in the
 * text they and their attributes stand. A change is a splice into the original text, so comments,
 * CDATA, entities, quotes, attribute order and white space elsewhere stay as they came.
 *
 * Own code, as the libraries at hand build a tree and print it again, which loses exactly that.
 *
 * Contract: XML 1.0 with namespaces, as much of it as needs no DTD. Refused with `HookError`:
 * anything that is not well-formed, every DTD (and with it every entity but the five predefined
 * ones), encodings other than UTF-8, and what is beyond the limits below.
 *
 * Time and memory are linear in the text, whoever wrote it. Nothing is copied out of it: names and
 * values are slices, values are worked out when somebody asks. A namespace goes by a number from
 * its declaration on, so that no name drags the text of its namespace along. What takes objects
 * (elements, attributes, comments, …) is counted, all together, up to `MARKUP_COUNT_MAX`.
 * Source: Extensible Markup Language 1.0 (fifth edition), Namespaces in XML 1.0 (third edition).
 */
import { brief, type HookError, invalid } from "./errors.ts";
import { isBlank, localOf, nameAt } from "./names.ts";
import { decode, isReference } from "./references.ts";

/** UTF-16 units of a text, both XML and JSON. KubeVirt itself sends a few thousand. */
export const TEXT_SIZE_MAX = 10 << 20;
const DEPTH_MAX = 128;
/**
 * Elements, attributes, comments, CDATA sections and processing instructions. A domain with 256
 * network cards and as many disks has some 10,000.
 */
export const MARKUP_COUNT_MAX = 50_000;
/** Attributes of one element. */
const ATTRIBUTE_COUNT_MAX = 256;
const DECLARATION_SIZE_MAX = 256;
const LINE_FEED = 0x0a;

const XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace";
const XMLNS_NAMESPACE = "http://www.w3.org/2000/xmlns/";

const FORBIDDEN = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/;
const DECLARATION = new RegExp(
  [
    String.raw`^<\?xml\s+version\s*=\s*(["'])1\.\d+\1`,
    String.raw`(?:\s+encoding\s*=\s*(["'])([\w.-]+)\2)?`,
    String.raw`(?:\s+standalone\s*=\s*(["'])(?:yes|no)\4)?\s*\?>$`,
  ].join(""),
);

/** Offsets count UTF-16 units from the start of the text; an `end` is that of the next unit. */
export interface XmlAttribute {
  readonly name: string;
  /** Name without prefix. */
  readonly local: string;
  /** Empty for names without a prefix. */
  readonly namespace: string;
  /** References replaced; worked out anew each time it is asked for. */
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

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

/** A namespace and its number, the same for all declarations of the same text. */
interface Namespace {
  readonly name: string;
  readonly id: number;
}

interface OpenElement {
  readonly element: Growing;
  /** Prefixes it declares. */
  readonly prefixes: readonly string[];
}

type Growing = {
  -readonly [K in keyof XmlElement]: XmlElement[K] extends readonly XmlElement[]
    ? XmlElement[]
    : XmlElement[K];
};

const NOTHING: readonly never[] = Object.freeze([]);

class Attribute implements XmlAttribute {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  /** Between the quotes. */
  readonly raw: string;
  space: Namespace = NO_NAMESPACE;

  constructor(name: string, raw: string, start: number, end: number) {
    this.name = name;
    this.raw = raw;
    this.start = start;
    this.end = end;
  }

  get local(): string {
    return localOf(this.name);
  }

  get namespace(): string {
    return this.space.name;
  }

  get value(): string {
    return decode(this.raw);
  }
}

const NO_NAMESPACE: Namespace = Object.freeze({ name: "", id: 0 });
const XML: Namespace = Object.freeze({ name: XML_NAMESPACE, id: 1 });
const XMLNS: Namespace = Object.freeze({ name: XMLNS_NAMESPACE, id: 2 });

/** Reads a document and answers its root. Throws `HookError`. */
export function parseXml(text: string): XmlElement {
  if (text.length > TEXT_SIZE_MAX) {
    throw invalid(`parse domain XML: ${text.length} characters are more than ${TEXT_SIZE_MAX}`);
  }
  return new Reader(text).readDocument();
}

/** The children with this name that are in no namespace. */
export function childrenOf(parent: XmlElement, local: string, namespace = ""): XmlElement[] {
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

class Reader {
  readonly #text: string;
  #at = 0;
  #markupCount = 0;
  readonly #open: OpenElement[] = [];
  /** What each prefix stands for, the innermost declaration last: no look-up walks outwards. */
  readonly #prefixes = new Map<string, Namespace[]>([["xml", [XML]]]);
  readonly #namespaces = new Map<string, Namespace>();

  constructor(text: string) {
    this.#text = text;
  }

  readDocument(): XmlElement {
    const text = this.#text;
    const forbidden = FORBIDDEN.exec(text);
    if (forbidden !== null) throw this.#error("a control character", forbidden.index);
    if (!text.isWellFormed()) throw invalid("parse domain XML: half a surrogate pair");
    if (text.startsWith("\ufeff")) this.#at = 1;
    this.#readDeclaration();
    let root: XmlElement | undefined;
    while (this.#at < text.length) {
      this.#readText();
      if (this.#at >= text.length) break;
      if (text.startsWith("</", this.#at)) this.#readEndTag();
      else if (text.startsWith("<!--", this.#at)) this.#readComment();
      else if (text.startsWith("<?", this.#at)) this.#readInstruction();
      else if (text.startsWith("<![CDATA[", this.#at)) this.#readCdata();
      else if (text.startsWith("<!", this.#at)) throw this.#error("a DTD is not allowed");
      else {
        if (root !== undefined && this.#open.length === 0) throw this.#error("a second root");
        const element = this.#readStartTag();
        root ??= element;
      }
    }
    const unclosed = this.#open.at(-1);
    if (unclosed !== undefined) {
      throw this.#error(`element ${brief(unclosed.element.name)} is not closed`);
    }
    if (root === undefined) throw invalid("parse domain XML: no element in it");
    return root;
  }

  #readDeclaration(): void {
    const start = this.#at;
    if (!/^<\?xml[ \t\r\n]/.test(this.#text.slice(start, start + 6))) return;
    const end = this.#skipTo("?>", "an XML declaration is not closed");
    const match =
      end - start > DECLARATION_SIZE_MAX ? null : DECLARATION.exec(this.#text.slice(start, end));
    if (match === null) throw this.#error("a malformed XML declaration", start);
    const encoding = match[3] ?? "utf-8";
    if (!/^(?:utf-8|us-ascii)$/i.test(encoding)) {
      throw this.#error(`encoding ${brief(encoding)}, wanted "UTF-8"`, start);
    }
  }

  /** Text up to the next `<`, checked, not kept. */
  #readText(): void {
    const start = this.#at;
    const found = this.#text.indexOf("<", start);
    const end = found < 0 ? this.#text.length : found;
    const content = this.#text.slice(start, end);
    if (this.#open.length === 0) {
      const stray = content.search(/[^ \t\r\n]/);
      if (stray >= 0) throw this.#error("text outside the root", start + stray);
    } else {
      this.#checkReferences(content, start);
      const stray = content.indexOf("]]>");
      if (stray >= 0) throw this.#error('a stray "]]>"', start + stray);
    }
    this.#at = end;
  }

  #readComment(): void {
    this.#count();
    const start = this.#at;
    this.#at += 4;
    const end = this.#skipTo("-->", "a comment is not closed");
    const inner = this.#text.slice(start + 4, end - 3);
    if (inner.includes("--") || inner.endsWith("-")) throw this.#error('"--" in a comment', start);
  }

  #readInstruction(): void {
    this.#count();
    const start = this.#at;
    this.#at += 2;
    const target = this.#readName();
    if (target.toLowerCase() === "xml") throw this.#error("a late XML declaration", start);
    if (!/[ \t\r\n?]/.test(this.#text[this.#at] ?? "?")) {
      throw this.#error("a malformed processing instruction", start);
    }
    this.#skipTo("?>", "a processing instruction is not closed");
  }

  #readCdata(): void {
    this.#count();
    if (this.#open.length === 0) throw this.#error("text outside the root");
    this.#skipTo("]]>", "a CDATA section is not closed");
  }

  #readEndTag(): void {
    const closeStart = this.#at;
    this.#at += 2;
    const name = this.#readName();
    this.#skipBlank();
    if (this.#text[this.#at] !== ">") throw this.#error("an end tag is not closed");
    this.#at += 1;
    const top = this.#open.pop();
    if (top === undefined || top.element.name !== name) {
      const wanted = top === undefined ? "none" : brief(top.element.name);
      throw this.#error(`end tag ${brief(name)}, wanted ${wanted}`, closeStart);
    }
    top.element.closeStart = closeStart;
    top.element.end = this.#at;
    this.#forget(top.prefixes);
  }

  /** Takes in one more piece of markup. */
  #count(): void {
    this.#markupCount += 1;
    if (this.#markupCount <= MARKUP_COUNT_MAX) return;
    throw this.#error(`more than ${MARKUP_COUNT_MAX} elements, attributes and comments`);
  }

  #readStartTag(): XmlElement {
    const start = this.#at;
    this.#count();
    if (this.#open.length >= DEPTH_MAX) throw this.#error(`nested deeper than ${DEPTH_MAX}`);
    this.#at += 1;
    const name = this.#readName();
    const attributes = this.#readAttributes();
    const isEmptyTag = this.#text[this.#at] === "/";
    this.#at += isEmptyTag ? 1 : 0;
    if (this.#text[this.#at] !== ">") throw this.#error(`start tag ${brief(name)} is not closed`);
    this.#at += 1;
    const prefixes = this.#declare(attributes, start);
    for (const each of attributes) each.space = this.#resolve(each.name, each.start, true);
    const element: Growing = {
      name,
      local: localOf(name),
      namespace: this.#resolve(name, start, false).name,
      attributes,
      children: NOTHING as never[],
      start,
      openEnd: this.#at,
      closeStart: this.#at,
      end: this.#at,
      isEmptyTag,
    };
    this.#checkTwins(attributes);
    const parent = this.#open.at(-1)?.element;
    if (parent?.children.length === 0) parent.children = [element];
    else parent?.children.push(element);
    if (isEmptyTag) this.#forget(prefixes);
    else this.#open.push({ element, prefixes });
    return element;
  }

  #readAttributes(): readonly Attribute[] {
    let found: Attribute[] | undefined;
    let names: Set<string> | undefined;
    for (;;) {
      const before = this.#at;
      this.#skipBlank();
      const next = this.#text[this.#at];
      if (next === undefined || next === ">" || next === "/") return found ?? NOTHING;
      const start = this.#at;
      if (before === start) throw this.#error("no blank before an attribute");
      this.#count();
      const name = this.#readName();
      names ??= new Set();
      if (names.has(name)) throw this.#error(`attribute ${brief(name)} twice`, start);
      names.add(name);
      if (names.size > ATTRIBUTE_COUNT_MAX) {
        throw this.#error(`more than ${ATTRIBUTE_COUNT_MAX} attributes`);
      }
      this.#skipBlank();
      if (this.#text[this.#at] !== "=") throw this.#error(`attribute ${brief(name)} has no value`);
      this.#at += 1;
      this.#skipBlank();
      const raw = this.#readValue(name);
      found ??= [];
      found.push(new Attribute(name, raw, start, this.#at));
    }
  }

  #readValue(name: string): string {
    const mark = this.#text[this.#at];
    if (mark !== '"' && mark !== "'") throw this.#error(`attribute ${brief(name)} has no quotes`);
    const start = this.#at + 1;
    this.#at = start;
    const end = this.#skipTo(mark, `attribute ${brief(name)} is not closed`) - 1;
    const raw = this.#text.slice(start, end);
    const stray = raw.indexOf("<");
    if (stray >= 0) throw this.#error('"<" in an attribute', start + stray);
    this.#checkReferences(raw, start);
    return raw;
  }

  /** Takes in what an element declares, and answers for which prefixes. */
  #declare(attributes: readonly Attribute[], start: number): readonly string[] {
    let prefixes: string[] | undefined;
    for (const { name, value } of attributes.filter(isDeclaration)) {
      const isPrefixed = name !== "xmlns";
      const prefix = isPrefixed ? name.slice("xmlns:".length) : "";
      const isMisused =
        (isPrefixed && value === "") ||
        prefix === "xmlns" ||
        value === XMLNS_NAMESPACE ||
        (prefix === "xml") !== (value === XML_NAMESPACE);
      if (isMisused) throw this.#error(`prefix ${brief(prefix)} misused`, start);
      const values = this.#prefixes.get(prefix);
      const namespace = this.#namespaceOf(value);
      if (values === undefined) this.#prefixes.set(prefix, [namespace]);
      else values.push(namespace);
      prefixes ??= [];
      prefixes.push(prefix);
    }
    return prefixes ?? NOTHING;
  }

  #namespaceOf(name: string): Namespace {
    if (name === "") return NO_NAMESPACE;
    if (name === XML_NAMESPACE) return XML;
    const known = this.#namespaces.get(name);
    if (known !== undefined) return known;
    const namespace = { name, id: XMLNS.id + 1 + this.#namespaces.size };
    this.#namespaces.set(name, namespace);
    return namespace;
  }

  /** Leaves an element whose declarations no longer hold. */
  #forget(prefixes: readonly string[]): void {
    for (const prefix of prefixes) this.#prefixes.get(prefix)?.pop();
  }

  /** Two attributes may not be the same by two prefixes of one namespace. */
  #checkTwins(attributes: readonly Attribute[]): void {
    if (!attributes.some(({ name }) => name.includes(":"))) return;
    const seen = new Set<string>();
    for (const { name, local, space, start } of attributes) {
      if (space === NO_NAMESPACE || space === XMLNS) continue;
      const key = `${space.id} ${local}`;
      if (seen.has(key)) throw this.#error(`attribute ${brief(name)} twice`, start);
      seen.add(key);
    }
  }

  /** The namespace a name is in; checks the name. */
  #resolve(name: string, start: number, isAttribute: boolean): Namespace {
    const colon = name.indexOf(":");
    if (colon < 0) {
      if (isAttribute) return name === "xmlns" ? XMLNS : NO_NAMESPACE;
      return this.#prefixes.get("")?.at(-1) ?? NO_NAMESPACE;
    }
    const prefix = name.slice(0, colon);
    if (colon === 0 || colon === name.length - 1 || name.includes(":", colon + 1)) {
      throw this.#error(`name ${brief(name)} has a stray colon`, start);
    }
    if (isAttribute && prefix === "xmlns") return XMLNS;
    const namespace = this.#prefixes.get(prefix)?.at(-1);
    if (namespace === undefined)
      throw this.#error(`prefix ${brief(prefix)} is not declared`, start);
    return namespace;
  }

  /** Every `&` must begin a reference that needs no DTD. */
  #checkReferences(content: string, start: number): void {
    for (let at = content.indexOf("&"); at >= 0; at = content.indexOf("&", at + 1)) {
      if (isReference(content, at)) continue;
      throw this.#error("an entity that is not predefined", start + at);
    }
  }

  #readName(): string {
    const name = nameAt(this.#text, this.#at);
    if (name === undefined) throw this.#error("a name is missing");
    this.#at += name.length;
    return name;
  }

  #skipBlank(): void {
    while (isBlank(this.#text.charCodeAt(this.#at))) this.#at += 1;
  }

  /** Moves behind `mark` and answers where that is. */
  #skipTo(mark: string, problem: string): number {
    const found = this.#text.indexOf(mark, this.#at);
    if (found < 0) throw this.#error(problem);
    this.#at = found + mark.length;
    return this.#at;
  }

  #error(problem: string, at: number = this.#at): HookError {
    let line = 1;
    let begin = 0;
    for (let place = 0; place < at; place += 1) {
      if (this.#text.charCodeAt(place) !== LINE_FEED) continue;
      line += 1;
      begin = place + 1;
    }
    const column = at - begin + 1;
    return invalid(`parse domain XML: line ${line} column ${column}: ${problem}`);
  }
}

function isDeclaration({ name }: XmlAttribute): boolean {
  return name === "xmlns" || name.startsWith("xmlns:");
}
