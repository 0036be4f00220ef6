/**
 * `attach`: gives a network namespace (or whoever holds the tap, or a QEMU at the other end of a
 * socket) user-space networking until told to stop. Composition root of the data plane.
 */
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { type Binding, startBinding } from "../binding/binding.ts";
import type { AttachOptions, LinkSettings } from "../config/config.ts";
import { formatEndpoint } from "../config/endpoint.ts";
import { DROP_NAMES, STAT_NAMES } from "../engine/stats.ts";
import { formatIpv4 } from "../lib/addr.ts";
import { formatIpv6 } from "../lib/addr6.ts";
import { type Logger, openLogger } from "../lib/log.ts";
import { TAP_HELPER_COMMAND } from "./internal.ts";

/** This program again, in helper mode. From source the runtime needs to be told which file. */
function helperCommand(): string[] {
  const main = new URL("../main.ts", import.meta.url);
  if (main.pathname.startsWith("/$bunfs/")) return [process.execPath, TAP_HELPER_COMMAND];
  const run = "Deno" in globalThis ? ["run", "-A"] : [];
  return [process.execPath, ...run, fileURLToPath(main), TAP_HELPER_COMMAND];
}

/** Runs until SIGTERM, SIGINT or failure; resolves to the exit code. */
export async function attach(options: AttachOptions): Promise<number> {
  const log = await openLogger({ level: options.logLevel, format: options.logFormat });
  let binding: Binding;
  try {
    const seed = [...randomBytes(SEED_SIZE)];
    binding = await startBinding(options, {
      seed,
      program: process.execPath,
      helper: helperCommand(),
    });
  } catch (error) {
    log.error({}, messageOf(error));
    return 1;
  }
  const stop = (): void => binding.stop();
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("SIGUSR1", () => {
    binding.refresh();
    setTimeout(() => logCounters(log, binding), COUNTERS_WAIT_MS);
  });
  binding.ready.then(
    () => log.info(describe(options, binding), "ready"),
    () => {},
  );
  try {
    await binding.ended;
    log.debug(counted(binding), "stopped");
    return 0;
  } catch (error) {
    log.error({}, messageOf(error));
    return 1;
  }
}

const SEED_SIZE = 32;
/** The worker answers between two turns of its loop, a millisecond away at most. */
const COUNTERS_WAIT_MS = 20;

function describe(options: AttachOptions, binding: Binding): Record<string, string | number> {
  const { subnet, subnet6 } = options;
  const ipv4 = {
    guest: `${formatIpv4(subnet.guest)}/${subnet.prefixLength}`,
    gateway: formatIpv4(subnet.gateway),
    dns: formatIpv4(subnet.dns),
  };
  const ipv6 = subnet6 && {
    guest6: `${formatIpv6(subnet6.guest)}/${subnet6.prefixLength}`,
    gateway6: formatIpv6(subnet6.gateway),
    dns6: formatIpv6(subnet6.dns),
  };
  return {
    ...describeLink(options.link, binding),
    ...(options.ipv4 ? ipv4 : {}),
    ...ipv6,
    mtu: options.mtu,
    published: options.publish.length,
  };
}

function describeLink(link: LinkSettings, binding: Binding): Record<string, string | number> {
  if (link.kind === "stream") {
    const endpoint = formatEndpoint(binding.endpoint ?? link.endpoint);
    return link.role === "listen" ? { listen: endpoint } : { connect: endpoint };
  }
  return { tap: link.name, ...(link.netns === undefined ? {} : { netns: link.netns }) };
}

/** Counters that are not zero, by name. */
function counted(binding: Binding): Record<string, number> {
  const { counters } = binding;
  const names = [...STAT_NAMES, ...DROP_NAMES.map((name) => `drop_${name}`)];
  const found: Record<string, number> = { flows: counters.flows, chunks: counters.chunks };
  names.forEach((name, index) => {
    const value = counters.counter(index);
    if (value > 0) found[name] = value;
  });
  const { connections, peersRefused, badPeers } = counters.peers;
  const peers = { connections, peers_refused: peersRefused, bad_peers: badPeers };
  for (const [name, value] of Object.entries(peers)) if (value > 0) found[name] = value;
  return found;
}

function logCounters(log: Logger, binding: Binding): void {
  log.info(counted(binding), "counters");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
