/**
 * Names and white space in XML text.
 * Source: Extensible Markup Language 1.0 (fifth edition), section 2.3; Namespaces in XML 1.0 (third
 * edition), section 4.
 */

/** Characters a name begins with (production 4), and those it goes on with (4a). */
const NAME_START =
  ":A-Z_a-z\\u{c0}-\\u{d6}\\u{d8}-\\u{f6}\\u{f8}-\\u{2ff}\\u{370}-\\u{37d}\\u{37f}-\\u{1fff}" +
  "\\u{200c}\\u{200d}\\u{2070}-\\u{218f}\\u{2c00}-\\u{2fef}\\u{3001}-\\u{d7ff}\\u{f900}-\\u{fdcf}" +
  "\\u{fdf0}-\\u{fffd}\\u{10000}-\\u{effff}";
const NAME_NEXT = `${NAME_START}\\-.0-9\\u{b7}\\u{300}-\\u{36f}\\u{203f}\\u{2040}`;
const NAME = new RegExp(`[${NAME_START}][${NAME_NEXT}]*`, "uy");
/** Most names, found several times as fast. */
const PLAIN_NAME = /[A-Z_a-z][-.\w:]*(?![-.\w:\u0080-\uffff])/y;

/** The name that begins at this place; undefined when none does. */
export function nameAt(text: string, at: number): string | undefined {
  for (const pattern of [PLAIN_NAME, NAME]) {
    pattern.lastIndex = at;
    if (pattern.test(text)) return text.slice(at, pattern.lastIndex);
  }
  return undefined;
}

/** A name without its prefix. */
export function localOf(name: string): string {
  const colon = name.indexOf(":");
  return colon < 0 ? name : name.slice(colon + 1);
}

/** Blank, tab, carriage return, line feed. */
export function isBlank(unit: number): boolean {
  return unit === 0x20 || unit === 0x09 || unit === 0x0d || unit === 0x0a;
}
