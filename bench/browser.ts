/**
 * `npm run bench -- --browser`: the demonstration's guest downloads and uploads in headless
 * Chromium, behind the engine and behind v86's own Wisp network, through a relay with 50 ms of
 * round trip, side by side in one run.
 *
 * Every configuration has a page of its own; all are there for the whole run, and the machines of
 * those that are not being measured stand still. Ratios are taken within a repetition. Processor
 * time of the page's thread, in which all of it runs but the sockets, tells more than the speed
 * where others use the machine.
 *
 * The guest does as little as it can besides, as it is emulated: `wget` into /dev/null, and `dd` in
 * large blocks into a connection. Transfers before those that are measured warm v86's compiler up;
 * there a download's SHA-256 is compared. An upload's is compared every time, by the server.
 */
import process from "node:process";
import type { Browser } from "playwright-core";
import { WEB_ADDRESS } from "../examples/web-demo/addresses.ts";
import { sumOf } from "../examples/web-demo/server/world.ts";
import { startDemo } from "../examples/web-demo/start.ts";
import { messageOf } from "../src/lib/message.ts";
import { askGuest, demoMissing, type GuestAnswer, LIVE } from "../test/support/demo-web.ts";
import { until } from "../test/support/e2e/shell.ts";
import { openBrowser } from "../test/support/ui/stage.ts";
import { BarePage } from "./bare-page.ts";
import {
  type Config,
  FACTOR,
  INTERACTIVE_MAX_ms,
  judge,
  keyOf,
  METRICS,
  type Metric,
  type Options,
  parseOptions,
  type Results,
  type Sample,
  type Samples,
  TITLES,
  USAGE,
} from "./browser-plan.ts";
import { orderOf } from "./plan.ts";
import { machine, median, progress, table, writeResults } from "./report.ts";

const BOOT_LIMIT_ms = 180_000;
const TRANSFER_LIMIT_ms = 180_000;
const WARM_UPS = 2;
const UPLOAD = "/tmp/u";
const SENDER = "/tmp/send";
const SERVER = `http://${WEB_ADDRESS}`;

const COMMANDS: Readonly<Record<Metric, (size: number) => string>> = {
  down: (size) => `wget -q -O /dev/null ${SERVER}/files/${size}`,
  up: () => `nc ${WEB_ADDRESS} 80 -e ${SENDER}`,
};

interface Guest {
  readonly config: Config;
  readonly page: BarePage;
  /** SHA-256 of what it uploads. */
  readonly uploadSum: string;
  readonly boot_ms: number;
  readonly interactive_ms: number;
}

function readOptions(): Options {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`bench: ${messageOf(error)}\n${USAGE}`);
    process.exit(2);
  }
}

async function boot(browser: Browser, url: string, config: Config, size: number): Promise<Guest> {
  progress(`boot: ${config.name}`);
  const start = performance.now();
  const page = await BarePage.open(browser, `${url}${config.query}`);
  const isUp = `document.querySelector("${LIVE}") !== null`;
  await until(() => page.evaluate(isUp).then(Boolean), "the guest to be up", BOOT_LIMIT_ms);
  const boot_ms = performance.now() - start;
  const interactive_ms = Number(
    await page.evaluate("document.documentElement.dataset.interactive"),
  );
  const uploadSum = await prepare(page, size);
  const guest = { config, page, uploadSum, boot_ms, interactive_ms };
  for (const metric of Array.from({ length: WARM_UPS }, () => METRICS).flat()) {
    await measure(guest, metric, size);
  }
  await pauseOrGoOn(guest);
  return guest;
}

async function pauseOrGoOn({ page }: Guest): Promise<void> {
  await page.evaluate("document.querySelector('#pause').click()");
}

async function ask(page: BarePage, command: string): Promise<GuestAnswer> {
  const order = JSON.stringify([command, TRANSFER_LIMIT_ms]);
  return (await page.evaluate(`(${askGuest})(${order})`)) as GuestAnswer;
}

/** Checks that a download is whole, and puts into the guest what it uploads; its SHA-256. */
async function prepare(page: BarePage, size: number): Promise<string> {
  const run = async (command: string): Promise<string> => (await ask(page, command)).output;
  const [sum] = (await run(`wget -q -O - ${SERVER}/files/${size} | sha256sum`)).split(" ");
  if (sum !== sumOf(size)) throw new Error("a download is not whole");
  const head = `POST /upload HTTP/1.0\\\\r\\\\nContent-Length: ${size}\\\\r\\\\n\\\\r\\\\n`;
  const lines = [
    "#!/bin/sh",
    `printf "${head}"`,
    `dd if=${UPLOAD} bs=512k 2>/dev/null`,
    "exec cat >&2",
  ];
  await run(`printf '${lines.join("\\n")}\\n' >${SENDER}; chmod +x ${SENDER}`);
  await run(`head -c ${(size / 4) * 3} /dev/urandom | base64 -w 0 >${UPLOAD}`);
  return (await run(`sha256sum <${UPLOAD}`)).split(" ")[0] ?? "";
}

/** Throws where less or something else arrives than was sent. */
async function measure(guest: Guest, metric: Metric, size: number): Promise<Sample> {
  const { page, uploadSum } = guest;
  const before = await page.processorTime();
  const { code, output, ms } = await ask(page, COMMANDS[metric](size));
  const cpu_s = (await page.processorTime()) - before;
  if (code !== 0) throw new Error(`the transfer ended with ${code}: ${output}`);
  if (metric === "up" && !output.includes(`${uploadSum} ${size}`)) {
    throw new Error("other octets arrived than were sent");
  }
  return { speed: size / ms / 1000, perCpu: size / 1e6 / cpu_s };
}

async function measureAll(guests: readonly Guest[], { reps, size }: Options): Promise<Results> {
  const results: Results = new Map();
  for (let rep = 0; rep < reps; rep += 1) {
    for (const metric of METRICS) {
      for (const guest of orderOf(guests, rep)) {
        const key = keyOf(metric, guest.config.name);
        progress(`repetition ${rep + 1}/${reps}: ${key}`);
        await pauseOrGoOn(guest);
        const value = await measure(guest, metric, size).catch((error: unknown) => {
          console.error(`bench: ${key}: ${messageOf(error).split("\n")[0]}`);
          return undefined;
        });
        await pauseOrGoOn(guest);
        results.set(key, [...(results.get(key) ?? []), value]);
      }
    }
  }
  progress("");
  return results;
}

function shown(samples: Samples, figure: keyof Sample): string {
  const values = samples.flatMap((sample) => (sample === undefined ? [] : [sample[figure]]));
  if (values.length === 0) return "failed";
  const [middle, least, most] = [median(values), Math.min(...values), Math.max(...values)];
  return `${middle.toFixed(2)} (${least.toFixed(2)}..${most.toFixed(2)})`;
}

function report(guests: readonly Guest[], results: Results): { text: string; isMet: boolean } {
  const figures = (figure: keyof Sample): string[][] =>
    guests.map(({ config: { name } }) => [
      name,
      ...METRICS.map((metric) => shown(results.get(keyOf(metric, name)) ?? [], figure)),
    ]);
  const titles = METRICS.map((metric) => TITLES[metric]);
  const starts = guests.map(({ config: { name }, boot_ms, interactive_ms }) => {
    const isMet = interactive_ms <= INTERACTIVE_MAX_ms;
    const cells = [`${interactive_ms} ms`, `${(boot_ms / 1000).toFixed(1)} s`];
    return { isMet, cells: [name, ...cells, isMet ? "met" : "MISSED"] };
  });
  const verdicts = judge(results);
  const bars = verdicts.map(({ metric, ratio, isMet }) => [
    ...[TITLES[metric], `${ratio.toFixed(1)}x`, `≥ ${FACTOR}x`, isMet ? "met" : "MISSED"],
  ]);
  const interactive = `interactive (≤ ${INTERACTIVE_MAX_ms} ms)`;
  const text = [
    table([["median (least..most)", ...titles], ...figures("speed")]),
    table([["MB for each second of the page's thread", ...METRICS], ...figures("perCpu")]),
    table([["engine 65520 / v86 1500", "ratio", "wanted", ""], ...bars]),
    table([["page", interactive, "guest up", ""], ...starts.map(({ cells }) => cells)]),
  ];
  const isMet = [...verdicts, ...starts].every((each) => each.isMet);
  return { text: text.join("\n\n"), isMet };
}

async function main(): Promise<number> {
  const options = readOptions();
  const why = demoMissing();
  if (why !== false) {
    console.error(`bench: cannot run: ${why}`);
    return 1;
  }
  const date = new Date().toISOString();
  const site = await startDemo();
  const browser = await openBrowser();
  try {
    const guests: Guest[] = [];
    for (const config of options.configs) {
      guests.push(await boot(browser, site.url, config, options.size));
    }
    const results = await measureAll(guests, options);
    const about = { ...machine([]), browser: `Chromium ${browser.version()}` };
    const { text, isMet } = report(guests, results);
    console.log(table(Object.entries(about)));
    console.log(`${options.reps} repetitions of ${options.size / 1e6} MB, ${date}\n\n${text}`);
    const starts = guests.map(({ config, boot_ms, interactive_ms }) => {
      return { name: config.name, boot_ms, interactive_ms };
    });
    const all = { results: Object.fromEntries(results), starts };
    writeResults("browser-", { date, machine: about, options, ...all });
    return options.isStrict && !isMet ? 1 : 0;
  } finally {
    await browser.close();
    await site.close();
  }
}

process.exit(await main());
