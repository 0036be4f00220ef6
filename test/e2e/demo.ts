/**
 * The demonstration that `npm start` runs: a guided end-to-end run with one line per step.
 *
 * A guest namespace goes online through the program, first captured and step by step, then with
 * bulk data at full speed, every byte compared by SHA-256. Needs root and /dev/net/tun; without
 * root it starts itself again as root of a user namespace of its own (`unshare -Urnm`), which most
 * systems allow. Ctrl-C leaves nothing behind. Exit code 0 when every step held, 1 otherwise.
 */

import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import {
  dns,
  hold,
  httpServer,
  MODE,
  type StreamsTask,
  script,
  startStreams,
  tcpServer,
  tryConnect,
  udpEcho,
  udpServer,
} from "../support/e2e/peers.ts";
import {
  DNS_ADDRESS,
  GATEWAY,
  missing,
  programKind,
  ROOT,
  startProgram,
} from "../support/e2e/program.ts";
import { sha256Of } from "../support/e2e/seeded.mjs";
import { startDns, type World } from "../support/e2e/setup.ts";
import { attempt, endAll, must, type Running, which } from "../support/e2e/shell.ts";
import {
  createGuest,
  createHost,
  HOST_ADDRESS,
  UNREACHABLE_ADDRESS,
} from "../support/e2e/world.ts";

const MIB = 1 << 20;
const BULK_BYTES = 256 * MIB;
const STREAM_COUNT = 8;
const STREAM_BYTES = 20 * MIB;
const CONNECTION_COUNT = 2000;
const PROGRESS_MS = 100;
const INNER = "SLIRP_DEMO_INNER";
const terminal = process.stdout.isTTY === true;

/** A step ends with words for its line; a step that cannot run here says why. */
class Skip extends Error {}
const tally = { passed: 0, failed: 0, skipped: 0 };

function paint(code: number, text: string): string {
  return terminal ? `\x1b[${code}m${text}\x1b[0m` : text;
}

function clearLine(): void {
  if (terminal) {
    process.stdout.write("\r\x1b[2K");
  }
}

async function step(title: string, work: () => Promise<string>): Promise<boolean> {
  const began_ms = performance.now();
  if (terminal) {
    process.stdout.write(`  …    ${title}`);
  }
  const finish = (mark: string, detail: string): void => {
    const seconds = ((performance.now() - began_ms) / 1000).toFixed(2);
    clearLine();
    console.log(`  ${mark} ${title.padEnd(44)} ${seconds.padStart(6)} s  ${detail}`);
  };
  try {
    const detail = await work();
    tally.passed += 1;
    finish(paint(32, "ok  "), detail);
    return true;
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    if (error instanceof Skip) {
      tally.skipped += 1;
      finish(paint(33, "skip"), words);
      return true;
    }
    tally.failed += 1;
    finish(paint(31, "FAIL"), words);
    return false;
  }
}

function check(held: boolean, words: string): void {
  if (!held) {
    throw new Error(words);
  }
}

function rate(bytes: number, elapsed_ms: number): string {
  return `${((bytes * 8) / elapsed_ms / 1e6).toFixed(2)} Gbit/s`;
}

/** Bytes that interface tap0 of the process's namespace has carried in both directions. */
function carriedBytes(pid: number): number {
  try {
    const line = readFileSync(`/proc/${pid}/net/dev`, "utf8").match(/tap0:\s*(.+)/)?.[1] ?? "";
    const columns = line.trim().split(/\s+/).map(Number);
    return (columns[0] ?? 0) + (columns[8] ?? 0);
  } catch {
    return 0;
  }
}

/** Waits for a transfer, showing how far it is when somebody is watching. */
async function watched(running: Running, title: string, bytes: number): Promise<string> {
  const start_bytes = carriedBytes(running.pid);
  const show = (): void => {
    const share = Math.min(1, (carriedBytes(running.pid) - start_bytes) / bytes);
    if (share >= 0) {
      const bar = "#".repeat(Math.round(share * 20)).padEnd(20, ".");
      process.stdout.write(`\r\x1b[2K  …    ${title} [${bar}] ${Math.round(share * 100)} %`);
    }
  };
  const timer = terminal ? setInterval(show, PROGRESS_MS) : undefined;
  const outcome = await running.outcome(60_000);
  clearInterval(timer);
  check(outcome.code === 0, `ended with ${outcome.code}: ${outcome.stderr}${outcome.stdout}`);
  return outcome.stdout;
}

/** Why it cannot run as it is, or undefined. */
function obstacle(): string | undefined {
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
  } catch {
    return "/dev/net/tun is missing or closed to this user: load the tun module, or run as root";
  }
  const absent = ["ip", "curl", "node"].find((command) => which(command) === undefined);
  return absent === undefined ? missing() : `"${absent}" is not installed`;
}

/** Starts this file again as root of a user namespace. Never returns. */
function reenter(): never {
  const file = fileURLToPath(import.meta.url);
  const setup = 'mount -t tmpfs none /run && mkdir /run/netns && exec "$@"';
  const again = [process.execPath, ...process.execArgv, file];
  const result = spawnSync(
    which("unshare") ?? "unshare",
    ["-Urnm", "sh", "-c", setup, "sh", ...again],
    {
      stdio: "inherit",
      env: { ...process.env, [INNER]: "1" },
    },
  );
  process.exit(result.status ?? 1);
}

/** In the working tree when it is ours to write, else in the folder for temporary files. */
function pcapPath(): string {
  const folder = join(ROOT, "build/demo");
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
    return join(folder, "link.pcap");
  } catch {
    return `${tmpdir()}/slirp-binding-demo-${process.pid}.pcap`;
  }
}

async function lease(world: World): Promise<string> {
  if (which("udhcpc") === undefined) {
    world.guest.must("ip", "addr", "add", `${world.program.guestAddress}/24`, "dev", "tap0");
    world.guest.must("ip", "route", "add", "default", "via", GATEWAY);
    throw new Skip("udhcpc is not installed: address set by hand");
  }
  const hook = join(tmpdir(), `slirp-demo-${process.pid}.sh`);
  const words =
    '#!/bin/sh\n[ "$1" = bound ] || exit 0\nip addr add "$ip/24" dev "$interface"\n' +
    'ip route add default via "$router"\necho "lease $ip router $router dns $dns mtu $mtu"\n';
  writeFileSync(hook, words, { mode: 0o755 });
  const argv = ["udhcpc", "-f", "-q", "-n", "-t", "5", "-T", "1", "-i", "tap0", "-s", hook];
  const outcome = await world.guest.run([...argv, "-O", "mtu"], 20_000);
  must(["rm", "-f", hook]);
  check(outcome.code === 0, outcome.stderr);
  return outcome.stdout.match(/lease (.*)/)?.[1] ?? "";
}

async function resolveName(world: World): Promise<string> {
  if (which("dnsmasq") === undefined) {
    throw new Skip("dnsmasq is not installed");
  }
  await startDns(world.host, "127.0.0.1", "203.0.113.7");
  const seen = [];
  for (const transport of ["udp", "tcp"] as const) {
    const answer = await dns(world.guest, transport, DNS_ADDRESS, "who.test");
    check(answer.address === "203.0.113.7", `${transport} gave "${answer.address}"`);
    seen.push(transport.toUpperCase());
  }
  return `who.test = 203.0.113.7 by ${seen.join(" and ")}`;
}

async function published(world: World): Promise<string> {
  if (programKind() === "slirp4netns") {
    throw new Skip("slirp4netns publishes by an API socket only");
  }
  await httpServer(world.guest, "0.0.0.0", 80);
  const page = await world.host.run(["curl", "-sS", "-m", "10", "http://127.0.0.1:8080/"]);
  check(page.code === 0, page.stderr);
  return `127.0.0.1:8080 → guest:80, which sees ${page.stdout.trim()}`;
}

async function refusals(world: World): Promise<string> {
  const refused = await tryConnect(world.guest, HOST_ADDRESS, 9);
  check(refused.code === "ECONNREFUSED", `a closed port gave "${refused.code}"`);
  const nowhere = await tryConnect(world.guest, UNREACHABLE_ADDRESS, 80);
  check(/UNREACH/.test(nowhere.code), `an unreachable address gave "${nowhere.code}"`);
  return `refused after ${refused.elapsed_ms.toFixed(1)} ms, unreachable reported`;
}

/** The steps that are captured: everything small. */
async function functions(world: World): Promise<void> {
  await step("address by DHCP", () => lease(world));
  await step("ping the gateway and the host", async () => {
    const times = [];
    for (const address of [GATEWAY, HOST_ADDRESS]) {
      const ping = await world.guest.run([
        "ping",
        "-n",
        "-c",
        "3",
        "-i",
        "0.2",
        "-W",
        "5",
        address,
      ]);
      check(ping.code === 0, ping.stdout);
      times.push(ping.stdout.match(/= [\d.]+\/([\d.]+)/)?.[1] ?? "?");
    }
    return `average ${times.join(" and ")} ms`;
  });
  await step("DNS through 10.0.2.3", () => resolveName(world));
  await step("UDP echo of 1 to 65,507 bytes", async () => {
    const server = await udpServer(world.host, HOST_ADDRESS);
    const sizes = [1, 100, 1471, 1472, 1473, 8000, 20_000, 65_506, 65_507];
    const report = await udpEcho(world.guest, HOST_ADDRESS, server.port, sizes);
    check(report.failed.length === 0, JSON.stringify(report.failed));
    return `${report.ok} sizes equal`;
  });
  await step("inbound connection to a published port", () => published(world));
  await step("refused and unreachable destinations", () => refusals(world));
}

async function transfer(world: World, title: string, up: boolean): Promise<string> {
  const server = await httpServer(world.host, HOST_ADDRESS);
  const url = `http://${HOST_ADDRESS}:${server.port}`;
  const source = script("seeded.mjs", "6", String(BULK_BYTES)).join(" ");
  const line = up
    ? `${source} | curl -sS -H Expect: -T - ${url}/`
    : `curl -sS ${url}/6/${BULK_BYTES} | sha256sum`;
  const began_ms = performance.now();
  const text = await watched(world.guest.start(["sh", "-c", line]), title, BULK_BYTES);
  const elapsed_ms = performance.now() - began_ms;
  check(text.includes(sha256Of(6, BULK_BYTES)), `the hash differs: ${text}`);
  return `${rate(BULK_BYTES, elapsed_ms)}, hashing included, SHA-256 equal`;
}

async function both(world: World, title: string, task: Partial<StreamsTask>): Promise<string> {
  const server = await tcpServer(world.host, HOST_ADDRESS);
  const whole = {
    host: HOST_ADDRESS,
    port: server.port,
    mode: MODE.both,
    streams: STREAM_COUNT,
    send: STREAM_BYTES,
    receive: STREAM_BYTES,
    seed: 20,
    ...task,
  };
  const bytes = whole.streams * (whole.send + whole.receive);
  const began_ms = performance.now();
  const text = await watched(startStreams(world.guest, whole), title, bytes);
  const elapsed_ms = performance.now() - began_ms;
  const reports = JSON.parse(text.trim().split("\n").at(-1) ?? "[]") as {
    seed: number;
    sha256: string;
    error: string;
  }[];
  check(reports.length === whole.streams, "streams are missing");
  for (const report of reports) {
    check(report.error === "", `stream ${report.seed}: ${report.error}`);
    check(report.sha256 === sha256Of(report.seed, whole.receive), `stream ${report.seed} differs`);
  }
  return `${rate(bytes, elapsed_ms)}, hashing included, all equal`;
}

/** The steps at full speed, without a capture. */
async function bulk(world: World): Promise<void> {
  const down = "HTTP download of 256 MiB";
  await step(down, () => transfer(world, down, false));
  const up = "HTTP upload of 256 MiB";
  await step(up, () => transfer(world, up, true));
  const streams = "8 streams of 20 MiB both ways at once";
  await step(streams, () => both(world, streams, {}));
  await step("half-close: guest first, then host first", async () => {
    const small = { streams: 2, send: MIB, receive: MIB };
    await both(world, "half-close", { ...small, mode: MODE.afterFin });
    await both(world, "half-close", { ...small, mode: MODE.finFirst });
    return "data after FIN intact both ways";
  });
  await step("2,000 connections open at once", async () => {
    const server = await tcpServer(world.host, HOST_ADDRESS);
    const client = hold(world.guest, HOST_ADDRESS, server.port, CONNECTION_COUNT);
    await client.waitFor(/open 2000/, 40_000);
    client.write("again\n");
    await client.waitFor(/echoed 2000/, 20_000);
    client.write("end\n");
    check((await client.outcome()).code === 0, "the client failed");
    return "each answered twice";
  });
}

/** One host, one guest, one program; the steps; the end of the program as a step of its own. */
async function act(
  title: string,
  options: { readonly pcap?: string },
  steps: (world: World) => Promise<void>,
): Promise<void> {
  const host = createHost("nameserver 127.0.0.1\n");
  const guest = createGuest();
  const captured = options.pcap !== undefined;
  let world: World | undefined;
  await step(title, async () => {
    const program = await startProgram({
      host,
      netns: guest.path,
      configure: !captured,
      ...(programKind() === "slirp4netns" ? {} : { publish: ["8080:80"] }),
      ...(programKind() === "ours" ? { ...options, args: ["--dns", "127.0.0.1"] } : {}),
    });
    guest.must("ip", "link", "set", "tap0", "up");
    world = { host, guest, program, remove: async () => undefined };
    return `ready in ${program.ready_ms.toFixed(0)} ms, pid ${program.pid}`;
  });
  if (world !== undefined) {
    const { program } = world;
    await steps(world);
    await step("SIGTERM ends it", async () => {
      const outcome = await program.stop();
      check(programKind() !== "ours" || outcome.code === 0, `exit code ${outcome.code}`);
      return programKind() === "ours" ? "exit code 0" : `ended (${programKind()})`;
    });
  }
  guest.remove();
  host.remove();
}

async function main(): Promise<void> {
  const inner = process.env[INNER] === "1";
  const why = obstacle();
  if (why !== undefined) {
    console.error(`demo: cannot run: ${why}`);
    process.exit(1);
  }
  if (process.getuid?.() !== 0) {
    if (!attempt(["unshare", "-Urnm", "true"])) {
      console.error("demo: needs root, or a system that allows user namespaces (unshare -Urn)");
      process.exit(1);
    }
    reenter();
  }
  const began_ms = performance.now();
  const way = inner ? "root of a user namespace of its own" : "root";
  console.log(`slirp-binding demonstration: ${programKind()}, as ${way}`);
  const pcap = pcapPath();
  await act("attach to a guest namespace, captured", { pcap }, functions);
  await act("attach again, at full speed", {}, bulk);
  const seconds = ((performance.now() - began_ms) / 1000).toFixed(1);
  console.log(
    `${tally.passed} steps held, ${tally.failed} failed, ${tally.skipped} skipped in ${seconds} s`,
  );
  if (existsSync(pcap)) {
    console.log(`capture: ${pcap}`);
  }
  endAll();
  process.exit(tally.failed === 0 && tally.passed > 0 ? 0 : 1);
}

await main();
