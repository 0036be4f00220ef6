/**
 * References in XML text: the five predefined entities and character references, the only ones that
 * need no DTD. Read unit by unit, in linear time: a text may consist of references alone.
 * Source: Extensible Markup Language 1.0 (fifth edition), sections 2.2, 3.3.3, 4.1 and 4.6.
 */

const PREDEFINED: ReadonlyMap<string, string> = new Map([
  ["&amp;", "&"],
  ["&lt;", "<"],
  ["&gt;", ">"],
  ["&quot;", '"'],
  ["&apos;", "'"],
]);
const NAMES: readonly string[] = [...PREDEFINED.keys()];

/** More than any character needs, leading zeros included. */
const DIGIT_COUNT_MAX = 10;
const CODE_POINT_MAX = 0x10ffff;

const SEMICOLON = 0x3b;
const NUMBER_SIGN = 0x23;
const SMALL_X = 0x78;
const NO_DIGIT = 16;

/** Whether the `&` at this place begins a reference to a character that XML allows. */
export function isReference(text: string, at: number): boolean {
  if (text.charCodeAt(at + 1) === NUMBER_SIGN) return isCharacter(codeAt(text, at));
  for (const name of NAMES) if (text.startsWith(name, at)) return true;
  return false;
}

/** The value of an attribute whose references are good ones; white space is normalised. */
export function decode(raw: string): string {
  const plain = raw.replace(/\r\n|[\t\r\n]/g, " ");
  if (!plain.includes("&")) return plain;
  return plain.replace(
    /&[^;]*;/g,
    (text) => PREDEFINED.get(text) ?? String.fromCodePoint(codeAt(text, 0)),
  );
}

/** The number in `&#65;` or `&#x41;`; negative when that is malformed. */
function codeAt(text: string, start: number): number {
  const isHex = text.charCodeAt(start + 2) === SMALL_X;
  const base = isHex ? 16 : 10;
  const first = start + (isHex ? 3 : 2);
  let code = 0;
  for (let at = first; at <= first + DIGIT_COUNT_MAX; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === SEMICOLON) return at === first ? -1 : code;
    const digit = digitOf(unit);
    if (digit >= base) return -1;
    code = code * base + digit;
  }
  return -1;
}

function digitOf(unit: number): number {
  if (unit >= 0x30 && unit <= 0x39) return unit - 0x30;
  const letter = unit | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : NO_DIGIT;
}

function isCharacter(point: number): boolean {
  const isSurrogate = point >= 0xd800 && point <= 0xdfff;
  const isControl = point < 0x20 && point !== 9 && point !== 10 && point !== 13;
  const isLetter = point !== 0xfffe && point !== 0xffff;
  return point <= CODE_POINT_MAX && !isSurrogate && !isControl && isLetter;
}
