/**
 * DNS messages, as far as a relay reads them: the header and the first question.
 *
 * Contract: functions take a location and the octets that are there; nothing behind them is read.
 * Names are taken letter by letter without case, as they are compared (RFC 4343), and compression
 * is no part of a question's name: a pointer there counts as malformed.
 *
 *      0   2       4         6         8         10        12
 *     | id | flags | QDCOUNT | ANCOUNT | NSCOUNT | ARCOUNT | name, type, class ...
 *
 * Source: RFC 1035 §4.1, RFC 4343 §3.
 */
import { load8, load16, store8, store16 } from "./bytes";

export const DNS_HEADER_SIZE: u32 = 12;

const FLAGS_OFFSET: usize = 2;
const RCODE_OFFSET: usize = 3;
const QUESTIONS_OFFSET: usize = 4;
const ANSWERS_OFFSET: usize = 6;
const AUTHORITIES_OFFSET: usize = 8;
const ADDITIONALS_OFFSET: usize = 10;

const RESPONSE: u32 = 0x80; // QR, first octet of the flags
const OPCODE: u32 = 0x78;
const FLAGS_KEPT: u32 = 0x79; // opcode and RD
const RECURSION_AVAILABLE: u32 = 0x80; // second octet
const CHECKING_DISABLED: u32 = 0x10;
const RCODE: u32 = 0x0f;
const LABEL_MAX: u32 = 63;
const NAME_MAX: u32 = 255;
const QUESTION_TAIL: u32 = 5; // the name's last octet, type and class

/** FNV-1a of 32 bits, and the bit that letters differ in by their case. */
const FNV_BASIS: u32 = 0x811c9dc5;
const FNV_PRIME: u32 = 0x01000193;
const CASE_BIT: u32 = 0x20;

export const DNS_FORMERR: u32 = 1;
export const DNS_SERVFAIL: u32 = 2;
export const DNS_NOTIMP: u32 = 4;
export const DNS_REFUSED: u32 = 5;

/** Octets up to the end of the first question; 0 = there is none, or it is malformed. */
export function dnsQuestionEnd(p: usize, length: u32): u32 {
  if (length < DNS_HEADER_SIZE || load16(p + QUESTIONS_OFFSET) == 0) return 0;
  let offset = DNS_HEADER_SIZE;
  while (offset < length) {
    const label = load8(p + offset);
    if (label == 0) return offset + QUESTION_TAIL <= length ? offset + QUESTION_TAIL : 0;
    if (label > LABEL_MAX) return 0;
    offset += label + 1;
    if (offset - DNS_HEADER_SIZE >= NAME_MAX) return 0;
  }
  return 0;
}

/** FNV-1a of the first question, letters without case: an answer may spell them anew. */
export function dnsQuestionHash(p: usize, length: u32): u32 {
  const end = dnsQuestionEnd(p, length);
  let hash = FNV_BASIS;
  for (let i = DNS_HEADER_SIZE; i < end; i++) hash = (hash ^ (load8(p + i) | CASE_BIT)) * FNV_PRIME;
  return hash;
}

/** Whether it is a standard query (opcode 0) with one sound question. */
export function dnsIsQuery(p: usize, length: u32): bool {
  return (
    length >= DNS_HEADER_SIZE &&
    (load8(p + FLAGS_OFFSET) & (RESPONSE | OPCODE)) == 0 &&
    load16(p + QUESTIONS_OFFSET) == 1 &&
    dnsQuestionEnd(p, length) != 0
  );
}

/** Whether it is an answer to a standard query. */
export function dnsIsAnswer(p: usize, length: u32): bool {
  return length >= DNS_HEADER_SIZE && (load8(p + FLAGS_OFFSET) & (RESPONSE | OPCODE)) == RESPONSE;
}

export function dnsIdentifier(p: usize): u32 {
  return load16(p);
}

/** Questions that the header says there are. */
export function dnsQuestions(p: usize): u32 {
  return load16(p + QUESTIONS_OFFSET);
}

export function dnsRcode(p: usize): u32 {
  return load8(p + RCODE_OFFSET) & RCODE;
}

/**
 * Writes the answer `rcode` over the query of `length` octets at `p`, which keeps its identifier
 * and, where that is sound and alone, its question. Returns its size; 0 = it is no query.
 */
export function dnsFailureEmit(p: usize, length: u32, rcode: u32): u32 {
  if (length < DNS_HEADER_SIZE || (load8(p + FLAGS_OFFSET) & RESPONSE) != 0) return 0;
  const end = load16(p + QUESTIONS_OFFSET) == 1 ? dnsQuestionEnd(p, length) : 0;
  store8(p + FLAGS_OFFSET, RESPONSE | (load8(p + FLAGS_OFFSET) & FLAGS_KEPT));
  store8(
    p + RCODE_OFFSET,
    RECURSION_AVAILABLE | (load8(p + RCODE_OFFSET) & CHECKING_DISABLED) | rcode,
  );
  store16(p + QUESTIONS_OFFSET, end == 0 ? 0 : 1);
  store16(p + ANSWERS_OFFSET, 0);
  store16(p + AUTHORITIES_OFFSET, 0);
  store16(p + ADDITIONALS_OFFSET, 0);
  return end == 0 ? DNS_HEADER_SIZE : end;
}
