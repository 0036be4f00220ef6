/**
 * Keyed hash and seeded generator. All unpredictability of the engine comes from the 32 octets of
 * seed in the configuration: same seed and same input, same output.
 *
 * `hashTuple` and `hashIsn` are HalfSipHash-1-3 (Aumasson, Bernstein) but for its last word, which
 * holds the length and is left out, as every input here has four words: short keys, 32-bit
 * operations, resistant to chosen-input flooding of the flow table. Their values are therefore not
 * those of the published function. `next` is xoshiro128** (Blackman, Vigna).
 */
import { CONFIG_SEED_OFFSET } from "./abi/index";
import { config } from "./memory";

/** 2^32 by the golden ratio, made odd: a product with it spreads what differs in a few bits. */
export const GOLDEN_RATIO: u32 = 0x9e3779b1;

/** Words of the input, a round for each; and those of the end. */
const HASH_WORDS: i32 = 4;
const HASH_ROUNDS: i32 = HASH_WORDS + 3;

let key0: u32 = 0;
let key1: u32 = 0;
let isnKey0: u32 = 0;
let isnKey1: u32 = 0;
let s0: u32 = 1;
let s1: u32 = 2;
let s2: u32 = 3;
let s3: u32 = 4;

/** Word `i` of the eight of the seed. */
function seedWord(i: i32): u32 {
  return config(CONFIG_SEED_OFFSET + (i << 2));
}

export function prngInit(): void {
  key0 = seedWord(0);
  key1 = seedWord(1);
  isnKey0 = seedWord(2);
  isnKey1 = seedWord(3);
  s0 = seedWord(4) | 1; // an all-zero state would stay zero
  s1 = seedWord(5);
  s2 = seedWord(6);
  s3 = seedWord(7);
}

/** Next 32 random bits. */
export function next(): u32 {
  const result = rotl<u32>(s1 * 5, 7) * 9;
  const t = s1 << 9;
  s2 ^= s0;
  s3 ^= s1;
  s1 ^= s2;
  s0 ^= s3;
  s2 ^= t;
  s3 = rotl<u32>(s3, 11);
  return result;
}

/** Constants of HalfSipHash. */
const SIP_V2: u32 = 0x6c796765;
const SIP_V3: u32 = 0x74656462;
const SIP_END: u32 = 0xff;
/** In place of a kind or in a key, so that no two uses have a hash in common. */
const ISN_MARK: u32 = 0x49534e;
const ADDRESS_MARK: u32 = 0x36766970;

/** Four rounds that take a word each, and three that take none, over a state kept in locals. */
function halfSip(k0: u32, k1: u32, a: u32, b: u32, c: u32, d: u32): u32 {
  let v0 = k0;
  let v1 = k1;
  let v2: u32 = SIP_V2 ^ k0;
  let v3: u32 = SIP_V3 ^ k1;
  for (let round = 0; round < HASH_ROUNDS; round++) {
    const word = a;
    a = b;
    b = c;
    c = d;
    d = 0;
    if (round == HASH_WORDS) v2 ^= SIP_END;
    v3 ^= word;
    v0 += v1;
    v1 = rotl<u32>(v1, 5) ^ v0;
    v0 = rotl<u32>(v0, 16);
    v2 += v3;
    v3 = rotl<u32>(v3, 8) ^ v2;
    v0 += v3;
    v3 = rotl<u32>(v3, 7) ^ v0;
    v2 += v1;
    v1 = rotl<u32>(v1, 13) ^ v2;
    v2 = rotl<u32>(v2, 16);
    v0 ^= word;
  }
  return v1 ^ v3;
}

/** Hash of one direction's tuple, for the flow table. `ports` = guest port << 16 | peer port. */
export function hashTuple(kind: u32, guest: u32, peer: u32, ports: u32): u32 {
  return halfSip(key0, key1, guest, peer, ports, kind);
}

/** F(tuple, secret) of RFC 6528 §3, the part of an initial sequence number that hides the clock. */
export function hashIsn(guest: u32, peer: u32, ports: u32): u32 {
  return halfSip(isnKey0, isnKey1, guest, peer, ports, ISN_MARK);
}

/** Hash of an IPv6 address as its four words and its scope, for the table of addresses. */
export function hashAddress(a: u32, b: u32, c: u32, d: u32, scope: u32): u32 {
  return halfSip(key0 ^ scope, key1 ^ ADDRESS_MARK, a, b, c, d);
}
