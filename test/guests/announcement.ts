/**
 * What a guest says to all when it has moved, read from a capture of its link: who has its IPv4
 * address (a gratuitous ARP, RFC 5227 §3) and its IPv6 addresses (an unsolicited neighbor
 * advertisement, RFC 4861 §7.2.6).
 */
import { readFileSync } from "node:fs";

/** Of pcapng: type and length of a block, the type that is a frame, its length and its octets. */
const BLOCK_HEAD_SIZE = 8;
const ENHANCED_PACKET = 6;
const LENGTH_OFFSET = 20;
const DATA_OFFSET = 28;

const TYPE_ARP = 0x0806;
const TYPE_IPV6 = 0x86dd;
const ICMP6 = 58;
const ADVERTISEMENT = 136;
const SOLICITED = 0x40;

export interface Announcements {
  readonly arp: number;
  readonly advertisements: number;
}

function* framesOf(capture: Buffer): Generator<Buffer> {
  for (let at = 0; at + BLOCK_HEAD_SIZE <= capture.length; ) {
    const size = capture.readUInt32LE(at + 4);
    if (size < BLOCK_HEAD_SIZE || at + size > capture.length) return; // still being written
    if (capture.readUInt32LE(at) === ENHANCED_PACKET) {
      const start = at + DATA_OFFSET;
      yield capture.subarray(start, start + capture.readUInt32LE(at + LENGTH_OFFSET));
    }
    at += size;
  }
}

function isFrom(frame: Buffer, mac: string): boolean {
  return frame.subarray(6, 12).toString("hex") === mac.replaceAll(":", "");
}

/** Sender and target are the same address. */
function isGratuitous(frame: Buffer): boolean {
  return frame.readUInt16BE(12) === TYPE_ARP && frame.readUInt32BE(28) === frame.readUInt32BE(38);
}

function isAdvertisement(frame: Buffer): boolean {
  if (frame.readUInt16BE(12) !== TYPE_IPV6 || frame.length < 62) return false;
  const isOne = frame[20] === ICMP6 && frame[54] === ADVERTISEMENT;
  return isOne && ((frame[58] ?? 0) & SOLICITED) === 0;
}

/** How often the machine has announced itself in a capture. */
export function announcementsIn(file: string, mac: string): Announcements {
  const own = [...framesOf(readFileSync(file))].filter(
    (frame) => frame.length >= 42 && isFrom(frame, mac),
  );
  return {
    arp: own.filter(isGratuitous).length,
    advertisements: own.filter(isAdvertisement).length,
  };
}
