/**
 * Starts the program under test, or a peer in its place, on a guest namespace.
 *
 * `E2E_PROGRAM=slirp4netns|pasta` puts a peer in the program's place: that shows that harness and
 * tests are sound before blame falls on the program, and the benchmark compares all three through
 * the same door. `SLIRP_RUNTIME=bun|deno` runs the program from source instead of `dist`.
 */

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { captureSettings } from "./captures.ts";
import { type Outcome, onEnd, type Running, start, until, which } from "./shell.ts";
import { confinement } from "./trace.ts";
import type { Namespace } from "./world.ts";

export const ROOT = resolve(fileURLToPath(new URL("../../..", import.meta.url)));

export type ProgramKind = "ours" | "slirp4netns" | "pasta";

/** A published port in our own notation, `[HOSTIP:]PORT[-PORT]:GUESTPORT[/tcp|/udp]`. */
export type ProgramOptions = {
  readonly kind?: ProgramKind;
  readonly host: Namespace;
  /** Path of the guest's namespace or the id of a process in it. */
  readonly netns: string;
  readonly tap?: string;
  readonly mtu?: number;
  /** Configure address, route and link in the guest; default true. */
  readonly configure?: boolean;
  readonly hostLoopback?: boolean;
  readonly vnet?: boolean;
  readonly publish?: readonly string[];
  readonly pcap?: string;
  /** Socket at which slirp4netns takes commands: it publishes ports by them alone. */
  readonly apiSocket?: string;
  /** Further arguments of our own command line. */
  readonly args?: readonly string[];
  /** Put before the program's own command line, inside the host namespace. */
  readonly prefix?: readonly string[];
};

export type Program = {
  readonly kind: ProgramKind;
  readonly pid: number;
  /** Milliseconds from exec to the ready signal. */
  readonly ready_ms: number;
  readonly guestAddress: string;
  readonly running: Running;
  /** SIGTERM, then the outcome. */
  stop(): Promise<Outcome>;
};

export const GATEWAY = "10.0.2.2";
export const GATEWAY6 = "fd10:0:2::1";
export const DNS_ADDRESS = "10.0.2.3";
const READY_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 15_000;

/** The kind the environment asks for. */
export function programKind(): ProgramKind {
  const name = process.env["E2E_PROGRAM"] ?? "ours";
  if (name === "ours" || name === "slirp4netns" || name === "pasta") {
    return name;
  }
  throw new Error(`E2E_PROGRAM must be ours, slirp4netns or pasta, not "${name}"`);
}

/** Command line of our program without its arguments, as the environment asks. */
export function ourCommand(): string[] {
  const runtime = process.env["SLIRP_RUNTIME"] ?? "";
  const main = join(ROOT, "src/main.ts");
  switch (runtime) {
    case "":
      return [...confinement(), join(ROOT, "dist/slirp-binding")];
    case "bun":
      return [join(ROOT, "node_modules/.bin/bun"), main];
    case "deno":
      return [join(ROOT, "node_modules/.bin/deno"), "run", "-A", main];
    default:
      throw new Error(`SLIRP_RUNTIME must be bun or deno, not "${runtime}"`);
  }
}

/** Why this kind cannot run here, or undefined when it can. */
export function missing(kind: ProgramKind = programKind()): string | undefined {
  if (kind !== "ours") {
    return which(kind) === undefined ? `${kind} is not installed` : undefined;
  }
  const command = ourCommand();
  const file = [command[0], command.at(-1)].find((each) => !existsSync(each ?? ""));
  return file === undefined ? undefined : `${file} is missing: run "npm run build" first`;
}

function oursArgv(options: ProgramOptions, tap: string): string[] {
  const args = [...ourCommand(), "attach", "--tap", tap, "--netns", options.netns];
  args.push("--ready-fd", "3");
  if (options.configure !== false) {
    args.push("--configure");
  }
  if (options.mtu !== undefined) {
    args.push("--mtu", String(options.mtu));
  }
  if (options.hostLoopback === true) {
    args.push("--host-loopback");
  }
  if (options.vnet === false) {
    args.push("--no-vnet");
  }
  if (options.pcap !== undefined) {
    args.push("--pcap", options.pcap);
  }
  for (const rule of options.publish ?? []) {
    args.push("--publish", rule);
  }
  return [...args, ...(options.args ?? [])];
}

function slirpArgv(options: ProgramOptions, tap: string): string[] {
  const args = ["slirp4netns", "--ready-fd=3", `--mtu=${options.mtu ?? 65520}`];
  if (options.configure !== false) {
    args.push("--configure");
  }
  if (options.hostLoopback !== true) {
    args.push("--disable-host-loopback");
  }
  if (options.netns.startsWith("/")) {
    args.push("--netns-type=path");
  }
  if (options.apiSocket !== undefined) {
    args.push("--api-socket", options.apiSocket);
  }
  return [...args, options.netns, tap];
}

function pastaArgv(options: ProgramOptions, tap: string, pidFile: string): string[] {
  const args = ["pasta", "--foreground", "--quiet", "--runas", "0", "--pid", pidFile];
  args.push("--ns-ifname", tap, "--mtu", String(options.mtu ?? 65520), "--ipv4-only");
  args.push("--address", "10.0.2.15", "--netmask", "24", "--gateway", GATEWAY);
  args.push("--dns-forward", DNS_ADDRESS);
  if (options.configure !== false) {
    args.push("--config-net");
  }
  if (options.hostLoopback !== true) {
    args.push("--no-map-gw");
  }
  for (const protocol of ["tcp", "udp"]) {
    args.push(...pastaPorts(options.publish ?? [], protocol), `--${protocol}-ns`, "none");
  }
  if (options.pcap !== undefined) {
    args.push("--pcap", options.pcap);
  }
  if (options.netns.startsWith("/")) {
    return [...args, "--netns", options.netns];
  }
  return [...args, options.netns];
}

/** Our notation in pasta's: an address counts for a whole option, so each rule is one option. */
function pastaPorts(rules: readonly string[], protocol: string): string[] {
  const wanted = rules.filter((rule) => (rule.split("/")[1] ?? "tcp") === protocol);
  const flag = `--${protocol}-ports`;
  if (wanted.length === 0) {
    return [flag, "none"];
  }
  return wanted.flatMap((rule) => {
    const parts = (rule.split("/")[0] ?? "").split(":");
    const guest = parts.at(-1) ?? "";
    const host = parts.at(-2) ?? "";
    const [first = "0", last = first] = host.split("-");
    const guestLast = Number(guest) + Number(last) - Number(first);
    const range = first === last ? `${host}:${guest}` : `${host}:${guest}-${guestLast}`;
    return [flag, parts.length > 2 ? `${parts[0]}/${range}` : range];
  });
}

/** A running `attach` of ours, whatever its link. */
export type Attached = {
  readonly running: Running;
  /** SIGTERM, then the outcome. */
  stop(): Promise<Outcome>;
};

/**
 * Starts `attach` with these arguments inside the host namespace and waits until it is ready.
 * @param prefix put before its command line there
 */
export async function startAttach(
  host: Namespace,
  args: readonly string[],
  prefix: readonly string[] = [],
): Promise<Attached> {
  let ready = false;
  const argv = host.argv([...prefix, ...ourCommand(), "attach", ...args, "--ready-fd", "3"]);
  const running = start(argv, {
    env: captureSettings(args.some((arg) => /^--(?:tap|vhost-user.*)$/.test(arg))),
    onReadyByte: () => {
      ready = true;
    },
  });
  await until(() => ready || running.ended(), "attach to be ready", READY_LIMIT_MS);
  if (running.ended()) throw new Error(`attach ended before it was ready: ${running.stderr()}`);
  return {
    running,
    stop: async () => {
      running.signal("SIGTERM");
      return running.outcome(STOP_LIMIT_MS);
    },
  };
}

/** Starts and waits until it is ready; throws with its own words when it ends or is late. */
export async function startProgram(options: ProgramOptions): Promise<Program> {
  const kind = options.kind ?? programKind();
  const tap = options.tap ?? "tap0";
  const folder = mkdtempSync(join(tmpdir(), "slirp-e2e-"));
  const drop = (): void => rmSync(folder, { recursive: true, force: true });
  const forget = onEnd(drop);
  const pidFile = join(folder, "pid");
  const builders: Record<ProgramKind, () => string[]> = {
    ours: () => oursArgv(options, tap),
    slirp4netns: () => slirpArgv(options, tap),
    pasta: () => pastaArgv(options, tap, pidFile),
  };
  const argv = options.host.argv([...(options.prefix ?? []), ...builders[kind]()]);
  let ready = false;
  const began_ms = performance.now();
  let ready_ms = 0;
  const running = start(argv, {
    env: captureSettings(options.vnet !== false),
    onReadyByte: () => {
      ready = true;
      ready_ms = performance.now() - began_ms;
    },
  });
  try {
    await until(
      () => ready || running.ended() || (kind === "pasta" && existsSync(pidFile)),
      `${kind} to be ready`,
      READY_LIMIT_MS,
    );
    if (running.ended()) {
      throw new Error(`${kind} ended before it was ready: ${running.stderr()}${running.stdout()}`);
    }
  } catch (error) {
    running.signal("SIGKILL");
    drop();
    throw error;
  }
  ready_ms ||= performance.now() - began_ms;
  return {
    kind,
    pid: running.pid,
    ready_ms,
    guestAddress: kind === "slirp4netns" ? "10.0.2.100" : "10.0.2.15",
    running,
    stop: async () => {
      running.signal("SIGTERM");
      const outcome = await running.outcome(STOP_LIMIT_MS);
      forget();
      drop();
      return outcome;
    },
  };
}
