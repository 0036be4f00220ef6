/** Starts `serve` as a program of its own, the way its image does, in a folder of its own. */
import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { missing, ourCommand } from "./e2e/program.ts";
import { type Outcome, onEnd, type Running, start, until, which } from "./e2e/shell.ts";
import { temporaryFolder } from "./hook-server.ts";

/** Socket of the sidecar that `startServe` starts. */
export const SOCKET_NAME = "slirp-hook-sidecar-0.sock";

/** What KubeVirt 1.9 sets; a wrong network of the machine the test runs on is out of the way. */
const ENVIRONMENT: Readonly<Record<string, string>> = Object.freeze({
  CONTAINER_NAME: "hook-sidecar-0",
  NETWORK_BINDING_PLUGIN_NAME: "slirp",
  SLIRP_LOG_FORMAT: "pretty",
});

export interface ServeOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Put before the program's own command line. */
  readonly prefix?: readonly string[];
  /** Folder of the hook sockets; default one of its own, which `end` removes. */
  readonly folder?: string;
}

export interface Serve {
  readonly running: Running;
  readonly folder: string;
  readonly path: string;
  /** Ends it with SIGINT and checks that nothing is left. */
  end(): Promise<Outcome>;
}

const START_LIMIT_ms = 30_000;
const END_LIMIT_ms = 15_000;

/** Why the program or one of these tools cannot run here; false when all can. */
export function cannotServe(...tools: readonly string[]): string | false {
  const why = missing("ours");
  if (why !== undefined) return why;
  const absent = tools.find((tool) => which(tool) === undefined);
  return absent === undefined ? false : `${absent} is not installed`;
}

/** Starts the program without waiting for anything. */
export function launch(options: ServeOptions & { readonly folder: string }): Running {
  const { prefix = [], args = [], env = {}, folder } = options;
  const argv = [...prefix, ...ourCommand(), "serve", "--hooks-dir", folder, ...args];
  return start(argv, { env: { ...ENVIRONMENT, ...env } });
}

/** Starts the program and waits until its socket is there. */
export async function startServe(options: ServeOptions = {}): Promise<Serve> {
  const folder = options.folder ?? temporaryFolder();
  const drop = (): void => {
    if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
  };
  const forget = onEnd(drop);
  const running = launch({ ...options, folder });
  const path = join(folder, SOCKET_NAME);
  const isListening = (): boolean => /listening for hooks/.test(running.stderr());
  await until(() => isListening() || running.ended(), "the hook socket", START_LIMIT_ms);
  assert.ok(isListening(), `ended before it listened: ${running.stderr()}`);
  return {
    running,
    folder,
    path,
    end: async () => {
      running.signal("SIGINT");
      const outcome = await running.outcome(END_LIMIT_ms);
      assert.equal(outcome.code, 0, outcome.stderr);
      assert.deepEqual(readdirSync(folder), []);
      forget();
      drop();
      return outcome;
    },
  };
}
