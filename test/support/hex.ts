/**
 * Packets as hex text with a comment per field.
 */

/** Octets of hex digits in any grouping; from a `#` to the end of its line is a comment. */
export function hex(text: string): Uint8Array {
  const digits = text.replace(/#.*$/gm, "").replace(/\s+/g, "");
  if (digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits)) {
    throw new Error(`give an even number of hex digits, not "${digits}"`);
  }
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
    Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
}

/** The reverse, for messages and comparisons: lower-case digits, octets apart. */
export function toHex(octets: Uint8Array): string {
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join(" ");
}

/** Copy of `octets` with those from `offset` on replaced by `replacement`. */
export function patched(octets: Uint8Array, offset: number, replacement: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(octets);
  copy.set(replacement, offset);
  return copy;
}
