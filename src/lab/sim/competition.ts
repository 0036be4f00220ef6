/**
 * A competition from a seed: several parties with interests of their own on one small network, and
 * patient clients that must get on whatever the others do.
 *
 * This is a family of plans beside the random scenarios (`scenario.ts`), with seeds of its own.
 * There what is wrong is the link and the host; here both are sound, nothing is lost, and what is
 * scarce is room: tables and pool are small, so that a few dozen flows come to what thousands do on
 * the real ones. Each party is there or not as a whole:
 *
 *   stuck readers    come from outside, ask for much and read nothing
 *   greedy uploads   of the guest, to hosts that do not read
 *   scanner          a guest program that connects to what never answers
 *   crowd            from one or two addresses outside, connects and says nothing
 *   throng           the same, from an address of its own each
 *   ports            a guest program that uses very many UDP ports
 *   half-closers     one side has closed, the other never does
 *   downloads        of the guest, at full speed, side by side
 *   deaf downloads   of a guest that acknowledges nothing: memory that nobody can give back
 *   silence          not a party: the guest's end of the link does not read now and then
 *
 * They are gone after `PARTY_END`; half-closers stay, and are the engine's to end. All times are
 * microseconds.
 */
import type { TcpSettings } from "./guest/tcp-options.ts";
import {
  type AppPlan,
  type ConnectPlan,
  type DnsPlan,
  FAULTLESS_HOST,
  type PeerPlan,
  type Plan,
  type Promises,
  type Silence,
  type TcpPlan,
  type UdpPlan,
} from "./plan.ts";
import { Random } from "./random.ts";
import type { FlowGroup, ScenarioPlan } from "./scenario-plan.ts";
import { NO_FAULTS, type WireOptions } from "./wire.ts";

const MS = 1000;
const SECOND = 1_000_000;
/** Parties come in the first seconds and are gone after so long. */
const PARTY_BEGIN = 5 * SECOND;
const PARTY_END = 45 * SECOND;
const PATIENCE = 1200 * SECOND;
const PORT_FIRST = 10_000;
/** 203.0.113.0/24: whom patient clients deal with. 198.51.100.0/24: who competes. */
const PATIENT = 0xcb007100;
const PARTY = 0xc6336400;
/** 198.18.0.0/16: the throng, an address each. */
const THRONG = 0xc6121000;
const STREAM = 6;
/**
 * When many come from outside with an address of their own each, nobody can tell who is the
 * intruder: one more is promised a place only once those who came have been idle for a while.
 */
const THRONG_SETTLED = PARTY_BEGIN + 32 * SECOND;

/** What holds in every competition. */
export const PROMISES: Promises = {
  connectWithin: 2 * SECOND,
  moveWithin: 5 * SECOND,
  answerWithin: 1500 * MS,
  halfClosedWithin: 300 * SECOND,
};

/** Where memory is lost to a guest that is deaf, data waits until the first are ended. */
const DEAF_PROMISES: Promises = { ...PROMISES, moveWithin: 30 * SECOND };

/** The competition that belongs to a seed. */
export function planOfCompetition(seed: number): ScenarioPlan {
  const random = new Random(seed, STREAM);
  const flows = new Parties(random, random.oneIn(3));
  const silences = random.oneIn(3) ? chooseSilences(random) : [];
  flows.silences = silences;
  const flowsMax = random.pick([64, 128, 128, 256]);
  addPatient(flows, random);
  addParties(flows, random, flowsMax);
  if (flows.isThronged) flows.releaseVisitors();
  const queueFrames = random.pick([16, 64, 256]);
  const { tcpPlans: tcp, udpPlans: udp, dnsPlans: dns, groups } = flows;
  const plan: Plan = {
    seed,
    limits: {
      mtu: 1500,
      flowsMax,
      chunksMax: random.pick([48, 64, 128, 256]),
      queueFrames,
      udpTimeoutSeconds: random.pick([30, 300]),
      tcpIdleSeconds: 7440,
      keepaliveSeconds: 0,
      strictFilter: random.oneIn(2),
      offloads: flows.offloads,
    },
    alarmed: random.oneIn(2),
    toGuest: chooseWire(random, random.pick([64, 300])),
    toEngine: chooseWire(random, 1_000_000),
    host: { ...FAULTLESS_HOST, coalesces: random.oneIn(2) },
    ...{ tcp, udp, pings: [], dns },
    calmAt: PARTY_END,
    patience: PATIENCE,
    outage: undefined,
    resolverIsDead: false,
    isCrowded: false,
    promises: PROMISES,
    silences,
    guestBacklog: random.pick([4, 16, 64, 256]),
  };
  const later = new Random(seed, STREAM + 1);
  if (!later.oneIn(6)) return { plan, groups };
  addDeaf(flows, later, flowsMax);
  return { plan: { ...plan, promises: DEAF_PROMISES }, groups };
}

/** Nothing is lost on it: what waits, waits with its sender. */
function chooseWire(random: Random, queueFrames: number): WireOptions {
  return {
    delay: random.pick([1, 20, 200, 2 * MS]),
    jitter: 0,
    rate: random.oneIn(2) ? random.between(4_000_000, 50_000_000) : 0,
    queueFrames,
    faults: NO_FAULTS,
  };
}

function chooseSilences(random: Random): Silence[] {
  return Array.from({ length: random.between(1, 3) }, (_, i) => ({
    at: PARTY_BEGIN + i * 13 * SECOND + random.below(8 * SECOND),
    duration: random.between(SECOND / 2, 4 * SECOND),
  }));
}

// ---------------------------------------------------------------- who must get on

function addPatient(flows: Parties, random: Random): void {
  flows.tcp("steady", 2, (i) => ({
    address: PATIENT + 1,
    ...(i === 0 ? { up: 1000, down: 600_000 } : { up: 300_000, down: 1000 }),
    peer: { rate: 15_000 },
    app: i === 0 ? {} : { writeSize: 5000, writePause: SECOND / 2 },
  }));
  const last = PARTY_END - 3 * SECOND;
  flows.tcp("visits", 25, (i) => ({
    address: PATIENT + 2 + (i % 3),
    up: random.below(8000),
    down: random.below(30_000),
    app: { startAt: SECOND + Math.floor((last * i) / 25) },
  }));
  flows.tcp("visitors", 10, (i) => ({
    address: PATIENT + 100 + (i % 2),
    isInbound: true,
    up: random.below(30_000),
    down: random.below(2000),
    app: { startAt: 2 * SECOND + Math.floor((last * i) / 10) },
  }));
  flows.udp("datagrams", 1, () => ({
    address: PATIENT + 7,
    service: "echo",
    startAt: SECOND,
    count: 40,
    pause: SECOND,
    sizes: [random.between(4, 1400)],
  }));
  flows.dns("names", 25, (i) => SECOND + Math.floor((last * i) / 25));
}

// ---------------------------------------------------------------- who competes with them

function addParties(flows: Parties, random: Random, flowsMax: number): void {
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

function addStuckReaders(flows: Parties, random: Random, flowsMax: number): void {
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

function addGreedyUploads(flows: Parties, random: Random, flowsMax: number): void {
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

function addScanner(flows: Parties, random: Random, flowsMax: number): void {
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

function addIdle(flows: Parties, random: Random, name: string, count: number, sources: number) {
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

function addCrowd(flows: Parties, random: Random, flowsMax: number): void {
  const count = random.between(flowsMax, flowsMax * 2);
  addIdle(flows, random, "crowd", count, random.pick([1, 2]));
}

function addThrong(flows: Parties, random: Random, flowsMax: number): void {
  const count = random.between(flowsMax, flowsMax * 2);
  addIdle(flows, random, "throng", count, count);
}

function addPorts(flows: Parties, random: Random, flowsMax: number): void {
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

function addHalfClosers(flows: Parties, random: Random, flowsMax: number): void {
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

function addDownloads(flows: Parties, random: Random, flowsMax: number): void {
  const count = random.between(4, Math.min(flowsMax >> 2, 40));
  flows.tcp("downloads", count, (i) => ({
    address: PARTY + 130 + (i % 8),
    up: 100,
    down: Math.floor(random.between(1_000_000, 6_000_000) / count),
    peer: { sendBuffer: 262_144, receiveBuffer: 262_144 },
    app: { startAt: arrival(i, count, SECOND) },
  }));
}

function addDeaf(flows: Parties, random: Random, flowsMax: number): void {
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

// ---------------------------------------------------------------- lists of flows

/** A connection as a party describes it; what it leaves out is as with any other. */
interface TcpSketch {
  readonly address: number;
  readonly isInbound?: boolean;
  readonly yields?: boolean;
  readonly isDeaf?: boolean;
  readonly leavesAt?: number;
  readonly up?: number;
  readonly down?: number;
  readonly peer?: Partial<PeerPlan>;
  readonly app?: Partial<AppPlan>;
}

const CONNECTED: ConnectPlan = { kind: "ok", delay: 0 };

class Parties {
  readonly offloads: boolean;
  readonly tcpPlans: TcpPlan[] = [];
  readonly udpPlans: UdpPlan[] = [];
  readonly dnsPlans: DnsPlan[] = [];
  readonly groups: FlowGroup[] = [];
  /** Strangers come from many addresses. */
  isThronged = false;
  silences: readonly Silence[] = [];
  readonly #random: Random;

  constructor(random: Random, offloads: boolean) {
    this.#random = random;
    this.offloads = offloads;
  }

  #group(name: string, kind: FlowGroup["kind"], first: number, count: number): void {
    this.groups.push({ name, kind, first, count, fields: undefined });
  }

  tcp(name: string, count: number, sketch: (i: number) => TcpSketch): void {
    const list = this.tcpPlans;
    this.#group(name, "tcp", list.length, count);
    for (let i = 0; i < count; i += 1) {
      const { isInbound = false, up = 0, down = 0, peer, app, ...rest } = sketch(i);
      const id = list.length;
      list.push({
        ...rest,
        ...{ id, isInbound, port: PORT_FIRST + id, up, down },
        peer: this.#peer(peer),
        app: rest.yields === true ? this.#app(app) : this.#awake(this.#app(app)),
      });
    }
  }

  /** Visitors that come among a throng have no claim to a place. */
  releaseVisitors(): void {
    const { tcpPlans } = this;
    for (const { name, first, count } of this.groups) {
      if (name !== "visitors") continue;
      for (let id = first; id < first + count; id += 1) {
        const plan = tcpPlans[id];
        if (plan === undefined || plan.app.startAt >= THRONG_SETTLED) continue;
        tcpPlans[id] = { ...plan, yields: true };
      }
    }
  }

  udp(name: string, count: number, plan: (i: number) => Omit<UdpPlan, "id" | "port">): void {
    const first = this.udpPlans.length;
    this.#group(name, "udp", first, count);
    for (let i = 0; i < count; i += 1) {
      const id = first + i;
      this.udpPlans.push({ ...plan(i), id, port: PORT_FIRST + id });
    }
  }

  dns(name: string, count: number, startAt: (i: number) => number): void {
    const first = this.dnsPlans.length;
    this.#group(name, "dns", first, count);
    for (let i = 0; i < count; i += 1) {
      const id = first + i;
      this.dnsPlans.push({ id, name: `host-${id}.example`, startAt: startAt(i) });
    }
  }

  #peer(own: Partial<PeerPlan> = {}): PeerPlan {
    return {
      ...{ connect: CONNECTED, latency: this.#random.pick([100, 5 * MS, 30 * MS]), rate: 0 },
      ...{ sendBuffer: 65_536, receiveBuffer: 65_536, sendAfter: 0, closeWhen: "sent" },
      ...{ stalls: 0, stall: 0, resetAt: undefined },
      ...own,
    };
  }

  #app({ settings, ...own }: Partial<AppPlan> = {}): AppPlan {
    return {
      ...{ startAt: SECOND, closeWhen: "sent", readSize: 0, readPause: 0 },
      ...{ writeSize: 0, writePause: 0, resetAt: undefined },
      ...own,
      settings: { ...this.#settings(), ...settings },
    };
  }

  /** Not while the guest reads nothing: who is not connected then has no claim to be. */
  #awake(app: AppPlan): AppPlan {
    const { startAt } = app;
    const found = this.silences.find(({ at, duration }) => {
      return startAt > at - SECOND && startAt < at + duration + SECOND / 2;
    });
    return found === undefined ? app : { ...app, startAt: found.at + found.duration + SECOND / 2 };
  }

  #settings(): Partial<TcpSettings> {
    const random = this.#random;
    return {
      sendBuffer: 65_536,
      receiveBuffer: random.pick([262_144, 65_536]),
      sack: !random.oneIn(4),
      timestamps: !random.oneIn(3),
      offload: this.offloads && random.oneIn(2),
      delayedAck: random.pick([40 * MS, 0]),
      timeWait: SECOND,
    };
  }
}
