/**
 * IPv4 addresses inside IPv6 ones: whoever translates or tunnels such a packet sends it to them, so
 * what may not be reached as IPv4 may not be reached in this way either.
 *
 *     2002:AABB:CCDD::/48              6to4                          RFC 3056 §2
 *     2001:0:A.B.C.D::/64              Teredo: of the server, and    RFC 4380 §4
 *                                      inverted at the end: the client's
 *     ::ffff:0:A.B.C.D                 IPv4-translated               RFC 2765 §2.1
 *     64:ff9b::A.B.C.D                 NAT64, well-known prefix      RFC 6052 §2.1
 *     64:ff9b:1::/48                   NAT64, local use              RFC 8215
 *       64:ff9b:1:AABB:CC:DD00::         with a prefix of 48 bits    RFC 6052 §2.2
 *       64:ff9b:1:xxAA:BB:CCDD::         of 56
 *       64:ff9b:1:xxxx:AA:BBCC:DD00::    of 64
 *       64:ff9b:1:xxxx:xx:xxxx:A.B.C.D   of 96
 *
 * Whose prefix for local use is how long is the operator's secret, so an address of it is read in
 * every way whose suffix of zeros fits; whoever judges refuses it if any reading is to be refused.
 * ::/96 and ::ffff:0:0/96 are `address6IsEmbedded`: no packet may carry them.
 *
 * Contract: an address is the location of 16 octets as on the wire. Pure functions.
 */
import { load8, load16, load32 } from "./bytes";

/** Readings an address may have; `embeddedAt` takes 0 to this. */
export const EMBEDDED_FORMS: u32 = 4;
/** There is no such reading. */
export const EMBEDDED_NONE: i64 = -1;

const SIX_TO_FOUR: u32 = 0x2002;
const TEREDO: u32 = 0x20010000;
const NAT64: u32 = 0x0064ff9b;
const TRANSLATED: u32 = 0xffff0000;

/** Whether an IPv4 address may be inside. */
export function embeddedIn(p: usize): bool {
  const head = load32(p);
  return head >>> 16 == SIX_TO_FOUR || head == NAT64 || head == TEREDO || head == 0;
}

/** Octets `from` to 15 are zero. */
function isZeroFrom(p: usize, from: usize): bool {
  for (let i = from; i < 16; i++) if (load8(p + i) != 0) return false;
  return true;
}

/** Local use, with a prefix of 48, 56 or 64 bits; octet 8 is always zero. */
function localAt(p: usize, form: u32): i64 {
  if (load8(p + 8) != 0) return EMBEDDED_NONE;
  if (form == 0) {
    if (!isZeroFrom(p, 11)) return EMBEDDED_NONE;
    return <i64>((load16(p + 6) << 16) | load16(p + 9));
  }
  if (form == 1) {
    if (!isZeroFrom(p, 12)) return EMBEDDED_NONE;
    return <i64>((load8(p + 7) << 24) | (load16(p + 9) << 8) | load8(p + 11));
  }
  return isZeroFrom(p, 13) ? <i64>load32(p + 9) : EMBEDDED_NONE;
}

/** NAT64, well-known prefix or local use. */
function nat64At(p: usize, form: u32): i64 {
  const isWellKnown = load32(p + 4) == 0 && load32(p + 8) == 0;
  if (isWellKnown) return form == 3 ? <i64>load32(p + 12) : EMBEDDED_NONE;
  if (load16(p + 4) != 1) return EMBEDDED_NONE;
  const found = form == 3 ? <i64>load32(p + 12) : localAt(p, form);
  const isOther = found != EMBEDDED_NONE && found >>> 24 == 0 && !isZeroFrom(p, 6);
  return isOther ? EMBEDDED_NONE : found;
}

/**
 * The IPv4 address by reading `form` (0 to EMBEDDED_FORMS - 1) of an address that `embeddedIn`
 * holds for, or EMBEDDED_NONE. A reading of local use as 0.0.0.0/8 that another explains is none.
 */
export function embeddedAt(p: usize, form: u32): i64 {
  const head = load32(p);
  if (head == NAT64) return nat64At(p, form);
  if (head == TEREDO) {
    if (form > 1) return EMBEDDED_NONE;
    return <i64>(form == 0 ? load32(p + 4) : ~load32(p + 12));
  }
  if (form != 0) return EMBEDDED_NONE;
  if (head != 0) return <i64>load32(p + 2);
  const isTranslated = load32(p + 4) == 0 && load32(p + 8) == TRANSLATED;
  return isTranslated ? <i64>load32(p + 12) : EMBEDDED_NONE;
}
