/** The metrics of a command that serves guests, where they are asked for. */

import packageJson from "../../package.json" with { type: "json" };
import { hidePort } from "../binding/outer-end.ts";
import type { TcpAddress } from "../config/tcp-address.ts";
import type { Logger } from "../lib/log.ts";
import type { NamedBinding } from "../metrics/networks.ts";
import type { MetricsServer } from "../metrics/server.ts";
import { forgetPagesLater } from "./program.ts";

/** What there is to tell of. */
export interface Watched {
  readonly networks: () => readonly NamedBinding[];
  readonly isReady: () => boolean;
}

/**
 * Serves metrics from now on; undefined where nobody asked for them. The code is loaded only then.
 * @throws Error where it cannot listen
 */
export async function startMetrics(
  address: TcpAddress | undefined,
  { networks, isReady }: Watched,
  log: Logger,
): Promise<Pick<MetricsServer, "close"> | undefined> {
  if (address === undefined) return undefined;
  const { startMetricsServer } = await import("../metrics/server.ts");
  const { processFigures } = await import("../metrics/process-figures.ts");
  const startSeconds = Date.now() / 1000 - process.uptime();
  const server = await startMetricsServer(address, {
    networks,
    isReady,
    figures: () => processFigures(process, packageJson.version, startSeconds),
    onQuiet: forgetPagesLater,
  });
  const unhide = hidePort(server.port);
  const { host } = address;
  log.info({ address: host, port: server.port }, "serving metrics");
  return {
    close: async () => {
      await server.close();
      unhide();
    },
  };
}
