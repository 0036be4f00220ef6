/**
 * Edits that insert, replace and remove elements. New elements follow the style of the document: on
 * lines of their own with its indentation, or without white space in a compact one. Offsets are
 * those of the text that the tree was read from.
 */
import { type Edit, escapeAttribute } from "./edits.ts";
import { isBlank } from "./names.ts";
import type { XmlElement } from "./xml.ts";

/** An element to be written: its name as it shall appear, attributes, children. */
export interface NewElement {
  readonly name: string;
  /** In this order; those that are undefined are left out. */
  readonly attributes?: Readonly<Record<string, string | undefined>>;
  /** A child given as text is written as it is. */
  readonly children?: readonly (NewElement | string)[];
}

const UNIT_DEFAULT = "\t";
/** Longest indentation that is copied: every new line repeats it. */
const INDENT_SIZE_MAX = 256;

/** Adds children at the end of `parent`. */
export function append(
  text: string,
  parent: XmlElement,
  elements: readonly NewElement[],
): readonly Edit[] {
  if (elements.length === 0) return [];
  const outer = lineBreakBefore(text, parent.start);
  const last = parent.children.at(-1);
  const lead =
    last === undefined ? lineBreakInside(text, parent) : lineBreakBefore(text, last.start);
  const unit = indentUnitOf(text, parent);
  const added = elements.map((element) => lead + render(element, lead, unit)).join("");
  if (parent.isEmptyTag) {
    const close = lead === "" ? "" : outer;
    const start = parent.openEnd - "/>".length;
    return [{ start, end: parent.end, text: `>${added}${close}</${parent.name}>` }];
  }
  const at = contentEnd(text, parent);
  // White space before the end tag stays there; `<a></a>` has none.
  const close = lead !== "" && at === parent.closeStart ? outer : "";
  return [{ start: at, end: at, text: added + close }];
}

/** Adds a child of `parent` right before another. */
export function insertBefore(
  text: string,
  parent: XmlElement,
  next: XmlElement,
  element: NewElement,
): Edit {
  const lead = lineBreakBefore(text, next.start);
  const added = render(element, lead, indentUnitOf(text, parent)) + lead;
  return { start: next.start, end: next.start, text: added };
}

/** Adds a child of `parent` right behind another. */
export function insertAfter(
  text: string,
  parent: XmlElement,
  previous: XmlElement,
  element: NewElement,
): Edit {
  const lead = lineBreakBefore(text, previous.start);
  const added = lead + render(element, lead, indentUnitOf(text, parent));
  return { start: previous.end, end: previous.end, text: added };
}

/** Replaces a child of `parent`. */
export function replace(
  text: string,
  parent: XmlElement,
  old: XmlElement,
  element: NewElement,
): Edit {
  const lead = lineBreakBefore(text, old.start);
  return {
    start: old.start,
    end: old.end,
    text: render(element, lead, indentUnitOf(text, parent)),
  };
}

/** Removes an element and the line break and indentation before it. */
export function remove(text: string, old: XmlElement): Edit {
  return { start: old.start - lineBreakBefore(text, old.start).length, end: old.end, text: "" };
}

/** Text of an element that follows `lead`; on one line where `lead` is empty. */
function render(element: NewElement, lead: string, unit: string): string {
  const attributes = Object.entries(element.attributes ?? {})
    .map(([name, value]) => (value === undefined ? "" : ` ${name}="${escapeAttribute(value)}"`))
    .join("");
  const children = element.children ?? [];
  if (children.length === 0) return `<${element.name}${attributes}/>`;
  const inner = lead === "" ? "" : lead + unit;
  const content = children
    .map((child) => inner + (typeof child === "string" ? child : render(child, inner, unit)))
    .join("");
  return `<${element.name}${attributes}>${content}${lead}</${element.name}>`;
}

/**
 * The line break and indentation right before `at`; empty where there is none, or indentation of
 * more than `INDENT_SIZE_MAX`.
 */
function lineBreakBefore(text: string, at: number): string {
  const least = Math.max(at - INDENT_SIZE_MAX, 0);
  let start = at;
  while (start > least && (text[start - 1] === " " || text[start - 1] === "\t")) start -= 1;
  if (text[start - 1] !== "\n") return "";
  start -= text[start - 2] === "\r" ? 2 : 1;
  return text.slice(start, at);
}

/** Where the last attribute of a start tag ends, or the element's name when it has none. */
export function attributesEnd(text: string, element: XmlElement): number {
  const end = element.openEnd - (element.isEmptyTag ? "/>" : ">").length;
  return blankStart(text, element.start, end);
}

/** Where the white space before the end tag begins. */
function contentEnd(text: string, parent: XmlElement): number {
  return blankStart(text, parent.openEnd, parent.closeStart);
}

/** Where the white space right before `end` begins, not before `start`. */
function blankStart(text: string, start: number, end: number): number {
  let at = end;
  while (at > start && isBlank(text.charCodeAt(at - 1))) at -= 1;
  return at;
}

/** The indentation of one level, taken from the first child of `parent`. */
function indentUnitOf(text: string, parent: XmlElement): string {
  const [first] = parent.children;
  if (first === undefined) return UNIT_DEFAULT;
  const outer = lineBreakBefore(text, parent.start).replace(/^\r?\n/, "");
  const inner = lineBreakBefore(text, first.start).replace(/^\r?\n/, "");
  return inner.startsWith(outer) && inner !== outer ? inner.slice(outer.length) : UNIT_DEFAULT;
}

/** Line break and indentation for the first child of `parent`. */
function lineBreakInside(text: string, parent: XmlElement): string {
  const outer = lineBreakBefore(text, parent.start);
  return outer === "" ? "" : outer + UNIT_DEFAULT;
}
