/**
 * One listening socket of the hook server: HTTP/2 without TLS on a path in the file system.
 *
 * The server's SETTINGS go out as soon as a connection is accepted, which is what grpc-go waits for
 * before it considers itself connected. A protocol error closes its connection alone. Limits of all
 * connections and calls are in `connections.ts` and `calls.ts`; those here are for one connection.
 * Source: RFC 9113 section 3.3 (prior knowledge); unix(7).
 */

import type { EventEmitter } from "node:events";
import { chmodSync, rmSync, statSync } from "node:fs";
import {
  createServer,
  type Http2Server,
  type Http2Session,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { dirname } from "node:path";
import type { Logger } from "../lib/log.ts";
import { messageOf } from "../lib/message.ts";
import { makeRoomAt } from "../lib/unix-socket.ts";
import type { Shares } from "./calls.ts";
import { Connections } from "./connections.ts";
import type { RequestListener } from "./routes.ts";

export interface HookSocket {
  readonly path: string;
  /** Closes idle connections. */
  sweep(): void;
  /** Removes the socket, waits up to `CLOSE_GRACE_ms` for calls in progress, then closes them. */
  close(): Promise<void>;
}

/** Longest time that close waits for calls in progress. */
const CLOSE_GRACE_ms = 2000;
/** Time for peers to close by themselves once answered, and again after a GOAWAY. */
const DRAIN_ms = 300;
/** `sun_path` without its final zero (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107;
/** The group may connect: all containers of a pod share group 107, not always the user. */
const SOCKET_MODE = 0o660;
/** Concurrent calls of one connection; KubeVirt makes one, other clients queue. */
const STREAM_COUNT_MAX = 32;
/** Flow-control window of a connection; above the default of 64 KiB for large domains. */
const WINDOW_BYTES = 256 * 1024;
/** Header fields of a request with their overhead; gRPC's own have some 300 octets. */
const HEADER_BYTES_MAX = 16 * 1024;
const HEADER_COUNT_MAX = 64;

export interface ListenOptions {
  readonly listener: RequestListener;
  readonly log: Logger;
  readonly shares: Shares;
}

/** Listens on `path`; undefined when another process does. Throws an `Error`, and cleans up. */
export async function listenOn(
  path: string,
  { listener, log, shares }: ListenOptions,
): Promise<HookSocket | undefined> {
  const folder = dirname(path);
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    throw new Error(`socket path "${path}" is longer than ${SOCKET_PATH_BYTES_MAX} bytes`);
  }
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new Error(`"${folder}" is not a folder`);
  }
  if (!(await removeStaleSocket(path, log))) return undefined;
  const server = createServer(
    {
      settings: {
        initialWindowSize: WINDOW_BYTES,
        maxConcurrentStreams: STREAM_COUNT_MAX,
        maxHeaderListSize: HEADER_BYTES_MAX,
        enablePush: false,
      },
      maxHeaderListPairs: HEADER_COUNT_MAX,
    },
    listener,
  );
  const connections = new Connections(shares);
  const traffic = watchTraffic(server, connections, path, log);
  try {
    await bind(server, path);
  } catch (error) {
    // Another sidecar has bound it in the meantime.
    if (codeOf(error) === "EADDRINUSE") return undefined;
    throw new Error(`cannot listen on "${path}": ${reasonOf(error)}`);
  }
  server.on("error", (error) => log.error({ path, err: error }, "hook socket failed"));
  const close = (): Promise<void> => closeServer(path, server, traffic, log);
  try {
    chmodSync(path, SOCKET_MODE);
  } catch (error) {
    await close();
    throw new Error(`cannot set the mode of "${path}": ${reasonOf(error)}`);
  }
  return { path, sweep: () => connections.sweep(), close };
}

/** Removes a socket that nobody listens on; false when somebody does. */
async function removeStaleSocket(path: string, log: Logger): Promise<boolean> {
  const outcome = await makeRoomAt(path);
  if (outcome === "removed") log.warn({ path }, "removed stale socket");
  return outcome !== "taken";
}

function bind(server: Http2Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** What is open at a server. */
interface Traffic {
  readonly sockets: ReadonlySet<Socket>;
  readonly connections: Connections;
  readonly calls: ReadonlySet<ServerHttp2Stream>;
}

function watchTraffic(
  server: Http2Server,
  connections: Connections,
  path: string,
  log: Logger,
): Traffic {
  const sockets = new Set<Socket>();
  const calls = new Set<ServerHttp2Stream>();
  // grpc-go closes as soon as it has its answer, in a way that a session reports as an error.
  const open = new Map<Http2Session, number>();
  const isUsual = (session: Http2Session): boolean => open.get(session) === 0;
  // The runtimes emit `session` right before the `connection` it belongs to.
  let latest: ServerHttp2Session | undefined;
  server.on("connection", (socket: Socket) => {
    keep(sockets, socket);
    if (latest === undefined) socket.destroy();
    else connections.add(latest, socket);
    latest = undefined;
  });
  server.on("session", (session) => {
    latest = session;
    session.once("close", () => open.delete(session));
    session.on("error", ({ message: reason }) => {
      if (!isUsual(session)) log.debug({ path, reason }, "connection aborted");
    });
    session.setLocalWindowSize(WINDOW_BYTES);
    closeInNextTurn(session);
  });
  server.on("stream", (stream) => {
    keep(calls, stream);
    const { session } = stream;
    if (session === undefined) return;
    open.set(session, (open.get(session) ?? 0) + 1);
    stream.once("finish", () => open.set(session, (open.get(session) ?? 1) - 1));
  });
  return { sockets, connections, calls };
}

/**
 * A client's GOAWAY makes the runtime close the session while it still reads from it; Deno 2.9 then
 * uses memory that it has freed. So the close waits until the reading is over.
 */
function closeInNextTurn(session: ServerHttp2Session): void {
  const close = session.close.bind(session);
  session.close = (callback) => {
    setImmediate(() => {
      if (!session.destroyed) close(callback);
    });
  };
}

/** Keeps an item as long as it is open. */
function keep<T extends EventEmitter>(open: Set<T>, item: T): void {
  open.add(item);
  item.once("close", () => open.delete(item));
}

async function closeServer(
  path: string,
  server: Http2Server,
  { sockets, connections, calls }: Traffic,
  log: Logger,
): Promise<void> {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    // The folder may be read-only now; the next start removes a stale socket.
    log.warn({ path, problem: reasonOf(error) }, "cannot remove socket");
  }
  await within(CLOSE_GRACE_ms, allClosed(calls));
  // A closed call does not imply that its answer was written: the runtimes differ in when they
  // write the last frames, and in what happens to them when the session closes. A peer that closes
  // its connection has the answer, so peers get the time to do so; the path is gone, so no more
  // come.
  await within(DRAIN_ms, allClosed(sockets));
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const session of connections.sessions) session.close();
  // A peer that does not read gets no GOAWAY either.
  await within(DRAIN_ms, closed);
  for (const socket of sockets) socket.destroy();
  await closed;
}

/** Resolves when all that are open now have closed. */
async function allClosed(open: ReadonlySet<EventEmitter>): Promise<void> {
  await Promise.all([...open].map((each) => new Promise((resolve) => each.once("close", resolve))));
}

/** Waits for `work`, at most `limit_ms`. */
async function within(limit_ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, limit_ms);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** The code alone: the runtimes differ in their messages. */
function reasonOf(error: unknown): string {
  return String(codeOf(error) ?? messageOf(error));
}
