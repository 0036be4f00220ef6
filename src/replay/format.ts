/**
 * Recordings: everything that went into an engine, and marks of what came out, in one file.
 *
 * Theory of operation
 *   The engine imports nothing and knows neither clock nor randomness, so the calls of its
 *   functions and the memory that the host writes before them are all there is to its life.
 *   `recorder.ts` puts itself between `Engine` and the module's functions and notes each call;
 *   `replayer.ts` makes the same calls on another instance and compares what it gives back.
 *
 *     goals      the same outputs bit for bit, or the first difference, named; a recording that
 *                costs nothing where it is off (another object stands there, no question is asked);
 *                a file about as large as what came in
 *     limits     RECORD_SIZE_MAX octets of a record, `limit` octets of a file; the file is hostile:
 *                every length is checked before it is believed, every record has a check value
 *     not kept   addresses in memory: another build of the engine may have its regions elsewhere
 *
 *   In: the configuration; frames with the place they lay at; events; times; for each operation its
 *   result and, of a receive, what the system call wrote (payload, name, control data, flags);
 *   addresses of inbound flows; the host's own addresses and published ports; resolvers and
 *   limits, whether a guest is asked for and what the link takes, whenever they have changed.
 *   Out: frames when the link has them all (`tx_done`), operations when they have been carried out
 *   (`complete`), results of calls, deadlines. Of a frame the length, a hash of 64 bits and the
 *   first HEAD_SIZE octets are kept, so that both sides of a difference can be read; of an
 *   operation its words, and length and hash of what it sends.
 *
 *   File: header (MAGIC, FORMAT_VERSION, ABI_VERSION, hashes of 16 digits as text: of the ABI and
 *   of the engine's octets), then records. A record is two words and a body of whole words,
 *
 *     length << 8 | kind   length of the body in octets, up to RECORD_SIZE_MAX
 *     check                of this record and all before it
 *
 *   so that octets which are missing, changed or exchanged show at the record they are in. The last
 *   record is END; a file without it was cut short. All integers are little-endian; octets are
 *   preceded by a word with their number and filled up to whole words with zeros.
 */
import * as abi from "../../wasm/abi.ts";
import { Hash64 } from "../lib/hash64.ts";

/** "SLIRPREC" */
export const MAGIC: readonly number[] = [0x53, 0x4c, 0x49, 0x52, 0x50, 0x52, 0x45, 0x43];
export const FORMAT_VERSION = 2;
export const HASH_SIZE = 16;
/** Magic, format version, ABI version, ABI hash, engine hash. */
export const FILE_HEADER_SIZE = 16 + 2 * HASH_SIZE;
export const RECORD_HEADER_SIZE = 8;
/** Largest is a batch of offload frames, 64 times 68 KiB. */
export const RECORD_SIZE_MAX = 2 ** 24 - 4;
/** Octets kept of a frame: virtio_net_hdr and headers with all options of TCP over IPv6. */
export const HEAD_SIZE = 128;

/** What a record is about: a call of the engine, or what lies between two calls. */
export const KIND = Object.freeze({
  start: 1,
  guestRx: 2,
  event: 3,
  step: 4,
  complete: 5,
  txDone: 6,
  inboundTcp: 7,
  inboundUdp: 8,
  addressSix: 9,
  farewell: 10,
  deadline: 11,
  /** New resolvers, limits, flags, DHCP options or flags of the link in the configuration. */
  live: 12,
  /** The call before it did not return. */
  trap: 13,
  end: 14,
  /** Own addresses of the host and published ports, one each. */
  hostAddress: 15,
  /** The link has lost its peer. */
  guestGone: 16,
} as const);

/** Why a recording ends, by the first word of END. */
export const ENDINGS = ["closed", "limit"] as const;
export type RecordingEnding = (typeof ENDINGS)[number];

/** The lists of options, which change together with their number alone. */
const OPTION_PARTS: readonly (readonly [offset: number, size: number])[] = [
  [abi.CONFIG_DHCP_OPTIONS_LENGTH_OFFSET, 4],
  [abi.CONFIG_DHCP_OPTIONS_OFFSET, abi.DHCP_OPTIONS_SIZE],
  [abi.CONFIG_DHCP6_OPTIONS_LENGTH_OFFSET, 4],
  [abi.CONFIG_DHCP6_OPTIONS_OFFSET, abi.DHCP_OPTIONS_SIZE],
];

/** Those that are looked at before each call: a new number stands for new options. */
const NUMBER_PARTS: readonly (readonly [offset: number, size: number])[] = [
  [abi.CONFIG_FLAGS_OFFSET, 12], // and CONFIG_FLOWS_MAX, CONFIG_CHUNKS_MAX
  [abi.CONFIG_RESOLVERS_COUNT_OFFSET, 4 + 4 * abi.RESOLVER_COUNT],
  [abi.CONFIG_RESOLVERS6_OFFSET, abi.RESOLVER_COUNT * abi.CONFIG_RESOLVER6_SIZE],
  [abi.CONFIG_OPTIONS_SERIAL_OFFSET, 4],
];

/** The last one is absent from recordings that were made when the link's flags never changed. */
const LINK_PART: readonly [offset: number, size: number] = [abi.CONFIG_LINK_FLAGS_OFFSET, 4];

/** The parts of CONFIG that may change while the engine runs: offset and octets. */
export const LIVE_PARTS: typeof NUMBER_PARTS = [...NUMBER_PARTS, ...OPTION_PARTS, LINK_PART];

export const WATCHED_PARTS: typeof NUMBER_PARTS = [...NUMBER_PARTS, LINK_PART];

/** A file that is no recording, or not one that can be replayed here. */
export class RecordingError extends Error {
  /** Place in the file. */
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.name = "RecordingError";
    this.offset = offset;
  }
}

/**
 * Hash of every constant of the ABI: equal where engine and host mean the same by each word. Those
 * of lent frames are left out, as an engine that is recorded is lent none, and what the engine only
 * notes for whoever looks at it (`TRACE_`), as nothing depends on that. So is `HOST_GONE`, which
 * came later: what was recorded without it means what it meant.
 */
export function abiHash(): string {
  const hash = new Hash64();
  for (const [name, value] of Object.entries(abi).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (/^(?:LENT_|TRACE_|HOST_GONE$)/.test(name)) continue;
    for (const letter of name) hash.mix(letter.charCodeAt(0));
    hash.mix(Number(value));
  }
  return hash.text;
}
