/** Starts `serve` as a program of its own, the way its image does, in a folder of its own. */
import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { captureSettings } from "./e2e/captures.ts";
import { missing, ourCommand } from "./e2e/program.ts";
import { type Outcome, onEnd, type Running, start, until, which } from "./e2e/shell.ts";
import { connectRaw } from "./hook-client.ts";
import { temporaryFolder } from "./hook-server.ts";

/** Socket of the sidecar that `startServe` starts. */
export const SOCKET_NAME = "slirp-hook-sidecar-0.sock";

/** What KubeVirt 1.9 sets; a wrong network of the machine the test runs on is out of the way. */
const ENVIRONMENT: Readonly<Record<string, string>> = Object.freeze({
  CONTAINER_NAME: "hook-sidecar-0",
  NETWORK_BINDING_PLUGIN_NAME: "slirp",
  SLIRP_LOG_FORMAT: "pretty",
});

/** A loopback port for the link `client` that nobody has, nor the ones above it as a rule. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

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
  /** Where the first interface's link `client` is. */
  readonly port: number;
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
  const at = args.indexOf("--link");
  const link = at < 0 ? env["SLIRP_LINK"] : args[at + 1];
  // `auto` may be vhost-user, whose guests leave checksums to others.
  const hasOffloads = link !== "client" && link !== "stream";
  return start(argv, { env: { ...ENVIRONMENT, ...captureSettings(hasOffloads), ...env } });
}

function knocked(socket: Socket): boolean {
  socket.destroy();
  return true;
}

/** Starts the program and waits until its socket is there. */
export async function startServe(options: ServeOptions = {}): Promise<Serve> {
  const folder = options.folder ?? temporaryFolder();
  const drop = (): void => {
    if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
  };
  const forget = onEnd(drop);
  const port = options.env?.["SLIRP_LOOPBACK_PORT"] ?? String(await freePort());
  const running = launch({
    ...options,
    folder,
    env: { SLIRP_LOOPBACK_PORT: port, ...options.env },
  });
  const path = join(folder, SOCKET_NAME);
  // By the file alone one cannot tell: it is there before somebody listens, or is a dead one's.
  const isThere = (): Promise<boolean> => connectRaw(path).then(knocked, () => false);
  await until(async () => running.ended() || (await isThere()), path, START_LIMIT_ms);
  assert.ok(!running.ended(), `ended before it listened: ${running.stderr()}`);
  return {
    running,
    folder,
    path,
    port: Number(port),
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
