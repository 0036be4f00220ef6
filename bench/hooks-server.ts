/**
 * A hook server for the benchmark whose process has another thread that never rests, as a data
 * plane at full load would be one: `hooks-server.ts FOLDER`.
 */
import { isMainThread, Worker } from "node:worker_threads";
import { readHookSettings } from "../src/config/hook-settings.ts";
import { startQemuDataPlane } from "../src/hooks/data-plane.ts";
import { createDomainHooks } from "../src/hooks/define.ts";
import { startHookServer } from "../src/hooks/server.ts";
import { prettyLogger } from "../src/lib/log.ts";

async function serve(folder: string): Promise<void> {
  new Worker(new URL(import.meta.url)).unref();
  const dataPlane = startQemuDataPlane();
  const hooks = createDomainHooks({
    dataPlane,
    context: () => ({
      settings: readHookSettings({}),
      resolvConf: "",
      podNetworks: [],
      autoLink: dataPlane.autoLink,
      memoryLimit: undefined,
    }),
    onShutdown: () => {},
  });
  const log = prettyLogger("info");
  const names = { pluginDir: undefined, containerName: undefined };
  await startHookServer({ hooksDir: folder, ...names, hooks, log, clock: () => performance.now() });
}

if (isMainThread) {
  await serve(process.argv[2] ?? "");
} else {
  for (;;) {
    // busy for good
  }
}
