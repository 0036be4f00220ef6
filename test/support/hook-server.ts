/** A hook server of a test's own, with its folder, its log and hooks that a test can replace. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DomainHooks } from "../../src/hooks/domain-hooks.ts";
import { type HookServer, startHookServer } from "../../src/hooks/server.ts";
import { type LevelledLogger, prettyLogger } from "../../src/lib/log.ts";

/** What the default hooks put behind a domain. */
export const MARK = "<!-- changed -->";

export interface TestServer {
  readonly server: HookServer;
  readonly folder: string;
  /** Path of the socket in the hooks folder. */
  readonly path: string;
  /** Lines of the log so far. */
  readonly lines: readonly string[];
  /** Closes the server and removes its folder. */
  end(): Promise<void>;
}

export interface TestServerOptions {
  readonly hooks?: Partial<DomainHooks>;
  readonly containerName?: string;
  /** Makes the socket of a Plugin resource too, in a folder of its own below. */
  readonly plugin?: boolean;
  /** The server's clock, in milliseconds. */
  readonly clock?: () => number;
}

/** A folder that nobody else knows, and whose path leaves room for names of sockets. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "hooks-"));
}

/** A log that keeps its lines. */
export function keepingLog(): { readonly log: LevelledLogger; readonly lines: string[] } {
  const lines: string[] = [];
  return { log: prettyLogger("debug", (line) => lines.push(line.trimEnd())), lines };
}

export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const folder = temporaryFolder();
  const pluginDir = options.plugin === true ? temporaryFolder() : undefined;
  const { log, lines } = keepingLog();
  const hooks: DomainHooks = {
    onDefineDomain: (domain) => Buffer.concat([domain, Buffer.from(MARK)]),
    shutdown: async () => {},
    ...options.hooks,
  };
  const { containerName } = options;
  const clock = options.clock ?? (() => performance.now());
  const folders = { hooksDir: folder, pluginDir };
  const server = await startHookServer({ ...folders, containerName, hooks, log, clock });
  return {
    server,
    folder,
    path: server.paths[0] ?? "",
    lines,
    end: async () => {
      await server.close();
      for (const each of [folder, pluginDir]) {
        if (each !== undefined) rmSync(each, { recursive: true, force: true });
      }
    },
  };
}
