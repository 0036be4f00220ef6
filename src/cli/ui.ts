/** `ui`: serves the live page of a running program, until SIGTERM, SIGINT or SIGHUP. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { findInstances, runtimeFolder } from "../admin/instances.ts";
import { pageParts } from "../assets.ts";
import type { UiOptions } from "../config/ui.ts";
import { standardError } from "../lib/standard-error.ts";
import { adminCalls } from "../ui/admin-calls.ts";
import { isLoopback } from "../ui/gate.ts";
import { startUi } from "../ui/server.ts";
import { ownUid } from "./program.ts";

const LOOPBACK = "127.0.0.1";
const TOKEN_SIZE = 32;

const WARNING = `slirp-binding: warning: the page is served on a network
  Whoever sees the traffic on the way can read the token and everything on the page, and can
  publish ports and capture packets with it: nothing is encrypted. Keep to loopback, and reach it
  from elsewhere through "ssh -L" or "kubectl port-forward".
`;

/** Resolves to the exit code. Throws where it cannot listen, or no program is found. */
export async function ui(options: UiOptions): Promise<number> {
  const { host, port } = options.listen ?? { host: LOOPBACK, port: 0 };
  const { XDG_RUNTIME_DIR: runtimeDir } = process.env;
  const folder = runtimeFolder(ownUid(), runtimeDir);
  const find = (): Promise<string> => findSocket(options, folder);
  // A wrong name is told now; what ends and comes back later is waited for by the page.
  await find();
  const token = randomBytes(TOKEN_SIZE).toString("base64url");
  const ended = Promise.race(["SIGTERM", "SIGINT", "SIGHUP"].map((name) => once(process, name)));
  const server = await startUi({
    host,
    port,
    token,
    parts: pageParts("ui"),
    calls: adminCalls(find),
  });
  if (!isLoopback(host)) standardError().write(WARNING);
  process.stdout.write(`${server.url}\n`);
  await ended;
  await server.close();
  return 0;
}

/** Where the program is now: one that was started again has another socket. */
async function findSocket({ admin, instance }: UiOptions, folder: string): Promise<string> {
  if (admin !== undefined) return admin.path;
  const found = await findInstances(folder);
  const fitting = instance === undefined ? found : found.filter(({ name }) => name === instance);
  const [only, ...others] = fitting;
  const names = found.map(({ name }) => name).join(", ");
  if (only === undefined) {
    const there = names === "" ? "none runs" : `there are ${names}`;
    throw new Error(
      instance === undefined
        ? `no program runs that could be looked at: no socket answers in ${folder}`
        : `no program "${instance}": ${there}`,
    );
  }
  if (others.length > 0) throw new Error(`choose one by --instance: ${names}`);
  return only.socket;
}
