/** The numbers of a report: the large ones, and the tables that need no script to be read. */
import { DROP_NAMES, readStats } from "../../../engine/stats.ts";
import { formatIpv4 } from "../../../lib/addr.ts";
import { formatUnit, type Unit } from "../../../lib/units.ts";
import type { Plan } from "../plan.ts";
import type { FollowedConnection, Sampler } from "../sampler.ts";
import type { WorldResult } from "../verdict.ts";
import type { WireCounts, WireOptions } from "../wire.ts";
import type { World } from "../world.ts";
import type { ReportFact, ReportTable } from "./model.ts";
import { connectionName, planOf, reasonName } from "./names.ts";

const CONNECTIONS_MAX = 8;

const count = (value: number): string => formatUnit("count", value);
const octets = (value: number): string => formatUnit("octets", value);
const duration = (microseconds: number): string => formatUnit("duration", microseconds);

// ---------------------------------------------------------------- large numbers

/** What is worth a large font, for the seconds in which frames moved. */
export function factsOf(
  world: World,
  result: WorldResult,
  sampler: Sampler,
  activeUntil: number,
): ReportFact[] {
  const { streamGiven, streamTaken } = world.ledger;
  const stats = readStats(world.engine);
  const { toGuest, toEngine } = world.wires;
  const lost = toGuest.lost + toGuest.overflowed + toEngine.lost + toEngine.overflowed;
  const sent = toGuest.sent + toEngine.sent;
  const drops = DROP_NAMES.reduce((sum, name) => sum + stats[name], 0);
  const peak = Math.max(...sampler.column("flows"), result.flowsMax);
  return [
    {
      name: "Virtual time",
      value: formatUnit("duration", result.elapsed),
      note: `frames until ${formatUnit("duration", activeUntil * 1e6)}`,
    },
    stream("To the guest", streamGiven, activeUntil),
    stream("From the guest", streamTaken, activeUntil),
    { name: "Flows at once", value: count(peak), note: `${count(stats.tcpOpened)} TCP opened` },
    { name: "Frames lost", value: count(lost), note: `${percent(lost, sent)} of those sent` },
    {
      name: "Sent again",
      value: count(stats.tcpRetransmits),
      note: `segments, ${count(stats.tcpTimeouts)} timeouts`,
    },
    { name: "Drops", value: count(drops), note: "by the engine, reasons below" },
  ];
}

function stream(name: string, size: number, seconds: number): ReportFact {
  const mean = seconds > 0 ? (size * 8) / seconds : 0;
  return { name, value: octets(size), note: `TCP payload, ${formatUnit("rate", mean)} mean` };
}

function percent(part: number, whole: number): string {
  return whole === 0 ? "0 %" : `${((part / whole) * 100).toFixed(2)} %`;
}

// ---------------------------------------------------------------- tables

export function tablesOf(world: World, result: WorldResult, sampler: Sampler): ReportTable[] {
  const tables = [
    connections(world, result, sampler),
    drops(world),
    links(world),
    summary(world, result),
    parameters(world.plan),
  ];
  return tables.filter(({ rows }) => rows.length > 0);
}

function connections({ plan }: World, result: WorldResult, sampler: Sampler): ReportTable {
  const row = (each: FollowedConnection): string[] => {
    const { guestPort, peerAddress, peerPort, bytesToGuest, bytesToHost, beganAt, endedAt } = each;
    const lasted = (endedAt ?? result.elapsed) - beganAt;
    const mean = ((bytesToGuest + bytesToHost) * 8e6) / Math.max(lasted, 1);
    const isInbound = planOf(each, plan)?.isInbound === true;
    const peer = `${formatIpv4(peerAddress)}:${peerPort}`;
    return [
      connectionName(each, plan),
      isInbound ? `${peer} → guest:${guestPort}` : `guest:${guestPort} → ${peer}`,
      octets(bytesToGuest),
      octets(bytesToHost),
      duration(beganAt),
      endedAt === undefined ? "not ended" : duration(lasted),
      formatUnit("rate", mean),
    ];
  };
  return {
    title: "Connections",
    note: `The ${CONNECTIONS_MAX} that carried most; those shorter than a sample are not seen.`,
    head: ["", "ends", "to guest", "from guest", "began", "lasted", "mean"],
    rows: sampler.largest(CONNECTIONS_MAX).map(row),
  };
}

function drops({ engine }: World): ReportTable {
  const stats = readStats(engine);
  const found = DROP_NAMES.filter((name) => stats[name] > 0).sort((a, b) => stats[b] - stats[a]);
  return {
    title: "Drops by reason",
    note: "What the engine took no further; segments received twice count as drops.",
    head: ["reason", "count", "of frames from the guest"],
    rows: found.map((name) => [
      reasonName(name),
      count(stats[name]),
      percent(stats[name], stats.guestRxFrames),
    ]),
  };
}

function summary({ engine, trace }: World, result: WorldResult): ReportTable {
  const stats = readStats(engine);
  const both = (a: number, b: number): string => `${count(a)} / ${count(b)}`;
  return {
    title: "Summary",
    head: ["what", "value"],
    rows: [
      ["trace hash", result.hash],
      ["events in the trace", count(trace.events)],
      ["turns of the loop", count(result.turns)],
      ["frames to / from the guest", both(result.framesToGuest, result.framesToEngine)],
      ["TCP connections opened / closed", both(stats.tcpOpened, stats.tcpClosed)],
      ["resets sent / received", both(stats.tcpResetSent, stats.tcpResetReceived)],
      ["fast retransmits / timeouts", both(stats.tcpFastRetransmits, stats.tcpTimeouts)],
      ["segments out of order", count(stats.tcpOutOfOrder)],
      ["window probes", count(stats.tcpProbes)],
      ["datagrams to / from the host", both(stats.udpToHost, stats.udpToGuest)],
      ["pings to / from the host", both(stats.pingToHost, stats.pingToGuest)],
      ["flows at once", count(result.flowsMax)],
      ["chunks at once", count(result.chunksMax)],
    ],
  };
}

function links({ plan, wires }: World): ReportTable {
  const row = (
    name: string,
    text: (options: WireOptions, counts: WireCounts) => string,
  ): string[] => [name, text(plan.toGuest, wires.toGuest), text(plan.toEngine, wires.toEngine)];
  const chance = (perMillion: number, seen: number): string =>
    perMillion === 0 ? "none" : `${perMillion / 10_000} %: ${count(seen)}`;
  return {
    title: "Link",
    note: "What was asked of each direction, and how often it happened.",
    head: ["", "to the guest", "from the guest"],
    rows: [
      row("delay", ({ delay, jitter }) =>
        jitter === 0 ? duration(delay) : `${duration(delay)} + up to ${duration(jitter)}`,
      ),
      row("rate", ({ rate }) => (rate === 0 ? "no limit" : formatUnit("rate", rate * 8))),
      row(
        "queue",
        ({ queueFrames }, { overflowed }) => `${queueFrames} frames: ${overflowed} over`,
      ),
      row("lost", ({ faults }, { lost }) => chance(faults.loss, lost)),
      row("duplicated", ({ faults }, { duplicated }) => chance(faults.duplicate, duplicated)),
      row("late", ({ faults }, { late }) => chance(faults.late, late)),
      row("damaged", ({ faults }, { corrupted }) => chance(faults.corrupt, corrupted)),
      row("outages", ({ faults }) =>
        faults.outages === 0 ? "none" : `${faults.outages / 10_000} % of frames begin one`,
      ),
      row("frames sent", (_, { sent }) => count(sent)),
    ],
  };
}

function parameters({ seed, limits, host, tcp, udp, pings, dns, calmAt, outage, ...rest }: Plan) {
  const million = (chance: number): string => (chance === 0 ? "never" : `${chance / 10_000} %`);
  const unit = (kind: Unit, value: number): string => formatUnit(kind, value);
  const seconds = (value: number): string => `${value} s`;
  return {
    title: "Parameters",
    head: ["parameter", "value"],
    rows: [
      ["seed", String(seed)],
      ["planned", `${tcp.length} TCP, ${udp.length} UDP, ${pings.length} ping, ${dns.length} DNS`],
      ["MTU", `${limits.mtu} B`],
      ["flows at most", count(limits.flowsMax)],
      ["chunks at most", count(limits.chunksMax)],
      ["queue of the link", `${limits.queueFrames} frames`],
      ["offloads", limits.offloads ? "yes" : "no"],
      ["strict filter", limits.strictFilter ? "yes" : "no"],
      ["UDP timeout", seconds(limits.udpTimeoutSeconds)],
      ["TCP idle / keepalive", `${limits.tcpIdleSeconds} s / ${limits.keepaliveSeconds} s`],
      ["host says EAGAIN", million(host.again)],
      ["host calls interrupted", million(host.interrupted)],
      ["host takes a part only", million(host.shortWrites)],
      ["host loses datagrams", million(host.datagramLoss)],
      ["faults stop", unit("duration", calmAt)],
      ["patience after that", unit("duration", rest.patience)],
      [
        "host cut off",
        outage === undefined ? "never" : `${duration(outage.at)} for ${duration(outage.duration)}`,
      ],
      ["first resolver", rest.resolverIsDead ? "silent" : "answers"],
    ],
  };
}
