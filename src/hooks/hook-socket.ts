/**
 * One listening socket of the hook server: HTTP/2 without TLS on a path in the file system.
 *
 * The server's SETTINGS go out as soon as a connection is accepted, which is what grpc-go waits for
 * before it calls a connection one. A connection that breaks any rule is cut off alone. What
 * connections and calls may take is in `connections.ts` and `calls.ts`; the numbers here bound one
 * connection.
 * Source: RFC 9113 section 3.3 (prior knowledge); unix(7).
 */

import type { EventEmitter } from "node:events";
import { chmodSync, lstatSync, rmSync, statSync } from "node:fs";
import {
  createServer,
  type Http2Server,
  type Http2Session,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { connect, type Socket } from "node:net";
import { dirname } from "node:path";
import type { Logger } from "../lib/log.ts";
import { messageOf } from "../lib/message.ts";
import type { Shares } from "./calls.ts";
import { Connections } from "./connections.ts";
import type { RequestListener } from "./routes.ts";

export interface HookSocket {
  readonly path: string;
  /** Ends connections that have been idle for long. */
  sweep(): void;
  /** Removes the socket, lets calls in progress end for `CLOSE_GRACE_ms`, then cuts them off. */
  close(): Promise<void>;
}

/** Longest time that a call in progress holds up the end. */
const CLOSE_GRACE_ms = 2000;
/**
 * Time that peers have to leave by themselves once they have their answers, and again to end in
 * good order once they are asked to.
 */
const FAREWELL_ms = 300;
/** Time between the two knocks at a socket that seems dead: it may be about to listen. */
const KNOCK_PAUSE_ms = 50;
/** `sun_path` without its final zero (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107;
/** The group has to connect too: all containers of a pod share group 107, not always the user. */
const SOCKET_MODE = 0o660;
/** Calls at once over one connection; KubeVirt's makes one, other clients wait for each other. */
const STREAM_COUNT_MAX = 32;
/**
 * Octets on the way of one connection. Larger than the default of 64 KiB, so that a large domain
 * takes few turns.
 */
const WINDOW_BYTES = 256 * 1024;
/** Header fields of a request with their overhead; gRPC's own have some 300 octets. */
const HEADER_BYTES_MAX = 16 * 1024;
const HEADER_COUNT_MAX = 64;

export interface ListenParts {
  readonly listener: RequestListener;
  readonly log: Logger;
  readonly shares: Shares;
}

/**
 * Listens on `path`; undefined when somebody else does. Throws an `Error` whose message says what
 * to do when that is impossible, and then leaves nothing behind.
 */
export async function listenOn(
  path: string,
  { listener, log, shares }: ListenParts,
): Promise<HookSocket | undefined> {
  const folder = dirname(path);
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    throw new Error(`shorten the path "${path}" to ${SOCKET_PATH_BYTES_MAX} bytes`);
  }
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new Error(`create the folder "${folder}"`);
  }
  if (!(await makeFree(path, log))) return undefined;
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
    // Another sidecar was faster.
    if (codeOf(error) === "EADDRINUSE") return undefined;
    throw new Error(`make it possible to listen on "${path}": ${reasonOf(error)}`);
  }
  server.on("error", (error) => log.error({ path, err: error }, "hook socket failed"));
  const close = (): Promise<void> => closeServer(path, server, traffic, log);
  try {
    chmodSync(path, SOCKET_MODE);
  } catch (error) {
    await close();
    throw new Error(`make it possible to set the mode of "${path}": ${reasonOf(error)}`);
  }
  return { path, sweep: () => connections.sweep(), close };
}

/** Removes a dead socket; false when somebody listens there. */
async function makeFree(path: string, log: Logger): Promise<boolean> {
  const present = lstatSync(path, { throwIfNoEntry: false });
  if (present === undefined) return true;
  if (!present.isSocket()) throw new Error(`remove "${path}", which is no socket`);
  if (await isAnswered(path)) return false;
  await new Promise((resolve) => setTimeout(resolve, KNOCK_PAUSE_ms));
  if (await isAnswered(path)) return false;
  rmSync(path, { force: true });
  log.warn({ path }, "stale socket removed");
  return true;
}

/** Whether somebody listens on the socket at `path`. */
export function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const finish = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.once("connect", () => finish(true));
    socket.once("error", () => finish(false));
  });
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

/** What is open at a server; none of it may end the server. */
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
  // grpc-go hangs up as soon as it has its answer, in a way that a session takes for a fault.
  const open = new Map<Http2Session, number>();
  const isUsual = (session: Http2Session): boolean => open.get(session) === 0;
  // The runtimes tell of a session first and then of its connection, in one go.
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
      if (!isUsual(session)) log.debug({ path, reason }, "connection broken off");
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
    // A folder that has become read-only: the end goes on, and the next start knows a dead socket.
    log.warn({ path, problem: reasonOf(error) }, "socket stays behind");
  }
  await within(CLOSE_GRACE_ms, allClosed(calls));
  // That a call is closed does not say that its answer has left: the runtimes differ in when they
  // write the last frames, and in what becomes of them when a session is closed meanwhile. A peer
  // that closes its connection has the answer. So nothing is closed here before peers had the time
  // to do so; the socket's file is gone, so no more come.
  await within(FAREWELL_ms, allClosed(sockets));
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const session of connections.sessions) session.close();
  // A peer that does not read does not learn that it is over, either.
  await within(FAREWELL_ms, closed);
  for (const socket of sockets) socket.destroy();
  await closed;
}

/** Resolves when all that are open now have closed. */
async function allClosed(open: ReadonlySet<EventEmitter>): Promise<void> {
  await Promise.all([...open].map((each) => new Promise((resolve) => each.once("close", resolve))));
}

/** Waits for `work`, but no longer than that. */
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

/** The runtimes word it differently, so only the code is taken. */
function reasonOf(error: unknown): string {
  return String(codeOf(error) ?? messageOf(error));
}
