/**
 * The lists of flows that a competition (`competition.ts`) is made of, group by group. Times are
 * microseconds.
 */
import type { TcpSettings } from "./guest/tcp-options.ts";
import type { AppPlan, ConnectPlan, DnsPlan, PeerPlan, Silence, TcpPlan, UdpPlan } from "./plan.ts";
import type { Random } from "./random.ts";
import type { FlowGroup } from "./scenario-plan.ts";

const MS = 1000;
const SECOND = 1_000_000;
const PORT_FIRST = 10_000;

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

/** The flows of a competition, as they are added: what a party leaves out is filled in. */
export class CompetitionFlows {
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

  /** Visitors that come among a throng, before `settledAt`, have no claim to a place. */
  releaseVisitors(settledAt: number): void {
    const { tcpPlans } = this;
    for (const { name, first, count } of this.groups) {
      if (name !== "visitors") continue;
      for (let id = first; id < first + count; id += 1) {
        const plan = tcpPlans[id];
        if (plan === undefined || plan.app.startAt >= settledAt) continue;
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
