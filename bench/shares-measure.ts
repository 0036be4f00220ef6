/**
 * What others get beside a crowd: streams, connections and look-ups, and the crowd itself.
 *
 * Nothing here throws because a program does not answer: that is a result.
 */
import { DNS_ADDRESS } from "../test/support/e2e/program.ts";
import { type Running, until } from "../test/support/e2e/shell.ts";
import type { Namespace } from "../test/support/e2e/world.ts";
import { cpuSeconds, residentMib } from "./measure.ts";
import { type Crowd, LEAST_octets, LIMIT_s } from "./shares-plan.ts";
import {
  CONNECTIONS_PER_PROCESS,
  CROWD_ADDRESSES,
  type Inside,
  OUTSIDE,
  OUTSIDE_PORT,
  type Outside,
  POD,
  PUBLISHED_PORT,
} from "./shares-world.ts";

/** One stream; `error` is empty, or what kept it from its end within the limit. */
export interface Stream {
  readonly ok: boolean;
  readonly octets: number;
  readonly ms: number;
  /** When 8 MiB were across; 0 for never. */
  readonly least_ms: number;
  readonly error: string;
}

/** Attempts every 50 ms; times are those of the attempts that succeeded. */
export interface Attempts {
  readonly tried: number;
  readonly ok: number;
  readonly p50_ms: number;
  readonly most_ms: number;
}

export interface Probes {
  /** From the guest to outside, from outside to the published port, and the guest's look-ups. */
  readonly connect: Attempts;
  readonly publish: Attempts;
  readonly names: Attempts;
}

export interface Figures extends Probes {
  /** The guest's own download and upload, and the download from the guest's published port. */
  readonly down: Stream;
  readonly up: Stream;
  readonly served: Stream;
}

/** A crowd at the end of the measurement. */
export interface CrowdEnd {
  readonly open: number;
  readonly tried: number;
  readonly refused: number;
  readonly ended: number;
  /** Time from when each had been tried until all stood still, where that was waited for. */
  readonly still_s?: number;
}

/** The program at the end: octets it has resident, share of one core, and its own counters. */
export interface ProgramEnd {
  readonly alive: boolean;
  readonly resident_mib: number;
  readonly cpu: number;
  readonly counters: Readonly<Record<string, number>>;
}

const EVERY_ms = 50;
const PROBE_ms = 2000;
const GRACE_ms = 5000;
/**
 * The crowd's last octets settle in the buffers that there are: until then it is not stuck, and has
 * its share of the link like everybody else.
 */
const SETTLE_ms = 3000;
const SETTLE_EACH_ms = 10;
/** Uploads go on until the buffers on the way are full. */
const STILL_ms = 60_000;
const FILL_ms = 60_000;
/** How long a full flood is looked at. */
const FLOOD_ms = 10_000;
const COUNTERS_ms = 3000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function stream(
  world: Outside,
  from: Namespace,
  mode: "get" | "put",
  at: readonly [string, number],
  seconds: number,
): Promise<Stream> {
  const [address, port] = at;
  const sizes = [seconds, LEAST_octets, LIMIT_s].map(String);
  const argv = [world.tools.beside, mode, address, String(port), ...sizes];
  const { stdout, stderr } = await from.run(argv, LIMIT_s * 1000 + GRACE_ms);
  return stdout === ""
    ? { ok: false, octets: 0, ms: 0, least_ms: 0, error: stderr.trim() }
    : JSON.parse(stdout);
}

/** Probes while `work` goes on. */
async function probing(
  world: Outside,
  inside: Inside,
  work: () => Promise<unknown>,
): Promise<Probes> {
  const rest = [String(EVERY_ms), String(LIMIT_s * 1000)];
  const at = (address: string, port: number, names: string): string[] => {
    return [world.tools.beside, "probe", address, String(port), names, ...rest];
  };
  const own = inside.guest.start(at(OUTSIDE, OUTSIDE_PORT, DNS_ADDRESS));
  const outside = world.outside.start(at(POD, PUBLISHED_PORT, "-"));
  await work();
  own.closeInput();
  outside.closeInput();
  const limit_ms = LIMIT_s * 1000 + GRACE_ms;
  const [one, other] = await Promise.all([own.outcome(limit_ms), outside.outcome(limit_ms)]);
  const { connect, names } = JSON.parse(one.stdout);
  return { connect, names, publish: JSON.parse(other.stdout).connect };
}

/** Three streams, one after the other, then connections and look-ups. */
export async function measureShares(
  world: Outside,
  inside: Inside,
  seconds: number,
): Promise<Figures> {
  const { guest } = inside;
  const server = [OUTSIDE, OUTSIDE_PORT] as const;
  const published = [POD, PUBLISHED_PORT] as const;
  const down = await stream(world, guest, "get", server, seconds);
  const up = await stream(world, guest, "put", server, seconds);
  const served = await stream(world, world.outside, "get", published, seconds);
  return { down, up, served, ...(await probing(world, inside, () => pause(PROBE_ms))) };
}

/** Starts the crowd's processes, which run until their input ends. */
function startCrowd(world: Outside, inside: Inside, { kind, count }: Crowd): Running[] {
  const own = kind === "writers";
  const namespace = own ? inside.guest : world.outside;
  const addresses = CROWD_ADDRESSES.join(",");
  const ends = own
    ? ["0.0.0.0", addresses, String(OUTSIDE_PORT)]
    : [addresses, POD, String(PUBLISHED_PORT)];
  const all: Running[] = [];
  for (let left = count; left > 0; left -= CONNECTIONS_PER_PROCESS) {
    const part = String(Math.min(left, CONNECTIONS_PER_PROCESS));
    all.push(namespace.start([world.tools.crowd, "hold", kind, ...ends, part]));
  }
  return all;
}

/** Waits until each member has been tried, or the time for it is over. */
async function fill(crowd: readonly Running[]): Promise<void> {
  const waits = crowd.map((running) => running.waitFor(/filled/, FILL_ms).catch(() => undefined));
  await Promise.all(waits);
}

/** Waits until the crowd stands still; seconds. */
async function settle(all: readonly Running[], crowd: Crowd): Promise<number> {
  const { kind, arriving, count } = crowd;
  const began_ms = performance.now();
  await pause(SETTLE_ms + (kind === "readers" ? count * SETTLE_EACH_ms : 0));
  if (kind === "writers" && arriving !== true) {
    await Promise.all(all.map((each) => each.waitFor(/still/, STILL_ms).catch(() => undefined)));
  }
  return (performance.now() - began_ms) / 1000;
}

async function endCrowd(crowd: readonly Running[]): Promise<CrowdEnd> {
  const total = { open: 0, tried: 0, refused: 0, ended: 0 };
  for (const running of crowd) running.closeInput();
  for (const running of crowd) {
    const { stdout, stderr } = await running.outcome(GRACE_ms);
    const line = stdout.split("\n").find((each) => each.startsWith("{"));
    if (line === undefined) throw new Error(`the crowd has ended: ${stderr}`);
    const part = JSON.parse(line) as CrowdEnd;
    total.open += part.open;
    total.tried += part.tried;
    total.refused += part.refused;
    total.ended += part.ended;
  }
  return total;
}

/** Streams and probes beside a crowd that is there all the time. */
export async function besideCrowd(
  world: Outside,
  inside: Inside,
  crowd: Crowd,
  seconds: number,
): Promise<{ figures: Figures; crowd: CrowdEnd; program: ProgramEnd }> {
  const running = startCrowd(world, inside, crowd);
  await fill(running);
  const still_s = await settle(running, crowd);
  const began = startedAt(inside);
  const figures = await measureShares(world, inside, seconds);
  const program = await programEnd(inside, began);
  return { figures, crowd: { ...(await endCrowd(running)), still_s }, program };
}

/** Probes from before a crowd comes until ten seconds after all of it has been tried. */
export async function throughoutFlood(
  world: Outside,
  inside: Inside,
  crowd: Crowd,
): Promise<{ probes: Probes; crowd: CrowdEnd; program: ProgramEnd }> {
  const began = startedAt(inside);
  let running: Running[] = [];
  const probes = await probing(world, inside, async () => {
    running = startCrowd(world, inside, crowd);
    await fill(running);
    await pause(FLOOD_ms);
  });
  const program = await programEnd(inside, began);
  return { probes, crowd: await endCrowd(running), program };
}

interface Started {
  readonly ms: number;
  readonly cpu_s: number;
}

function startedAt({ program }: Inside): Started {
  return { ms: performance.now(), cpu_s: program.running.ended() ? 0 : cpuSeconds(program.pid) };
}

async function programEnd(inside: Inside, began: Started): Promise<ProgramEnd> {
  const { pid, running } = inside.program;
  if (running.ended()) return { alive: false, resident_mib: 0, cpu: 0, counters: {} };
  const seconds = (performance.now() - began.ms) / 1000;
  const cpu = (cpuSeconds(pid) - began.cpu_s) / seconds;
  const resident_mib = residentMib(pid);
  return { alive: true, resident_mib, cpu, counters: await countersOf(inside) };
}

/** Our own counters, which SIGUSR1 has it log; those that are 0 are left out. */
async function countersOf({ program }: Inside): Promise<Record<string, number>> {
  if (program.kind !== "ours") return {};
  const { running } = program;
  running.signal("SIGUSR1");
  const line = (): string | undefined =>
    running
      .stderr()
      .split("\n")
      .findLast((each) => each.includes('"msg":"counters"'));
  const text = await until(line, "counters", COUNTERS_ms).catch(() => "{}");
  const all = Object.entries(JSON.parse(text) as Record<string, unknown>);
  const counted = all.filter((entry): entry is [string, number] => typeof entry[1] === "number");
  return Object.fromEntries(counted.filter(([, value]) => value !== 0));
}
