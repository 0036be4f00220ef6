/**
 * The benchmark's namespaces: one host, and a guest for every configuration beside it, so that all
 * configurations of a repetition are up together and each metric visits them within seconds.
 */

import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { missing, type ProgramKind, ROOT, startProgram } from "../test/support/e2e/program.ts";
import { must, which } from "../test/support/e2e/shell.ts";
import { createGuest, createHost, type Namespace, setSysctls } from "../test/support/e2e/world.ts";
import { addressOf, type Path } from "./measure.ts";
import type { Config } from "./plan.ts";

/** The ports of clients; servers listen below. Thousands of flows to one server need many. */
const EPHEMERAL_PORTS = "10000 65535";

/** Makes the host namespace with the same network settings for every configuration. */
export function createBenchHost(): Namespace {
  const host = createHost();
  setSysctls(host, { "net.ipv4.ip_local_port_range": EPHEMERAL_PORTS });
  return host;
}

/**
 * Brings one configuration up. Throws when its program does not start.
 * @param prefix put before the program's own command line
 */
export async function createPath(
  host: Namespace,
  config: Config,
  prefix: readonly string[] = [],
): Promise<Path> {
  const address = addressOf(config);
  if (config.kind === "direct") {
    return { config, client: host, server: host, address, program: undefined };
  }
  const guest = createGuest(config.ipv6);
  setSysctls(guest, { "net.ipv4.ip_local_port_range": EPHEMERAL_PORTS });
  try {
    const program = await startProgram({
      kind: config.kind,
      host,
      netns: guest.path,
      mtu: config.mtu,
      vnet: config.vnet,
      hostLoopback: true,
      prefix,
    });
    return { config, client: guest, server: host, address, program };
  } catch (error) {
    guest.remove();
    throw error;
  }
}

/** Takes one configuration down. */
export async function removePath(path: Path): Promise<void> {
  if (path.program !== undefined) {
    await path.program.stop();
    path.client.remove();
  }
}

const compiler = (): string | undefined =>
  ["gcc", "cc", "clang"].find((name) => which(name) !== undefined);

/** Why C programs cannot be made, or undefined. */
export function toolsObstacle(): string | undefined {
  return compiler() === undefined ? "needs a C compiler" : undefined;
}

/** Makes bench/NAME.c; the path of what came of it. Throws where that fails. */
export function compileTool(name: string, args: readonly string[] = []): string {
  const folder = join(ROOT, "build/bench");
  mkdirSync(folder, { recursive: true });
  const binary = join(folder, name);
  must([compiler() ?? "cc", "-O2", ...args, "-o", binary, join(ROOT, `bench/${name}.c`)]);
  return binary;
}

/** Command line of the rr tool: compiled when there is a compiler, else the JavaScript one. */
export function prepareRr(): string[] {
  try {
    return [compileTool("rr")];
  } catch {
    return ["node", join(ROOT, "bench/rr.mjs")];
  }
}

/** Why the benchmark cannot run at all, or undefined. */
export function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) {
    return "needs root: it makes network namespaces";
  }
  if (!existsSync("/dev/net/tun")) {
    return "needs /dev/net/tun";
  }
  const absent = ["ip", "iperf3"].find((name) => which(name) === undefined);
  return absent === undefined ? undefined : `needs ${absent}`;
}

/** Why this kind has to be left out, or undefined. */
export const absence = (kind: ProgramKind | "direct"): string | undefined =>
  kind === "direct" ? undefined : missing(kind);
