/**
 * The segments of one connection as they go out: header fields, options, window, SACK blocks.
 */
import type { Dialect } from "./tcp-dialect.ts";
import type { TcpSettings } from "./tcp-options.ts";
import type { ReceiveSide } from "./tcp-receive.ts";
import { ACK, emptyHeader, type Header, SYN } from "./tcp-segment.ts";

const WINDOW_MAX = 65_535;

/** What of its connection a segment is made from. */
export interface Sender {
  readonly settings: TcpSettings;
  readonly receive: ReceiveSide;
  readonly localPort: number;
  readonly remotePort: number;
  /** Largest payload it takes in a segment. */
  readonly ownMss: number;
  readonly iss: number;
}

/** Sends header and `length` octets of payload from `sequence` on; false = no room. */
export type Transmit = (header: Header, sequence: number, length: number) => boolean;

export class SegmentWriter {
  readonly #time: { readonly now: number };
  readonly #sender: Sender;
  readonly #dialect: Dialect;
  readonly #transmit: Transmit;
  readonly #header: Header = emptyHeader();
  /** The acknowledgment sent last (RFC 7323 §4.3). */
  lastAck = 0;

  constructor(
    time: { readonly now: number },
    sender: Sender,
    dialect: Dialect,
    transmit: Transmit,
  ) {
    this.#time = time;
    this.#sender = sender;
    this.#dialect = dialect;
    this.#transmit = transmit;
  }

  /** Sends SYN, or with `ack` SYN-ACK; false = no room. */
  syn(ack: number | undefined): boolean {
    const { settings, receive, ownMss, iss } = this.#sender;
    const header = this.#header;
    const first = ack === undefined;
    // Each option is on where both SYNs offer it.
    const scaled = first || this.#dialect.isScaleOffered;
    header.mss = ownMss;
    header.scale = scaled ? (settings.windowScale ?? -1) : -1;
    header.sackPermitted = first ? settings.sack : this.#dialect.sack;
    header.timestamps = first ? settings.timestamps : this.#dialect.timestamps;
    // Never scaled (RFC 7323 §2.2).
    header.window = Math.min(settings.receiveBuffer, WINDOW_MAX);
    const sent = this.#write(first ? SYN : SYN | ACK, iss, 0, ack ?? 0);
    header.mss = 0;
    header.scale = -1;
    header.sackPermitted = false;
    if (sent && !first) receive.advertise(1, header.window);
    return sent;
  }

  /** Sends any other segment; false = no room. */
  segment(flags: number, sequence: number, length: number, ack: number): boolean {
    const { receive, ownMss } = this.#sender;
    const header = this.#header;
    const octets = receive.advertise(ownMss, this.#dialect.windowMax);
    header.window = this.#dialect.windowField(octets);
    header.timestamps = this.#dialect.timestamps;
    return this.#write(flags, sequence, length, ack);
  }

  #write(flags: number, sequence: number, length: number, ack: number): boolean {
    const { localPort, remotePort, receive } = this.#sender;
    const header = this.#header;
    header.sourcePort = localPort;
    header.destinationPort = remotePort;
    header.seq = sequence;
    header.flags = flags;
    header.ack = ack;
    header.timestamp = this.#dialect.clock(this.#time.now);
    header.timestampEcho = this.#dialect.recent;
    const gaps = this.#dialect.sack && length === 0 && receive.hasGaps;
    header.sack = gaps ? receive.blocks(header.timestamps ? 3 : 4) : [];
    if ((flags & ACK) !== 0) this.lastAck = ack;
    return this.#transmit(header, sequence, length);
  }
}
