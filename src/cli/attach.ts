/**
 * `attach`: gives a network namespace (or whoever holds the tap, or a QEMU at the other end of a
 * socket) user-space networking until told to stop. Composition root of the data plane.
 *
 * It ends with code 0 at a signal, and by itself once nobody is there any more: the process whose
 * namespace it serves has ended, the namespace's file or the tap was deleted, the other end of
 * `--exit-fd` is closed. What it held is free then: ports, tap, and the namespace itself.
 */

import { type Binding, LinkGoneError, startBinding } from "../binding/binding.ts";
import { ResolvReader } from "../binding/resolv-reader.ts";
import type { AttachOptions } from "../config/attach.ts";
import { formatEndpoint } from "../config/endpoint.ts";
import { publishedCount } from "../config/forward.ts";
import type { LinkSettings } from "../config/link.ts";
import { RESOLV_CONF_PATH } from "../config/resolv.ts";
import { formatIpv4 } from "../lib/addr.ts";
import { formatIpv6 } from "../lib/addr6.ts";
import { openLogger } from "../lib/log.ts";
import { messageOf } from "../lib/message.ts";
import { systemClock } from "../loop/clock.ts";
import { holdMemoryGroup } from "../sys/cgroup.ts";
import { loadLibc } from "../sys/libc.ts";
import { collectGarbage, releaseProgramPages } from "../sys/resident.ts";
import { Admin } from "./admin.ts";
import { announce, confine, type Needs, shedInheritance } from "./confine.ts";
import { countersOf, logCounters } from "./counters.ts";
import { TAP_HELPER_COMMAND } from "./internal.ts";
import { startMetrics } from "./metrics.ts";
import { drawSeed, ownCommand, ownRuntimeDir, ownUid } from "./program.ts";
import { checkAtStart } from "./start-checks.ts";

type Metrics = Awaited<ReturnType<typeof startMetrics>>;

/**
 * Runs until SIGTERM, SIGINT, failure or the end of what it serves; resolves to the exit code.
 * @throws Error where it cannot start: that is told in plain words, before there is a log
 */
export async function attach(options: AttachOptions): Promise<number> {
  const runtimeDir = ownRuntimeDir();
  // Before anything is opened, the log's own descriptor too.
  await shedInheritance(options.readyFd, options.exitFd);
  const plainLog = await openLogger({ ...options.log, now: systemClock });
  const admin = new Admin({ command: "attach", place: options.admin, log: plainLog, runtimeDir });
  const { log } = admin;
  const uid = ownUid();
  const isFollowing = options.dns.servers.length === 0 || options.dns.search.length === 0;
  const reader = isFollowing ? new ResolvReader(RESOLV_CONF_PATH, log) : undefined;
  const binding = await startBinding(options, {
    seed: drawSeed(),
    program: process.execPath,
    uid,
    memoryGroup: holdMemoryGroup(),
    helper: [...ownCommand(), TAP_HELPER_COMMAND],
    ...(reader && { resolvReader: reader }),
    log,
    onEvent: admin.hears(interfaceOf(options.link)),
    isWatched: admin.isOn || options.metrics !== undefined,
  });
  let isStopping = false;
  const stop = (reason: NodeJS.Signals): void => {
    if (!isStopping) log.info({ event: "network_ended", reason }, "shutting down");
    isStopping = true;
    binding.stop();
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("SIGUSR1", () => logCounters(log, binding));
  const metrics = await run(options, binding, reader, admin);
  checkAtStart({ checks: options.checks, dns: options.dns }, log);
  try {
    await binding.ended;
  } catch (error) {
    if (!(error instanceof LinkGoneError)) {
      log.error({}, messageOf(error));
      return 1;
    }
    log.info({ event: "network_ended", reason: messageOf(error) }, "shutting down");
  } finally {
    await admin.close();
    await metrics?.close();
  }
  log.debug(countersOf(binding), "stopped");
  return 0;
}

/**
 * Resolves when frames flow and no right is left, to what serves metrics. Throws, and has stopped
 * it all then.
 */
async function run(
  options: AttachOptions,
  binding: Binding,
  reader: ResolvReader | undefined,
  admin: Admin,
): Promise<Metrics | undefined> {
  const { log } = admin;
  let metrics: Metrics | undefined;
  let isReady = false;
  try {
    await binding.ready;
    const networks = [{ name: interfaceOf(options.link), options, binding }];
    await admin.open(() => networks);
    metrics = await startMetrics(
      options.metrics,
      { networks: () => networks, isReady: () => isReady },
      log,
    );
    await confine(options.rights, { ...needsOf(options.link), ...(reader && { reader }) }, log);
    if (options.readyFd !== undefined) await announce(options.readyFd);
    isReady = true;
  } catch (error) {
    await admin.close();
    await metrics?.close();
    binding.stop();
    await binding.ended;
    throw error;
  }
  log.info({ event: "network_started", ...describe(options, binding) }, "ready");
  // Giving up rights has brought back pages that the binding let go; it does so later, too.
  collectGarbage();
  releaseProgramPages(await loadLibc(), process.execPath);
  return metrics;
}

/** What metrics call it: a guest behind a socket has no name. */
function interfaceOf(link: LinkSettings): string {
  return link.kind === "tap" ? link.name : "guest";
}

/** Files and ports are open by then; only what is still to be connected to asks for a user. */
function needsOf(link: LinkSettings): Needs {
  const connects = link.kind !== "tap" && link.role === "connect";
  const isFile = connects && link.endpoint.kind === "unix";
  return { folders: [], ...(isFile ? { root: "the socket to connect to may be root's" } : {}) };
}

function describe(options: AttachOptions, binding: Binding): Record<string, string | number> {
  const { mtu, subnet, subnet6, ipv4 } = options.network;
  const addresses4 = {
    guest: `${formatIpv4(subnet.guest)}/${subnet.prefixLength}`,
    gateway: formatIpv4(subnet.gateway),
    dns: formatIpv4(subnet.dns),
  };
  const addresses6 = subnet6 && {
    guest6: `${formatIpv6(subnet6.guest)}/${subnet6.prefixLength}`,
    gateway6: formatIpv6(subnet6.gateway),
    dns6: formatIpv6(subnet6.dns),
  };
  return {
    ...describeLink(options.link, binding),
    ...(ipv4 ? addresses4 : {}),
    ...addresses6,
    mtu,
    published: publishedCount(options.publish.rules),
  };
}

function describeLink(link: LinkSettings, binding: Binding): Record<string, string | number> {
  if (link.kind !== "tap") {
    const endpoint = formatEndpoint(binding.endpoint ?? link.endpoint);
    const more = link.kind === "vhost-user" ? { protocol: link.kind } : {};
    return { [link.role]: endpoint, ...more };
  }
  return { tap: link.name, ...(link.netns === undefined ? {} : { netns: link.netns }) };
}
