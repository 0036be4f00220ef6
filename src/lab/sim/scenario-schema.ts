/**
 * The fields of a scenario file: names, defaults and bounds. docs/simulator.md explains each one;
 * a test compares the two lists.
 *
 * Contract: what passes has only finite numbers within bounds, so that no file makes a run of days;
 * what all flows come to together is checked by `scenario-file.ts`.
 */
import * as v from "valibot";
import { count, duration, flag, part, rate, share, size, text, word } from "./scenario-units.ts";

const MS = 1000;
const SECOND = 1_000_000;
const HOUR = 3600 * SECOND;
const MB = 1_000_000;

/** Most of all flows together. */
export const FLOWS_MAX = 20_000;
export const STREAM_OCTETS_MAX = 1000 * MB;
export const DATAGRAMS_MAX = 200_000;
/** Groups of flows. */
const GROUPS_MAX = 32;
const SIZES_MAX = 16;
/** Addresses that the peers of a group have. */
const SOURCES_MAX = 256;
const DATAGRAM_MAX = 65_507;

const RATE = rate(100, 12_500 * MB);
const CLOSES = word("when-sent", "after-peer", "never");

const LINK = {
  delay: duration(0, 10 * SECOND),
  jitter: duration(0, 10 * SECOND),
  rate: RATE,
  queue: count(1, 100_000),
  loss: share(),
  duplicate: share(),
  late: share(),
  lateness: duration(1, 60 * SECOND),
  corrupt: share(),
  outages: share(),
  outage: duration(1, 600 * SECOND),
};

const LinkSchema = v.strictObject({
  delay: v.optional(LINK.delay, "100 us"),
  jitter: v.optional(LINK.jitter, 0),
  rate: v.optional(LINK.rate, "unlimited"),
  queue: v.optional(LINK.queue, 1000),
  loss: v.optional(LINK.loss, 0),
  duplicate: v.optional(LINK.duplicate, 0),
  late: v.optional(LINK.late, 0),
  lateness: v.optional(LINK.lateness, "10 ms"),
  corrupt: v.optional(LINK.corrupt, 0),
  outages: v.optional(LINK.outages, 0),
  outage: v.optional(LINK.outage, "1 s"),
  "to-guest": v.optional(v.partial(v.strictObject(LINK)), {}),
  "to-engine": v.optional(v.partial(v.strictObject(LINK)), {}),
});

const GuestSchema = v.strictObject({
  mtu: v.optional(count(576, 65_520), 1500),
  offloads: v.optional(flag(), false),
  link: v.optional(word("memory", "vhost-user"), "memory"),
  backlog: v.optional(count(1, 4096)),
  ring: v.optional(size(2048, 16 * MB)),
  "ring-delay": v.optional(duration(1, SECOND), "50 us"),
  silences: v.optional(
    v.pipe(
      v.array(
        v.strictObject({ at: duration(0, HOUR), for: duration(1, HOUR) }),
        "wanted a list of times",
      ),
      v.maxLength(100, "wanted at most 100 times"),
    ),
    [],
  ),
});

/** What everybody is promised; the times of competitions where none are given. */
const PromisesSchema = v.strictObject({
  "connect-within": v.optional(duration(1, HOUR), "2 s"),
  "move-within": v.optional(duration(1, HOUR), "5 s"),
  "answer-within": v.optional(duration(1, HOUR), "1500 ms"),
  "half-closed-within": v.optional(duration(1, HOUR), "300 s"),
});

const EngineSchema = v.strictObject({
  flows: v.optional(count(16, 65_536), 1024),
  chunks: v.optional(count(16, 4096), 1024),
  queue: v.optional(count(8, 4096), 256),
  "udp-timeout": v.optional(duration(SECOND, HOUR), "30 s"),
  "tcp-idle": v.optional(duration(60 * SECOND, 24 * HOUR), "120 min"),
  keepalive: v.optional(duration(0, HOUR), 0),
  "strict-filter": v.optional(flag(), false),
  crowded: v.optional(flag(), false),
});

const HostSchema = v.strictObject({
  again: v.optional(share(), 0),
  interrupted: v.optional(share(), 0),
  "short-writes": v.optional(share(), 0),
  "datagram-loss": v.optional(share(), 0),
  "stale-news": v.optional(share(), 0),
  coalesces: v.optional(flag(), false),
  path: v.optional(v.strictObject({ mtu: count(576, 65_535), told: v.optional(flag(), false) })),
  offline: v.optional(v.strictObject({ at: duration(0, HOUR), for: duration(1, HOUR) })),
  resolvers: v.optional(
    v.pipe(
      v.array(
        v.strictObject({
          resolver: count(1, 2),
          at: duration(0, HOUR),
          for: duration(1, HOUR),
          refused: v.optional(flag(), false),
        }),
        "wanted a list of outages",
      ),
      v.maxLength(100, "wanted at most 100 outages"),
    ),
    [],
  ),
});

/** How the guest's TCP is set up; what is left out is as in `TCP_SETTINGS`. */
const TcpSchema = v.strictObject({
  mss: v.optional(count(64, 65_495)),
  "window-scale": v.optional(v.union([count(0, 14), v.literal("none")])),
  sack: v.optional(flag()),
  timestamps: v.optional(flag()),
  "send-buffer": v.optional(size(1024, 64 * MB)),
  "receive-buffer": v.optional(size(512, 64 * MB)),
  "delayed-ack": v.optional(duration(0, SECOND)),
  "rto-min": v.optional(duration(MS, 10 * SECOND)),
  "initial-segments": v.optional(count(1, 100)),
  "give-up-after": v.optional(duration(SECOND, HOUR)),
});

const GROUP = {
  name: text(40),
  count: v.optional(count(1, FLOWS_MAX), 1),
  start: v.optional(duration(0, HOUR), 0),
  over: v.optional(duration(0, HOUR), 0),
};

const TcpGroupSchema = v.strictObject({
  ...GROUP,
  kind: v.literal("tcp"),
  from: v.optional(word("guest", "outside"), "guest"),
  sources: v.optional(count(1, SOURCES_MAX), 1),
  yields: v.optional(flag(), false),
  "leaves-at": v.optional(duration(0, HOUR)),
  up: v.optional(size(0, STREAM_OCTETS_MAX), 0),
  down: v.optional(size(0, STREAM_OCTETS_MAX), 0),
  connect: v.optional(word("ok", "refused", "unreachable", "timeout", "never"), "ok"),
  "connect-delay": v.optional(duration(0, 60 * SECOND), 0),
  latency: v.optional(duration(0, 10 * SECOND), "1 ms"),
  rate: v.optional(RATE, "unlimited"),
  "send-buffer": v.optional(size(1024, 64 * MB), "256 KiB"),
  "receive-buffer": v.optional(size(1024, 64 * MB), "256 KiB"),
  "send-after": v.optional(size(0, STREAM_OCTETS_MAX), 0),
  stalls: v.optional(share(), 0),
  stall: v.optional(duration(1, 60 * SECOND), "200 ms"),
  "peer-closes": v.optional(CLOSES, "when-sent"),
  "guest-closes": v.optional(CLOSES, "when-sent"),
  "peer-reads": v.optional(size(0, STREAM_OCTETS_MAX)),
  "peer-resets-at": v.optional(size(0, STREAM_OCTETS_MAX)),
  "guest-resets-at": v.optional(size(0, STREAM_OCTETS_MAX)),
  "read-size": v.optional(size(0, 65_536), 0),
  "read-pause": v.optional(duration(0, 60 * SECOND), 0),
  "write-size": v.optional(size(0, 65_536), 0),
  "write-pause": v.optional(duration(0, 60 * SECOND), 0),
  tcp: v.optional(TcpSchema, {}),
  expect: v.optional(
    v.strictObject({
      "finished-min": v.optional(part()),
      "refused-min": v.optional(part()),
      "reset-max": v.optional(count(0, FLOWS_MAX)),
      "throughput-min": v.optional(RATE),
      "throughput-max": v.optional(RATE),
      "time-max": v.optional(duration(0, 24 * HOUR)),
      "connect-max": v.optional(duration(0, HOUR)),
    }),
    {},
  ),
});

const ANSWERS = {
  "answered-min": v.optional(part()),
  "answered-max": v.optional(part()),
  "rtt-max": v.optional(duration(0, HOUR)),
};

const UdpGroupSchema = v.strictObject({
  ...GROUP,
  kind: v.literal("udp"),
  yields: v.optional(flag(), false),
  service: v.optional(word("echo", "silent", "refused"), "echo"),
  datagrams: v.optional(count(1, 100_000), 10),
  pause: v.optional(duration(0, 600 * SECOND), "10 ms"),
  sizes: v.optional(
    v.pipe(
      v.array(size(0, DATAGRAM_MAX), "wanted a list of sizes"),
      v.minLength(1, "wanted at least one size"),
      v.maxLength(SIZES_MAX, `wanted at most ${SIZES_MAX} sizes`),
    ),
    [100],
  ),
  expect: v.optional(v.strictObject({ ...ANSWERS, "refused-min": v.optional(part()) }), {}),
});

const PingGroupSchema = v.strictObject({
  ...GROUP,
  kind: v.literal("ping"),
  requests: v.optional(count(1, 10_000), 10),
  pause: v.optional(duration(0, 600 * SECOND), "1 s"),
  size: v.optional(size(0, DATAGRAM_MAX), 56),
  expect: v.optional(v.strictObject(ANSWERS), {}),
});

const DnsGroupSchema = v.strictObject({
  ...GROUP,
  kind: v.literal("dns"),
  expect: v.optional(v.strictObject(ANSWERS), {}),
});

const FlowSchema = v.variant(
  "kind",
  [TcpGroupSchema, UdpGroupSchema, PingGroupSchema, DnsGroupSchema],
  'wanted one of "tcp", "udp", "ping", "dns"',
);

export const ScenarioSchema = v.strictObject({
  title: text(100),
  description: v.optional(text(2000)),
  seed: v.optional(count(0, Number.MAX_SAFE_INTEGER), 1),
  duration: v.optional(duration(SECOND, HOUR), "60 s"),
  patience: v.optional(duration(10 * SECOND, 2 * HOUR), "20 min"),
  guest: v.optional(GuestSchema, {}),
  link: v.optional(LinkSchema, {}),
  engine: v.optional(EngineSchema, {}),
  host: v.optional(HostSchema, {}),
  promises: v.optional(PromisesSchema),
  flows: v.pipe(
    v.array(FlowSchema, "wanted a list of flows"),
    v.minLength(1, "wanted at least one kind of flow"),
    v.maxLength(GROUPS_MAX, `wanted at most ${GROUPS_MAX} kinds of flow`),
  ),
  expect: v.optional(
    v.strictObject({
      "time-max": v.optional(duration(0, 24 * HOUR)),
      "flows-at-once-min": v.optional(count(0, 65_536)),
      "drops-max": v.optional(v.record(v.string(), count(0, 1e9)), {}),
      "drops-min": v.optional(v.record(v.string(), count(0, 1e9)), {}),
    }),
    {},
  ),
});

export type ScenarioDocument = v.InferOutput<typeof ScenarioSchema>;
export type LinkFields = ScenarioDocument["link"];
export type FlowFields = ScenarioDocument["flows"][number];
export type TcpFields = Extract<FlowFields, { kind: "tcp" }>;
export type RunExpectations = ScenarioDocument["expect"];
