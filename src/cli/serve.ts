/**
 * `serve`: the sidecar. Hook sockets for virt-launcher in this thread, the data plane beside it,
 * until the virtual machine is gone. Composition root of the hooks.
 *
 * It ends with code 0 and without a socket left; `shutdown-policy.ts` says when.
 */

import { statSync } from "node:fs";
import { dirname } from "node:path";
import { ResolvReader } from "../binding/resolv-reader.ts";
import { RESOLV_CONF_PATH } from "../config/resolv.ts";
import { HOOKS_DIR_DEFAULT, PLUGIN_DIR_DEFAULT, type ServeOptions } from "../config/serve.ts";
import { createDomainHooks } from "../hooks/define.ts";
import { startHookServer } from "../hooks/server.ts";
import { type Logger, openLogger } from "../lib/log.ts";
import { limitLogger } from "../lib/log-limit.ts";
import { messageOf } from "../lib/message.ts";
import { monotonic, systemClock } from "../loop/clock.ts";
import { collectGarbage } from "../sys/resident.ts";
import { Admin } from "./admin.ts";
import { announce, confine, type Needs, shedInheritance } from "./confine.ts";
import { type ServeDataPlane, startDataPlane } from "./data-plane.ts";
import { readPlanContext } from "./hook-context.ts";
import { startMetrics } from "./metrics.ts";
import { ownRuntimeDir } from "./program.ts";
import { ShutdownPolicy } from "./shutdown-policy.ts";
import { checkAtStart } from "./start-checks.ts";
import { makeUserFolder, removeUserFolder } from "./user-folder.ts";

/**
 * Runs until the end of the virtual machine; resolves to the exit code.
 * @throws Error where it cannot start: that is told in plain words, whatever form the log has
 */
export async function serve(asked: ServeOptions): Promise<number> {
  const runtimeDir = ownRuntimeDir();
  // Before anything is opened, the log's own descriptor too.
  await shedInheritance(asked.readyFd);
  const admin = new Admin({
    command: "serve",
    place: asked.admin,
    runtimeDir,
    log: await openLogger({ ...asked.log, now: systemClock }),
  });
  const { log } = admin;
  const life = { isReady: false };
  try {
    const options = { ...asked, ...foldersOf(asked) };
    const reader = new ResolvReader(RESOLV_CONF_PATH, log);
    const dataPlane = startDataPlane(options, admin, reader);
    let folder: string | undefined;
    try {
      // Whoever may call hooks may do so as often as he likes.
      const limited = limitLogger(log, { clock: monotonic });
      const { graceSeconds, abandonSeconds } = options;
      const policy = new ShutdownPolicy({
        graceSeconds,
        abandonSeconds,
        seesGuests: () => dataPlane.seesGuests,
        idle: () => dataPlane.idle(),
        attached: () => dataPlane.attached,
        log: limited,
      });
      process.on("SIGINT", () => policy.onInterrupt());
      process.on("SIGTERM", () => policy.onTerminate());
      process.on("SIGUSR1", () => dataPlane.logCounters());
      const networks = () => dataPlane.networks;
      // A place that was asked for may be one that only root can make.
      if (!admin.hasUsualPlace) await admin.open(networks);
      const onConfined = async (): Promise<void> => {
        if (!admin.hasUsualPlace) return;
        folder = adminFolder(options);
        await admin.open(networks, folder);
      };
      const needs = { ...needsOf(options), reader };
      await serveUntil(policy, options, { dataPlane, needs, life, limited, onConfined }, log);
    } finally {
      await admin.close();
      await dataPlane.close();
      if (folder !== undefined) removeUserFolder(folder);
    }
    return 0;
  } catch (error) {
    if (!life.isReady) throw error;
    log.error({}, messageOf(error));
    return 1;
  }
}

/**
 * Where `kubectl exec` finds it. Made by whom the program is from then on, so that `userdata/` is
 * his, for QEMU's sockets as well, and is gone at the end.
 */
function adminFolder({ hooksDir }: ServeOptions): string | undefined {
  if (hooksDir === undefined) return undefined;
  try {
    return makeUserFolder(hooksDir);
  } catch {
    return undefined; // read-only: then the runtime folder has to do
  }
}

interface ServeParts {
  readonly dataPlane: ServeDataPlane;
  readonly needs: Needs;
  /** For what callers of hooks cause. */
  readonly limited: Logger;
  /** Whether it has started. */
  readonly life: { isReady: boolean };
  /** Rights have been given up. */
  readonly onConfined: () => Promise<void>;
}

async function serveUntil(
  policy: ShutdownPolicy,
  options: ServeOptions,
  { dataPlane, needs, life, limited, onConfined }: ServeParts,
  log: Logger,
): Promise<void> {
  const hooks = createDomainHooks({
    dataPlane,
    context: () => readPlanContext(options.hooks, dataPlane),
    onShutdown: () => policy.onShutdown(),
    onWarning: (text) => limited.warn({}, text),
    onLink: ({ interfaceName, attachment, linkReason }) =>
      limited.info(
        { iface: interfaceName, link: attachment.kind, reason: linkReason },
        "link chosen",
      ),
    onLarge: collectGarbage,
  });
  const { hooksDir, pluginDir } = options;
  const { containerName } = options.hooks;
  const clock = () => performance.now();
  const onCall = () => policy.onCall();
  const sockets = { hooksDir, pluginDir, containerName };
  const networks = () => dataPlane.networks;
  const isReady = () => life.isReady;
  const metrics = await startMetrics(options.metrics, { networks, isReady }, log);
  const server = await startHookServer({ ...sockets, hooks, onCall, log, clock }).catch(
    async (error: unknown) => {
      await metrics?.close();
      throw error;
    },
  );
  process.on("SIGUSR1", () => log.info(server.counters, "hook counters"));
  try {
    await confine(options.rights, needs, log);
    await onConfined();
    if (options.readyFd !== undefined) await announce(options.readyFd);
    life.isReady = true;
    const { checks, resolvers } = options;
    checkAtStart({ checks, dns: resolvers, hooksDir }, log);
    const reason = await policy.decided;
    log.info({ reason }, "shutting down");
  } finally {
    await server.close();
    await metrics?.close();
  }
}

/** Where sockets and captures come and go as long as it runs. */
function needsOf({ hooksDir, pluginDir, capture }: ServeOptions): Needs {
  const { pcap, record } = capture;
  const files = [pcap, record].flatMap((file) => (file === undefined ? [] : [dirname(file)]));
  const sockets = [hooksDir, pluginDir].filter((folder) => folder !== undefined);
  return { folders: [...sockets, ...files] };
}

interface Folders {
  readonly hooksDir: string | undefined;
  readonly pluginDir: string | undefined;
}

/** One of the usual folders is enough; a folder that was asked for by name has to be there. */
function foldersOf({ hooksDir, pluginDir }: ServeOptions): Folders {
  const folders = {
    hooksDir: hooksDir ?? (isFolder(HOOKS_DIR_DEFAULT) ? HOOKS_DIR_DEFAULT : undefined),
    pluginDir: pluginDir ?? (isFolder(PLUGIN_DIR_DEFAULT) ? PLUGIN_DIR_DEFAULT : undefined),
  };
  if (folders.hooksDir === undefined && folders.pluginDir === undefined) {
    throw new Error(
      `mount the hooks folder at "${HOOKS_DIR_DEFAULT}", or name it with "--hooks-dir DIR"`,
    );
  }
  return folders;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
