/**
 * XML read just far enough to be edited without loss: a tree of elements that remember where in the
 * text they and their attributes stand. A change is a splice into the original text, so comments,
 * CDATA, entities, quotes, attribute order and white space elsewhere stay as they came.
 *
 * Own code, as the libraries at hand build a tree and print it again, which loses exactly that.
 *
 * Contract: XML 1.0 with namespaces, as much of it as needs no DTD. Refused with `HookError`, in
 * time and memory bounded by the limits below: anything that is not well-formed, every DTD (and
 * with it every entity but the five predefined ones), encodings other than UTF-8.
 * Source: Extensible Markup Language 1.0 (fifth edition), Namespaces in XML 1.0 (third edition).
 */
import { brief, type HookError, invalid } from "./errors.ts";

/** UTF-16 units of a text, both XML and JSON. KubeVirt itself sends a few thousand. */
export const TEXT_SIZE_MAX = 10 << 20;
const DEPTH_MAX = 128;
const ELEMENT_COUNT_MAX = 100_000;
const ATTRIBUTE_COUNT_MAX = 256;
const DECLARATION_SIZE_MAX = 256;

const XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace";
const XMLNS_NAMESPACE = "http://www.w3.org/2000/xmlns/";

/** Characters a name begins with (production 4), and those it goes on with (4a). */
const NAME_START =
  ":A-Z_a-z\\u{c0}-\\u{d6}\\u{d8}-\\u{f6}\\u{f8}-\\u{2ff}\\u{370}-\\u{37d}\\u{37f}-\\u{1fff}" +
  "\\u{200c}\\u{200d}\\u{2070}-\\u{218f}\\u{2c00}-\\u{2fef}\\u{3001}-\\u{d7ff}\\u{f900}-\\u{fdcf}" +
  "\\u{fdf0}-\\u{fffd}\\u{10000}-\\u{effff}";
const NAME_NEXT = `${NAME_START}\\-.0-9\\u{b7}\\u{300}-\\u{36f}\\u{203f}\\u{2040}`;
const NAME = new RegExp(`[${NAME_START}][${NAME_NEXT}]*`, "uy");
/** Most names, found several times as fast. */
const PLAIN_NAME = /[A-Z_a-z][-.\w:]*(?![-.\w:\u0080-\uffff])/y;
const BLANK = /[ \t\r\n]*/y;
const REFERENCE = /&(?:amp|lt|gt|quot|apos|#[0-9]{1,10}|#x[0-9a-fA-F]{1,8});/y;
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
  /** References replaced. */
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

/** A splice: what stands from `start` to `end` gives way to `text`. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
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

/** Text as a value between double quotes. White space other than blanks would be normalised. */
export function escapeAttribute(text: string): string {
  return text.replace(/[&<>"\t\r\n]/g, (unit) => `&#${unit.charCodeAt(0)};`);
}

/** Carries out edits that do not overlap; several at one place come in the order given. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  const parts: string[] = [];
  let at = 0;
  for (const edit of [...edits].sort((a, b) => a.start - b.start)) {
    if (edit.start < at) throw new Error(`Internal error: edits overlap at ${edit.start}`);
    parts.push(text.slice(at, edit.start), edit.text);
    at = edit.end;
  }
  return parts.join("") + text.slice(at);
}

class Reader {
  readonly #text: string;
  #at = 0;
  #elementCount = 0;
  readonly #open: OpenElement[] = [];
  /** What each prefix stands for, the innermost declaration last: no look-up walks outwards. */
  readonly #namespaces = new Map([["xml", [XML_NAMESPACE]]]);

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
    const start = this.#at;
    this.#at += 4;
    const end = this.#skipTo("-->", "a comment is not closed");
    const inner = this.#text.slice(start + 4, end - 3);
    if (inner.includes("--") || inner.endsWith("-")) throw this.#error('"--" in a comment', start);
  }

  #readInstruction(): void {
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

  #readStartTag(): XmlElement {
    const start = this.#at;
    this.#elementCount += 1;
    if (this.#elementCount > ELEMENT_COUNT_MAX) {
      throw this.#error(`more than ${ELEMENT_COUNT_MAX} elements`);
    }
    if (this.#open.length >= DEPTH_MAX) throw this.#error(`nested deeper than ${DEPTH_MAX}`);
    this.#at += 1;
    const name = this.#readName();
    const raw = this.#readAttributes();
    const isEmptyTag = this.#text[this.#at] === "/";
    this.#at += isEmptyTag ? 1 : 0;
    if (this.#text[this.#at] !== ">") throw this.#error(`start tag ${brief(name)} is not closed`);
    this.#at += 1;
    const prefixes = this.#declare(raw, start);
    const element: Growing = {
      name,
      local: localOf(name),
      namespace: this.#resolve(name, start, false),
      attributes: raw.map((each) => ({
        name: each.name,
        local: localOf(each.name),
        namespace: this.#resolve(each.name, each.start, true),
        value: each.value,
        start: each.start,
        end: each.end,
      })),
      children: [],
      start,
      openEnd: this.#at,
      closeStart: this.#at,
      end: this.#at,
      isEmptyTag,
    };
    this.#checkTwins(element);
    this.#open.at(-1)?.element.children.push(element);
    if (isEmptyTag) this.#forget(prefixes);
    else this.#open.push({ element, prefixes });
    return element;
  }

  #readAttributes(): Omit<XmlAttribute, "local" | "namespace">[] {
    const found: Omit<XmlAttribute, "local" | "namespace">[] = [];
    const names = new Set<string>();
    for (;;) {
      const before = this.#at;
      this.#skipBlank();
      const next = this.#text[this.#at];
      if (next === undefined || next === ">" || next === "/") return found;
      const start = this.#at;
      if (before === start) throw this.#error("no blank before an attribute");
      const name = this.#readName();
      if (names.has(name)) throw this.#error(`attribute ${brief(name)} twice`, start);
      names.add(name);
      if (names.size > ATTRIBUTE_COUNT_MAX) {
        throw this.#error(`more than ${ATTRIBUTE_COUNT_MAX} attributes`);
      }
      this.#skipBlank();
      if (this.#text[this.#at] !== "=") throw this.#error(`attribute ${brief(name)} has no value`);
      this.#at += 1;
      this.#skipBlank();
      const value = this.#readValue(name);
      found.push({ name, value, start, end: this.#at });
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
    return decode(raw);
  }

  /** Takes in what an element declares, and answers for which prefixes. */
  #declare(attributes: readonly Pick<XmlAttribute, "name" | "value">[], start: number): string[] {
    const prefixes: string[] = [];
    for (const { name, value } of attributes) {
      const isPrefixed = name.startsWith("xmlns:");
      if (name !== "xmlns" && !isPrefixed) continue;
      const prefix = isPrefixed ? name.slice("xmlns:".length) : "";
      const isMisused =
        (isPrefixed && value === "") ||
        prefix === "xmlns" ||
        value === XMLNS_NAMESPACE ||
        (prefix === "xml") !== (value === XML_NAMESPACE);
      if (isMisused) throw this.#error(`prefix ${brief(prefix)} misused`, start);
      const values = this.#namespaces.get(prefix);
      if (values === undefined) this.#namespaces.set(prefix, [value]);
      else values.push(value);
      prefixes.push(prefix);
    }
    return prefixes;
  }

  /** Leaves an element whose declarations no longer hold. */
  #forget(prefixes: readonly string[]): void {
    for (const prefix of prefixes) this.#namespaces.get(prefix)?.pop();
  }

  /** Two attributes may not be the same by two prefixes of one namespace. */
  #checkTwins({ attributes }: XmlElement): void {
    if (!attributes.some(({ name }) => name.includes(":"))) return;
    const seen = new Set<string>();
    for (const { name, local, namespace, start } of attributes) {
      if (namespace === "" || namespace === XMLNS_NAMESPACE) continue;
      const key = `${local} ${namespace}`;
      if (seen.has(key)) throw this.#error(`attribute ${brief(name)} twice`, start);
      seen.add(key);
    }
  }

  /** The namespace a name is in; checks the name. */
  #resolve(name: string, start: number, isAttribute: boolean): string {
    const colon = name.indexOf(":");
    if (colon < 0) {
      if (isAttribute) return name === "xmlns" ? XMLNS_NAMESPACE : "";
      return this.#namespaces.get("")?.at(-1) ?? "";
    }
    const prefix = name.slice(0, colon);
    if (colon === 0 || colon === name.length - 1 || name.includes(":", colon + 1)) {
      throw this.#error(`name ${brief(name)} has a stray colon`, start);
    }
    if (isAttribute && prefix === "xmlns") return XMLNS_NAMESPACE;
    const namespace = this.#namespaces.get(prefix)?.at(-1);
    if (namespace === undefined)
      throw this.#error(`prefix ${brief(prefix)} is not declared`, start);
    return namespace;
  }

  /** Every `&` must begin a reference that needs no DTD. */
  #checkReferences(content: string, start: number): void {
    for (let at = content.indexOf("&"); at >= 0; at = content.indexOf("&", at + 1)) {
      REFERENCE.lastIndex = at;
      const match = REFERENCE.exec(content);
      if (match === null || !isCharacter(match[0])) {
        throw this.#error("an entity that is not predefined", start + at);
      }
    }
  }

  #readName(): string {
    PLAIN_NAME.lastIndex = this.#at;
    NAME.lastIndex = this.#at;
    const name = (PLAIN_NAME.exec(this.#text) ?? NAME.exec(this.#text))?.[0];
    if (name === undefined) throw this.#error("a name is missing");
    this.#at += name.length;
    return name;
  }

  #skipBlank(): void {
    BLANK.lastIndex = this.#at;
    this.#at += BLANK.exec(this.#text)?.[0].length ?? 0;
  }

  /** Moves behind `mark` and answers where that is. */
  #skipTo(mark: string, problem: string): number {
    const found = this.#text.indexOf(mark, this.#at);
    if (found < 0) throw this.#error(problem);
    this.#at = found + mark.length;
    return this.#at;
  }

  #error(problem: string, at: number = this.#at): HookError {
    const before = this.#text.slice(0, at);
    const line = before.split("\n").length;
    const column = at - before.lastIndexOf("\n");
    return invalid(`parse domain XML: line ${line} column ${column}: ${problem}`);
  }
}

function localOf(name: string): string {
  return name.slice(name.indexOf(":") + 1);
}

const PREDEFINED: Readonly<Record<string, string>> = Object.freeze({
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&apos;": "'",
});

/** Character data of an attribute: references replaced, white space normalised (XML 3.3.3). */
function decode(raw: string): string {
  const plain = raw.replace(/\r\n|[\t\r\n]/g, " ");
  if (!plain.includes("&")) return plain;
  return plain.replace(/&[^;]*;/g, (text) => PREDEFINED[text] ?? String.fromCodePoint(code(text)));
}

/** The number in `&#65;` or `&#x41;`. */
function code(reference: string): number {
  const digits = reference.slice(2, -1);
  return digits.startsWith("x") ? Number.parseInt(digits.slice(1), 16) : Number(digits);
}

function isCharacter(reference: string): boolean {
  if (!reference.startsWith("&#")) return true;
  const point = code(reference);
  const isSurrogate = point >= 0xd800 && point <= 0xdfff;
  const isControl = point < 0x20 && point !== 9 && point !== 10 && point !== 13;
  return point <= 0x10ffff && !isSurrogate && !isControl && point !== 0xfffe && point !== 0xffff;
}
