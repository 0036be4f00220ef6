/**
 * Names for the guest: a table of fixed ones, and whoever else is to be asked.
 * Source: RFC 1035 §4.1, RFC 2308 §2.
 */
import { EngineError } from "../../engine/errors.ts";
import { isIpv4, parseIpv4 } from "../../lib/addr.ts";
import { octetsOfIpv6, readIpv6 } from "../../lib/addr6.ts";
import { joined } from "../../upstream/messages.ts";
import { type Question, readQuestion } from "../dns-message.ts";
import type { Host } from "../host.ts";
import type { Upstream } from "../upstream.ts";
import { askByRelay } from "./dns-by-relay.ts";
import { askByHttps } from "./dns-over-https.ts";

export type Names = Readonly<Record<string, string | readonly string[]>>;
/** `https://…`, or an IP address. */
export type Resolver = string;

export type Resolve = NonNullable<Upstream["resolve"]>;

const HEADER_SIZE = 12;
const TYPE_A = 1;
const TYPE_AAAA = 28;
const TYPE_ANY = 255;
const CLASS_IN = 1;
const TTL_SECONDS = 60;
const NXDOMAIN = 3;
const FORMERR = 1;

/**
 * How names are resolved; undefined = they are not. Throws `EngineError` CONFIG.
 * @param pending has what gives up questions that are under way by HTTPS
 */
export function resolveOf(
  options: { readonly names?: Names; readonly resolver?: Resolver },
  relay: Upstream,
  host: Host,
  pending: Set<AbortController>,
): Resolve | undefined {
  const { names, resolver } = options;
  const beyond = resolver === undefined ? undefined : askerOf(resolver, relay, host, pending);
  if (names === undefined) return beyond;
  const table = new Map(
    Object.entries(names).map(([name, values]) => [
      name.toLowerCase().replace(/\.$/, ""),
      [values].flat().map((text) => octetsOf(text)),
    ]),
  );
  return async (message) => {
    const question = readQuestion(message);
    if (question === undefined) return reply(message, FORMERR, []);
    const found = table.get(question.name);
    if (found !== undefined) return answer(message, question, found);
    return beyond === undefined ? reply(message, NXDOMAIN, []) : beyond(message);
  };
}

function askerOf(
  resolver: Resolver,
  relay: Upstream,
  host: Host,
  pending: Set<AbortController>,
): Resolve {
  if (/^https?:\/\//.test(resolver)) {
    return (question) => askByHttps(resolver, question, host, pending);
  }
  octetsOf(resolver);
  return (question) => askByRelay({ address: resolver, port: 53 }, question, relay, host);
}

/** An address as records have it. */
function octetsOf(text: string): Uint8Array {
  if (isIpv4(text)) {
    const value = parseIpv4(text);
    return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
  }
  const groups = readIpv6(text);
  if (groups === undefined) {
    throw new EngineError("CONFIG", `set names and resolver to IP addresses, not "${text}"`);
  }
  return Uint8Array.from(octetsOfIpv6(groups));
}

function answer(message: Uint8Array, question: Question, addresses: Uint8Array[]): Uint8Array {
  const isWanted = (type: number): boolean =>
    question.class === CLASS_IN && (question.type === type || question.type === TYPE_ANY);
  const records = addresses
    .map((octets) => ({ octets, type: octets.length === 4 ? TYPE_A : TYPE_AAAA }))
    .filter(({ type }) => isWanted(type))
    .map(({ octets, type }) => {
      // The name is the question's: a pointer to it.
      const head = Uint8Array.of(
        ...[0xc0, HEADER_SIZE, 0, type, 0, CLASS_IN],
        ...[0, 0, 0, TTL_SECONDS, 0, octets.length],
      );
      return joined([head, octets]);
    });
  return reply(message.subarray(0, question.end), 0, records);
}

/** An answer with these records; the question is repeated where there is one. */
function reply(message: Uint8Array, code: number, records: readonly Uint8Array[]): Uint8Array {
  const question = readQuestion(message);
  const end = question?.end ?? HEADER_SIZE;
  const whole = new Uint8Array(HEADER_SIZE);
  whole.set(message.subarray(0, 2));
  // QR, the opcode and RD as they were, RA.
  whole[2] = 0x80 | ((message[2] ?? 0) & 0x79);
  whole[3] = 0x80 | code;
  whole[5] = question === undefined ? 0 : 1;
  whole[7] = records.length;
  return joined([whole, message.subarray(HEADER_SIZE, end), ...records]);
}
