/**
 * The hook sockets: where virt-launcher finds this sidecar, from the first call to the last.
 *
 * virt-launcher dials whatever appears in the hooks folder and gives up for good when Info fails
 * there, so a socket appears only when it can answer, and nothing else is ever put beside it. It
 * remembers sockets by their base name, so that name has to differ between sidecars. Connections
 * are made for one call each; ones without a call, and aborted ones, are normal.
 *
 * A stale socket of an earlier run under our name is removed; one that a process listens on is not.
 */

import { join } from "node:path";
import type { Logger } from "../lib/log.ts";
import { createShares } from "./calls.ts";
import type { DomainHooks } from "./domain-hooks.ts";
import { Health } from "./health.ts";
import { type HookSocket, type ListenOptions, listenOn } from "./hook-socket.ts";
import { hookListener, pluginListener } from "./routes.ts";
import { socketNames } from "./socket-names.ts";

export interface HookServerOptions {
  /** Folder that virt-launcher watches; must exist. Undefined = no such socket. */
  readonly hooksDir: string | undefined;
  /** Folder for the socket of a Plugin resource; must exist. Undefined = no such socket. */
  readonly pluginDir: string | undefined;
  /** `CONTAINER_NAME` as KubeVirt sets it since v1.6. */
  readonly containerName: string | undefined;
  readonly hooks: DomainHooks;
  /** Called for each call to a KubeVirt service. */
  readonly onCall?: () => void;
  readonly log: Logger;
  /** Milliseconds from any point in time. */
  readonly clock: () => number;
}

export interface HookServer {
  /** Paths of the sockets, that of the hooks folder first. */
  readonly paths: readonly string[];
  /** Number of events by counter name (`pressure.ts`). */
  readonly counters: Readonly<Record<string, number>>;
  /** What the health service reports; true from the start. */
  setServing(isServing: boolean): void;
  /** Removes the sockets, waits up to `CLOSE_GRACE_ms` for calls in progress, then closes them. */
  close(): Promise<void>;
}

/** Name of the socket in the plugin folder, which a Plugin resource has to give. */
const PLUGIN_SOCKET_NAME = "slirp.sock";

/** Interval of the checks for time limits. */
const SWEEP_ms = 1000;

/** Listens on all sockets, or throws an `Error` and cleans up. */
export async function startHookServer(options: HookServerOptions): Promise<HookServer> {
  const { hooksDir, pluginDir, containerName, hooks, log, onCall = () => {} } = options;
  const health = new Health();
  const shares = createShares(log, options.clock);
  const services = { hooks, health, log, calls: shares.calls, onCall };
  const open: HookSocket[] = [];
  const listening = { log, shares };
  const sweeping = setInterval(() => {
    shares.calls.sweep();
    for (const socket of open) socket.sweep();
  }, SWEEP_ms);
  sweeping.unref();
  const close = async (): Promise<void> => {
    clearInterval(sweeping);
    health.end();
    await Promise.all(open.splice(0).map((each) => each.close()));
  };
  try {
    // The hooks folder comes last: a launcher may call as soon as that socket exists.
    if (pluginDir !== undefined) {
      const listener = pluginListener(services);
      const names = [PLUGIN_SOCKET_NAME];
      open.push(await listenFirst(pluginDir, names, { ...listening, listener }));
    }
    if (hooksDir !== undefined) {
      const names = socketNames(containerName);
      const listener = hookListener(services);
      open.unshift(await listenFirst(hooksDir, names, { ...listening, listener }));
    }
  } catch (error) {
    await close();
    throw error;
  }
  const paths = open.map((each) => each.path);
  for (const path of paths) log.info({ path }, "listening for hooks");
  return {
    paths,
    get counters() {
      return shares.pressure.counters;
    },
    setServing: (isServing) => health.setServing(isServing),
    close,
  };
}

async function listenFirst(
  folder: string,
  names: readonly string[],
  parts: ListenOptions,
): Promise<HookSocket> {
  for (const name of names) {
    const socket = await listenOn(join(folder, name), parts);
    if (socket !== undefined) return socket;
  }
  throw new Error(`another server listens on "${join(folder, names[0] ?? "")}"`);
}
