/** Octets: hexadecimal, concatenation. The packet path works in engine memory instead. */

/** Two digits per octet, lower case, with `separator` between octets. */
export function toHex(bytes: Uint8Array, separator = ""): string {
  return Array.from(bytes, (octet) => octet.toString(16).padStart(2, "0")).join(separator);
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
