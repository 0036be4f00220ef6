/**
 * The file format of captures: pcapng, little-endian, one section, one interface of link type
 * Ethernet whose times are nanoseconds.
 *
 *     section header    shb_os, shb_userappl
 *     interface         if_name, if_filter, if_tsresol = 9, snap length
 *     enhanced packet   epb_flags: direction, as `inbound` and `outbound` of filters have it;
 *                       comments "dropped: tcp_checksum" and "flow 65537"
 *     statistics        at the end: first and last time, frames seen, lost and recorded
 *
 * The two first are the header: whoever opens the file writes them, a FIFO needs them for each
 * reader. Each block is whole by itself, so a file may end behind any of them.
 * Source: draft-ietf-opsawg-pcapng, sections 4.1 to 4.3 and 4.6.
 */

const SECTION_HEADER = 0x0a0d0d0a;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const INTERFACE = 1;
const STATISTICS = 5;
const LINKTYPE_ETHERNET = 1;
const NANOSECONDS = 9;
const SHB_OS = 3;
const SHB_USERAPPL = 4;
const IF_NAME = 2;
const IF_TSRESOL = 9;
const IF_FILTER = 11;
const ISB_STARTTIME = 2;
const ISB_ENDTIME = 3;
const ISB_IFRECV = 4;
const ISB_IFDROP = 5;
const ISB_FILTERACCEPT = 6;
const SIZE_32 = 2 ** 32;

/** Of an enhanced packet block, which `capture-writer` fills in place. */
export const ENHANCED_PACKET = 6;
export const EPB_DATA_OFFSET = 28;
export const EPB_FLAGS = 2;
export const FLAG_INBOUND = 1;
export const FLAG_OUTBOUND = 2;
export const OPTION_COMMENT = 1;
export const OPTION_HEADER_SIZE = 4;
export const TRAILER_SIZE = 4;
/** Most octets that are kept of a frame. */
export const SNAP_LENGTH_MAX = 262144;
/** Of the statistics block. */
export const STATISTICS_SIZE = 12 + 4 + 8 + 5 * 12 + 4;

export interface CaptureInfo {
  /** Of the guest network. */
  readonly interfaceName?: string | undefined;
  /** As it was written; empty: everything. */
  readonly filter?: string | undefined;
  readonly snapLength?: number | undefined;
}

export interface CaptureFigures {
  /** Microseconds since 1970. */
  readonly began: number;
  readonly ended: number;
  /** Frames that passed, that the filter let through, and of these the lost ones. */
  readonly seen: number;
  readonly accepted: number;
  readonly lost: number;
}

/** What a capture begins with. */
export function pcapngHeader({ interfaceName, filter, snapLength }: CaptureInfo = {}): Uint8Array {
  const section = new Block(SECTION_HEADER);
  section.u32(BYTE_ORDER_MAGIC);
  section.u16(1);
  section.u16(0);
  section.u32(0xffffffff); // the length of the section is not known
  section.u32(0xffffffff);
  section.text(SHB_OS, "Linux");
  section.text(SHB_USERAPPL, "slirp-binding");
  const description = new Block(INTERFACE);
  description.u16(LINKTYPE_ETHERNET);
  description.u16(0);
  description.u32(Math.min(snapLength ?? SNAP_LENGTH_MAX, SNAP_LENGTH_MAX));
  if (interfaceName !== undefined) description.text(IF_NAME, interfaceName);
  // The octet before a filter's text says what it is: text.
  if (filter !== undefined && filter !== "") description.text(IF_FILTER, `\0${filter}`);
  description.option(IF_TSRESOL, [NANOSECONDS]);
  return Uint8Array.from([...section.end(), ...description.end()]);
}

/** What a capture ends with: STATISTICS_SIZE octets. */
export function pcapngStatistics(figures: CaptureFigures): Uint8Array {
  const block = new Block(STATISTICS);
  block.u32(0);
  const [low, high] = timestampOf(figures.ended);
  block.u32(high);
  block.u32(low);
  for (const [code, time] of [
    [ISB_STARTTIME, figures.began],
    [ISB_ENDTIME, figures.ended],
  ] as const) {
    const [lower, upper] = timestampOf(time);
    block.words(code, upper, lower);
  }
  for (const [code, count] of [
    [ISB_IFRECV, figures.seen],
    [ISB_IFDROP, figures.lost],
    [ISB_FILTERACCEPT, figures.accepted],
  ] as const) {
    block.words(code, count % SIZE_32, Math.floor(count / SIZE_32));
  }
  return Uint8Array.from(block.end());
}

/** Nanoseconds since 1970 as two words, the lower one first. @param time microseconds */
function timestampOf(time: number): readonly [number, number] {
  const nanoseconds = time * 1000;
  const high = Math.floor(nanoseconds / SIZE_32);
  return [Math.floor(nanoseconds - high * SIZE_32), high];
}

/** A block that is put together from its fields. */
class Block {
  readonly #octets: number[] = [];

  constructor(type: number) {
    this.u32(type);
    this.u32(0);
  }

  u16(value: number): void {
    this.#octets.push(value & 255, (value >> 8) & 255);
  }

  u32(value: number): void {
    this.u16(value & 0xffff);
    this.u16(value >>> 16);
  }

  option(code: number, value: readonly number[]): void {
    this.u16(code);
    this.u16(value.length);
    this.#octets.push(...value);
    while (this.#octets.length % 4 !== 0) this.#octets.push(0);
  }

  text(code: number, text: string): void {
    this.option(code, [...new TextEncoder().encode(text)].slice(0, 0xffff));
  }

  words(code: number, first: number, second: number): void {
    this.u16(code);
    this.u16(8);
    this.u32(first);
    this.u32(second);
  }

  /** Ends the options and the block. */
  end(): readonly number[] {
    this.u32(0);
    const length = this.#octets.length + TRAILER_SIZE;
    this.u32(length);
    for (let i = 0; i < 4; i += 1) this.#octets[4 + i] = (length >>> (8 * i)) & 255;
    return this.#octets;
  }
}
