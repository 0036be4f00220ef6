/**
 * Names and white space in XML text.
 *
 * Contract: a name has at most one colon, between two parts that are not empty. U+1680 and U+FEFF
 * count as no part of a name, although XML allows them: fast-xml-parser takes them for white space.
 * Source: Extensible Markup Language 1.0 (fifth edition), section 2.3; Namespaces in XML 1.0 (third
 * edition), section 4.
 */

/** Characters a name begins with (production 4), and those it goes on with (4a); no colon. */
const NAME_START =
  "A-Z_a-z\\u{c0}-\\u{d6}\\u{d8}-\\u{f6}\\u{f8}-\\u{2ff}\\u{370}-\\u{37d}\\u{37f}-\\u{167f}" +
  "\\u{1681}-\\u{1fff}\\u{200c}\\u{200d}\\u{2070}-\\u{218f}\\u{2c00}-\\u{2fef}\\u{3001}-\\u{d7ff}" +
  "\\u{f900}-\\u{fdcf}\\u{fdf0}-\\u{fefe}\\u{ff00}-\\u{fffd}\\u{10000}-\\u{effff}";
const NAME_NEXT = `${NAME_START}\\-.0-9\\u{b7}\\u{300}-\\u{36f}\\u{203f}\\u{2040}`;
const PART = `[${NAME_START}][${NAME_NEXT}]*`;
const NAME = new RegExp(`^${PART}(?::${PART})?$`, "u");
/** Most names, found several times as fast. */
const PLAIN_NAME = /^[A-Z_a-z][-.\w]*(?::[A-Z_a-z][-.\w]*)?$/;

/** Whether all of this text is a name, with or without a prefix. */
export function isName(text: string): boolean {
  return PLAIN_NAME.test(text) || NAME.test(text);
}

/** A name without its prefix. */
export function localOf(name: string): string {
  return name.slice(name.indexOf(":") + 1);
}

/** The prefix of a name, without the colon; empty for none. */
export function prefixOf(name: string): string {
  return name.slice(0, Math.max(name.indexOf(":"), 0));
}

/** Blank, tab, carriage return, line feed. */
export function isBlank(unit: number): boolean {
  return unit === 0x20 || unit === 0x09 || unit === 0x0d || unit === 0x0a;
}
