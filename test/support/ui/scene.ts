/** What a fake instance shows: networks, flows and figures that look like those of a real one. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  DroppedFrameSchema,
  EventKind,
  type Family,
  FamilySchema,
  type Flow,
  FlowKind,
  FlowSchema,
  NetworkSchema,
  PublishedPortSchema,
  Waiting,
} from "../../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import type { FakeInstance } from "./fake-instance.ts";

const MIB = 2 ** 20;
const WAITS = [
  ...[Waiting.IDLE, Waiting.IDLE, Waiting.GUEST_ACK, Waiting.GUEST_WINDOW, Waiting.HOST_WRITE],
  ...[Waiting.CONNECT, Waiting.TIME_WAIT, Waiting.HOST_CLOSE],
];
const STATES = [
  ...["ESTABLISHED", "ESTABLISHED", "ESTABLISHED", "ESTABLISHED", "ESTABLISHED"],
  ...["CONNECTING", "TIME_WAIT", "FIN_WAIT_2"],
];

type FlowInit = Omit<MessageInitShape<typeof FlowSchema>, "$typeName">;

/** A TCP flow; all that differs between flows follows from its number. */
export function flowOf(id: number, network = "default", more: FlowInit = {}): Flow {
  const place = id % WAITS.length;
  return create(FlowSchema, {
    network,
    id,
    kind: FlowKind.TCP,
    state: STATES[place] ?? "",
    guestAddress: "10.0.2.15",
    guestPort: 32768 + (id % 28000),
    peerAddress: `198.51.${100 + (id % 3)}.${1 + (id % 250)}`,
    peerPort: [443, 80, 5432, 22][id % 4] ?? 443,
    localAddress: "192.0.2.7",
    localPort: 40000 + (id % 20000),
    hostAddress: `198.51.${100 + (id % 3)}.${1 + (id % 250)}`,
    hostPort: [443, 80, 5432, 22][id % 4] ?? 443,
    bytesToHost: BigInt((id * 7919) % 900_000),
    bytesToGuest: BigInt((id * 104_729) % 90_000_000),
    ageUs: BigInt((1 + (id % 3600)) * 1_000_000),
    idleUs: BigInt((id % 30) * 500_000),
    rttUs: 180 + ((id * 37) % 900),
    windowForGuest: 4 * MIB,
    windowOfGuest: 3 * MIB,
    congestionWindow: 640 * 1024,
    inFlight: (id * 1447) % 65536,
    retransmits: id % 17 === 0 ? id % 5 : 0,
    waiting: WAITS[place] ?? Waiting.IDLE,
    ...more,
  });
}

function counter(name: string, samples: readonly [Record<string, string>, number][]): Family {
  return create(FamilySchema, {
    name,
    help: name,
    type: "counter",
    samples: samples.map(([labels, value]) => ({ labels, value })),
  });
}

function gauge(name: string, samples: readonly [Record<string, string>, number][]): Family {
  return create(FamilySchema, { ...counter(name, samples), type: "gauge" });
}

/** Traffic after so many seconds: what has passed in all, in seconds of the mean rate. */
function passed(seconds: number): number {
  return seconds + 4 * Math.sin(seconds / 6) + 1.5 * Math.sin(seconds / 1.7) * 0.4;
}

/** Lets the instance live: its flows carry what its counters say, from now on. */
export function bringToLife(instance: FakeInstance, networks: readonly string[]): void {
  const start = instance.now();
  const total = [...instance.flows.values()].reduce((sum, { id }) => sum + shareOf(id), 0);
  let before = passed(100);
  instance.onInterval = () => {
    const seconds = 100 + Number(instance.now() - start) / 1e6;
    instance.families = familiesAfter(seconds, networks);
    const now = passed(seconds);
    for (const flow of instance.flows.values()) {
      const share = ((now - before) * shareOf(flow.id)) / total;
      if (share <= 0) continue;
      const bytesToGuest = flow.bytesToGuest + BigInt(Math.round(56e6 * share));
      const bytesToHost = flow.bytesToHost + BigInt(Math.round(6.1e6 * share));
      instance.set({ ...flow, bytesToGuest, bytesToHost, idleUs: 20_000n });
    }
    before = now;
  };
}

/** A few flows carry most, and most carry nothing. */
function shareOf(id: number): number {
  return id % 3 === 0 && kindOf(id).kind === undefined ? 1 / (1 + (id % 11)) ** 2 : 0;
}

/** Counters of networks after so many seconds of traffic that rises and falls. */
function familiesAfter(seconds: number, networks: readonly string[]): Family[] {
  const of = (
    value: (place: number) => number,
    labels: Record<string, string> = {},
  ): [Record<string, string>, number][] =>
    networks.map((name, place) => [{ interface: name, ...labels }, value(place)]);
  const wave = passed(seconds);
  const megabytes = (rate: number) => (place: number) => (rate * 1e6 * wave) / (1 + 3 * place);
  const drops = (rate: number, phase: number) => (place: number) =>
    place > 0 ? 0 : Math.floor(rate * Math.max(0, wave + 3 * Math.sin(seconds / 3 + phase) - 2));
  const observed = (place: number): number => Math.floor((40 * seconds) / (1 + place));
  const rtt = create(FamilySchema, {
    name: "slirp_tcp_guest_rtt_seconds",
    help: "",
    type: "histogram",
    samples: networks.map((name, place) => ({
      labels: { interface: name },
      count: BigInt(observed(place)),
      sum: observed(place) * (0.00031 + 0.00002 * Math.sin(seconds / 40)),
    })),
  });
  return [
    counter("slirp_guest_receive_bytes_total", of(megabytes(6.4))),
    counter("slirp_guest_transmit_bytes_total", of(megabytes(58))),
    counter(
      "slirp_guest_receive_packets_total",
      of((place) => megabytes(0.009)(place)),
    ),
    counter(
      "slirp_guest_transmit_packets_total",
      of((place) => megabytes(0.014)(place)),
    ),
    counter(
      "slirp_tcp_retransmits_total",
      of((place) => Math.floor(0.4 * wave) / (1 + place)),
    ),
    counter(
      "slirp_flows_opened_total",
      of(() => 5 * seconds, { protocol: "tcp" }),
    ),
    counter("slirp_drops_total", [
      ...of(drops(3, 0), { reason: "tcp_no_flow" }),
      ...of(drops(1.2, 2), { reason: "ip_destination" }),
      ...of(drops(0.5, 4), { reason: "udp_checksum" }),
      ...of(() => 0, { reason: "runt" }),
    ]),
    gauge(
      "slirp_buffer_bytes",
      of((place) => (11 + 3 * Math.sin(seconds / 5)) * MIB - place * MIB),
    ),
    gauge(
      "slirp_buffer_limit_bytes",
      of(() => 256 * MIB),
    ),
    rtt,
  ];
}

/** Fills an instance: the networks of these names, with so many flows in the first. */
export function furnish(
  instance: FakeInstance,
  { networks = ["default"], flows = 24 }: { networks?: readonly string[]; flows?: number } = {},
): void {
  instance.networks = networks.map((name, place) =>
    create(NetworkSchema, {
      name,
      link: place === 0 ? "vhost-user" : "tap",
      endpoint: place === 0 ? "/run/kubevirt/slirp-default.sock" : `tap${place}`,
      hasGuest: true,
      mtu: 65520,
      subnet: `10.${place}.2.0/24`,
      gateway: `10.${place}.2.2`,
      guestAddress: `10.${place}.2.15`,
      subnet6: `fd10:${place}:2::/64`,
      gateway6: `fd10:${place}:2::1`,
      guestAddress6: `fd10:${place}:2::2`,
      dnsAddress: `10.${place}.2.3`,
      isUp: true,
      flowsMax: 16384,
    }),
  );
  const [first = "default", second] = networks;
  for (let id = 1; id <= flows; id += 1) {
    const isOfSecond = second !== undefined && id % 6 === 0;
    const more = kindOf(id);
    const at = isOfSecond ? { ...more, guestAddress: "10.1.2.15" } : more;
    instance.set(flowOf(id, isOfSecond ? second : first, at));
  }
  instance.families = familiesAfter(100, networks);
  instance.ports = [
    create(PublishedPortSchema, {
      ...{ network: first, protocol: "tcp", hostAddress: "0.0.0.0", hostPort: 8080 },
      ...{ guestPort: 80, isListening: true, flows: 3 },
    }),
    create(PublishedPortSchema, {
      ...{ network: first, protocol: "udp", hostAddress: "127.0.0.1", hostPort: 5353 },
      ...{ guestPort: 53, isListening: true },
    }),
  ];
  instance.drops = DROPS.map(([reason, summary, length], i) =>
    create(DroppedFrameSchema, {
      ...{ network: first, reason, summary, length },
      timeUs: instance.now() - BigInt((DROPS.length - i) * 1_300_000),
      headers: Buffer.from("0a000002000102000a0000020800450000340001400040060000", "hex"),
    }),
  );
  instance.say(EventKind.NETWORK_STARTED, "guest network started", { network: first });
  instance.say(EventKind.GUEST_ATTACHED, "guest attached", { network: first });
  const lease = { network: first, details: { address: "10.0.2.15", mac: "0a:00:00:02:00:01" } };
  instance.say(EventKind.LEASE_GIVEN, "lease given", lease);
  instance.say(EventKind.PORT_PUBLISHED, "port published", {
    network: first,
    details: { port: "0.0.0.0:8080/tcp" },
  });
  for (const text of LINES) instance.lines.push(text);
}

const DROPS: readonly (readonly [string, string, number])[] = [
  ["ip_destination", "10.0.2.15:40112 > 169.254.169.254:80 tcp", 74],
  ["tcp_no_flow", "10.0.2.15:51200 > 198.51.100.9:443 tcp", 60],
  ["udp_checksum", "10.0.2.15:5353 > 224.0.0.251:5353 udp", 91],
  ["tcp_no_flow", "10.0.2.15:51204 > 198.51.101.4:443 tcp", 60],
];

const LINES = [
  '{"level":"info","interface":"default","msg":"guest network started"}',
  '{"level":"info","interface":"default","msg":"guest attached"}',
  '{"level":"info","interface":"default","address":"10.0.2.15","msg":"lease given"}',
  '{"level":"warn","interface":"default","resolver":"192.0.2.53","msg":"resolver does not answer"}',
  '{"level":"info","interface":"default","port":"0.0.0.0:8080/tcp","msg":"port published"}',
];

function kindOf(id: number): FlowInit {
  if (id % 7 === 3) {
    const waiting = Waiting.IDLE;
    return {
      kind: FlowKind.DNS,
      state: "",
      peerAddress: "10.0.2.3",
      peerPort: 53,
      rttUs: 0,
      waiting,
    };
  }
  if (id % 9 === 5) return { kind: FlowKind.UDP, state: "", rttUs: 0, waiting: Waiting.IDLE };
  if (id % 13 === 6) return { isInbound: true, guestPort: 80 };
  return {};
}
