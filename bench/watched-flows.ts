/**
 * Of `npm run bench -- --watched`: scrapes of 10,000 flows, what they do to request and response,
 * and lists of all flows.
 */
import { type AdminCalls, adminClient } from "../src/admin/client.ts";
import { ourCommand } from "../test/support/e2e/program.ts";
import { run, start } from "../test/support/e2e/shell.ts";
import type { Namespace } from "../test/support/e2e/world.ts";
import { cpuSeconds, type Path, rrArgv } from "./measure.ts";
import { median } from "./report.ts";
import {
  BARS,
  LIMIT_ms,
  listAll,
  type Options,
  PORT,
  type Row,
  type Rr,
  row,
  scraper,
  spread,
  startWatched,
  type Timed,
  timed,
  type Watched,
  watchedArgs,
} from "./watched-parts.ts";

const FLOWS = 10_000;
/** Each flow was heard of; a few may have given way to the measurement's own. */
const FLOWS_LEAST = FLOWS - 10;
const SCRAPES = 50;
const EVERY_ms = 100;
const ROUNDS_LEAST = 20_000;
const LISTINGS = 10;

export async function beside10000(host: Namespace, rr: Rr, options: Options): Promise<Row[]> {
  const path = await startWatched(host, "watched", watchedArgs(PORT));
  const holder = start(rrArgv(path, rr, "ports", String(FLOWS)));
  const admin = adminClient(path.socket);
  try {
    await holder.waitFor(/open/, LIMIT_ms);
    const { flows } = await listAll(admin.calls);
    const rows = [row("UDP flows of the guest", String(flows), `${FLOWS}`, flows >= FLOWS_LEAST)];
    rows.push(...(await scrapeTimes(host, path, rr)));
    rows.push(...(await exchanges(host, path, rr, options)));
    rows.push(...(await listings(path, admin.calls)));
    return rows;
  } finally {
    admin.close();
    holder.signal("SIGKILL");
    await path.remove();
  }
}

async function scrapeTimes(host: Namespace, { program }: Watched, rr: Rr): Promise<Row[]> {
  const before_s = cpuSeconds(program.pid);
  const { p50_us, max_us } = await timed(scraper(host, rr, PORT, SCRAPES, EVERY_ms));
  const used_ms = ((cpuSeconds(program.pid) - before_s) * 1000) / SCRAPES;
  const [half, worst] = [p50_us / 1000, max_us / 1000];
  const figure = `${half.toFixed(1)}, ${worst.toFixed(1)}`;
  const isMet = worst <= BARS.scrape_ms;
  return [
    row(`scrape, ms: median, worst of ${SCRAPES}`, figure, `≤ ${BARS.scrape_ms}`, isMet),
    row("scrape, ms of the program's processor time", used_ms.toFixed(1), ""),
  ];
}

/** Request and response, in turns without and with scrapes. */
async function exchanges(
  host: Namespace,
  path: Path,
  rr: Rr,
  { reps, seconds }: Options,
): Promise<Row[]> {
  const alone: Timed[] = [];
  const beside: Timed[] = [];
  const exchange = () => timed(start(rrArgv(path, rr, "tcp", String(seconds))));
  const scraped = async (): Promise<Timed> => {
    const count = Math.ceil(((seconds + 1) * 1000) / EVERY_ms);
    const scrapes = scraper(host, rr, PORT, count, EVERY_ms);
    await scrapes.waitFor(/scraping/);
    const figures = await exchange();
    await timed(scrapes);
    return figures;
  };
  for (let rep = 0; rep < reps; rep += 1) {
    process.stderr.write(`request/response ${rep + 1} of ${reps}\n`);
    if (rep % 2 === 0) alone.push(await exchange());
    beside.push(await scraped());
    if (rep % 2 === 1) alone.push(await exchange());
  }
  const ratios = (of: "p50_us" | "p99_us"): number[] =>
    alone.map((each, i) => (beside[i]?.[of] ?? Number.NaN) / each[of]);
  const rounds = Math.min(...[...alone, ...beside].map(({ count }) => count));
  const p99 = ratios("p99_us");
  return [
    row(
      "rounds of a phase, the least",
      String(rounds),
      `≥ ${ROUNDS_LEAST}`,
      rounds >= ROUNDS_LEAST,
    ),
    row(
      "request/response p50, us: alone",
      spread(
        alone.map(({ p50_us }) => p50_us),
        1,
      ),
      "",
    ),
    row(
      "request/response p99, us: alone",
      spread(
        alone.map(({ p99_us }) => p99_us),
        1,
      ),
      "",
    ),
    row("p50 with a scrape every 100 ms, to alone", spread(ratios("p50_us")), ""),
    row(
      "p99 with a scrape every 100 ms, to alone",
      spread(p99),
      `≤ ${BARS.p99}`,
      median(p99) <= BARS.p99,
    ),
  ];
}

async function listings({ socket, program }: Watched, calls: AdminCalls): Promise<Row[]> {
  const asked: number[] = [];
  const before_s = cpuSeconds(program.pid);
  for (let i = 0; i < LISTINGS; i += 1) asked.push((await listAll(calls)).ms);
  const used_ms = ((cpuSeconds(program.pid) - before_s) * 1000) / LISTINGS;
  const commands: number[] = [];
  const argv = [...ourCommand(), "flows", "--admin", `unix:${socket}`, "--json"];
  for (let i = 0; i < LISTINGS; i += 1) {
    const began = performance.now();
    const { code, stdout } = await run(argv, LIMIT_ms);
    if (code === 0 && stdout !== "") commands.push(performance.now() - began);
  }
  const bar = `≤ ${BARS.flows_ms}`;
  return [
    row("flows by the admin socket, ms", spread(asked, 0), ""),
    row("the same, ms of the program's processor time", used_ms.toFixed(0), ""),
    commands.length === 0
      ? row("command flows, ms", "there is no such command", bar)
      : row("command flows, ms", spread(commands, 0), bar, median(commands) <= BARS.flows_ms),
  ];
}
