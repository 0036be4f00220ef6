/**
 * A guest from a seed that says little of its windows, and one whose segments come in pieces of
 * another size than before.
 *
 * This is a family of plans with seeds of its own, beside the random scenarios (`scenario.ts`). In
 * those a window is hardly ever shut for good, and what is sent again is mostly what was sent, so
 * that an engine which never probes a shut window, or mixes up what it holds, passes hundreds of
 * them. Here are two kinds of connections, and a link that loses and delays:
 *
 *   readers   downloads of a program that reads slowly into a small buffer. News that the window is
 *             open again are told, lost, or never told at all (RFC 9293 §3.8.6.1)
 *   writers   uploads in small pieces without SACK: after a loss they are sent again in whole
 *             segments, over the edges of what has come (RFC 9293 §3.10.7.4)
 *
 * All times are microseconds.
 */
import type { WindowUpdates } from "./guest/tcp-options.ts";
import { FAULTLESS_HOST, type PeerPlan, type Plan, type TcpPlan } from "./plan.ts";
import { Random } from "./random.ts";
import { NO_FAULTS, type WireOptions } from "./wire.ts";

const MS = 1000;
const SECOND = 1_000_000;
const STREAM = 8;
const PEER = 0xcb007101; // 203.0.113.1, for documentation
const PORT_FIRST = 10_000;
const CALM_AT = 60 * SECOND;
const PATIENCE = 1200 * SECOND;
/** How often a reader's buffer is filled: each time may cost a timeout and more. */
const FILLS_MAX = 12;

/** The plan that belongs to a seed. */
export function planOfWindows(seed: number): Plan {
  const random = new Random(seed, STREAM);
  const mtu = random.pick([1500, 1500, 576]);
  const wire = chooseWire(random);
  const count = random.between(1, 4);
  const tcp = Array.from({ length: count }, (_, id) =>
    random.oneIn(2) ? reader(random, id, mtu) : writer(random, id, mtu),
  );
  return {
    seed,
    limits: {
      ...{ mtu, flowsMax: 64, chunksMax: random.pick([64, 256, 1024]), queueFrames: 256 },
      ...{ udpTimeoutSeconds: 300, tcpIdleSeconds: 7440, keepaliveSeconds: 0 },
      ...{ strictFilter: false, offloads: false },
    },
    alarmed: random.oneIn(2),
    toGuest: wire,
    toEngine: { ...chooseWire(random), delay: wire.delay },
    host: FAULTLESS_HOST,
    ...{ tcp, udp: [], pings: [], dns: [] },
    ...{ calmAt: CALM_AT, patience: PATIENCE, outage: undefined },
    ...{ resolverIsDead: false, isCrowded: false },
  };
}

function chooseWire(random: Random): WireOptions {
  return {
    delay: random.pick([20, 2 * MS, 20 * MS]),
    jitter: 0,
    rate: 0,
    queueFrames: 1000,
    faults: {
      ...NO_FAULTS,
      loss: random.oneIn(3) ? 0 : random.between(5000, 150_000),
      late: random.oneIn(2) ? random.between(1000, 50_000) : 0,
      lateness: random.between(MS, 50 * MS),
    },
  };
}

function peer(over: Partial<PeerPlan>): PeerPlan {
  return {
    ...{ connect: { kind: "ok", delay: 0 }, latency: MS, rate: 0 },
    ...{ sendBuffer: 65_536, receiveBuffer: 65_536, sendAfter: 0, closeWhen: "sent" },
    ...{ stalls: 0, stall: 0, resetAt: undefined },
    ...over,
  };
}

function reader(random: Random, id: number, mtu: number): TcpPlan {
  const receiveBuffer = random.pick([700, 3000, 8192, 16_384]);
  const windowUpdates = random.pick<WindowUpdates>(["told", "lost", "withheld", "withheld"]);
  return {
    ...{ id, isInbound: random.oneIn(4), address: PEER + id, port: PORT_FIRST + id },
    ...{ up: 0, down: receiveBuffer * random.between(2, FILLS_MAX) },
    peer: peer({}),
    app: {
      ...{ startAt: random.below(SECOND), closeWhen: "peer-ended", resetAt: undefined },
      readSize: Math.ceil(receiveBuffer / random.between(1, 4)),
      readPause: random.between(MS, SECOND),
      ...{ writeSize: 0, writePause: 0 },
      settings: { mss: mtu, windowScale: 0, receiveBuffer, windowUpdates },
    },
  };
}

function writer(random: Random, id: number, mtu: number): TcpPlan {
  return {
    ...{ id, isInbound: false, address: PEER + id, port: PORT_FIRST + id },
    ...{ up: random.between(2000, 60_000), down: 0 },
    peer: peer({
      closeWhen: "peer-ended",
      receiveBuffer: random.pick([2048, 16_384, 131_072]),
      rate: random.oneIn(2) ? random.between(20_000, 500_000) : 0,
    }),
    app: {
      ...{ startAt: random.below(SECOND), closeWhen: "sent", resetAt: undefined },
      ...{ readSize: 0, readPause: 0 },
      writeSize: random.between(20, 700),
      writePause: random.between(50, 2 * MS),
      settings: { mss: mtu, sack: false, timestamps: random.oneIn(2), sendBuffer: 65_536 },
    },
  };
}
