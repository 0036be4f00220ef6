/**
 * TCP options: MSS, window scale, SACK permitted, SACK, timestamps.
 * Source: RFC 9293 §3.1-3.2, RFC 7323 §2.2 and §3.2, RFC 2018 §2-3.
 *
 * Contract: `tcpOptionsParse` leaves its findings in the record it is given; SACK blocks are read
 * from the segment itself, which must still be there. Of an option that
 * comes twice the last counts; one whose length is not that of its kind is skipped like an unknown
 * one. Which segment may carry which option is not judged. The shift count is given as it came; the
 * limit of 14 is the caller's (RFC 7323 §2.3). Everything emitted is a multiple of 4 octets.
 */
import { load8, load16, load32, store16, store32 } from "./bytes";

const KIND_END: u32 = 0;
const KIND_NOP: u32 = 1;
const KIND_MSS: u32 = 2;
const KIND_WINDOW_SCALE: u32 = 3;
const KIND_SACK_PERMITTED: u32 = 4;
const KIND_SACK: u32 = 5;
const KIND_TIMESTAMPS: u32 = 8;

const SIZE_MSS: u32 = 4;
const SIZE_WINDOW_SCALE: u32 = 3;
const SIZE_SACK_PERMITTED: u32 = 2;
const SIZE_SACK_BLOCK: u32 = 8;
const SIZE_TIMESTAMPS: u32 = 10;
/** Behind the header of an option, and behind NOP NOP and that header. */
const VALUE_OFFSET: u32 = 2;
const PADDED_VALUE_OFFSET: u32 = 4;
const WORD_SIZE: u32 = 4;
const BLOCK_RIGHT_OFFSET: u32 = 4;
const TS_ECHO_OFFSET: u32 = 4;
/** Blocks of one segment, and beside timestamps (RFC 2018 §3). */
export const TCP_SACK_COUNT_MAX: u32 = 4;
export const TCP_SACK_COUNT_TIMED: i32 = 3;
/** RFC 7323 §2.3. */
export const TCP_WINDOW_SCALE_MAX: i32 = 14;

/** NOP NOP kind length, the layout of RFC 7323 appendix A. */
const TIMESTAMPS_WORD: u32 = 0x0101080a;
export const TCP_TIMESTAMPS_SIZE: u32 = 12;
const NOP_NOP: u32 = 0x0101;

@unmanaged
export class TcpOptions {
  /** Octets, or -1 if the option was absent. */
  mss: i32;
  /** Shift count, or -1 if the option was absent. */
  windowScale: i32;
  tsValue: u32;
  tsEcho: u32;
  /** SACK blocks, 0 to 4, and where they are. */
  sackCount: i32;
  sackBlocks: usize;
  /** Whether the two values above are of this segment. */
  hasTimestamps: bool;
  isSackPermitted: bool;

  /** Left edge of block `i`, which is below `sackCount`. */
  sackLeft(i: i32): u32 {
    return load32(this.sackBlocks + <usize>i * SIZE_SACK_BLOCK);
  }

  /** Right edge of block `i`: the first sequence number behind it. */
  sackRight(i: i32): u32 {
    return load32(this.sackBlocks + <usize>i * SIZE_SACK_BLOCK + BLOCK_RIGHT_OFFSET);
  }

  clear(): void {
    this.mss = -1;
    this.windowScale = -1;
    this.isSackPermitted = false;
    this.hasTimestamps = false;
    this.sackCount = 0;
  }

  /** Takes the option of that kind, `size` octets at `p`. */
  take(p: usize, kind: u32, size: u32): void {
    if (kind == KIND_TIMESTAMPS && size == SIZE_TIMESTAMPS) {
      this.hasTimestamps = true;
      this.tsValue = load32(p + VALUE_OFFSET);
      this.tsEcho = load32(p + VALUE_OFFSET + TS_ECHO_OFFSET);
    } else if (kind == KIND_SACK) {
      const blocks = (size - VALUE_OFFSET) / SIZE_SACK_BLOCK;
      if (
        blocks == 0 ||
        blocks > TCP_SACK_COUNT_MAX ||
        size != VALUE_OFFSET + blocks * SIZE_SACK_BLOCK
      )
        return;
      this.sackCount = <i32>blocks;
      this.sackBlocks = p + VALUE_OFFSET;
    } else if (kind == KIND_MSS && size == SIZE_MSS) {
      this.mss = <i32>load16(p + VALUE_OFFSET);
    } else if (kind == KIND_WINDOW_SCALE && size == SIZE_WINDOW_SCALE) {
      this.windowScale = <i32>load8(p + VALUE_OFFSET);
    } else if (kind == KIND_SACK_PERMITTED && size == SIZE_SACK_PERMITTED) {
      this.isSackPermitted = true;
    }
  }
}

/**
 * Reads the `length` octets of options at `p` into `options`. False if an option has length 0 or 1
 * or reaches past the end; what stood before it is kept.
 */
export function tcpOptionsParse(p: usize, length: u32, options: TcpOptions): bool {
  options.clear();
  // Nearly every segment of a connection in progress.
  if (length == TCP_TIMESTAMPS_SIZE && load32(p) == TIMESTAMPS_WORD) {
    options.hasTimestamps = true;
    options.tsValue = load32(p + PADDED_VALUE_OFFSET);
    options.tsEcho = load32(p + PADDED_VALUE_OFFSET + TS_ECHO_OFFSET);
    return true;
  }
  const end = p + length;
  while (p < end) {
    const kind = load8(p);
    if (kind == KIND_END) return true;
    if (kind == KIND_NOP) {
      p += 1;
      continue;
    }
    if (end - p < 2) return false;
    const size = load8(p + 1);
    if (size < 2 || size > <u32>(end - p)) return false;
    options.take(p, kind, size);
    p += size;
  }
  return true;
}

/**
 * Writes the options of a SYN or SYN-ACK and returns their length in octets, 4 to 20. A window
 * scale of -1 leaves that option out; the timestamp values count only with `timestamps`.
 */
export function tcpOptionsEmitSyn(
  p: usize,
  mss: u32,
  windowScale: i32,
  sackPermitted: bool,
  timestamps: bool,
  tsValue: u32,
  tsEcho: u32,
): u32 {
  const start = p;
  store32(p, (KIND_MSS << 24) | (SIZE_MSS << 16) | mss);
  p += WORD_SIZE;
  if (timestamps) {
    // SACK permitted is as long as the two NOPs it stands in for.
    store16(p, sackPermitted ? (KIND_SACK_PERMITTED << 8) | SIZE_SACK_PERMITTED : NOP_NOP);
    store16(p + 2, (KIND_TIMESTAMPS << 8) | SIZE_TIMESTAMPS);
    store32(p + PADDED_VALUE_OFFSET, tsValue);
    store32(p + PADDED_VALUE_OFFSET + TS_ECHO_OFFSET, tsEcho);
    p += TCP_TIMESTAMPS_SIZE;
  } else if (sackPermitted) {
    store32(p, (NOP_NOP << 16) | (KIND_SACK_PERMITTED << 8) | SIZE_SACK_PERMITTED);
    p += WORD_SIZE;
  }
  if (windowScale >= 0) {
    const option = (KIND_WINDOW_SCALE << 16) | (SIZE_WINDOW_SCALE << 8) | <u32>windowScale;
    store32(p, (KIND_NOP << 24) | option);
    p += WORD_SIZE;
  }
  return <u32>(p - start);
}

/** Writes NOP NOP timestamps and returns 12. */
export function tcpOptionsEmitTimestamps(p: usize, tsValue: u32, tsEcho: u32): u32 {
  store32(p, TIMESTAMPS_WORD);
  store32(p + PADDED_VALUE_OFFSET, tsValue);
  store32(p + PADDED_VALUE_OFFSET + TS_ECHO_OFFSET, tsEcho);
  return TCP_TIMESTAMPS_SIZE;
}

/**
 * Writes NOP NOP kind length of a SACK option of `count` blocks, 1 to 4 (3 beside timestamps), and
 * returns the length in octets of the whole; the caller writes each block after it.
 */
export function tcpOptionsEmitSackHeader(p: usize, count: u32): u32 {
  const blocks = count * SIZE_SACK_BLOCK;
  store32(p, (NOP_NOP << 16) | (KIND_SACK << 8) | (VALUE_OFFSET + blocks));
  return PADDED_VALUE_OFFSET + blocks;
}

/** Writes block `index` of the option whose `tcpOptionsEmitSackHeader` was written at `p`. */
export function tcpOptionsEmitSackBlock(p: usize, index: u32, left: u32, right: u32): void {
  const block = p + PADDED_VALUE_OFFSET + index * SIZE_SACK_BLOCK;
  store32(block, left);
  store32(block + BLOCK_RIGHT_OFFSET, right);
}
