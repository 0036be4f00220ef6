/**
 * Rates, from two states of the counters: what the charts draw and the topology tells. Pure.
 *
 * Names are those of docs/metrics.md; test/ui/browser/figures.test.ts holds them against the
 * catalogue, so that none can be renamed unseen.
 */
import type { Families, SampleInfo } from "./model.ts";

/** Of one second. */
export interface Figures {
  /** Bits per second, frames and all. */
  readonly toGuest: number;
  readonly fromGuest: number;
  /** Frames per second. */
  readonly framesToGuest: number;
  readonly framesFromGuest: number;
  /** Mean of the round trips to the guest, microseconds; null = none was measured. */
  readonly rtt_us: number | null;
  /** Per second. */
  readonly drops: number;
  readonly retransmits: number;
  /** Octets, now. */
  readonly buffers: number;
  readonly buffersMax: number;
}

export interface DropCount {
  readonly reason: string;
  readonly total: number;
  /** Per second. */
  readonly rate: number;
}

const NAMES = {
  fromGuest: "slirp_guest_receive_bytes_total",
  toGuest: "slirp_guest_transmit_bytes_total",
  framesFromGuest: "slirp_guest_receive_packets_total",
  framesToGuest: "slirp_guest_transmit_packets_total",
  rtt: "slirp_tcp_guest_rtt_seconds",
  drops: "slirp_drops_total",
  retransmits: "slirp_tcp_retransmits_total",
  buffers: "slirp_buffer_bytes",
  buffersMax: "slirp_buffer_limit_bytes",
} as const;

/** Label that names the network. */
const NETWORK_LABEL = "interface";

/** Samples of a family, of one network, or of all where `network` is empty. */
function samplesOf(families: Families, name: string, network: string): readonly SampleInfo[] {
  const all = families.get(name) ?? [];
  return network === "" ? all : all.filter(({ labels }) => labels[NETWORK_LABEL] === network);
}

function total(
  families: Families,
  name: string,
  network: string,
  field: "value" | "count" | "sum" = "value",
): number {
  return samplesOf(families, name, network).reduce((sum, sample) => sum + sample[field], 0);
}

/**
 * @param seconds between the two
 * @param network empty = all together
 */
export function figuresOf(
  now: Families,
  before: Families,
  seconds: number,
  network: string,
): Figures {
  // A network that was started again counts from 0.
  const growth = (name: string, field: "value" | "count" | "sum" = "value"): number =>
    Math.max(0, total(now, name, network, field) - total(before, name, network, field));
  const rate = (name: string): number => (seconds > 0 ? growth(name) / seconds : 0);
  const measured = growth(NAMES.rtt, "count");
  return {
    toGuest: rate(NAMES.toGuest) * 8,
    fromGuest: rate(NAMES.fromGuest) * 8,
    framesToGuest: rate(NAMES.framesToGuest),
    framesFromGuest: rate(NAMES.framesFromGuest),
    rtt_us: measured > 0 ? (growth(NAMES.rtt, "sum") / measured) * 1e6 : null,
    drops: rate(NAMES.drops),
    retransmits: rate(NAMES.retransmits),
    buffers: total(now, NAMES.buffers, network),
    buffersMax: total(now, NAMES.buffersMax, network),
  };
}

/** Reasons that have counted, those that count most now first. */
export function dropCounts(
  now: Families,
  before: Families,
  seconds: number,
  network: string,
): DropCount[] {
  const sums = (families: Families): Map<string, number> => {
    const found = new Map<string, number>();
    for (const { labels, value } of samplesOf(families, NAMES.drops, network)) {
      const { reason = "" } = labels;
      found.set(reason, (found.get(reason) ?? 0) + value);
    }
    return found;
  };
  const earlier = sums(before);
  const counts = [...sums(now)].map(([reason, count]) => {
    const grown = Math.max(0, count - (earlier.get(reason) ?? 0));
    return { reason, total: count, rate: seconds > 0 ? grown / seconds : 0 };
  });
  return counts
    .filter((each) => each.total > 0)
    .sort((a, b) => b.rate - a.rate || b.total - a.total || a.reason.localeCompare(b.reason));
}
