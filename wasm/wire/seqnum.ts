/**
 * Arithmetic on TCP sequence numbers, modulo 2^32.
 *
 * Contract: two numbers compare as expected while they are less than 2^31 apart; at exactly 2^31
 * each is "less" than the other, so no order may be built on that distance. Source: RFC 9293 §3.4.
 */

/** How far `a` is past `b`; negative if it is before. */
export function seqDiff(a: u32, b: u32): i32 {
  return <i32>(a - b);
}

export function seqLt(a: u32, b: u32): bool {
  return <i32>(a - b) < 0;
}

export function seqLe(a: u32, b: u32): bool {
  return <i32>(a - b) <= 0;
}

export function seqGt(a: u32, b: u32): bool {
  return <i32>(a - b) > 0;
}

export function seqGe(a: u32, b: u32): bool {
  return <i32>(a - b) >= 0;
}

/** Whether `start <= s < start + size`; an empty window holds nothing. */
export function seqInWindow(s: u32, start: u32, size: u32): bool {
  return s - start < size;
}

export function seqMax(a: u32, b: u32): u32 {
  return seqLt(a, b) ? b : a;
}

export function seqMin(a: u32, b: u32): u32 {
  return seqGt(a, b) ? b : a;
}
