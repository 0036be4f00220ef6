/**
 * The socket at which a running program is asked and steered.
 *
 * Theory of operation
 *   goals     whoever may open the socket may do everything, so only its owner (and root) may: mode
 *             0600 from its first moment on. A program that nobody asks pays for one listening
 *             socket: HTTP, Connect and protobuf are loaded with the first octets that come.
 *   protocol  HTTP/1.1 for curl, HTTP/2 without TLS for gRPC, told apart by the first octets: the
 *             preface of HTTP/2 begins with "PRI " (RFC 9113 §3.4), which is no method of HTTP/1.1
 *   limits    CONNECTIONS_MAX connections, further ones are closed at once; the first octets must
 *             come within FIRST_ms, a request's header within HEADER_ms
 *   the end   the file goes first, then connections are cut: a watcher has nothing to lose
 */
import { chmodSync, rmSync } from "node:fs";
import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import type { Http2Server, Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { createServer, type Server, type Socket } from "node:net";
import { messageOf } from "../lib/message.ts";
import { makeRoomAt } from "../lib/unix-socket.ts";

const CONNECTIONS_MAX = 32;
const FIRST_ms = 5000;
const HEADER_ms = 5000;
const HEADER_SIZE_MAX = 8192;
const STREAMS_MAX = 16;
/** Begins every connection of HTTP/2. */
const PREFACE = "PRI ";
/** Takes all rights on the file from everybody but the owner, who may not execute it either. */
const SOCKET_UMASK = 0o177;
const SOCKET_MODE = 0o600;

/** Answers one request of either version. */
export type AdminHandler = (
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
) => void;

export interface AdminSocketParts {
  /** Gives what answers; called once, when somebody speaks. */
  readonly load: () => Promise<AdminHandler>;
  /** Sets the process' umask and returns what it was. */
  readonly umask: (mask: number) => number;
  /** The last connection has closed. */
  readonly onQuiet: () => void;
}

export interface AdminSocket {
  readonly path: string;
  /** Removes the file and ends all connections. */
  close(): Promise<void>;
}

/** What is there once somebody has connected. */
interface Servers {
  readonly one: HttpServer;
  readonly two: Http2Server;
}

/**
 * Listens at `path`, whose folder must be there.
 * @throws Error where it cannot listen, or another program does
 */
export async function openAdminSocket(
  path: string,
  { load, umask, onQuiet }: AdminSocketParts,
): Promise<AdminSocket> {
  if ((await makeRoomAt(path)) === "taken") {
    throw new Error(`Listen on "${path}": another program does`);
  }
  const open = new Set<Socket>();
  let servers: Promise<Servers> | undefined;
  const server = createServer((socket) => {
    open.add(socket);
    socket.once("close", () => {
      open.delete(socket);
      if (open.size === 0 && servers !== undefined) onQuiet();
    });
    socket.on("error", () => socket.destroy());
    welcome(socket, () => {
      servers ??= startServers(load);
      return servers;
    });
  });
  server.maxConnections = CONNECTIONS_MAX;
  await listen(server, path, umask);
  return {
    path,
    close: async () => {
      removeFile(path);
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

/** Who has given up its rights may not any more; the next program of this user does. */
function removeFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Nobody listens at it.
  }
}

/** The file has its mode when it appears: bind(2) makes it under the umask. */
async function listen(
  server: Server,
  path: string,
  umask: (mask: number) => number,
): Promise<void> {
  const before = umask(SOCKET_UMASK);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, () => {
        server.off("error", reject);
        resolve();
      });
    });
    chmodSync(path, SOCKET_MODE); // where a seccomp profile keeps the umask as it is
  } catch (error) {
    throw new Error(`Listen on "${path}": ${messageOf(error)}`, { cause: error });
  } finally {
    umask(before);
  }
}

async function startServers(load: () => Promise<AdminHandler>): Promise<Servers> {
  const [handler, http, http2] = await Promise.all([
    load(),
    import("node:http"),
    import("node:http2"),
  ]);
  const one = http.createServer({ maxHeaderSize: HEADER_SIZE_MAX }, handler);
  one.headersTimeout = HEADER_ms;
  const settings = { maxConcurrentStreams: STREAMS_MAX, maxHeaderListSize: HEADER_SIZE_MAX };
  return { one, two: http2.createServer({ settings }, handler) };
}

/** Hands a connection to the server of its version. */
function welcome(socket: Socket, serversOf: () => Promise<Servers>): void {
  socket.setTimeout(FIRST_ms, () => socket.destroy());
  socket.once("readable", () => {
    serversOf().then(
      ({ one, two }) => {
        const first: Buffer | null = socket.read();
        if (first === null || socket.destroyed) return;
        socket.setTimeout(0);
        socket.removeAllListeners("timeout");
        const isTwo = first.toString("latin1", 0, PREFACE.length) === PREFACE;
        socket.unshift(first);
        (isTwo ? two : one).emit("connection", socket);
        if (!isTwo) socket.resume();
      },
      () => socket.destroy(),
    );
  });
}
