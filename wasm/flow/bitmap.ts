/** Bitmaps: counting and setting ranges of bits, a word of 64 at a time. */

/** Bits `from` to 63 of a word. */
function bitsFrom(from: u32): u64 {
  return (<u64>-1) << (<u64>from);
}

/** How many of the bits `from` (included) to `to` (excluded) are set; `from` < `to` <= 8192. */
export function bitsCount(map: usize, from: u32, to: u32): u32 {
  let word = from >>> 6;
  const last = (to - 1) >>> 6;
  let mask = bitsFrom(from & 63);
  let sum: u64 = 0;
  while (word < last) {
    sum += popcnt<u64>(load<u64>(map + ((<usize>word) << 3)) & mask);
    mask = <u64>-1;
    word++;
  }
  mask &= <u64>-1 >> <u64>(63 - ((to - 1) & 63));
  return <u32>(sum + popcnt<u64>(load<u64>(map + ((<usize>word) << 3)) & mask));
}

/** Sets the bits `from` (included) to `to` (excluded). */
export function bitsSet(map: usize, from: u32, to: u32): void {
  let word = from >>> 6;
  const last = (to - 1) >>> 6;
  let mask = bitsFrom(from & 63);
  while (word < last) {
    const p = map + ((<usize>word) << 3);
    store<u64>(p, load<u64>(p) | mask);
    mask = <u64>-1;
    word++;
  }
  mask &= <u64>-1 >> <u64>(63 - ((to - 1) & 63));
  const p = map + ((<usize>word) << 3);
  store<u64>(p, load<u64>(p) | mask);
}

export function bitGet(map: usize, bit: u32): bool {
  return ((load<u8>(map + (bit >>> 3)) >>> (bit & 7)) & 1) != 0;
}
