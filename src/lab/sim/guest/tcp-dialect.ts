/**
 * What the two SYNs of a connection agreed on: window scaling, SACK, timestamps (RFC 7323, 2018,
 * RFC 9293 §3.7.1), and the timestamps that follow from it.
 */
import { seqDiff } from "./octets.ts";
import type { TcpSettings } from "./tcp-options.ts";
import type { Segment } from "./tcp-segment.ts";

const SCALE_MAX = 14;
const TIMESTAMPS_SIZE = 12;
const MSS_DEFAULT = 536;
/** Octets in a window field. */
const WINDOW_MAX = 65_535;

export class Dialect {
  readonly #settings: TcpSettings;
  /** Added to the clock, so that it tells nothing about uptime. */
  readonly #base: number;
  #sendScale = 0;
  #receiveScale = 0;
  /** The peer offered scaling. */
  isScaleOffered = false;
  sack = false;
  timestamps = false;
  /** TS.Recent: the timestamp to echo. */
  recent = 0;

  constructor(settings: TcpSettings, iss: number) {
    this.#settings = settings;
    this.#base = (iss * 7) >>> 0;
  }

  /** Takes the options of the peer's SYN. */
  takeSyn(segment: Segment): void {
    const { windowScale, sack, timestamps } = this.#settings;
    this.isScaleOffered = segment.scale >= 0;
    const scaled = windowScale !== undefined && this.isScaleOffered;
    this.#sendScale = scaled ? Math.min(segment.scale, SCALE_MAX) : 0;
    this.#receiveScale = scaled ? windowScale : 0;
    this.sack = sack && segment.sackPermitted;
    this.timestamps = timestamps && segment.hasTimestamps;
    if (this.timestamps) this.recent = segment.timestamp;
  }

  /** Payload of a full segment to the peer; `most` is what a packet holds. */
  mss(segment: Segment, most: number): number {
    const mss = Math.min(segment.mss || MSS_DEFAULT, most);
    return mss - (this.timestamps ? TIMESTAMPS_SIZE : 0);
  }

  /** The peer's window in octets; never of a SYN. */
  windowOf(segment: Segment): number {
    return segment.window * 2 ** this.#sendScale;
  }

  /** The window field that says `octets`, rounded down. */
  windowField(octets: number): number {
    return Math.min(Math.floor(octets / 2 ** this.#receiveScale), WINDOW_MAX);
  }

  /** The largest window that can be told, octets. */
  get windowMax(): number {
    return WINDOW_MAX * 2 ** this.#receiveScale;
  }

  /** Our timestamp clock, milliseconds. */
  clock(now: number): number {
    return (this.#base + Math.floor(now / 1000)) >>> 0;
  }

  /** Microseconds since the segment was sent whose timestamp comes back; -1 = none does. */
  roundTrip(segment: Segment, now: number): number {
    if (!this.timestamps || segment.timestampEcho === 0) return -1;
    const age = seqDiff(this.clock(now), segment.timestampEcho);
    return age < 0 ? -1 : Math.max(age * 1000, 500);
  }
}
