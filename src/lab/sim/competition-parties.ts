/** The parties of a competition (`competition.ts`), a function each. Times are microseconds. */
import type { CompetitionFlows } from "./competition-flows.ts";
import type { PeerPlan } from "./plan.ts";
import type { Random } from "./random.ts";

const SECOND = 1_000_000;
/** Parties come in the first seconds and are gone after so long. */
export const PARTY_BEGIN = 5 * SECOND;
export const PARTY_END = 45 * SECOND;
/**
 * When many come from outside with an address of their own each, nobody can tell who is the
 * intruder: one more is promised a place only once those who came have been idle for a while.
 */
export const THRONG_SETTLED = PARTY_BEGIN + 32 * SECOND;
/** 198.51.100.0/24: who competes. */
const PARTY = 0xc6336400;
/** 198.18.0.0/16: the throng, an address each. */
const THRONG = 0xc6121000;

/** Adds each party or does not, one at least. */
export function addParties(flows: CompetitionFlows, random: Random, flowsMax: number): void {
  const parties = [
    addStuckReaders,
    addGreedyUploads,
    addScanner,
    addCrowd,
    addThrong,
    addPorts,
    addHalfClosers,
    addDownloads,
  ];
  const present = parties.filter(() => random.oneIn(3));
  const least = parties[random.below(parties.length)];
  if (present.length === 0 && least !== undefined) present.push(least);
  for (const add of present) add(flows, random, flowsMax);
}

/** When the `i`-th of `count` comes, all of them within `over`. */
function arrival(i: number, count: number, over: number): number {
  return PARTY_BEGIN + Math.floor((over * i) / count);
}

/** A peer that reads `readsMax` octets and then no more. */
function stuckPeer(random: Random): Partial<PeerPlan> {
  return {
    closeWhen: "never",
    readsMax: random.pick([0, 0, 20_000]),
    receiveBuffer: 16_384,
    sendBuffer: random.pick([4096, 16_384, 65_536]),
  };
}

function addStuckReaders(flows: CompetitionFlows, random: Random, flowsMax: number): void {
  const count = random.between(8, flowsMax >> 1);
  const over = random.between(1, 20) * SECOND;
  const sources = random.pick([1, 2, 20]);
  if (sources > 2) flows.isThronged = true;
  flows.tcp("stuck readers", count, (i) => ({
    address: PARTY + 1 + (i % sources),
    isInbound: true,
    yields: true,
    leavesAt: PARTY_END,
    up: 1_000_000,
    down: 100,
    peer: stuckPeer(random),
    app: { startAt: arrival(i, count, over), settings: { sendBuffer: 131_072 } },
  }));
}

function addGreedyUploads(flows: CompetitionFlows, random: Random, flowsMax: number): void {
  const count = random.between(8, flowsMax >> 1);
  const over = random.between(1, 20) * SECOND;
  flows.tcp("greedy uploads", count, (i) => ({
    address: PARTY + 50 + (i % 3),
    yields: true,
    leavesAt: PARTY_END,
    up: 1_000_000,
    peer: stuckPeer(random),
    app: { startAt: arrival(i, count, over), settings: { sendBuffer: 131_072 } },
  }));
}

function addScanner(flows: CompetitionFlows, random: Random, flowsMax: number): void {
  const count = random.between(flowsMax >> 1, flowsMax * 2);
  const over = random.between(2, 20) * SECOND;
  const giveUpAfter = random.pick([5, 20, 60]) * SECOND;
  flows.tcp("scanner", count, (i) => ({
    address: PARTY + 60 + (i % 16),
    yields: true,
    peer: { connect: { kind: "never" } },
    app: { startAt: arrival(i, count, over), settings: { giveUpAfter } },
  }));
}

function addIdle(
  flows: CompetitionFlows,
  random: Random,
  name: string,
  count: number,
  sources: number,
) {
  const over = random.between(1, 15) * SECOND;
  const first = sources > 2 ? THRONG : PARTY + 80;
  if (sources > 2) flows.isThronged = true;
  flows.tcp(name, count, (i) => ({
    address: first + (i % sources),
    isInbound: true,
    yields: true,
    leavesAt: PARTY_END,
    peer: { closeWhen: "never" },
    app: { startAt: arrival(i, count, over), closeWhen: "never" },
  }));
}

function addCrowd(flows: CompetitionFlows, random: Random, flowsMax: number): void {
  const count = random.between(flowsMax, flowsMax * 2);
  addIdle(flows, random, "crowd", count, random.pick([1, 2]));
}

function addThrong(flows: CompetitionFlows, random: Random, flowsMax: number): void {
  const count = random.between(flowsMax, flowsMax * 2);
  addIdle(flows, random, "throng", count, count);
}

function addPorts(flows: CompetitionFlows, random: Random, flowsMax: number): void {
  const count = random.between(flowsMax >> 1, flowsMax * 2);
  const over = random.between(1, 20) * SECOND;
  const pause = random.pick([1, 10]) * SECOND;
  flows.udp("ports", count, (i) => ({
    address: PARTY + 100 + (i % 4),
    service: i % 2 === 0 ? "echo" : "silent",
    startAt: arrival(i, count, over),
    count: 3,
    pause,
    sizes: [random.between(4, 200)],
    yields: true,
  }));
}

function addHalfClosers(flows: CompetitionFlows, random: Random, flowsMax: number): void {
  const count = random.between(4, flowsMax >> 2);
  const over = random.between(1, 20) * SECOND;
  flows.tcp("half-closers", count, (i) => {
    const isGuest = random.oneIn(2);
    return {
      address: PARTY + 110 + (i % 8),
      isInbound: random.oneIn(2),
      yields: true,
      up: 100,
      down: 100,
      peer: { closeWhen: isGuest ? "never" : "sent" },
      app: { startAt: arrival(i, count, over), closeWhen: isGuest ? "sent" : "never" },
    };
  });
}

function addDownloads(flows: CompetitionFlows, random: Random, flowsMax: number): void {
  const count = random.between(4, Math.min(flowsMax >> 2, 40));
  flows.tcp("downloads", count, (i) => ({
    address: PARTY + 130 + (i % 8),
    up: 100,
    down: Math.floor(random.between(1_000_000, 6_000_000) / count),
    peer: { sendBuffer: 262_144, receiveBuffer: 262_144 },
    app: { startAt: arrival(i, count, SECOND) },
  }));
}

export function addDeaf(flows: CompetitionFlows, random: Random, flowsMax: number): void {
  const count = random.between(8, flowsMax >> 1);
  flows.tcp("deaf downloads", count, (i) => ({
    address: PARTY + 140 + (i % 8),
    yields: true,
    isDeaf: true,
    leavesAt: PARTY_END,
    down: 500_000,
    app: { startAt: arrival(i, count, 3 * SECOND), settings: { giveUpAfter: 600 * SECOND } },
  }));
}
