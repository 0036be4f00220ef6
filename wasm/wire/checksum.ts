/**
 * The Internet checksum: 16-bit ones' complement sum. Source: RFC 1071, RFC 768, RFC 9293 §3.1.
 *
 * Contract: a *sum* is a ones' complement sum folded to 16 bits, its words read in memory (little-
 * endian) order. RFC 1071 §2(B) allows that: swapping the octets of words swaps those of the sum.
 * A sum of 0 means that all octets were zero; any other multiple of 0xffff is 0xffff. What goes on
 * the wire is the complement, stored natively. Only `sumPseudo4`, `sumPseudo6` and `sumUpper` take
 * host-order numbers.
 *
 * The SIMD build and the scalar build of `sumBytes` give identical results.
 */

/** Vectors are summed in i32 lanes, which 32768 rounds could overflow. */
const BLOCK_ROUNDS_MAX: u32 = 16384;

/** Sum of any 64-bit number of 16-bit words. */
function fold64(wide: u64): u32 {
  // 2^64 -> at most 2^33 -> at most 2^32 -> at most 2^17 - 1 -> 16 bits
  let s = (wide & 0xffffffff) + (wide >> 32);
  s = (s & 0xffffffff) + (s >> 32);
  return fold(<u32>s);
}

function fold(wide: u32): u32 {
  const s = (wide & 0xffff) + (wide >>> 16);
  return (s & 0xffff) + (s >>> 16);
}

/** The last 0 to 15 octets; no bit of the result is above 2^34. */
function sumTail(p: usize, length: u32): u64 {
  let sum: u64 = 0;
  if (length & 8) {
    sum = <u64>load<u32>(p) + <u64>load<u32>(p, 4);
    p += 8;
  }
  if (length & 4) {
    sum += <u64>load<u32>(p);
    p += 4;
  }
  if (length & 2) {
    sum += <u64>load<u16>(p);
    p += 2;
  }
  // An odd last octet is padded with a zero behind it, which in memory order is the high half.
  if (length & 1) sum += <u64>load<u8>(p);
  return sum;
}

/** Whole 16-octet pieces by plain 32-bit loads. */
function sumScalar(p: usize, length: u32): u64 {
  let even: u64 = 0;
  let odd: u64 = 0;
  const end = p + <usize>(length & ~15);
  while (p < end) {
    even += <u64>load<u32>(p) + <u64>load<u32>(p, 8);
    odd += <u64>load<u32>(p, 4) + <u64>load<u32>(p, 12);
    p += 16;
  }
  // u32 lengths: at most 2^29 numbers below 2^33 in each, so neither nor their sum overflows.
  return even + odd + sumTail(p, length & 15);
}

/** Adds neighbouring words of 8 into 4 lanes. */
function pairs(p: usize): v128 {
  return i32x4.extadd_pairwise_i16x8_u(v128.load(p));
}

/** Adds the lower 2 of 4 lanes to the upper 2, in 64 bits. */
function widened(v: v128): v128 {
  return i64x2.add(i64x2.extend_low_i32x4_u(v), i64x2.extend_high_i32x4_u(v));
}

/** 64 octets a round into four accumulators, so that no addition waits for the one before. */
function sumVector(p: usize, length: u32): u64 {
  let total: u64 = 0;
  let rounds = length >>> 6;
  while (rounds > 0) {
    const block = min(rounds, BLOCK_ROUNDS_MAX);
    rounds -= block;
    const end = p + ((<usize>block) << 6);
    let a = i32x4.splat(0);
    let b = i32x4.splat(0);
    let c = i32x4.splat(0);
    let d = i32x4.splat(0);
    while (p < end) {
      a = i32x4.add(a, pairs(p));
      b = i32x4.add(b, pairs(p + 16));
      c = i32x4.add(c, pairs(p + 32));
      d = i32x4.add(d, pairs(p + 48));
      p += 64;
    }
    const all = i64x2.add(i64x2.add(widened(a), widened(b)), i64x2.add(widened(c), widened(d)));
    total += i64x2.extract_lane(all, 0) + i64x2.extract_lane(all, 1);
  }
  return total + sumScalar(p, length & 63);
}

/** Sum of `length` octets at any alignment. An odd last octet counts as padded with a zero. */
export function sumBytes(p: usize, length: u32): u32 {
  if (ASC_FEATURE_SIMD) {
    if (length >= 64) return fold64(sumVector(p, length));
  }
  return fold64(sumScalar(p, length));
}

/** Sum of two sums whose data both start at even offsets. */
export function sumAdd(a: u32, b: u32): u32 {
  return fold(a + b);
}

/** The sum as it is seen from data that starts at an odd offset. */
export function sumSwap(a: u32): u32 {
  return ((a & 0xff) << 8) | ((a >>> 8) & 0xff);
}

/** Sum of `aLength` octets with sum `a` followed directly by octets with sum `b`. */
export function sumConcat(a: u32, aLength: u32, b: u32): u32 {
  return sumAdd(a, (aLength & 1) != 0 ? sumSwap(b) : b);
}

/** IPv4 pseudo-header of UDP and TCP; arguments in host order, `length` in octets. */
export function sumPseudo4(source: u32, destination: u32, protocol: u32, length: u32): u32 {
  const wide =
    (source >>> 16) +
    (source & 0xffff) +
    (destination >>> 16) +
    (destination & 0xffff) +
    protocol +
    (length >>> 16) +
    (length & 0xffff);
  return sumSwap(fold(wide));
}

/** The part of a pseudo-header behind the addresses; arguments in host order. */
export function sumUpper(protocol: u32, length: u32): u32 {
  return sumSwap(fold(protocol + (length >>> 16) + (length & 0xffff)));
}

/** IPv6 pseudo-header (RFC 8200 §8.1) of the addresses at two locations. */
export function sumPseudo6(source: usize, destination: usize, protocol: u32, length: u32): u32 {
  const addresses = sumAdd(sumBytes(source, 16), sumBytes(destination, 16));
  return sumAdd(addresses, sumUpper(protocol, length));
}

/** What a checksum field has to hold, ready for a native `store<u16>`. */
export function sumFinish(sum: u32): u32 {
  return ~fold(sum) & 0xffff;
}

/** Stores the finished checksum into the field at `p`. */
export function sumStore(p: usize, sum: u32): void {
  store<u16>(p, <u16>sumFinish(sum));
}

/** Like `sumStore`, but 0, which in UDP means "no checksum", is written as 0xffff (RFC 768). */
export function sumStoreUdp(p: usize, sum: u32): void {
  const finished = sumFinish(sum);
  store<u16>(p, <u16>(finished == 0 ? 0xffff : finished));
}

/** Stores the sum itself: with a pseudo-header sum, what VIRTIO_NET_HDR_F_NEEDS_CSUM expects. */
export function sumStorePartial(p: usize, sum: u32): void {
  store<u16>(p, <u16>fold(sum));
}

/** Whether data whose sum this is, checksum field and pseudo-header included, is intact. */
export function sumOk(sum: u32): bool {
  return fold(sum) == 0xffff;
}
