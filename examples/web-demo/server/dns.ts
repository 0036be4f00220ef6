/**
 * DNS over HTTPS for the names of the demonstration (RFC 8484; over HTTP here, as it is loopback).
 * Answers questions for A; says of other types that there are none, of other names that they do
 * not exist.
 */
import type { Destination } from "./relay.ts";

export const DNS_TYPE = "application/dns-message";
const HEADER_SIZE = 12;
const MESSAGE_MAX = 512;
const TYPE_A = 1;
const CLASS_IN = 1;
const TTL_S = 60;
const NAME_ERROR = 3;
/** Response, recursion available; recursion desired is the question's. */
const FLAGS = 0x8080;
const RECURSION_DESIRED = 0x0100;
const NAME_POINTER = 0xc000 | HEADER_SIZE;

/** The answer to a query; undefined where it is none that can be read. */
export function answerDns(query: Buffer, destinations: readonly Destination[]): Buffer | undefined {
  if (query.length < HEADER_SIZE + 5 || query.length > MESSAGE_MAX) return undefined;
  if (query.readUInt16BE(4) !== 1) return undefined;
  const labels: string[] = [];
  let at = HEADER_SIZE;
  for (;;) {
    const size = query[at];
    if (size === undefined || size > 63 || at + 1 + size > query.length) return undefined;
    at += 1;
    if (size === 0) break;
    labels.push(query.toString("latin1", at, at + size).toLowerCase());
    at += size;
  }
  if (at + 4 > query.length) return undefined;
  const [type, kind] = [query.readUInt16BE(at), query.readUInt16BE(at + 2)];
  const found = destinations.find(({ name }) => name === labels.join("."));
  const record = found !== undefined && type === TYPE_A && kind === CLASS_IN;
  const header = Buffer.alloc(HEADER_SIZE);
  header.writeUInt16BE(query.readUInt16BE(0), 0);
  const desired = query.readUInt16BE(2) & RECURSION_DESIRED;
  header.writeUInt16BE(FLAGS | desired | (found === undefined ? NAME_ERROR : 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(record ? 1 : 0, 6);
  const question = query.subarray(HEADER_SIZE, at + 4);
  return Buffer.concat([header, question, ...(record ? [addressRecord(found.address)] : [])]);
}

function addressRecord(address: string): Buffer {
  const record = Buffer.alloc(16);
  record.writeUInt16BE(NAME_POINTER, 0);
  record.writeUInt16BE(TYPE_A, 2);
  record.writeUInt16BE(CLASS_IN, 4);
  record.writeUInt32BE(TTL_S, 6);
  record.writeUInt16BE(4, 10);
  record.set(address.split(".").map(Number), 12);
  return record;
}
