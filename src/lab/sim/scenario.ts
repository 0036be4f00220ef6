/**
 * A random scenario from a seed.
 *
 * Swarm testing: each kind of trouble is switched on or off as a whole, and what is on is drawn
 * from a wide range; so some runs have only loss, and hit what a mixture of everything never would.
 * Sizes are chosen so that a run takes a fraction of a second.
 */
import type { TcpSettings } from "./guest/tcp-options.ts";
import { CONNECT_ERRNOS } from "./host/host.ts";
import type {
  AppPlan,
  ConnectPlan,
  DatagramService,
  DnsPlan,
  EngineLimits,
  HostFaults,
  PeerPlan,
  PingPlan,
  Plan,
  TcpPlan,
  UdpPlan,
} from "./plan.ts";
import { Random } from "./random.ts";
import { NO_FAULTS, type WireFaults, type WireOptions } from "./wire.ts";

const SECOND = 1_000_000;
/** Octets all connections of a run carry together, about. */
const VOLUME = 3_000_000;
/** 203.0.113.0/24, for documentation: peers. */
const PEERS = 0xcb007100;
const PORT_FIRST = 10_000;
/** Number of the second stream of chance. */
const LATER = 5;

/** The scenario that belongs to a seed. */
export function planFromSeed(seed: number): Plan {
  const random = new Random(seed);
  const tense = random.oneIn(4);
  const isCrowded = random.oneIn(8);
  const limits = chooseLimits(random, isCrowded);
  const wire = chooseWire(random, tense ? 4 : 1);
  const lossy = chooseFaults(random);
  // What was added later draws from a stream of its own: older seeds stay what they were.
  const later = new Random(seed, LATER);
  const tcp = chooseTcp(random, limits, isCrowded).map((each) => amend(later, each));
  const calmAt = random.between(5, 40) * SECOND;
  const plan: Plan = {
    seed,
    limits,
    alarmed: random.oneIn(2),
    toGuest: { ...wire, faults: random.oneIn(2) ? lossy : chooseFaults(random) },
    toEngine: { ...chooseWire(random, tense ? 4 : 1), faults: lossy },
    host: { ...chooseHostFaults(random), staleNews: later.oneIn(2) ? 300_000 : 0 },
    tcp,
    udp: chooseUdp(random, limits),
    pings: choosePings(random),
    dns: chooseDns(random),
    calmAt,
    patience: 1200 * SECOND,
    outage: random.oneIn(8)
      ? { at: random.below(calmAt >> 1), duration: random.below(calmAt >> 1) }
      : undefined,
    resolverIsDead: random.oneIn(4),
    isCrowded,
  };
  return random.oneIn(16) ? withRestarts(plan, random) : plan;
}

/** Drawn last, so that plans without restarts are what they were before there were any. */
function withRestarts(plan: Plan, random: Random): Plan {
  const { tcp, limits, calmAt } = plan;
  const times = Array.from({ length: random.between(1, 3) }, () =>
    random.between(SECOND / 10, (calmAt >> 2) * 3),
  );
  const restarts = times.sort((a, b) => a - b);
  const last = restarts.at(-1) ?? 0;
  return { ...plan, restarts, tcp: [...tcp, chooseProbe(random, limits, tcp.length, last)] };
}

/** A connection that begins after `time` and that nothing breaks: the new engine is to serve it. */
function chooseProbe(random: Random, limits: EngineLimits, id: number, time: number): TcpPlan {
  const volume = random.between(1, 100_000);
  return {
    id,
    isInbound: false,
    address: PEERS + 1 + random.below(250),
    port: PORT_FIRST - 1,
    up: volume,
    down: random.between(1, 100_000),
    peer: {
      connect: { kind: "ok", delay: random.below(50_000) },
      latency: random.between(1, 20_000),
      rate: 0,
      sendBuffer: 65_536,
      receiveBuffer: 65_536,
      sendAfter: 0,
      closeWhen: "sent",
      stalls: 0,
      stall: 0,
      resetAt: undefined,
    },
    app: {
      startAt: time + random.between(1, SECOND),
      closeWhen: "sent",
      readSize: 0,
      readPause: 0,
      writeSize: 0,
      writePause: 0,
      resetAt: undefined,
      settings: chooseSettings(random, limits),
    },
  };
}

function chooseLimits(random: Random, isCrowded: boolean): EngineLimits {
  return {
    mtu: random.pick([1500, 1500, 1500, 576, 1280, 9000, 65_520]),
    flowsMax: isCrowded ? random.between(16, 40) : random.pick([256, 1024]),
    chunksMax: random.pick([1024, 1024, 256, 64, 24]),
    queueFrames: random.pick([256, 256, 64, 16, 512]),
    udpTimeoutSeconds: random.pick([30, 300]),
    tcpIdleSeconds: 600,
    keepaliveSeconds: random.oneIn(4) ? random.between(5, 60) : 0,
    strictFilter: random.oneIn(3),
    offloads: random.oneIn(3),
  };
}

function chooseWire(random: Random, tension: number): Omit<WireOptions, "faults"> {
  return {
    delay: random.pick([1, 20, 200, 2000, 30_000]),
    jitter: random.oneIn(3) ? random.between(1, 5000) : 0,
    rate: random.oneIn(3) ? random.between(200_000, 20_000_000) : 0,
    queueFrames: Math.floor(random.pick([1000, 300, 64]) / tension),
  };
}

function chooseFaults(random: Random): WireFaults {
  if (random.oneIn(4)) return NO_FAULTS;
  const on = (most: number): number => (random.oneIn(2) ? random.skewed(most) : 0);
  return {
    loss: on(100_000),
    duplicate: on(50_000),
    late: on(50_000),
    lateness: random.between(10, 50_000),
    corrupt: on(20_000),
    outages: on(500),
    outage: random.between(1000, 3 * SECOND),
  };
}

function chooseHostFaults(random: Random): Omit<HostFaults, "staleNews"> {
  const on = (most: number): number => (random.oneIn(3) ? random.skewed(most) : 0);
  return {
    again: on(300_000),
    interrupted: on(200_000),
    shortWrites: on(500_000),
    datagramLoss: on(300_000),
    coalesces: random.oneIn(2),
  };
}

// ---------------------------------------------------------------- TCP

function chooseTcp(random: Random, limits: EngineLimits, isCrowded: boolean): TcpPlan[] {
  const count = isCrowded ? random.between(10, 60) : random.pick([0, 1, 1, 2, 3, 5, 10, 40]);
  const share = Math.floor(VOLUME / Math.max(count, 1));
  return Array.from({ length: count }, (_, id): TcpPlan => {
    const up = random.oneIn(4) ? 0 : random.skewed(share);
    const down = random.oneIn(4) ? 0 : random.skewed(share);
    // One side at least must close by itself, or both would wait for ever.
    const first = random.below(3);
    const isInbound = random.oneIn(4);
    const peer = choosePeer(random, up, down, first, isInbound);
    return {
      id,
      isInbound,
      address: PEERS + 1 + random.below(250),
      port: PORT_FIRST + id,
      up,
      down,
      peer,
      app: chooseApp(random, up + down, first, limits),
    };
  });
}

function chooseConnect(random: Random, isInbound: boolean): ConnectPlan {
  const delay = random.pick([0, 0, 100, 20_000, 500_000]);
  if (isInbound || !random.oneIn(8)) return { kind: "ok", delay };
  if (random.oneIn(4)) return { kind: "never" };
  return { kind: "fails", delay, errno: random.pick(CONNECT_ERRNOS) };
}

function choosePeer(
  random: Random,
  up: number,
  down: number,
  first: number,
  isInbound: boolean,
): PeerPlan {
  return {
    connect: chooseConnect(random, isInbound),
    latency: random.pick([10, 100, 5000, 50_000]),
    rate: random.oneIn(2) ? 0 : random.between(50_000, 10_000_000),
    sendBuffer: random.pick([4096, 16_384, 65_536, 262_144, 2_000_000]),
    receiveBuffer: random.pick([2048, 16_384, 131_072, 1_000_000]),
    sendAfter: random.oneIn(3) ? random.below(up + 1) : 0,
    closeWhen: first === 1 ? "peer-ended" : "sent",
    stalls: random.oneIn(3) ? random.skewed(100_000) : 0,
    stall: random.between(1000, 2 * SECOND),
    resetAt: random.oneIn(10) ? random.below(up + down + 1) : undefined,
  };
}

function chooseApp(random: Random, volume: number, first: number, limits: EngineLimits): AppPlan {
  const isSlow = random.oneIn(5);
  const isSparing = random.oneIn(5);
  // At most some 20 s for all of it.
  const size = Math.max(1, random.skewed(20_000), Math.ceil(volume / 400));
  return {
    startAt: random.skewed(2 * SECOND),
    closeWhen: first === 2 ? "peer-ended" : "sent",
    readSize: isSlow ? size : 0,
    readPause: isSlow ? random.between(1, 50_000) : 0,
    writeSize: isSparing ? size : 0,
    writePause: isSparing ? random.between(1, 50_000) : 0,
    resetAt: random.oneIn(12) ? random.below(volume + 1) : undefined,
    settings: chooseSettings(random, limits),
  };
}

function chooseSettings(random: Random, limits: EngineLimits): Partial<TcpSettings> {
  const buffer = random.pick([262_144, 262_144, 65_536, 1_000_000, 8192, 3000, 700]);
  return {
    mss: random.oneIn(6) ? random.between(64, 1460) : limits.mtu,
    windowScale: random.oneIn(5) ? undefined : chooseScale(random, buffer),
    sack: !random.oneIn(4),
    timestamps: !random.oneIn(3),
    sendBuffer: random.pick([262_144, 1_000_000, 16_384]),
    receiveBuffer: buffer,
    delayedAck: random.pick([40_000, 40_000, 0, 200_000]),
    rtoMin: random.pick([200_000, 200_000, 20_000, SECOND]),
    initialSegments: random.pick([10, 10, 1, 4]),
    offload: limits.offloads && random.oneIn(2),
  };
}

/**
 * Now and then, sequence numbers that wrap within what the guest sends; and ends that wait for each
 * other's last octet: nobody closes before all has arrived.
 */
function amend(random: Random, plan: TcpPlan): TcpPlan {
  const { app, peer, up } = plan;
  const before = random.skewed(up + 2);
  const wraps = random.oneIn(4);
  const waits = random.oneIn(2) && peer.closeWhen === "peer-ended";
  const settings = wraps
    ? { ...app.settings, initialSequence: 2 ** 32 - 1 - before }
    : app.settings;
  return { ...plan, app: { ...app, settings, closeWhen: waits ? "all-read" : app.closeWhen } };
}

/** A unit of the scaled window must be small beside the buffer, or the window would never open. */
function chooseScale(random: Random, buffer: number): number {
  return Math.min(random.pick([7, 7, 0, 2, 10, 14]), Math.max(26 - Math.clz32(buffer), 0));
}

// ---------------------------------------------------------------- the rest

function chooseUdp(random: Random, limits: EngineLimits): UdpPlan[] {
  if (random.oneIn(2)) return [];
  const most = random.oneIn(3) ? 20_000 : Math.min(limits.mtu - 28, 1472);
  return Array.from({ length: random.between(1, 4) }, (_, id) => ({
    id,
    address: PEERS + 1 + random.below(250),
    port: PORT_FIRST + 1000 + id,
    service: random.pick<DatagramService>(["echo", "echo", "echo", "silent", "refused"]),
    startAt: random.skewed(3 * SECOND),
    count: random.between(1, 40),
    pause: random.pick([0, 10, 1000, 100_000]),
    sizes: [random.skewed(most), random.skewed(most), random.below(most)],
  }));
}

function choosePings(random: Random): PingPlan[] {
  if (random.oneIn(2)) return [];
  return Array.from({ length: random.between(1, 3) }, (_, i) => ({
    id: 100 + i,
    address: PEERS + 1 + random.below(250),
    startAt: random.skewed(3 * SECOND),
    count: random.between(1, 10),
    pause: random.pick([0, 1000, SECOND]),
    size: random.below(1400),
  }));
}

function chooseDns(random: Random): DnsPlan[] {
  if (random.oneIn(2)) return [];
  return Array.from({ length: random.between(1, 8) }, (_, id) => ({
    id,
    name: `host-${id}.run-${random.below(1000)}.example`,
    startAt: random.skewed(3 * SECOND),
  }));
}
