/**
 * `npm run bench -- --writers`: what this program writes beside packets must not cost them. Traffic
 * and the time to end while standard error, a capture or a recording is stuck, against the same
 * without; and the memory that many small frames take with `--pcap` and `--record`.
 *
 * All configurations are up together and measured in turns, ratios are taken within a repetition.
 */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { messageOf } from "../src/lib/message.ts";
import {
  GATEWAY,
  missing,
  type ProgramOptions,
  startAttach,
  startProgram,
} from "../test/support/e2e/program.ts";
import { endAll, must } from "../test/support/e2e/shell.ts";
import { createGuest, type Namespace } from "../test/support/e2e/world.ts";
import {
  concat,
  ETHERTYPE_IPV4,
  ethernet,
  ipv4,
  PROTOCOL_UDP,
  u32,
  udp,
} from "../test/support/packet.ts";
import { measure, type Path, residentMib } from "./measure.ts";
import { type Metric, orderOf } from "./plan.ts";
import { median, progress, table } from "./report.ts";
import { createBenchHost, obstacle, prepareRr } from "./world.ts";

const KINDS = [
  "free",
  "stderr stuck",
  "FIFO unread",
  "FIFO stalled",
  "files",
  "capture",
  "snap",
] as const;
type Kind = (typeof KINDS)[number];
const METRICS: readonly Metric[] = ["up1", "dn1", "urr"];

/** What the issue asks for: part of the traffic, milliseconds to end, MiB more. */
const TRAFFIC_MIN = 0.95;
const END_MAX_ms = 1000;
const GROWTH_MAX_mib = 16;
/** Only the kinds that wait for nobody are held to TRAFFIC_MIN; files cost what they cost. */
const JUDGED: readonly Kind[] = ["stderr stuck", "FIFO unread"];

const PAYLOAD = new Uint8Array(22); // 64 octets with the headers of UDP, IPv4 and Ethernet
const FRAMES_PER_PIECE = 1024;
const GUEST = "10.0.2.15";
const GUEST_MAC = "02:00:00:00:00:0f";
const GATEWAY_MAC = "52:55:0a:00:02:02";
const SINK_PORT = 5303;
const SINK = `require("node:dgram").createSocket("udp4").bind(+process.argv[1], () =>
  console.log("bound"))`;
const MTU = 65520;
const SIGNAL_ms = 50;
const USAGE =
  "usage: npm run bench -- --writers [--reps N] [--seconds S] [--frames N] [--only KIND]" +
  " [--strict]";

interface Options {
  readonly reps: number;
  readonly seconds: number;
  readonly frames: number;
  readonly only: string;
  readonly strict: boolean;
}

function readOptions(): Options {
  try {
    const { values } = parseArgs({
      options: {
        reps: { type: "string", default: "5" },
        seconds: { type: "string", default: "2" },
        frames: { type: "string", default: "10000000" },
        only: { type: "string", default: "" },
        strict: { type: "boolean", default: false },
      },
    });
    const [reps, seconds, frames] = [values.reps, values.seconds, values.frames].map(Number);
    if (!(Number(reps) >= 0 && Number(seconds) >= 1 && Number(frames) >= 0)) {
      throw new Error("--reps, --seconds and --frames are numbers");
    }
    const { only, strict } = values;
    return { reps: Number(reps), seconds: Number(seconds), frames: Number(frames), only, strict };
  } catch (error) {
    console.error(`bench: ${messageOf(error)}\n${USAGE}`);
    process.exit(2);
  }
}

/** A FIFO; `fill` leaves no room in it. Whoever calls closes the descriptor. */
function makeFifo(path: string, fill: boolean): number {
  must(["mkfifo", path]);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    while (fill) writeSync(fd, new Uint8Array(4096).fill(0x78));
  } catch {
    // EAGAIN: it is full
  }
  return fd;
}

/** What a kind starts with, and the descriptors that keep it so. */
function settingOf(kind: Kind, folder: string): [Partial<ProgramOptions>, number[]] {
  const path = join(folder, "stuck");
  switch (kind) {
    case "free":
      return [{}, []];
    case "stderr stuck": {
      const fd = makeFifo(path, true);
      return [{ prefix: ["sh", "-c", 'exec 2>"$0"; exec "$@"', path] }, [fd]];
    }
    case "FIFO unread":
      closeSync(makeFifo(path, false));
      return [{ pcap: path }, []];
    case "FIFO stalled":
      return [{ pcap: path }, [makeFifo(path, false)]];
    case "capture":
      return [{ pcap: join(folder, "a.pcapng") }, []];
    case "snap":
      return [{ pcap: join(folder, "a.pcapng"), args: ["--pcap-snap", "128"] }, []];
    case "files": {
      const record = ["--record", join(folder, "a.rec"), "--record-limit", "65536"];
      return [{ pcap: join(folder, "a.pcap"), args: record }, []];
    }
  }
}

interface Up {
  readonly kind: Kind;
  readonly path: Path;
  /** Ends it; resolves to the milliseconds that took. */
  readonly end: () => Promise<number>;
}

async function bringUp(host: Namespace, kind: Kind): Promise<Up> {
  const folder = mkdtempSync(join(tmpdir(), "slirp-writers-"));
  const [setting, held] = settingOf(kind, folder);
  const guest = createGuest();
  const netns = guest.path;
  const program = await startProgram({ host, netns, mtu: MTU, hostLoopback: true, ...setting });
  const config = { name: kind, kind: "ours", mtu: MTU, vnet: true } as const;
  const path = { config, client: guest, server: host, address: GATEWAY, program };
  const end = async (): Promise<number> => {
    const { elapsed_ms } = await timed(() => program.stop());
    for (const fd of held) closeSync(fd);
    guest.remove();
    rmSync(folder, { recursive: true, force: true });
    return elapsed_ms;
  };
  return { kind, path, end };
}

async function timed(work: () => Promise<unknown>): Promise<{ elapsed_ms: number }> {
  const began = performance.now();
  await work();
  return { elapsed_ms: performance.now() - began };
}

/** Measures one metric while the program has something to log all the time. */
async function measured(up: Up, metric: Metric, seconds: number, rr: readonly string[]) {
  const signals = setInterval(() => up.path.program?.running.signal("SIGUSR1"), SIGNAL_ms);
  try {
    const sample = await measure(up.path, metric, seconds, rr);
    return sample.ok ? sample.value : Number.NaN;
  } finally {
    clearInterval(signals);
  }
}

/** Ratios to the free one by kind and metric, and times to end by kind. */
interface Results {
  readonly ratios: Map<string, number[]>;
  readonly ends: Map<Kind, number[]>;
}

async function repeat(
  host: Namespace,
  { seconds, only }: Options,
  rep: number,
  rr: readonly string[],
  { ratios, ends }: Results,
): Promise<void> {
  const kinds = KINDS.filter((kind) => kind === "free" || kind.includes(only));
  const all: Up[] = [];
  for (const kind of orderOf(kinds, rep)) all.push(await bringUp(host, kind));
  for (const metric of METRICS) {
    const values = new Map<Kind, number>();
    for (const up of orderOf(all, rep)) {
      progress(`repetition ${rep + 1}: ${metric}, ${up.kind}`);
      values.set(up.kind, await measured(up, metric, seconds, rr));
    }
    for (const kind of kinds) {
      const ratio = (values.get(kind) ?? Number.NaN) / (values.get("free") ?? Number.NaN);
      const key = `${kind} ${metric}`;
      ratios.set(key, [...(ratios.get(key) ?? []), ratio]);
    }
  }
  for (const up of all) ends.set(up.kind, [...(ends.get(up.kind) ?? []), await up.end()]);
}

/** Many times the same datagram to the host, as a stream link carries it. */
function pieceOfStream(): Uint8Array {
  const ends = { source: GUEST, destination: GATEWAY };
  const datagram = udp({ ...ends, sourcePort: 5000, destinationPort: SINK_PORT }, PAYLOAD);
  const packet = ipv4({ ...ends, protocol: PROTOCOL_UDP }, datagram);
  const frame = ethernet(
    { source: GUEST_MAC, destination: GATEWAY_MAC, type: ETHERTYPE_IPV4 },
    packet,
  );
  const record = concat(u32(frame.length), frame);
  return concat(...Array.from({ length: FRAMES_PER_PIECE }, () => record));
}

/** Resident memory at most, over that many frames of 64 octets, with and without both files. */
async function memory(host: Namespace, frames: number, hasFiles: boolean) {
  const folder = mkdtempSync(join(tmpdir(), "slirp-writers-"));
  const path = join(folder, "link.sock");
  const names = [join(folder, "a.pcap"), join(folder, "a.rec")];
  const files = ["--pcap", names[0] ?? "", "--record", names[1] ?? "", "--record-limit", "65536"];
  const args = ["--listen", `unix:${path}`, "--host-loopback", ...(hasFiles ? files : [])];
  const sink = host.start(["node", "-e", SINK, String(SINK_PORT)]);
  await sink.waitFor(/bound/);
  const attached = await startAttach(host, args);
  const { pid } = attached.running;
  const socket = connect(path);
  await once(socket, "connect");
  socket.resume();
  let most_mib = 0;
  const piece = pieceOfStream();
  for (let sent = 0; sent < frames; sent += FRAMES_PER_PIECE) {
    if (!socket.write(piece)) await once(socket, "drain");
    if (sent % 2 ** 18 !== 0 || sent === 0) continue;
    // From then on: what starting has touched is given back when a guest connects.
    most_mib = Math.max(most_mib, residentMib(pid));
    progress(`memory: ${sent} of ${frames} frames, ${most_mib.toFixed(1)} MiB`);
  }
  most_mib = Math.max(most_mib, residentMib(pid));
  socket.destroy();
  const { elapsed_ms: end_ms } = await timed(() => attached.stop());
  const sizes_mib = hasFiles ? names.map((name) => statSync(name).size / 2 ** 20) : [];
  rmSync(folder, { recursive: true, force: true });
  sink.signal("SIGKILL");
  return { most_mib, end_ms, sizes_mib, log: attached.running.stderr() };
}

async function memoryVerdicts(host: Namespace, frames: number): Promise<Verdict[]> {
  const { most_mib: without } = await memory(host, frames / 10, false);
  const { most_mib, end_ms, sizes_mib, log } = await memory(host, frames, true);
  const files = sizes_mib.map((size) => size.toFixed(0)).join(" and ");
  console.log(`files of ${files} MiB; the log of that:\n${log}`);
  const growth = most_mib - without;
  const figure = `${growth.toFixed(1)} MiB (${most_mib.toFixed(1)} to ${without.toFixed(1)})`;
  const what = `${frames} frames with both files: memory`;
  return [
    [what, figure, `≤ ${GROWTH_MAX_mib} MiB`, growth <= GROWTH_MAX_mib],
    ["after them: end", `${end_ms.toFixed(0)} ms`, `≤ ${END_MAX_ms} ms`, end_ms <= END_MAX_ms],
  ];
}

/** A line of the verdicts, and whether it is as it should be. */
type Verdict = readonly [what: string, figure: string, bar: string, isMet: boolean];

function verdictsOf({ ratios, ends }: Results): Verdict[] {
  const judged = JUDGED.filter((kind) => ends.has(kind));
  const traffic = judged.flatMap((kind) =>
    METRICS.map((metric): Verdict => {
      const value = median(ratios.get(`${kind} ${metric}`) ?? []);
      return [`${kind}: ${metric}`, value.toFixed(3), `≥ ${TRAFFIC_MIN}`, value >= TRAFFIC_MIN];
    }),
  );
  const end = [...ends].map(([kind, values]): Verdict => {
    const worst = Math.max(...values);
    return [`${kind}: end`, `${worst.toFixed(0)} ms`, `≤ ${END_MAX_ms} ms`, worst <= END_MAX_ms];
  });
  return [...traffic, ...end];
}

async function main(): Promise<void> {
  const options = readOptions();
  const why = obstacle() ?? missing("ours");
  if (why !== undefined || spawnSync("mkfifo", ["--version"]).status !== 0) {
    console.error(`bench: cannot run: ${why ?? "needs mkfifo"}`);
    process.exit(1);
  }
  const rr = prepareRr();
  const host = createBenchHost();
  const echo = host.start([...rr, "serve", "0.0.0.0", "5301"]);
  await echo.waitFor(/listening/);
  const results: Results = { ratios: new Map(), ends: new Map() };
  for (let rep = 0; rep < options.reps; rep += 1) await repeat(host, options, rep, rr, results);
  const verdicts = options.reps > 0 ? verdictsOf(results) : [];
  if (options.frames > 0) verdicts.push(...(await memoryVerdicts(host, options.frames)));
  progress("");
  const rows = [...results.ratios].map(([key, values]) => {
    const [least, most] = [Math.min(...values), Math.max(...values)].map((each) => each.toFixed(3));
    return [key, median(values).toFixed(3), `(${least}..${most})`];
  });
  console.log(`to "free", median (min..max) of ${options.reps} repetitions\n${table(rows)}\n`);
  console.log(table(verdicts.map(([a, b, c, isMet]) => [a, b, c, isMet ? "met" : "MISSED"])));
  echo.signal("SIGKILL");
  host.remove();
  endAll();
  process.exit(options.strict && verdicts.some(([, , , isMet]) => !isMet) ? 1 : 0);
}

await main();
