/** Bitmaps: counting and setting ranges of bits, a word of 64 at a time. */

const WORD_SHIFT: u32 = 6;
const LAST_BIT: u32 = 63;
const OCTET_SHIFT: u32 = 3;
const OCTET_BITS: u32 = 7;

/** Bits `from` to 63 of a word. */
function bitsFrom(from: u32): u64 {
  return (<u64>-1) << (<u64>from);
}

/** How many of the bits `from` (included) to `to` (excluded) are set; `from` < `to` <= 8192. */
export function bitsCount(map: usize, from: u32, to: u32): u32 {
  let word = from >>> WORD_SHIFT;
  const last = (to - 1) >>> WORD_SHIFT;
  let mask = bitsFrom(from & LAST_BIT);
  let sum: u64 = 0;
  while (word < last) {
    sum += popcnt<u64>(load<u64>(map + <usize>word * sizeof<u64>()) & mask);
    mask = <u64>-1;
    word++;
  }
  mask &= <u64>-1 >> <u64>(LAST_BIT - ((to - 1) & LAST_BIT));
  return <u32>(sum + popcnt<u64>(load<u64>(map + <usize>word * sizeof<u64>()) & mask));
}

/** Sets the bits `from` (included) to `to` (excluded). */
export function bitsSet(map: usize, from: u32, to: u32): void {
  let word = from >>> WORD_SHIFT;
  const last = (to - 1) >>> WORD_SHIFT;
  let mask = bitsFrom(from & LAST_BIT);
  while (word < last) {
    const p = map + <usize>word * sizeof<u64>();
    store<u64>(p, load<u64>(p) | mask);
    mask = <u64>-1;
    word++;
  }
  mask &= <u64>-1 >> <u64>(LAST_BIT - ((to - 1) & LAST_BIT));
  const p = map + <usize>word * sizeof<u64>();
  store<u64>(p, load<u64>(p) | mask);
}

export function bitGet(map: usize, bit: u32): bool {
  return ((load<u8>(map + (bit >>> OCTET_SHIFT)) >>> (bit & OCTET_BITS)) & 1) != 0;
}
