/**
 * Fragments put together (RFC 791 §3.2, RFC 815): a few packets at a time, each in a buffer of its
 * own. Overlaps and gaps that contradict each other are faults.
 */
import type { Packet } from "./network.ts";
import { get32 } from "./octets.ts";

const HEADER = 20;
const CONTEXTS_MAX = 8;
const TIMEOUT = 30_000_000;
const MORE_FRAGMENTS = 0x2000;
const PAYLOAD_MAX = 65_515;

interface Context {
  readonly header: Uint8Array;
  readonly parts: { readonly at: number; readonly octets: Uint8Array }[];
  /** Octets in all, once the last fragment has come. */
  total: number | undefined;
  readonly since: number;
}

export class Reassembly {
  readonly #contexts = new Map<string, Context>();
  /** Packets given up: too old, or too many at once. */
  expired = 0;

  /** @returns the whole packet behind a header of 20 octets, a fault, or nothing yet */
  add(
    packet: Packet,
    identification: number,
    fragment: number,
    now: number,
  ): Uint8Array | string | undefined {
    const key = `${get32(packet.source, 0)} ${packet.protocol} ${identification}`;
    const context = this.#context(key, packet, now);
    const at = (fragment & 0x1fff) * 8;
    const end = at + packet.length;
    const more = (fragment & MORE_FRAGMENTS) !== 0;
    if (more && packet.length % 8 !== 0) return `fragment of ${packet.length} octets`;
    if (end > PAYLOAD_MAX) return `fragments of ${end} octets`;
    if (!more) {
      if (context.total !== undefined && context.total !== end) return "two last fragments";
      context.total = end;
    }
    if (context.parts.some((part) => at < part.at + part.octets.length && part.at < end)) {
      if (context.parts.some((part) => part.at === at && part.octets.length === packet.length)) {
        return undefined; // the same once more
      }
      return "fragments overlap";
    }
    const octets = packet.octets.slice(packet.at, packet.at + packet.length);
    context.parts.push({ at, octets });
    const { total, parts } = context;
    const held = parts.reduce((sum, part) => sum + part.octets.length, 0);
    if (total === undefined || held < total) return undefined;
    this.#contexts.delete(key);
    const whole = new Uint8Array(HEADER + total);
    whole.set(context.header);
    for (const part of parts) whole.set(part.octets, HEADER + part.at);
    return whole;
  }

  #context(key: string, packet: Packet, now: number): Context {
    for (const [each, { since }] of this.#contexts) {
      if (now - since < TIMEOUT && this.#contexts.size < CONTEXTS_MAX) break;
      if (each === key && now - since < TIMEOUT) continue;
      this.#contexts.delete(each);
      this.expired += 1;
    }
    let context = this.#contexts.get(key);
    if (context === undefined) {
      const header = packet.octets.slice(packet.headerAt, packet.headerAt + HEADER);
      context = { header, parts: [], total: undefined, since: now };
      this.#contexts.set(key, context);
    }
    return context;
  }
}
