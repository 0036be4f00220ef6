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

import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { tapRequestOf } from "../binding/outer-end.ts";
import type { RunOptions } from "../config/run.ts";
import { standardError } from "../lib/standard-error.ts";
import { forwardSignals } from "./forward-signals.ts";
import { RUN_COMMAND } from "./internal.ts";
import { findObstacle, namespaceFlags, UNSHARE } from "./namespaces.ts";
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
import { resolvConfOf } from "./run-resolv-conf.ts";

const END_LIMIT_ms = 5000;
const SIGNAL_BASE = 128;

/** What the other two processes are made of. */
export interface RunParts {
  /** This program's command line without arguments. */
  readonly own: readonly string[];
  /** How long the network may take to end. */
  readonly endLimit_ms: number;
  /** Where complaints go, line by line. */
  readonly err: (line: string) => void;
}

const PARTS = (): RunParts => ({
  own: ownCommand(),
  endLimit_ms: END_LIMIT_ms,
  err: (line) => standardError().write(line),
});

/** Resolves to the exit code. */
export async function run(
  options: RunOptions,
  env: Environment,
  parts: RunParts = PARTS(),
): Promise<number> {
  const [name = ""] = options.command;
  const found = findProgram(name, env["PATH"]);
  if (typeof found === "number") {
    return complain(parts, problemOf(name, found), exitCodeOf(found));
  }
  const flags = namespaceFlags(options.mapRoot);
  const obstacle = findObstacle(flags);
  if (obstacle !== undefined) {
    return complain(parts, `make namespaces: ${obstacle}`, EXIT_NO_NETWORK);
  }
  const folder = mkdtempSync(join(tmpdir(), "slirp-binding-"));
  try {
    mkdirSync(join(folder, "etc"));
    writeFileSync(join(folder, "etc/resolv.conf"), resolvConfOf(options.attach));
    return await runIn(folder, flags, options, parts);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function complain({ err }: RunParts, problem: string, code: number): number {
  err(`slirp-binding: ${problem}\n`);
  return code;
}

/** How a process ended. */
type Ended = Promise<number>;

async function runIn(
  folder: string,
  flags: readonly string[],
  { command, attach, attachArguments }: RunOptions,
  parts: RunParts,
): Promise<number> {
  if (attach.link.kind !== "tap") throw new Error("wanted a tap"); // no other is offered
  const { own, endLimit_ms } = parts;
  const gate = await listenAt(join(folder, GATE));
  const arrival = new Promise<Socket>((resolve) => gate.once("connection", resolve));
  const tap = tapRequestOf(attach.network, attach.link);
  const request: InsideRequest = { folder, command, tap };
  const inside = [...own, RUN_COMMAND, JSON.stringify(request)];
  const child = spawn(UNSHARE, [...flags, "--", ...inside], { stdio: "inherit" });
  const ended = endOf(child, parts);
  const forget = forwardSignals(child);
  let network: Network | undefined;
  try {
    const socket = await Promise.race([arrival, ended]);
    if (typeof socket === "number") return socket;
    socket.on("error", () => {}); // it ends, which tells
    rmSync(folder, { recursive: true, force: true }); // the command has what it needs of it
    network = startNetwork(own, [...attachArguments, `--netns=${child.pid}`]);
    const isReady = await Promise.race([network.ready, ended.then(() => false)]);
    if (isReady) socket.write("1");
    socket.end();
    const code = await ended;
    return isReady || code > SIGNAL_BASE ? code : EXIT_NO_NETWORK;
  } finally {
    gate.close();
    if (network !== undefined) await stopNetwork(network, endLimit_ms);
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

function endOf(child: ChildProcess, parts: RunParts): Ended {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(complain(parts, error.message, EXIT_NO_NETWORK)));
    child.once("exit", (code, signal) => {
      resolve(code ?? SIGNAL_BASE + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}

interface Network {
  readonly process: ChildProcess;
  /** Whether it gets ready, not ends. It has said why then. */
  readonly ready: Promise<boolean>;
  /** Resolves when there is no such process, or none any more. */
  readonly gone: Promise<false>;
}

function startNetwork(own: readonly string[], args: readonly string[]): Network {
  const [program = "", ...before] = own;
  const given = ["attach", "--exit-fd=0", "--ready-fd=1"];
  const network = spawn(program, [...before, ...given, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
    env: { PATH: process.env["PATH"] },
  });
  const gone = new Promise<false>((resolve) => {
    network.once("error", () => resolve(false));
    network.once("exit", () => resolve(false));
  });
  const told = new Promise<true>((resolve) => network.stdout?.once("data", () => resolve(true)));
  network.stdin?.on("error", () => {}); // it is gone, which tells
  return { process: network, ready: Promise.race([told, gone]), gone };
}

async function stopNetwork({ process, gone }: Network, limit_ms: number): Promise<void> {
  process.stdin?.end();
  const timer = setTimeout(() => process.kill("SIGKILL"), limit_ms);
  await gone;
  clearTimeout(timer);
}
