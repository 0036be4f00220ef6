/**
 * Big-endian fields and the Internet checksum, for the modelled guest only: it shares no code with
 * the engine, so that a mistake in one of them shows.
 *
 * Nothing here checks bounds; callers have compared lengths. Source: RFC 1071.
 */

export function get16(octets: Uint8Array, at: number): number {
  return ((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0);
}

export function get32(octets: Uint8Array, at: number): number {
  return ((get16(octets, at) << 16) | get16(octets, at + 2)) >>> 0;
}

export function set16(octets: Uint8Array, at: number, value: number): void {
  octets[at] = value >>> 8;
  octets[at + 1] = value;
}

export function set32(octets: Uint8Array, at: number, value: number): void {
  set16(octets, at, value >>> 16);
  set16(octets, at + 2, value & 0xffff);
}

/** Octets added before carries are folded in: the sum stays a 31-bit integer. */
const FOLD_OCTETS = 32_768;
/** From here on a view of 32-bit words pays off. */
const WORDS_MIN = 96;

/** Adds the 16-bit words of a range to `sum`; an odd octet counts as the upper half of a word. */
export function addSum(octets: Uint8Array, at: number, length: number, sum: number): number {
  const start = octets.byteOffset + at;
  if (length >= WORDS_MIN && (start & 1) === 0) return addWords(octets, at, length, sum);
  return addOctets(octets, at, length, sum);
}

function addOctets(octets: Uint8Array, at: number, length: number, sum: number): number {
  let total = sum;
  let from = at;
  for (let left = length; left > 0; left -= FOLD_OCTETS) {
    const end = from + Math.min(left, FOLD_OCTETS);
    for (; from + 1 < end; from += 2) {
      total += ((octets[from] ?? 0) << 8) | (octets[from + 1] ?? 0);
    }
    if (from < end) total += (octets[from++] ?? 0) << 8;
    total = (total & 0xffff) + (total >>> 16);
  }
  return total;
}

/** The sum does not depend on the order of octets but for a swap at its end (RFC 1071 §2). */
function addWords(octets: Uint8Array, at: number, length: number, sum: number): number {
  const lead = (octets.byteOffset + at) & 2;
  const count = (length - lead) >> 2;
  const words = new Uint32Array(octets.buffer, octets.byteOffset + at + lead, count);
  let total = 0;
  for (let from = 0; from < count; from += FOLD_OCTETS >> 2) {
    const end = Math.min(from + (FOLD_OCTETS >> 2), count);
    for (let i = from; i < end; i += 1) {
      const word = words[i] ?? 0;
      total += (word & 0xffff) + (word >>> 16);
    }
    total = (total & 0xffff) + (total >>> 16);
  }
  total = (total & 0xffff) + (total >>> 16);
  const swapped = ((total & 0xff) << 8) | (total >>> 8);
  const tail = lead + count * 4;
  const head = addOctets(octets, at, lead, sum + swapped);
  return addOctets(octets, at + tail, length - tail, head);
}

/** The sum with its carries folded in: 0 to 0xffff. A range with a right checksum has 0xffff. */
export function foldSum(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/** The checksum to write for a sum. */
export function checksumOf(sum: number): number {
  return ~foldSum(sum) & 0xffff;
}

/** True where both hold the same `length` octets. */
export function sameOctets(a: Uint8Array, b: Uint8Array, length: number): boolean {
  for (let i = 0; i < length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}

/** Signed distance from `b` to `a` modulo 2^32: negative where `a` lies before `b`. */
export function seqDiff(a: number, b: number): number {
  return (a - b) | 0;
}
