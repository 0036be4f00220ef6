/**
 * What there is to tell at one moment: the values of every series of the catalogue, of all guest
 * networks and of the process. Taken for one scrape and then given away.
 */
import { CHUNK_SIZE, STAT_COUNT } from "../../wasm/abi.ts";
import type { Mailbox } from "../binding/mailbox.ts";
import type { HistogramName, Meters } from "../binding/meters.ts";
import { KIND_NAMES, TCP_STATE_NAMES } from "../engine/flows.ts";
import { DROP_NAMES, STAT_NAMES } from "../engine/stats.ts";
import type { Histogram } from "../lib/histogram.ts";
import { PEER_NAMES, seriesOfDrop, seriesOfPeers, seriesOfStat } from "./catalogue.ts";
import type { FamilyName } from "./families.ts";
import type { ProcessFigures } from "./process-figures.ts";

/** One guest network, as its worker last told. */
export interface WatchedNetwork {
  readonly interface: string;
  /** Whether its worker answers. */
  readonly isUp: boolean;
  readonly counters: Mailbox;
  readonly meters: Meters | undefined;
}

/** A line of the exposition: `suffix` follows the family's name. */
export interface Sample {
  readonly suffix: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const HISTOGRAM_FAMILIES: Readonly<Record<HistogramName, FamilyName>> = {
  turn: "slirp_loop_turn_seconds",
  blocked: "slirp_link_blocked_seconds",
  connect: "slirp_connect_seconds",
  guestRtt: "slirp_tcp_guest_rtt_seconds",
};

const TCP_KIND = KIND_NAMES.indexOf("tcp");

/** Values by the family's name; a family without any is not there. */
export type Snapshot = ReadonlyMap<FamilyName, readonly Sample[]>;

export function takeSnapshot(
  networks: readonly WatchedNetwork[],
  figures: ProcessFigures,
): Snapshot {
  const builder = new Builder();
  builder.addProcess(figures);
  for (const network of networks) builder.addNetwork(network);
  return builder.families;
}

class Builder {
  readonly families = new Map<FamilyName, Sample[]>();

  addProcess({ version, residentBytes, cpuSeconds, descriptors, startSeconds }: ProcessFigures) {
    this.#add("slirp_build_info", { version }, 1);
    this.#add("process_resident_memory_bytes", {}, residentBytes);
    this.#add("process_cpu_seconds_total", {}, cpuSeconds);
    this.#add("process_open_fds", {}, descriptors);
    this.#add("process_start_time_seconds", {}, startSeconds);
  }

  addNetwork(network: WatchedNetwork): void {
    const of = { interface: network.interface };
    this.#add("slirp_network_up", of, network.isUp ? 1 : 0);
    this.#addCounters(of, network.counters);
    if (network.meters !== undefined) this.#addMeters(of, network.meters);
  }

  #addCounters(of: { readonly interface: string }, counters: Mailbox): void {
    STAT_NAMES.forEach((name, i) => {
      const { family, labels } = seriesOfStat(name);
      this.#add(family, { ...of, ...labels }, counters.counter(i));
    });
    DROP_NAMES.forEach((name, i) => {
      if (name === "dropNone") return;
      const { family, labels } = seriesOfDrop(name);
      this.#add(family, { ...of, ...labels }, counters.counter(STAT_COUNT + i));
    });
    this.#add("slirp_engine_failures_total", of, counters.failures);
    const { peers } = counters;
    this.#add("slirp_link_peer", of, peers.hasPeer ? 1 : 0);
    for (const name of PEER_NAMES) {
      const { family, labels } = seriesOfPeers(name);
      this.#add(family, { ...of, ...labels }, peers[name]);
    }
    this.#add("slirp_buffer_bytes", of, counters.chunks * CHUNK_SIZE);
  }

  #addMeters(of: { readonly interface: string }, meters: Meters): void {
    KIND_NAMES.forEach((kind, i) => {
      if (kind === undefined || i === TCP_KIND) return;
      this.#add("slirp_flows", { ...of, kind, state: "" }, meters.flowsOfKind(i));
    });
    TCP_STATE_NAMES.forEach((state, i) => {
      if (state === "CLOSED") return;
      const labels = { ...of, kind: "tcp", state: state.toLowerCase() };
      this.#add("slirp_flows", labels, meters.flowsInState(i));
    });
    this.#add("slirp_flows_limit", of, meters.flowsLimit);
    this.#add("slirp_buffer_limit_bytes", of, meters.chunksLimit * CHUNK_SIZE);
    this.#add("slirp_tcp_window_limited_seconds_total", of, meters.windowLimited);
    for (const name of Object.keys(HISTOGRAM_FAMILIES) as HistogramName[]) {
      this.#addHistogram(HISTOGRAM_FAMILIES[name], of, meters.histograms[name]);
    }
  }

  /** Ranges add up: each says how many were at its upper end or below. */
  #addHistogram(family: FamilyName, of: { readonly interface: string }, from: Histogram): void {
    let count = 0;
    from.counts.forEach((of_, i) => {
      count += of_;
      const le = String(from.bounds[i] ?? "+Inf");
      this.#add(family, { ...of, le }, count, "_bucket");
    });
    this.#add(family, of, from.sum, "_sum");
    this.#add(family, of, count, "_count");
  }

  #add(family: FamilyName, labels: Sample["labels"], value: number, suffix = ""): void {
    const samples = this.families.get(family);
    const sample = { suffix, labels, value };
    if (samples === undefined) this.families.set(family, [sample]);
    else samples.push(sample);
  }
}
