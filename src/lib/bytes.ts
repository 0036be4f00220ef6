/**
 * Octets: hexadecimal, concatenation, big-endian fields. For framing, tools and tests; the packet
 * path works in engine memory instead.
 */

/** Two digits per octet, lower case, with `separator` between octets. */
export function toHex(bytes: Uint8Array, separator = ""): string {
  return Array.from(bytes, (octet) => octet.toString(16).padStart(2, "0")).join(separator);
}

/**
 * Reads two digits per octet; blanks and colons between octets are skipped.
 * @throws RangeError for anything else
 */
export function fromHex(text: string): Uint8Array {
  const digits = text.replace(/[\s:]/g, "");
  if (digits.length % 2 !== 0 || /[^0-9a-fA-F]/.test(digits)) {
    throw new RangeError(`Write octets as pairs of hexadecimal digits: "${text}"`);
  }
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i += 1) {
    bytes[i] = Number.parseInt(digits.slice(i * 2, i * 2 + 2), 16);
  }
  return bytes;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function equals(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, i) => octet === b[i]);
}

/** @throws RangeError where the field does not lie inside `bytes`; so do the two below */
export function readU8(bytes: Uint8Array, offset: number): number {
  const octet = bytes[offset];
  if (octet === undefined) {
    throw new RangeError(`Read inside the ${bytes.length} octets: offset ${offset} is not`);
  }
  return octet;
}

export function readU16(bytes: Uint8Array, offset: number): number {
  return readU8(bytes, offset) * 0x100 + readU8(bytes, offset + 1);
}

export function readU32(bytes: Uint8Array, offset: number): number {
  return readU16(bytes, offset) * 0x10000 + readU16(bytes, offset + 2);
}
