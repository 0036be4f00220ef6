/**
 * The checks that a text has to pass before fast-xml-parser (`xml.ts`) reads it, and the part of it
 * that the library is given: the tags. The library neither matches end tags nor refuses text that
 * is not well-formed; it takes some 40 octets for each character between tags, and takes processing
 * instructions apart as if they had attributes.
 *
 * Contract: XML 1.0 without DTD. Refused with `HookError`: anything that is not well-formed, every
 * DTD (and with it every entity but the five predefined ones), encodings other than UTF-8, and what
 * is beyond the limits below. Namespaces are checked in `xml.ts`.
 *
 * Time and memory are linear in the text, whoever wrote it. What the reader or the library makes
 * objects of (elements, attributes, comments, …) is counted, all together.
 * Source: Extensible Markup Language 1.0 (fifth edition).
 */
import { type HookError, invalid, quoteTruncated } from "./errors.ts";
import { isName } from "./names.ts";
import { isReference } from "./references.ts";

/** UTF-16 units of a text, both XML and JSON. KubeVirt itself sends a few thousand. */
export const TEXT_SIZE_MAX = 10 << 20;
/** Elements within each other. */
export const DEPTH_MAX = 128;
/**
 * Elements, attributes, comments, CDATA sections and processing instructions. A domain with 256
 * network cards and as many disks has some 10,000.
 */
const MARKUP_COUNT_MAX = 30_000;
/** Attributes of one element. */
const ATTRIBUTE_COUNT_MAX = 256;
const DECLARATION_SIZE_MAX = 256;
const LINE_FEED = 0x0a;

const FORBIDDEN = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/;
const DECLARATION = new RegExp(
  [
    String.raw`^<\?xml\s+version\s*=\s*(["'])1\.\d+\1`,
    String.raw`(?:\s+encoding\s*=\s*(["'])([\w.-]+)\2)?`,
    String.raw`(?:\s+standalone\s*=\s*(["'])(?:yes|no)\4)?\s*\?>$`,
  ].join(""),
);
const NAME = /[^ \t\r\n=<>"'/?]+/y;
const ATTRIBUTE = /[ \t\r\n]+([^ \t\r\n=<>"'/]+)[ \t\r\n]*=[ \t\r\n]*(?:"([^"]*)"|'([^']*)')/y;
const START_TAG_CLOSE = /[ \t\r\n]*\/?>/y;
const END_TAG_CLOSE = /[ \t\r\n]*>/y;
const INSTRUCTION_OPEN = /<\?([^ \t\r\n?]*)(?=[ \t\r\n]|\?>|$)/y;

/** The tags of a well-formed text, in order. Offsets count UTF-16 units. */
export interface Tags {
  /** All of them, one right behind the other. */
  readonly text: string;
  /** Where each tag starts and ends in the whole text. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** Checks a document and answers its tags. Throws `HookError`. */
export function readTags(text: string): Tags {
  if (text.length > TEXT_SIZE_MAX) {
    throw invalid(`parse domain XML: ${text.length} characters are more than ${TEXT_SIZE_MAX}`);
  }
  const tags = new Scanner(text).readDocument();
  checkBreaks(tags.text);
  return tags;
}

/** What is wrong, and where. */
export function malformed(text: string, at: number, problem: string): HookError {
  let line = 1;
  let begin = 0;
  for (let place = 0; place < at; place += 1) {
    if (text.charCodeAt(place) !== LINE_FEED) continue;
    line += 1;
    begin = place + 1;
  }
  const column = at - begin + 1;
  return invalid(`parse domain XML: line ${line} column ${column}: ${problem}`);
}

/** The library makes objects of tabs and carriage returns in tags. */
function checkBreaks(tags: string): void {
  const pattern = /[\t\r]/g;
  for (let count = 0; pattern.test(tags); count += 1) {
    if (count < MARKUP_COUNT_MAX) continue;
    throw invalid(
      `parse domain XML: more than ${MARKUP_COUNT_MAX} tabs and carriage returns in tags`,
    );
  }
}

class Scanner {
  readonly #text: string;
  #at = 0;
  #markupCount = 0;
  /** Names of the elements that are open. */
  readonly #open: string[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  readDocument(): Tags {
    const text = this.#text;
    const forbidden = FORBIDDEN.exec(text);
    if (forbidden !== null) throw malformed(text, forbidden.index, "control character");
    if (!text.isWellFormed()) throw invalid("parse domain XML: half a surrogate pair");
    if (text.startsWith("\ufeff")) this.#at = 1;
    this.#readDeclaration();
    for (this.#readText(); this.#at < text.length; this.#readText()) this.#readMarkup();
    const unclosed = this.#open.at(-1);
    if (unclosed !== undefined)
      throw this.#error(`element ${quoteTruncated(unclosed)} is not closed`);
    if (this.#starts.length === 0) throw invalid("parse domain XML: no root element");
    return { text: this.#tagsAlone(), starts: this.#starts, ends: this.#ends };
  }

  #tagsAlone(): string {
    const parts: string[] = [];
    // Tags with nothing between them are one slice.
    let from = this.#starts[0];
    for (let index = 0; index < this.#ends.length; index += 1) {
      const [end, next] = [this.#ends[index], this.#starts[index + 1]];
      if (next === end) continue;
      parts.push(this.#text.slice(from, end));
      from = next;
    }
    return parts.join("");
  }

  #readDeclaration(): void {
    const start = this.#at;
    if (!/^<\?xml[ \t\r\n]/.test(this.#text.slice(start, start + 6))) return;
    const end = this.#skipTo("?>", "XML declaration is not closed");
    const match =
      end - start > DECLARATION_SIZE_MAX ? null : DECLARATION.exec(this.#text.slice(start, end));
    if (match === null) throw this.#error("XML declaration is malformed", start);
    const encoding = match[3] ?? "utf-8";
    if (!/^(?:utf-8|us-ascii)$/i.test(encoding)) {
      throw this.#error(`encoding ${quoteTruncated(encoding)}: wanted "UTF-8"`, start);
    }
  }

  /** Text up to the next `<`. */
  #readText(): void {
    const start = this.#at;
    const found = this.#text.indexOf("<", start);
    const end = found < 0 ? this.#text.length : found;
    const content = this.#text.slice(start, end);
    if (this.#open.length === 0) {
      const stray = content.search(/[^ \t\r\n]/);
      if (stray >= 0) throw this.#error("text outside the root element", start + stray);
    } else {
      this.#checkReferences(content, start);
      const stray = content.indexOf("]]>");
      if (stray >= 0) throw this.#error('"]]>" in text', start + stray);
    }
    this.#at = end;
  }

  #readMarkup(): void {
    const text = this.#text;
    if (text.startsWith("</", this.#at)) {
      this.#readEndTag();
      return;
    }
    this.#count();
    if (text.startsWith("<!--", this.#at)) this.#readComment();
    else if (text.startsWith("<?", this.#at)) this.#readInstruction();
    else if (text.startsWith("<![CDATA[", this.#at)) this.#readCdata();
    else if (text.startsWith("<!", this.#at)) throw this.#error("DTD is not allowed");
    else this.#readStartTag();
  }

  #readComment(): void {
    const start = this.#at;
    this.#at += "<!--".length;
    const end = this.#skipTo("-->", "comment is not closed");
    const inner = this.#text.slice(start + "<!--".length, end - "-->".length);
    if (inner.includes("--") || inner.endsWith("-")) throw this.#error('"--" in a comment', start);
  }

  #readInstruction(): void {
    const target = this.#match(INSTRUCTION_OPEN)?.[1] ?? "";
    if (target.toLowerCase() === "xml") throw this.#error("XML declaration is not at the start");
    if (!isName(target)) throw this.#error("processing instruction is malformed");
    this.#skipTo("?>", "processing instruction is not closed");
  }

  #readCdata(): void {
    if (this.#open.length === 0) throw this.#error("text outside the root element");
    this.#skipTo("]]>", "CDATA section is not closed");
  }

  #readEndTag(): void {
    const start = this.#at;
    this.#at += "</".length;
    const name = this.#readName();
    const open = this.#open.pop();
    if (open !== name) {
      const wanted = open === undefined ? "none" : quoteTruncated(open);
      throw this.#error(`end tag ${quoteTruncated(name)}: wanted ${wanted}`, start);
    }
    if (!this.#skip(END_TAG_CLOSE))
      throw this.#error(`end tag ${quoteTruncated(name)} is malformed`);
    this.#add(start);
  }

  #readStartTag(): void {
    const start = this.#at;
    const depth = this.#open.length;
    if (depth === 0 && this.#starts.length > 0) throw this.#error("second root element");
    if (depth >= DEPTH_MAX) throw this.#error(`nested deeper than ${DEPTH_MAX}`);
    this.#at += "<".length;
    const name = this.#readName();
    if (!isName(name))
      throw this.#error(`${quoteTruncated(name)} is not the name of an element`, start);
    if (this.#text[this.#at] !== ">") this.#readAttributes();
    if (!this.#skip(START_TAG_CLOSE))
      throw this.#error(`start tag ${quoteTruncated(name)} is malformed`);
    if (this.#text[this.#at - "/>".length] !== "/") this.#open.push(name);
    this.#add(start);
  }

  #add(start: number): void {
    this.#starts.push(start);
    this.#ends.push(this.#at);
  }

  #readAttributes(): void {
    let names: Set<string> | undefined;
    for (let match = this.#match(ATTRIBUTE); match !== null; match = this.#match(ATTRIBUTE)) {
      const [all, name = "", double, single = ""] = match;
      this.#count();
      if (!isName(name))
        throw this.#error(`${quoteTruncated(name)} is not the name of an attribute`);
      names ??= new Set();
      if (names.has(name)) throw this.#error(`attribute ${quoteTruncated(name)} is repeated`);
      names.add(name);
      if (names.size > ATTRIBUTE_COUNT_MAX) {
        throw this.#error(`more than ${ATTRIBUTE_COUNT_MAX} attributes`);
      }
      const value = double ?? single;
      const start = this.#at + all.length - value.length - 1;
      const stray = value.indexOf("<");
      if (stray >= 0) throw this.#error('"<" in an attribute', start + stray);
      this.#checkReferences(value, start);
      this.#at += all.length;
    }
  }

  /** Takes in one more piece of markup. */
  #count(): void {
    this.#markupCount += 1;
    if (this.#markupCount <= MARKUP_COUNT_MAX) return;
    throw this.#error(`more than ${MARKUP_COUNT_MAX} elements, attributes and comments`);
  }

  /** Every `&` must begin a reference that needs no DTD. */
  #checkReferences(content: string, start: number): void {
    for (let at = content.indexOf("&"); at >= 0; at = content.indexOf("&", at + 1)) {
      if (isReference(content, at)) continue;
      throw this.#error("entity that is not predefined", start + at);
    }
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text);
  }

  /** What stands here up to the end of a name; empty for nothing. */
  #readName(): string {
    const start = this.#at;
    this.#skip(NAME);
    return this.#text.slice(start, this.#at);
  }

  /** Moves behind what matches here, if anything does. */
  #skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    const isFound = pattern.test(this.#text);
    if (isFound) this.#at = pattern.lastIndex;
    return isFound;
  }

  /** Moves behind `mark` and answers where that is. */
  #skipTo(mark: string, problem: string): number {
    const found = this.#text.indexOf(mark, this.#at);
    if (found < 0) throw this.#error(problem);
    this.#at = found + mark.length;
    return this.#at;
  }

  #error(problem: string, at: number = this.#at): HookError {
    return malformed(this.#text, at, problem);
  }
}
