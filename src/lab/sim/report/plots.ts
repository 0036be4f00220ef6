/**
 * The plots of a report, from samples: counters become rates, what never was anything but nothing
 * is left out.
 */

import { DROP_NAMES } from "../../../engine/stats.ts";
import { formatIpv4 } from "../../../lib/addr.ts";
import { formatUnit, type Unit } from "../../../lib/units.ts";
import type { Plan } from "../plan.ts";
import type { ColumnName, DirectionSamples, FollowedConnection, Sampler } from "../sampler.ts";
import type { LineStyle, ReportPlot, ReportSeries } from "./model.ts";
import { connectionName, reasonName } from "./names.ts";
import { rateOf, type Values } from "./rates.ts";

/** A rate is a mean over this part of the time in which frames moved. */
const RATE_PART = 150;
/** Connections in the plot of round trips, and those with a plot of their own. */
const LINES_MAX = 8;
const DETAILED_MAX = 4;
/** A direction with less than this part of its connection's octets has no plot. */
const DIRECTION_MIN = 0.05;
/** Octets a connection must have carried to be plotted at all. */
const VOLUME_MIN = 10_000;

/** @param activeUntil seconds until the last frame */
export function plotsOf(sampler: Sampler, plan: Plan, activeUntil: number): ReportPlot[] {
  const directions = directionsOf(sampler, plan);
  const span = Math.max((activeUntil * 1e6) / RATE_PART, sampler.interval * 2);
  const rate: Rates = (name, factor) => rateOf(sampler.times, sampler.column(name), span, factor);
  const plots = [
    throughput(rate),
    ...directions.slice(0, DETAILED_MAX).map(windows),
    roundTrips(directions),
    losses(sampler),
    drops(sampler),
    flows(sampler),
    plot("Held payload", "Chunks of the engine's pool in use, until they are acknowledged.", {
      unit: "count",
      series: [series("chunks", 0, "area", sampler.column("chunks"))],
    }),
    frames(rate),
  ];
  return plots.filter(({ series }) => series.length > 0);
}

/** A line, with the digits that can be seen. */
function series(name: string, color: number, style: LineStyle, values: Values): ReportSeries {
  const shown = values.map((value) => (Number.isFinite(value) ? Math.round(value) : null));
  return { name, color, style, values: shown };
}

function plot(
  title: string,
  note: string,
  { unit, series }: { unit: Unit; series: readonly ReportSeries[] },
): ReportPlot {
  const full = series.filter(({ values }) => values.some((value) => value !== null && value !== 0));
  return { title, note, unit, series: full };
}

/** Change per second of a column. */
type Rates = (name: ColumnName, factor: number) => number[];

function throughput(rate: Rates): ReportPlot {
  const bits = (name: ColumnName): number[] => rate(name, 8);
  return plot("Throughput", "Solid: payload of TCP. Dashed: all frames, retransmissions too.", {
    unit: "rate",
    series: [
      series("to the guest", 0, "main", bits("streamGiven")),
      series("from the guest", 1, "main", bits("streamTaken")),
      series("frames to the guest", 0, "limit", bits("guestTxBytes")),
      series("frames from the guest", 1, "limit", bits("guestRxBytes")),
    ],
  });
}

function frames(rate: Rates): ReportPlot {
  return plot("Frames per second", "An offload frame of many segments counts as one.", {
    unit: "count",
    series: [
      series("to the guest", 0, "main", rate("guestTxFrames", 1)),
      series("from the guest", 1, "main", rate("guestRxFrames", 1)),
    ],
  });
}

function losses(sampler: Sampler): ReportPlot {
  const line = (name: string, color: number, style: LineStyle, column: ColumnName): ReportSeries =>
    series(name, color, style, sampler.column(column));
  const note = "Counted from the start: what the link lost, and how the engine's TCP mended it.";
  return plot("Loss and recovery", note, {
    unit: "count",
    series: [
      line("lost to the guest", 0, "main", "lostToGuest"),
      line("lost from the guest", 1, "main", "lostToEngine"),
      line("segments sent again", 3, "main", "tcpRetransmits"),
      line("fast retransmits", 2, "limit", "tcpFastRetransmits"),
      line("timeouts", 5, "limit", "tcpTimeouts"),
    ],
  });
}

function drops(sampler: Sampler): ReportPlot {
  const found = DROP_NAMES.map((name, index) => ({ name, column: sampler.drops(index) }))
    .filter(({ column }) => (column.at(-1) ?? 0) > 0)
    .sort((a, b) => (b.column.at(-1) ?? 0) - (a.column.at(-1) ?? 0))
    .slice(0, LINES_MAX);
  return plot("Drops by reason", "Counted from the start: what the engine took no further.", {
    unit: "count",
    series: found.map(({ name, column }, i) => series(reasonName(name), i, "main", column)),
  });
}

function flows(sampler: Sampler): ReportPlot {
  const difference = (opened: ColumnName, closed: ColumnName): number[] =>
    sampler.column(opened).map((value, i) => value - (sampler.column(closed)[i] ?? 0));
  const tcp = difference("tcpOpened", "tcpClosed");
  const datagrams = difference("udpOpened", "udpClosed");
  const pings = sampler.column("flows").map((all, i) => all - (tcp[i] ?? 0) - (datagrams[i] ?? 0));
  return plot("Flows", "Entries of the engine's table, connections in TIME-WAIT too.", {
    unit: "count",
    series: [
      series("TCP", 0, "main", tcp),
      series("UDP and DNS", 1, "main", datagrams),
      series("ping", 2, "main", pings),
    ],
  });
}

// ---------------------------------------------------------------- connections

/** One direction of a connection: who sends, and what it looks like from there. */
interface Direction {
  readonly name: string;
  /** Where to, and how much. */
  readonly detail: string;
  readonly sender: "engine" | "guest";
  readonly samples: DirectionSamples;
}

/** The directions that carried something, of the largest connections. */
function directionsOf(sampler: Sampler, plan: Plan): Direction[] {
  return sampler.largest(LINES_MAX).flatMap((each: FollowedConnection): Direction[] => {
    const { bytesToGuest, bytesToHost, toGuest, toEngine } = each;
    const total = bytesToGuest + bytesToHost;
    const name = connectionName(each, plan);
    const peer = `${formatIpv4(each.peerAddress)}:${each.peerPort}`;
    const detail = (octets: number): string => `${formatUnit("octets", octets)}, ${peer}`;
    const matters = (octets: number): boolean =>
      octets >= VOLUME_MIN && octets >= total * DIRECTION_MIN;
    const found: Direction[] = [];
    if (matters(bytesToGuest)) {
      const [sender, samples] = ["engine", toGuest] as const;
      found.push({ name: `${name}, to the guest`, detail: detail(bytesToGuest), sender, samples });
    }
    if (matters(bytesToHost)) {
      const [sender, samples] = ["guest", toEngine] as const;
      found.push({ name: `${name}, from the guest`, detail: detail(bytesToHost), sender, samples });
    }
    return found;
  });
}

function windows({ name, detail, sender, samples }: Direction): ReportPlot {
  const receiver = sender === "engine" ? "guest" : "engine";
  const rule = "the lesser of both windows bounds what is in flight";
  const note = `${detail}. The ${sender} sends; ${rule}.`;
  return plot(name, note, {
    unit: "octets",
    series: [
      series("in flight", 4, "area", samples.inFlight),
      series("congestion window", 0, "main", samples.cwnd),
      series("slow start threshold", 2, "limit", samples.ssthresh),
      series(`window of the ${receiver}`, 1, "limit", samples.window),
    ],
  });
}

function roundTrips(directions: readonly Direction[]): ReportPlot {
  const note = "Smoothed, as the sender measures it on the link between engine and guest.";
  return plot("Round trip", note, {
    unit: "duration",
    series: directions
      .slice(0, LINES_MAX)
      .map(({ name, samples }, i) => series(name, i, "main", samples.rtt)),
  });
}
