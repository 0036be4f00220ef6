/**
 * `run`: a command in a network of its own, without privileges, and nothing left behind.
 *
 * Theory of operation
 *   Three processes take part.
 *   - This one starts the others, hands signals on, and ends with the command's code. It keeps the
 *     rights it was started with, as it has to signal the command; it never sees a packet.
 *   - The command. unshare(1) makes the namespaces: user (where it takes one), network and mount.
 *     Only a process with one thread may make a user namespace, and no JavaScript runtime has one.
 *     It becomes this program again (`run-inside.ts`), which makes the tap, as only who is inside
 *     with all capabilities can where the user is not root there, and becomes the command, so that
 *     its process is our child, in our session and process group, with our standard input, output
 *     and error.
 *   - The network: an `attach` like any other, which gives up its rights. Its standard input is
 *     --exit-fd and its output --ready-fd, so it ends when this process does, however that ends;
 *     and as it serves a process, when the command does. It has a session of its own: Ctrl-C is for
 *     the command.
 *   In order: a folder of our own with resolv.conf and a socket, the command's process, which
 *   connects once it is inside; the network, which enters by that process' id; the word to go on.
 *
 *   Users. Who may make namespaces (CAP_SYS_ADMIN and CAP_NET_ADMIN) makes them and stays who they
 *   are. Others need a user namespace and stay who they are, too: id and files are as before, which
 *   databases, ssh and package managers care about. With --map-root they are root in it.
 *
 *   Signals. Those sent to this process go on to the command. What a terminal sends (SIGINT,
 *   SIGQUIT, SIGHUP) it sends to the whole foreground process group, so the command has it already
 *   where that is ours. A signal that was ignored at the start stays so (nohup).
 *
 *   The end: the command's process ends; programs it leaves behind lose their network. The network
 *   has END_LIMIT_ms to end, then it is killed. Where this process is killed, the network ends and
 *   the command goes on without it; the folder has gone as soon as the command was inside.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { tapRequestOf } from "../binding/binding.ts";
import type { BindingOptions } from "../config/attach.ts";
import { parseResolvConf, RESOLV_CONF_PATH } from "../config/resolv.ts";
import type { RunOptions } from "../config/run.ts";
import { formatIpv4 } from "../lib/addr.ts";
import { formatIpv6 } from "../lib/addr6.ts";
import { standardError } from "../lib/standard-error.ts";
import { mayMakeNamespaces, readIgnoredSignals } from "../sys/privileges.ts";
import { RUN_COMMAND } from "./internal.ts";
import { ownCommand } from "./program.ts";
import {
  type Environment,
  EXIT_NO_NETWORK,
  exitCodeOf,
  findProgram,
  GATE,
  type InsideRequest,
  problemOf,
} from "./run-inside.ts";

const END_LIMIT_ms = 5000;
const PROBE_LIMIT_ms = 10_000;
const SIGNAL_BASE = 128;
const UNSHARE = "unshare";

/** Signals that are handed on. */
const FORWARDED = ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
/** Those that a terminal sends to everybody in front of it. */
const OF_TERMINAL: ReadonlySet<string> = new Set(["SIGHUP", "SIGINT", "SIGQUIT"]);

/** Why users may not make namespaces: setting, value that forbids it, what to do. */
const SETTINGS: readonly (readonly [path: string, value: string, remedy: string])[] = [
  ["kernel/unprivileged_userns_clone", "0", "set kernel.unprivileged_userns_clone to 1"],
  ["user/max_user_namespaces", "0", "raise user.max_user_namespaces"],
  ["user/max_net_namespaces", "0", "raise user.max_net_namespaces"],
  ["user/max_mnt_namespaces", "0", "raise user.max_mnt_namespaces"],
  [
    "kernel/apparmor_restrict_unprivileged_userns",
    "1",
    "set kernel.apparmor_restrict_unprivileged_userns to 0, or give this program an AppArmor " +
      'profile with "userns,"',
  ],
];

/** Resolves to the exit code. */
export async function run(options: RunOptions, env: Environment): Promise<number> {
  const [name = ""] = options.command;
  const found = findProgram(name, env["PATH"]);
  if (typeof found === "number") return complain(problemOf(name, found), exitCodeOf(found));
  const flags = namespaceFlags(options.mapRoot);
  const obstacle = findObstacle(flags);
  if (obstacle !== undefined) return complain(`make namespaces: ${obstacle}`, EXIT_NO_NETWORK);
  const folder = mkdtempSync(join(tmpdir(), "slirp-binding-"));
  try {
    mkdirSync(join(folder, "etc"));
    writeFileSync(join(folder, "etc/resolv.conf"), resolvConfOf(options.attach));
    return await runIn(folder, flags, options);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function complain(problem: string, code: number): number {
  standardError().write(`slirp-binding: ${problem}\n`);
  return code;
}

function namespaceFlags(mapRoot: boolean): readonly string[] {
  const own = ["--net", "--mount"];
  if (mayMakeNamespaces()) return own;
  // Capabilities are kept until the command is started, where the user is not root.
  const user = mapRoot ? ["--map-root-user"] : ["--map-current-user", "--keep-caps"];
  return ["--user", ...user, ...own];
}

/** Why namespaces cannot be made; undefined where they can. */
function findObstacle(flags: readonly string[]): string | undefined {
  const env = { PATH: process.env["PATH"] };
  const { error, status, stderr } = spawnSync(UNSHARE, [...flags, "--", "true"], {
    env,
    stdio: ["ignore", "ignore", "pipe"],
    timeout: PROBE_LIMIT_ms,
    encoding: "utf8",
  });
  if (error !== undefined && "code" in error && error.code === "ENOENT") {
    return `install "${UNSHARE}" of util-linux`;
  }
  if (status === 0) return undefined;
  const reasons = SETTINGS.flatMap(([path, value, remedy]) =>
    readSetting(path) === value ? [remedy] : [],
  );
  const words = stderr.trim().replace(/^unshare: /, "") || (error?.message ?? `code ${status}`);
  const advice = reasons[0] ?? "start as root, or let this user and container make user namespaces";
  return `${words}; ${advice}`;
}

function readSetting(path: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${path}`, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** The DNS addresses of the network; search list and options are those outside. */
export function resolvConfOf({ network, dns }: Pick<BindingOptions, "network" | "dns">): string {
  const { ipv4, subnet, subnet6 } = network;
  let outside = "";
  try {
    outside = readFileSync(RESOLV_CONF_PATH, "utf8");
  } catch {
    // Then there is nothing to take over.
  }
  const conf = parseResolvConf(outside);
  const domains = dns.search.length > 0 ? dns.search : conf.search;
  const servers = [
    ...(ipv4 ? [formatIpv4(subnet.dns)] : []),
    ...(subnet6 === undefined ? [] : [formatIpv6(subnet6.dns)]),
  ];
  const lines = [
    ...servers.map((address) => `nameserver ${address}`),
    ...(domains.length > 0 ? [`search ${domains.join(" ")}`] : []),
    ...(conf.options.length > 0 ? [`options ${conf.options.join(" ")}`] : []),
  ];
  return `${lines.join("\n")}\n`;
}

/** How a process ended. */
type Ended = Promise<number>;

async function runIn(
  folder: string,
  flags: readonly string[],
  { command, attach, attachArguments }: RunOptions,
): Promise<number> {
  if (attach.link.kind !== "tap") throw new Error("wanted a tap"); // no other is offered
  const gate = await listenAt(join(folder, GATE));
  const arrival = new Promise<Socket>((resolve) => gate.once("connection", resolve));
  const tap = tapRequestOf(attach.network, attach.link);
  const request: InsideRequest = { folder, command, tap };
  const inside = [...ownCommand(), RUN_COMMAND, JSON.stringify(request)];
  const child = spawn(UNSHARE, [...flags, "--", ...inside], { stdio: "inherit" });
  const ended = endOf(child);
  const forget = forward(child);
  let network: ChildProcess | undefined;
  try {
    const socket = await Promise.race([arrival, ended]);
    if (typeof socket === "number") return socket;
    socket.on("error", () => {}); // it ends, which tells
    rmSync(folder, { recursive: true, force: true }); // the command has what it needs of it
    network = startNetwork([...attachArguments, `--netns=${child.pid}`]);
    const isReady = await Promise.race([readyOf(network), ended.then(() => false)]);
    if (isReady) socket.write("1");
    socket.end();
    const code = await ended;
    return isReady || code > SIGNAL_BASE ? code : EXIT_NO_NETWORK;
  } finally {
    gate.close();
    if (network !== undefined) await stopNetwork(network);
    forget();
  }
}

function listenAt(path: string): Promise<Server> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => resolve(server));
  });
}

function endOf(child: ChildProcess): Ended {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(complain(error.message, EXIT_NO_NETWORK)));
    child.once("exit", (code, signal) => {
      resolve(code ?? SIGNAL_BASE + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}

/** Hands signals on; returns what ends that. */
function forward(child: ChildProcess): () => void {
  const ignored = readIgnoredSignals();
  const names = FORWARDED.filter((name) => !ignored.has(constants.signals[name]));
  const handlers = names.map((name) => {
    const handler = (): void => {
      if (OF_TERMINAL.has(name) && isInForeground()) return;
      // Not child.kill: Deno then tells of every later end that it was by this signal.
      if (child.pid !== undefined && child.exitCode === null) sendSignal(child.pid, name);
    };
    process.on(name, handler);
    return [name, handler] as const;
  });
  return () => {
    for (const [name, handler] of handlers) process.off(name, handler);
  };
}

function sendSignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended, or has become somebody whom we may not signal.
  }
}

/** Whether a terminal's signals come to our process group, and so to the command as well. */
function isInForeground(): boolean {
  const stat = readFileSync("/proc/self/stat", "utf8");
  const [, , group, , terminal, foreground] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return terminal !== "0" && group === foreground;
}

function startNetwork(args: readonly string[]): ChildProcess {
  const [program = "", ...before] = ownCommand();
  const own = ["attach", "--exit-fd=0", "--ready-fd=1"];
  return spawn(program, [...before, ...own, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
    env: { PATH: process.env["PATH"] },
  });
}

/** Whether it gets ready, not ends. It has said why then. */
function readyOf(network: ChildProcess): Promise<boolean> {
  return new Promise((resolve) => {
    network.stdout?.once("data", () => resolve(true));
    network.once("error", () => resolve(false));
    network.once("exit", () => resolve(false));
  });
}

async function stopNetwork(network: ChildProcess): Promise<void> {
  if (network.exitCode !== null || network.signalCode !== null) return;
  const ended = new Promise((resolve) => network.once("exit", resolve));
  network.stdin?.on("error", () => {});
  network.stdin?.end();
  const timer = setTimeout(() => network.kill("SIGKILL"), END_LIMIT_ms);
  await ended;
  clearTimeout(timer);
}
