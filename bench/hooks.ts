/**
 * `npm run bench -- --hooks`: how long virt-launcher waits for the hooks.
 *
 * The client is grpc-go, each call over a connection of its own, timed from before the dial to
 * after the answer. It asks the real program, idle otherwise, and a server whose process has
 * another thread that never rests. Every figure of theirs is the best of a few repetitions, since
 * what else the machine does only adds to it.
 *
 * Then starts: from before the exec to a hook socket that takes connections, and to the first
 * answer to Info, median of `START_COUNT`. And inputs of 10 MiB: `hooks-inputs.ts`; these alone
 * with `--inputs`.
 */
import { rmSync, watch } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { ROOT } from "../test/support/e2e/program.ts";
import { endAll, start, until } from "../test/support/e2e/shell.ts";
import {
  buildGoClient,
  cannotBuildGoClient,
  type GoClient,
} from "../test/support/grpc-go/client.ts";
import { call, callback, connectRaw, EMPTY, INFO } from "../test/support/hook-client.ts";
import { fixture } from "../test/support/hook-fixtures.ts";
import { cannotServe, launch, SOCKET_NAME, startServe } from "../test/support/hook-program.ts";
import { temporaryFolder } from "../test/support/hook-server.ts";
import { message } from "../test/support/protobuf.ts";
import { inputRows, isInputMet, measureInputs } from "./hooks-inputs.ts";
import { median, table } from "./report.ts";

const REPETITIONS = 5;
const CALL_COUNT = 400;
const WARM_COUNT = 50;
const START_COUNT = 20;
/** Bars in milliseconds. */
const SOCKET_BAR_ms = 100;
const INFO_BAR_ms = 120;

interface Question {
  readonly name: string;
  readonly method: string;
  readonly body: Buffer;
  /** Bars in milliseconds. */
  readonly p50_ms: number;
  readonly p99_ms: number;
}

const CASE = "a-user-guide";
const QUESTIONS: readonly Question[] = [
  {
    name: "OnDefineDomain",
    method: callback("v1alpha3", "OnDefineDomain"),
    body: message([1, fixture(`${CASE}.domain.xml`)], [2, fixture(`${CASE}.vmi.json`)]),
    p50_ms: 3,
    p99_ms: 20,
  },
  { name: "Info", method: INFO, body: EMPTY, p50_ms: Number.POSITIVE_INFINITY, p99_ms: 10 },
];

interface Figure {
  readonly server: string;
  readonly question: Question;
  readonly p50_ms: number;
  readonly p99_ms: number;
}

async function measure(client: GoClient, server: string, socket: string): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const question of QUESTIONS) {
    const { method, body } = question;
    await client.run({ socket, method, body, count: WARM_COUNT });
    let p50_ms = Number.POSITIVE_INFINITY;
    let p99_ms = Number.POSITIVE_INFINITY;
    for (let rep = 0; rep < REPETITIONS; rep += 1) {
      const report = await client.run({ socket, method, body, count: CALL_COUNT });
      if (report.succeeded !== CALL_COUNT) throw new Error(`${report.code}: ${report.message}`);
      p50_ms = Math.min(p50_ms, report.p50_us / 1000);
      p99_ms = Math.min(p99_ms, report.p99_us / 1000);
    }
    figures.push({ server, question, p50_ms, p99_ms });
  }
  return figures;
}

async function measureIdle(client: GoClient): Promise<Figure[]> {
  const serve = await startServe();
  const figures = await measure(client, "the program", serve.path);
  await serve.end();
  return figures;
}

async function measureBusy(client: GoClient): Promise<Figure[]> {
  const folder = temporaryFolder();
  const running = start([process.execPath, join(ROOT, "bench/hooks-server.ts"), folder]);
  await until(() => /listening/.test(running.stderr()) || running.ended(), "the busy server");
  const figures = await measure(client, "with a busy thread", join(folder, "slirp.sock"));
  running.signal("SIGKILL");
  await running.outcome();
  rmSync(folder, { recursive: true });
  return figures;
}

function isMet({ question, p50_ms, p99_ms }: Figure): boolean {
  return p50_ms <= question.p50_ms && p99_ms <= question.p99_ms;
}

function row(figure: Figure): string[] {
  const { server, question, p50_ms, p99_ms } = figure;
  const bar = (value: number): string => (Number.isFinite(value) ? `≤ ${value}` : "–");
  return [
    server,
    question.name,
    p50_ms.toFixed(2),
    bar(question.p50_ms),
    p99_ms.toFixed(2),
    bar(question.p99_ms),
    isMet(figure) ? "met" : "MISSED",
  ];
}

interface Start {
  readonly socket_ms: number;
  readonly info_ms: number;
}

/** One start; like the launcher it looks for the socket by watching the folder. */
async function measureStart(): Promise<Start> {
  const folder = temporaryFolder();
  const path = join(folder, SOCKET_NAME);
  let appeared: () => void = () => {};
  const file = new Promise<void>((resolve) => {
    appeared = resolve;
  });
  const watcher = watch(folder, () => appeared());
  const began_ms = performance.now();
  const running = launch({ folder });
  try {
    await Promise.race([file, running.outcome()]);
    const socket = await until(() => connectRaw(path).catch(() => undefined), path);
    const socket_ms = performance.now() - began_ms;
    socket.destroy();
    await call(path, INFO, EMPTY);
    return { socket_ms, info_ms: performance.now() - began_ms };
  } finally {
    watcher.close();
    running.signal("SIGKILL");
    await running.outcome();
    rmSync(folder, { recursive: true });
  }
}

interface StartFigure {
  readonly what: string;
  readonly median_ms: number;
  readonly bar_ms: number;
}

async function measureStarts(): Promise<StartFigure[]> {
  await measureStart(); // the program file comes into memory, the client warms up
  const starts: Start[] = [];
  for (let at = 0; at < START_COUNT; at += 1) starts.push(await measureStart());
  const medianOf = (of: (start: Start) => number): number => median(starts.map(of));
  return [
    { what: "hook socket", median_ms: medianOf((each) => each.socket_ms), bar_ms: SOCKET_BAR_ms },
    { what: "Info answered", median_ms: medianOf((each) => each.info_ms), bar_ms: INFO_BAR_ms },
  ];
}

function startRow({ what, median_ms, bar_ms }: StartFigure): string[] {
  const verdict = median_ms <= bar_ms ? "met" : "MISSED";
  return [what, median_ms.toFixed(0), `≤ ${bar_ms}`, verdict];
}

const inputs = measureInputs();
console.log(table(inputRows(inputs)));
const areInputsMet = inputs.every(isInputMet);
if (process.argv.includes("--inputs")) {
  process.exit(process.argv.includes("--strict") && !areInputsMet ? 1 : 0);
}

const why = cannotServe() || cannotBuildGoClient();
if (why !== false) {
  console.error(`bench: cannot run: ${why}`);
  process.exit(1);
}
const client = await buildGoClient();
const figures = [...(await measureIdle(client)), ...(await measureBusy(client))];
client.remove();
const starts = await measureStarts();
const head = ["server", "call", "p50 ms", "bar", "p99 ms", "bar", ""];
console.log(table([head, ...figures.map(row)]));
const startHead = ["from exec to", `median of ${START_COUNT}, ms`, "bar", ""];
console.log(table([startHead, ...starts.map(startRow)]));
endAll();
const allMet =
  areInputsMet && figures.every(isMet) && starts.every((each) => each.median_ms <= each.bar_ms);
process.exit(process.argv.includes("--strict") && !allMet ? 1 : 0);
