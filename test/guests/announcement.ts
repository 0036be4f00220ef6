/**
 * What a guest says to all when it has moved, read from a capture of its link: who has its IPv4
 * address (a gratuitous ARP, RFC 5227 §3) and its IPv6 addresses (an unsolicited neighbor
 * advertisement, RFC 4861 §7.2.6).
 */
import { readFileSync } from "node:fs";

/** Of the pcap format: in front of the file, and of each frame. */
const FILE_HEAD_SIZE = 24;
const FRAME_HEAD_SIZE = 16;
const LENGTH_OFFSET = 8;

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
  for (let at = FILE_HEAD_SIZE; at + FRAME_HEAD_SIZE <= capture.length; ) {
    const length = capture.readUInt32LE(at + LENGTH_OFFSET);
    at += FRAME_HEAD_SIZE;
    if (at + length > capture.length) return; // still being written
    yield capture.subarray(at, at + length);
    at += length;
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
