/**
 * DNS questions of the modelled guest: A records over UDP (RFC 1035), with retries.
 */
import { formatIpv4 } from "../../../lib/addr.ts";
import { get16, get32, set16 } from "./octets.ts";

const HEADER = 12;
const TYPE_A = 1;
const CLASS_IN = 1;
const RESPONSE = 0x8000;
const RECURSION_DESIRED = 0x0100;

export interface DnsAnswer {
  /** RFC 1035 §4.1.1: 0 = no error, 2 = server failure, 3 = no such name. */
  readonly code: number;
  readonly addresses: readonly string[];
}

/** A question for the addresses of a name. @throws RangeError for a name that cannot be asked */
export function writeDnsQuestion(identifier: number, name: string): Uint8Array {
  const labels = name.split(".").map((label) => new TextEncoder().encode(label));
  if (labels.some(({ length }) => length === 0 || length > 63)) {
    throw new RangeError(`Write a DNS name as "host.example": "${name}"`);
  }
  const size = labels.reduce((sum, { length }) => sum + 1 + length, 1);
  const message = new Uint8Array(HEADER + size + 4);
  set16(message, 0, identifier);
  set16(message, 2, RECURSION_DESIRED);
  set16(message, 4, 1);
  let at = HEADER;
  for (const label of labels) {
    message[at] = label.length;
    message.set(label, at + 1);
    at += 1 + label.length;
  }
  set16(message, at + 1, TYPE_A);
  set16(message, at + 3, CLASS_IN);
  return message;
}

/** End of the name at `at`, or -1; names are skipped, not read. */
function skipName(message: Uint8Array, at: number): number {
  for (let i = at; i < message.length; ) {
    const length = message[i] ?? 0;
    if (length === 0) return i + 1;
    if (length >= 0xc0) return i + 2;
    i += 1 + length;
  }
  return -1;
}

/** The answer to question `identifier`; undefined for anything else. */
export function readDnsAnswer(message: Uint8Array, identifier: number): DnsAnswer | undefined {
  if (message.length < HEADER || get16(message, 0) !== identifier) return undefined;
  const flags = get16(message, 2);
  if ((flags & RESPONSE) === 0) return undefined;
  let at = HEADER;
  for (let i = 0; i < get16(message, 4); i += 1) {
    at = skipName(message, at);
    if (at < 0) return undefined;
    at += 4;
  }
  const addresses: string[] = [];
  for (let i = 0; i < get16(message, 6); i += 1) {
    at = skipName(message, at);
    if (at < 0 || at + 10 > message.length) return undefined;
    const length = get16(message, at + 8);
    if (at + 10 + length > message.length) return undefined;
    if (get16(message, at) === TYPE_A && length === 4) {
      addresses.push(formatIpv4(get32(message, at + 10)));
    }
    at += 10 + length;
  }
  return { code: flags & 15, addresses };
}
