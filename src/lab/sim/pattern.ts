/**
 * Streams whose content says where in which stream it is: no one has to remember what was sent.
 *
 * One table of random octets, whose length is a prime, is read round and round; each stream begins
 * somewhere else. An octet lost, doubled or moved by less than the whole table shows.
 */
import { Random } from "./random.ts";

const PERIOD = 65_521;
const STEP = 7919;

const TABLE = ((): Uint8Array => {
  const random = new Random(0x5eed);
  const table = new Uint8Array(PERIOD);
  for (let i = 0; i < PERIOD; i += 1) table[i] = random.u32();
  return table;
})();

/** Node's, Bun's and Deno's; browsers have none. 0 = they are equal. */
const compare = (globalThis as { Buffer?: { compare(a: Uint8Array, b: Uint8Array): number } })
  .Buffer?.compare;

function start(stream: number, offset: number): number {
  return (stream * STEP + offset) % PERIOD;
}

/** Writes the octets of `stream` from `offset` on into the whole of `target`. */
export function fillPattern(stream: number, offset: number, target: Uint8Array): void {
  let from = start(stream, offset);
  for (let at = 0; at < target.length; ) {
    const part = Math.min(PERIOD - from, target.length - at);
    target.set(TABLE.subarray(from, from + part), at);
    at += part;
    from = 0;
  }
}

/** Index of the first octet that is not that of `stream` from `offset` on; -1 = all are. */
export function findMismatch(stream: number, offset: number, octets: Uint8Array): number {
  let from = start(stream, offset);
  for (let at = 0; at < octets.length; ) {
    const part = Math.min(PERIOD - from, octets.length - at);
    const wrong = differs(octets, at, from, part);
    if (wrong >= 0) return wrong;
    at += part;
    from = 0;
  }
  return -1;
}

/** Every octet of every stream passes here several times: where the runtime compares, it does. */
function differs(octets: Uint8Array, begin: number, from: number, length: number): number {
  const part = octets.subarray(begin, begin + length);
  if (compare?.(part, TABLE.subarray(from, from + length)) === 0) return -1;
  const at = part.findIndex((octet, i) => octet !== TABLE[from + i]);
  return at < 0 ? -1 : begin + at;
}
