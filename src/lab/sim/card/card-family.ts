/**
 * Random scenarios whose guest has a vhost-user card: what the guest and the host do is the random
 * family's of the same seed; the card, who of the guest's connections makes large frames, and
 * transfers that fill the rings, are drawn here.
 */
import type { Plan, TcpPlan } from "../plan.ts";
import { Random } from "../random.ts";
import { planFromSeed } from "../scenario.ts";
import { drawCard } from "./card-plan.ts";

const STREAM = 11;
const PEER = 0xcb0071fe; // 203.0.113.254, for documentation
const PORT_FIRST = 10_000;
const SECOND = 1_000_000;
const TRANSFERS_MAX = 3;
const OCTETS_MAX = 600_000;
const BUFFER = 1_000_000;

/** The plan that belongs to a seed. */
export function planOfCard(seed: number): Plan {
  const plan = planFromSeed(seed);
  const random = new Random(seed, STREAM);
  const tcp = plan.tcp.map((each): TcpPlan => {
    const settings = { ...each.app.settings, offload: random.oneIn(2) };
    return { ...each, app: { ...each.app, settings } };
  });
  const limits = { ...plan.limits, offloads: true };
  const count = plan.isCrowded ? 0 : random.between(1, TRANSFERS_MAX);
  for (let i = 0; i < count; i += 1) tcp.push(transfer(random, tcp.length, limits.mtu));
  return { ...plan, tcp, limits, card: drawCard(seed, plan.calmAt) };
}

/** A transfer both ways as fast as it goes, by a guest that reads at once. */
function transfer(random: Random, id: number, mtu: number): TcpPlan {
  return {
    ...{ id, isInbound: false, address: PEER, port: PORT_FIRST + id },
    ...{ up: random.between(1, OCTETS_MAX), down: random.between(1, OCTETS_MAX) },
    peer: {
      ...{ connect: { kind: "ok", delay: 0 }, latency: random.between(1, 200), rate: 0 },
      ...{ sendBuffer: BUFFER, receiveBuffer: BUFFER, sendAfter: 0, closeWhen: "sent" },
      ...{ stalls: 0, stall: 0, resetAt: undefined },
    },
    app: {
      ...{ startAt: random.below(SECOND), closeWhen: "sent", resetAt: undefined },
      ...{ readSize: 0, readPause: 0, writeSize: 0, writePause: 0 },
      settings: {
        ...{ mss: mtu, windowScale: 5, sendBuffer: BUFFER, receiveBuffer: BUFFER },
        offload: random.oneIn(2),
      },
    },
  };
}
