/**
 * Reference for the Internet checksum, as plainly as RFC 1071 §1 states it: 16-bit words in network
 * order, added bit by bit, the carry out of the top bit going back in at the bottom.
 */

function addWord(a: number, b: number): number {
  let sum = 0;
  let carry = 0;
  for (let bit = 0; bit < 16; bit += 1) {
    const total = ((a >> bit) & 1) + ((b >> bit) & 1) + carry;
    sum |= (total & 1) << bit;
    carry = total >> 1;
  }
  return carry === 0 ? sum : addWord(sum, 1);
}

/** Ones' complement sum in network order, from `initial`; an odd last octet is padded with zero. */
export function internetSum(octets: Uint8Array, initial = 0): number {
  let sum = initial;
  for (let i = 0; i < octets.length; i += 2) {
    sum = addWord(sum, ((octets[i] ?? 0) << 8) | (octets[i + 1] ?? 0));
  }
  return sum;
}

/** The octets of a 16-bit number changed about. */
export function swapOctets(word: number): number {
  return ((word & 0xff) << 8) | (word >> 8);
}
