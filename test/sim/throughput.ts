/**
 * How fast one connection is, in virtual time, for each loss, round trip and receive buffer: a
 * frozen table that shows a change of the engine's congestion control, window or recovery as a
 * difference, whether or not any other test minds.
 *
 * One connection carries `VOLUME` octets over a link of 1,500 octets MTU without a limit of rate,
 * frames lost in both directions alike. The time is from the SYN until both directions have ended;
 * the host's peer is near and never waits. The numbers say how the engine behaves with the modelled
 * guest, not what a machine reaches: with no loss and a short way they would be without end.
 */
import { FAULTLESS_HOST, type Plan, type TcpPlan } from "../../src/lab/sim/plan.ts";
import { simulatedEngine } from "../../src/lab/sim/simulated-engine.ts";
import { NO_FAULTS, type WireOptions } from "../../src/lab/sim/wire.ts";
import { World } from "../../src/lab/sim/world.ts";

const VOLUME = 1_500_000;
/** One with which some frames are lost in each cell where any may be. */
const SEED = 2;
const SECOND = 1_000_000;
/** Faults never stop before the connection has ended. */
const CALM_AT = 3600 * SECOND;

/** Chances in a million that a frame is lost. */
const LOSSES = [0, 1000, 10_000, 50_000] as const;
const ROUND_TRIPS_MS = [2, 20, 100] as const;
const BUFFERS = [16_384, 65_536, 1_048_576] as const;
const DIRECTIONS = ["down", "up"] as const;

/** Guests that are harder to send to than the usual one. */
const KINDS = ["8 KiB ring", "lwIP"] as const;

export interface Cell {
  readonly direction: (typeof DIRECTIONS)[number];
  readonly loss: number;
  readonly roundTripMs: number;
  readonly buffer: number;
  /** A card with a ring as rtl8139's; or no SACK, timestamps and scaling, a small buffer. */
  readonly kind?: (typeof KINDS)[number];
}

const USUAL: readonly Cell[] = DIRECTIONS.flatMap((direction) =>
  LOSSES.flatMap((loss) =>
    ROUND_TRIPS_MS.flatMap((roundTripMs) =>
      BUFFERS.map((buffer) => ({ direction, loss, roundTripMs, buffer })),
    ),
  ),
);

const OTHERS: readonly Cell[] = [
  ...[0, 10_000].map((loss) => ({ loss, buffer: 262_144, kind: KINDS[0] })),
  ...LOSSES.map((loss) => ({ loss, buffer: 5840, kind: KINDS[1] })),
].map((cell) => ({ direction: "down", roundTripMs: 1, ...cell }));

export const CELLS: readonly Cell[] = [...USUAL, ...OTHERS];

/** What a cell is called in the snapshot. */
export function nameOf({ direction, loss, roundTripMs, buffer, kind }: Cell): string {
  const what = `${direction}, loss ${loss / 10_000} %, ${roundTripMs} ms, ${buffer >> 10} KiB`;
  return kind === undefined ? what : `${what}, ${kind}`;
}

const LWIP = { sack: false, timestamps: false, windowScale: undefined };

function connection({ direction, buffer, kind }: Cell): TcpPlan {
  const isUp = direction === "up";
  return {
    ...{ id: 0, isInbound: false, address: 0xcb007101, port: 10_000 },
    ...{ up: isUp ? VOLUME : 0, down: isUp ? 0 : VOLUME },
    peer: {
      ...{ connect: { kind: "ok", delay: 0 }, latency: 10, rate: 0 },
      ...{ sendBuffer: 1_000_000, receiveBuffer: 1_000_000, sendAfter: 0 },
      ...{ closeWhen: isUp ? "peer-ended" : "sent", stalls: 0, stall: 0, resetAt: undefined },
    },
    app: {
      ...{ startAt: 0, closeWhen: isUp ? "sent" : "peer-ended", resetAt: undefined },
      ...{ readSize: 0, readPause: 0, writeSize: 0, writePause: 0 },
      settings: {
        ...{ mss: 1460, sendBuffer: buffer, receiveBuffer: buffer },
        ...(kind === "lwIP" && LWIP),
      },
    },
  };
}

function planOf(cell: Cell): Plan {
  const wire: WireOptions = {
    ...{ delay: (cell.roundTripMs * 1000) / 2, jitter: 0, rate: 0, queueFrames: 8192 },
    faults: { ...NO_FAULTS, loss: cell.loss },
  };
  return {
    seed: SEED,
    limits: {
      ...{ mtu: 1500, flowsMax: 64, chunksMax: 1024, queueFrames: 512, offloads: false },
      ...{ udpTimeoutSeconds: 30, tcpIdleSeconds: 7440, keepaliveSeconds: 0, strictFilter: false },
    },
    ...{ alarmed: false, toGuest: wire, toEngine: wire, host: FAULTLESS_HOST },
    ...{ tcp: [connection(cell)], udp: [], pings: [], dns: [] },
    ...{ calmAt: CALM_AT, patience: 600 * SECOND, outage: undefined },
    ...{ resolverIsDead: false, isCrowded: false },
    ...(cell.kind === "8 KiB ring" && { guestRing: { size: 8192, delay: 50 } }),
  };
}

/** Kilobytes (1,000 octets) per second of virtual time. @throws {Error} after a violation */
function measure(cell: Cell): number {
  const world = new World(simulatedEngine(), planOf(cell));
  const { clock, guest } = world;
  const open = guest.openTcp.bind(guest);
  let begin = 0;
  let end = 0;
  guest.openTcp = (address, port, events, settings) => {
    begin = clock.now;
    const closed: typeof events.closed = (reason, connection) => {
      end = clock.now;
      events.closed?.(reason, connection);
    };
    return open(address, port, { ...events, closed }, settings);
  };
  const { violations } = world.run();
  if (violations.length > 0) throw new Error(`${nameOf(cell)}: ${violations.join("; ")}`);
  return Math.round((VOLUME * 1000) / (end - begin));
}

/** The whole table, by the names of its cells. */
export function measureAll(): Record<string, number> {
  return Object.fromEntries(CELLS.map((cell) => [nameOf(cell), measure(cell)]));
}

/** `docs/throughput.md`, for people. */
export function render(table: Readonly<Record<string, number>>): string {
  const lines = [
    "# Throughput in virtual time",
    "",
    "Made by `node --import tsx test/sim/update-throughput.ts` from the simulator: do not edit.",
    "",
    `One connection of ${VOLUME.toLocaleString("en-US")} octets between the modelled guest and the`,
    "engine, from the SYN until both directions have ended, over a link that has no limit of rate",
    "and loses frames in both directions alike. Kilobytes per second of virtual time: they compare",
    "the engine with itself, before and after a change, not with a machine. `npm test` compares.",
  ];
  for (const direction of DIRECTIONS) {
    const title = direction === "down" ? "Host to guest" : "Guest to host";
    lines.push("", `## ${title}`, "", `| loss | round trip | ${BUFFERS.map(kib).join(" | ")} |`);
    lines.push(`|---|---|${BUFFERS.map(() => "--:|").join("")}`);
    for (const loss of LOSSES) {
      for (const roundTripMs of ROUND_TRIPS_MS) {
        const cells = BUFFERS.map(
          (buffer) => table[nameOf({ direction, loss, roundTripMs, buffer })] ?? "",
        );
        lines.push(`| ${loss / 10_000} % | ${roundTripMs} ms | ${cells.join(" | ")} |`);
      }
    }
  }
  lines.push("", "## Guests that are harder to send to", "");
  lines.push(
    "From the host, round trip 1 ms: a card whose receive ring has room for five frames that",
  );
  lines.push(
    "come at once; and a stack like lwIP's, without SACK and timestamps, its buffer four segments.",
  );
  lines.push("", "| guest | loss | |", "|---|---|--:|");
  for (const cell of OTHERS) {
    lines.push(`| ${cell.kind} | ${cell.loss / 10_000} % | ${table[nameOf(cell)] ?? ""} |`);
  }
  return `${lines.join("\n")}\n`;
}

function kib(buffer: number): string {
  return `${buffer >> 10} KiB buffer`;
}
