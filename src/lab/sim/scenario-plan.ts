/**
 * The plan that a scenario file stands for. Nothing is drawn here: the seed only decides what the
 * faults hit, so that two seeds of a scenario differ in luck and not in what happens.
 *
 * Flows of a group have consecutive ids within their kind and one address; TCP and UDP flows have a
 * port of their own, by which host and checkers know them.
 */
import { ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT } from "../../../wasm/errno.ts";
import { drawCard } from "./card/card-plan.ts";
import type { TcpSettings } from "./guest/tcp-options.ts";
import type {
  AppPlan,
  CloseWhen,
  ConnectPlan,
  DnsPlan,
  PeerPlan,
  PingPlan,
  Plan,
  Promises,
  TcpPlan,
  UdpPlan,
} from "./plan.ts";
import type { FlowFields, LinkFields, ScenarioDocument, TcpFields } from "./scenario-schema.ts";
import type { WireOptions } from "./wire.ts";

/** 203.0.113.0/24, for documentation: peers, one for each group. */
const PEERS = 0xcb007100;
/** 198.18.0.0/15, for benchmarks: peers of groups that have many, 256 for each. */
const MANY_PEERS = 0xc6121000;
const MANY = 256;
const PORT_FIRST = 10_000;
const SECOND = 1_000_000;

/** Flows of one kind that were asked for together. */
export interface FlowGroup {
  readonly name: string;
  readonly kind: "tcp" | "udp" | "ping" | "dns";
  /** Ids of its flows: `first` to `first + count - 1`. */
  readonly first: number;
  readonly count: number;
  /** What was asked for; undefined = the flows were drawn from a seed. */
  readonly fields: FlowFields | undefined;
}

export interface ScenarioPlan {
  readonly plan: Plan;
  readonly groups: readonly FlowGroup[];
}

export function planOfScenario(document: ScenarioDocument, seed: number): ScenarioPlan {
  const { engine, guest, host, link } = document;
  const hasCard = guest.link === "vhost-user";
  const hasOffloads = guest.offloads || hasCard;
  const flows = new FlowWriter(seed, hasOffloads);
  const groups = document.flows.map((fields, index) => {
    const isMany = fields.kind === "tcp" && fields.sources > 1;
    return flows.add(fields, isMany ? MANY_PEERS + index * MANY : PEERS + 1 + index);
  });
  const { tcp, udp, pings, dns } = flows;
  const plan: Plan = {
    seed,
    limits: {
      mtu: guest.mtu,
      flowsMax: engine.flows,
      chunksMax: engine.chunks,
      queueFrames: engine.queue,
      udpTimeoutSeconds: Math.ceil(engine["udp-timeout"] / SECOND),
      tcpIdleSeconds: Math.ceil(engine["tcp-idle"] / SECOND),
      keepaliveSeconds: Math.ceil(engine.keepalive / SECOND),
      strictFilter: engine["strict-filter"],
      offloads: hasOffloads,
    },
    alarmed: true,
    toGuest: wireOf(link, link["to-guest"]),
    toEngine: wireOf(link, link["to-engine"]),
    host: {
      again: host.again,
      interrupted: host.interrupted,
      shortWrites: host["short-writes"],
      datagramLoss: host["datagram-loss"],
      staleNews: host["stale-news"],
      coalesces: host.coalesces,
    },
    ...{ tcp, udp, pings, dns },
    calmAt: document.duration,
    patience: document.patience,
    outage: host.offline && { at: host.offline.at, duration: host.offline.for },
    resolverIsDead: false,
    resolverOutages: host.resolvers.map((each) => ({
      resolver: each.resolver === 1 ? 0 : 1,
      at: each.at,
      duration: each.for,
      isRefused: each.refused,
    })),
    ...(host.path && { path: { mtu: host.path.mtu, isTold: host.path.told } }),
    isCrowded: engine.crowded,
    silences: guest.silences.map((each) => ({ at: each.at, duration: each.for })),
    ...(guest.backlog !== undefined && { guestBacklog: guest.backlog }),
    ...(guest.ring !== undefined && {
      guestRing: { size: guest.ring, delay: guest["ring-delay"] },
    }),
    ...(hasCard && { card: drawCard(seed, document.duration) }),
    ...(document.promises && { promises: promisesOf(document.promises) }),
  };
  return { plan, groups };
}

function promisesOf(fields: NonNullable<ScenarioDocument["promises"]>): Promises {
  return {
    connectWithin: fields["connect-within"],
    moveWithin: fields["move-within"],
    answerWithin: fields["answer-within"],
    halfClosedWithin: fields["half-closed-within"],
  };
}

function wireOf(both: LinkFields, own: LinkFields["to-guest"]): WireOptions {
  const value = (key: Exclude<keyof LinkFields, "to-guest" | "to-engine">): number =>
    own[key] ?? both[key];
  return {
    delay: value("delay"),
    jitter: value("jitter"),
    rate: value("rate"),
    queueFrames: value("queue"),
    faults: {
      loss: value("loss"),
      duplicate: value("duplicate"),
      late: value("late"),
      lateness: value("lateness"),
      corrupt: value("corrupt"),
      outages: value("outages"),
      outage: value("outage"),
    },
  };
}

/** The flows of a plan that no file groups: by kind. */
export function groupsByKind({ tcp, udp, pings, dns }: Plan): FlowGroup[] {
  const lists = [
    ["tcp", tcp],
    ["udp", udp],
    ["ping", pings],
    ["dns", dns],
  ] as const;
  return lists.flatMap(([kind, list]) => {
    const [head] = list;
    if (head === undefined) return [];
    return [{ name: kind, kind, first: head.id, count: list.length, fields: undefined }];
  });
}

class FlowWriter {
  readonly tcp: TcpPlan[] = [];
  readonly udp: UdpPlan[] = [];
  readonly pings: PingPlan[] = [];
  readonly dns: DnsPlan[] = [];
  readonly #seed: number;
  readonly #offload: boolean;

  constructor(seed: number, offload: boolean) {
    this.#seed = seed;
    this.#offload = offload;
  }

  /** Plans the flows of a group; their starts are spread evenly. */
  add(fields: FlowFields, address: number): FlowGroup {
    const { name, kind, count, start, over } = fields;
    const first = this.#listOf(kind).length;
    for (let i = 0; i < count; i += 1) {
      const startAt = start + Math.floor((over * i) / count);
      this.#addOne(fields, first + i, address, startAt);
    }
    return { name, kind, first, count, fields };
  }

  #listOf(kind: FlowFields["kind"]): readonly unknown[] {
    if (kind === "tcp") return this.tcp;
    if (kind === "udp") return this.udp;
    return kind === "ping" ? this.pings : this.dns;
  }

  #addOne(fields: FlowFields, id: number, address: number, startAt: number): void {
    const port = PORT_FIRST + id;
    switch (fields.kind) {
      case "tcp": {
        const { up, down } = fields;
        const isInbound = fields.from === "outside";
        const app = appOf(fields, startAt, this.#offload);
        const leavesAt = fields["leaves-at"];
        this.tcp.push({
          ...{ id, isInbound, port, up, down, peer: peerOf(fields), app },
          address: address + (id % fields.sources),
          ...(fields.yields && { yields: true }),
          ...(leavesAt !== undefined && { leavesAt }),
        });
        return;
      }
      case "udp": {
        const { service, datagrams, pause, sizes } = fields;
        const [head = 0, ...rest] = sizes;
        const plan = { id, address, port, service, startAt, count: datagrams, pause };
        const yields = fields.yields ? { yields: true } : {};
        this.udp.push({ ...plan, ...yields, sizes: [head, ...rest] });
        return;
      }
      case "ping": {
        const { requests, pause, size } = fields;
        this.pings.push({ id, address, startAt, count: requests, pause, size });
        return;
      }
      case "dns":
        this.dns.push({ id, name: `host-${id}.run-${this.#seed}.example`, startAt });
    }
  }
}

function closeWhen(text: TcpFields["peer-closes"]): CloseWhen {
  if (text === "never") return "never";
  return text === "when-sent" ? "sent" : "peer-ended";
}

function connectOf(fields: TcpFields): ConnectPlan {
  const delay = fields["connect-delay"];
  switch (fields.connect) {
    case "ok":
      return { kind: "ok", delay };
    case "never":
      return { kind: "never" };
    case "refused":
      return { kind: "fails", delay, errno: ECONNREFUSED };
    case "unreachable":
      return { kind: "fails", delay, errno: EHOSTUNREACH };
    case "timeout":
      return { kind: "fails", delay, errno: ETIMEDOUT };
  }
}

function peerOf(fields: TcpFields): PeerPlan {
  return {
    connect: connectOf(fields),
    latency: fields.latency,
    rate: fields.rate,
    sendBuffer: fields["send-buffer"],
    receiveBuffer: fields["receive-buffer"],
    sendAfter: fields["send-after"],
    closeWhen: closeWhen(fields["peer-closes"]),
    stalls: fields.stalls,
    stall: fields.stall,
    resetAt: fields["peer-resets-at"],
    ...(fields["peer-reads"] !== undefined && { readsMax: fields["peer-reads"] }),
  };
}

function appOf(fields: TcpFields, startAt: number, offload: boolean): AppPlan {
  return {
    startAt,
    closeWhen: closeWhen(fields["guest-closes"]),
    readSize: fields["read-size"],
    readPause: fields["read-pause"],
    writeSize: fields["write-size"],
    writePause: fields["write-pause"],
    resetAt: fields["guest-resets-at"],
    settings: { ...settingsOf(fields.tcp), offload },
  };
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Only what the file names: the rest stays as the guest has it. */
function settingsOf(tcp: TcpFields["tcp"]): Partial<TcpSettings> {
  const settings: Partial<Writable<TcpSettings>> = {};
  const scale = tcp["window-scale"];
  if (scale !== undefined) settings.windowScale = scale === "none" ? undefined : scale;
  if (tcp.mss !== undefined) settings.mss = tcp.mss;
  if (tcp.sack !== undefined) settings.sack = tcp.sack;
  if (tcp.timestamps !== undefined) settings.timestamps = tcp.timestamps;
  if (tcp["send-buffer"] !== undefined) settings.sendBuffer = tcp["send-buffer"];
  if (tcp["receive-buffer"] !== undefined) settings.receiveBuffer = tcp["receive-buffer"];
  if (tcp["delayed-ack"] !== undefined) settings.delayedAck = tcp["delayed-ack"];
  if (tcp["rto-min"] !== undefined) settings.rtoMin = tcp["rto-min"];
  if (tcp["initial-segments"] !== undefined) settings.initialSegments = tcp["initial-segments"];
  if (tcp["give-up-after"] !== undefined) settings.giveUpAfter = tcp["give-up-after"];
  return settings;
}
