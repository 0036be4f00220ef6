/**
 * A competition from a seed: several parties with interests of their own on one small network, and
 * patient clients that must get on whatever the others do.
 *
 * This is a family of plans beside the random scenarios (`scenario.ts`), with seeds of its own.
 * There what is wrong is the link and the host; here both are sound, nothing is lost, and what is
 * scarce is room: tables and pool are small, so that a few dozen flows come to what thousands do on
 * the real ones. Each party (`competition-parties.ts`) is there or not as a whole:
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
import { CompetitionFlows } from "./competition-flows.ts";
import {
  addDeaf,
  addParties,
  PARTY_BEGIN,
  PARTY_END,
  THRONG_SETTLED,
} from "./competition-parties.ts";
import { FAULTLESS_HOST, type Plan, type Promises, type Silence } from "./plan.ts";
import { Random } from "./random.ts";
import type { ScenarioPlan } from "./scenario-plan.ts";
import { NO_FAULTS, type WireOptions } from "./wire.ts";

const MS = 1000;
const SECOND = 1_000_000;
const PATIENCE = 1200 * SECOND;
/** 203.0.113.0/24: whom patient clients deal with. */
const PATIENT = 0xcb007100;
const STREAM = 6;

/** What holds in every competition. */
const PROMISES: Promises = {
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
  const flows = new CompetitionFlows(random, random.oneIn(3));
  const silences = random.oneIn(3) ? chooseSilences(random) : [];
  flows.silences = silences;
  const flowsMax = random.pick([64, 128, 128, 256]);
  addPatient(flows, random);
  addParties(flows, random, flowsMax);
  if (flows.isThronged) flows.releaseVisitors(THRONG_SETTLED);
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

function addPatient(flows: CompetitionFlows, random: Random): void {
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
