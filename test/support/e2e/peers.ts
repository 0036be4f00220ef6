/**
 * Typed doors to the small programs that run inside the namespaces: servers, clients, questions.
 *
 * Each server answers "listening PORT" when it is ready, and picks a free port when given 0.
 */

import { join } from "node:path";
import { ROOT } from "./program.ts";
import { type Running, until } from "./shell.ts";
import type { Namespace } from "./world.ts";

export type Server = { readonly port: number; readonly running: Running };

export type StreamReport = {
  readonly seed: number;
  readonly received: number;
  readonly sha256: string;
  readonly error: string;
  readonly serverEndedFirst: boolean;
};
export type ConnectionReport = {
  readonly mode: number;
  readonly seed: number;
  readonly received: number;
  readonly sha256: string;
  readonly error: string;
  readonly peer: string;
};
export type ConnectReport = {
  readonly ok: boolean;
  readonly code: string;
  readonly elapsed_ms: number;
};
export type EchoReport = {
  readonly ok: number;
  readonly repeats: number;
  readonly failed: readonly { readonly size: number; readonly answer: string | number }[];
};
export type DnsReport = {
  readonly rcode: number;
  readonly truncated: boolean;
  readonly answers: number;
  readonly bytes: number;
  readonly address: string;
};

/** What tcp-server.mjs does with a connection. */
export const MODE = { both: 0, afterFin: 1, finFirst: 2, echo: 3, stalled: 4 } as const;
/** The client sends the stream of its seed plus this. */
export const CLIENT_SEED_OFFSET = 1_000_000;

/** Command line of one of the scripts beside this file. */
export function script(name: string, ...args: readonly string[]): string[] {
  return ["node", join(ROOT, "test/support/e2e", name), ...args];
}

/** Starts a script that answers "listening PORT". */
async function serve(where: Namespace, name: string, args: readonly string[]): Promise<Server> {
  const running = where.start(script(name, ...args));
  const match = await running.waitFor(/listening (\d+)/);
  return { port: Number(match[1]), running };
}

export const httpServer = (where: Namespace, address: string, port = 0): Promise<Server> =>
  serve(where, "http-server.mjs", [address, String(port)]);

export const tcpServer = (where: Namespace, address: string, port = 0): Promise<Server> =>
  serve(where, "tcp-server.mjs", [address, String(port)]);

export const udpServer = (where: Namespace, address: string, port = 0): Promise<Server> =>
  serve(where, "udp.mjs", ["serve", address, String(port)]);

async function ask<T>(where: Namespace, argv: readonly string[], limit_ms: number): Promise<T> {
  const outcome = await where.run(argv, limit_ms);
  const line = outcome.stdout.trim().split("\n").at(-1) ?? "";
  if (outcome.code !== 0 || line === "") {
    throw new Error(`${argv.slice(1).join(" ")} gave ${outcome.code}: ${outcome.stderr}${line}`);
  }
  return JSON.parse(line) as T;
}

/** Tries one TCP connection. */
export const tryConnect = (
  where: Namespace,
  host: string,
  port: number,
  limit_ms = 20_000,
): Promise<ConnectReport> =>
  ask(
    where,
    script("tcp-client.mjs", JSON.stringify({ task: "connect", host, port, limit_ms })),
    limit_ms + 10_000,
  );

export type StreamsTask = {
  readonly host: string;
  readonly port: number;
  readonly mode: number;
  readonly streams: number;
  /** Bytes from client to server on each stream. */
  readonly send: number;
  /** Bytes from server to client on each stream. */
  readonly receive: number;
  readonly seed: number;
};

/** Starts a bulk client and leaves it running. */
export const startStreams = (where: Namespace, task: StreamsTask): Running =>
  where.start(script("tcp-client.mjs", JSON.stringify({ task: "streams", ...task })));

/** Moves bytes on so many connections at once and reports each. */
export const streams = (
  where: Namespace,
  task: StreamsTask,
  limit_ms = 120_000,
): Promise<StreamReport[]> =>
  ask(where, script("tcp-client.mjs", JSON.stringify({ task: "streams", ...task })), limit_ms);

/** Opens echo connections and keeps them. */
export const hold = (where: Namespace, host: string, port: number, count: number): Running =>
  where.start(script("tcp-client.mjs", JSON.stringify({ task: "hold", host, port, count })));

/** The server's reports of ended connections so far. */
export function connectionReports(server: Server): ConnectionReport[] {
  return server.running
    .stdout()
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as ConnectionReport);
}

/** The first report: the client may have ended before the server's last words are here. */
export async function firstReport(server: Server): Promise<ConnectionReport | undefined> {
  await until(() => connectionReports(server).length > 0, "the server's report");
  return connectionReports(server)[0];
}

/** Echoes one datagram of each size. */
export const udpEcho = (
  where: Namespace,
  host: string,
  port: number,
  sizes: readonly number[],
): Promise<EchoReport> =>
  ask(where, script("udp.mjs", "echo", host, String(port), sizes.join(",")), 60_000);

/** Asks a DNS server one question. */
export const dns = (
  where: Namespace,
  transport: "udp" | "tcp",
  server: string,
  name: string,
  type: "A" | "TXT" = "A",
  edns_bytes?: number,
): Promise<DnsReport> => {
  const edns = edns_bytes === undefined ? [] : [String(edns_bytes)];
  return ask(where, script("dns-client.mjs", transport, server, name, type, ...edns), 20_000);
};
