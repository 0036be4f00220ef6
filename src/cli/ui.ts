/** `ui`: serves the live page of a running program, until SIGTERM, SIGINT or SIGHUP. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { pageParts } from "../assets.ts";
import type { UiOptions } from "../config/ui.ts";
import { standardError } from "../lib/standard-error.ts";
import { adminCalls } from "../ui/admin-calls.ts";
import { isLoopback } from "../ui/gate.ts";
import { startUi } from "../ui/server.ts";
import { EXIT_NO_INSTANCE, EXIT_USAGE, NoInstanceError, UsageError } from "./admin/failures.ts";
import { choose, placesOf, type Who } from "./admin/find.ts";
import { ownUid } from "./program.ts";

const LOOPBACK = "127.0.0.1";
const TOKEN_SIZE = 32;
const WHO_LIMIT_ms = 2000;

const WARNING = `slirp-binding: warning: the page is served on a network
  Whoever sees the traffic on the way can read the token and everything on the page, and can
  publish ports and capture packets with it: nothing is encrypted. Keep to loopback, and reach it
  from elsewhere through "ssh -L" or "kubectl port-forward".
`;

/** Resolves to the exit code. Throws where it cannot listen. */
export async function ui({ listen, target }: UiOptions): Promise<number> {
  const { host, port } = listen ?? { host: LOOPBACK, port: 0 };
  const places = placesOf(target.hooksDir, process.env, ownUid());
  // Anew for each call: a program that was started again has another socket.
  const find = async (): Promise<string> => (await choose(target, { places, askWho })).path;
  try {
    // A wrong name is told now; what ends and comes back later is waited for by the page.
    await find();
  } catch (error) {
    if (!(error instanceof NoInstanceError || error instanceof UsageError)) throw error;
    standardError().write(`slirp-binding: ${error.message}\n`);
    return error instanceof UsageError ? EXIT_USAGE : EXIT_NO_INSTANCE;
  }
  const token = randomBytes(TOKEN_SIZE).toString("base64url");
  const ended = Promise.race(["SIGTERM", "SIGINT", "SIGHUP"].map((name) => once(process, name)));
  const calls = adminCalls(find);
  const server = await startUi({ host, port, token, parts: pageParts("ui"), calls });
  if (!isLoopback(host)) standardError().write(WARNING);
  process.stdout.write(`${server.url}\n`);
  await ended;
  await server.close();
  return 0;
}

/** Undefined where it does not say. */
async function askWho(path: string): Promise<Who | undefined> {
  try {
    const limit = AbortSignal.timeout(WHO_LIMIT_ms);
    const said = await adminCalls(async () => path).call("GetInstance", "{}", limit);
    const { name = "", pid = 0 } = JSON.parse(said) as Partial<Who>;
    return { name, pid };
  } catch {
    return undefined;
  }
}
