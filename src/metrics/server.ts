/**
 * `--metrics ADDR:PORT`: a small HTTP server in the main thread, beside the packets.
 *
 *     GET /metrics   Prometheus' text format, or OpenMetrics where Accept asks for it
 *     GET /healthz   200 while every guest network answers, else 503 and which do not
 *     GET /readyz    200 once the program serves, else 503
 *
 * A scrape asks each worker for its counters and waits for the answer, a turn of its loop away; one
 * that does not answer within a second is reported as down, with its last values.
 *
 * Who is kept out. The guest: its connections come from this machine's own addresses, so those are
 * closed, but for loopback, whose port is hidden from it (`HiddenPorts`). Pages in a browser: what
 * a page asks for carries Origin or Sec-Fetch-Site, which no scraper sends. There is nothing to
 * change here, and no address or name of the guest's to read.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { messageOf } from "../lib/message.ts";
import { expose } from "./exposition.ts";
import { askAll, type NamedBinding } from "./networks.ts";
import type { ProcessFigures } from "./process-figures.ts";
import { takeSnapshot } from "./snapshot.ts";

const CONNECTIONS_MAX = 16;
const REQUEST_LIMIT_ms = 5000;
const HEADER_SIZE_MAX = 8192;
const TEXT = "text/plain; charset=utf-8";

export interface MetricsSources {
  /** Those there are now. */
  readonly networks: () => readonly NamedBinding[];
  /** Whether the program does what it was started for. */
  readonly isReady: () => boolean;
  readonly figures: () => ProcessFigures;
  /** The last of those that were connected has gone. */
  readonly onQuiet?: () => void;
}

export interface MetricsServer {
  /** The port it listens at. */
  readonly port: number;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** @throws Error where it cannot listen */
export async function startMetricsServer(
  address: { readonly host: string; readonly port: number },
  sources: MetricsSources,
): Promise<MetricsServer> {
  const server = createServer({ maxHeaderSize: HEADER_SIZE_MAX }, (request, response) => {
    answer(request, sources).then(
      (found) => send(request, response, found),
      (error: unknown) => send(request, response, plain(500, messageOf(error))),
    );
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.headersTimeout = REQUEST_LIMIT_ms;
  server.requestTimeout = REQUEST_LIMIT_ms;
  server.keepAliveTimeout = REQUEST_LIMIT_ms;
  let open = 0;
  server.on("connection", (socket: Socket) => {
    open += 1;
    socket.once("close", () => {
      open -= 1;
      if (open === 0) sources.onQuiet?.();
    });
    if (isOwnAddress(socket.remoteAddress)) socket.destroy();
  });
  await listen(server, address);
  // An address it is, since it listens at none of a file.
  const { port } = server.address() as AddressInfo;
  return { port, close: () => close(server) };
}

function listen(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      const where = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
      reject(new Error(`Serve metrics at ${where}: ${messageOf(error)}`, { cause: error }));
    });
    server.listen({ host, port, ipv6Only: host.includes(":") }, resolve);
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** An address of this machine's other than loopback: a guest's connection, sent by this process. */
function isOwnAddress(remote: string | undefined): boolean {
  const address = remote?.replace(/^::ffff:(?=\d)/, "") ?? "";
  return Object.values(networkInterfaces())
    .flatMap((addresses = []) => addresses)
    .some((own) => !own.internal && own.address === address);
}

async function answer(request: IncomingMessage, sources: MetricsSources): Promise<Answer> {
  const { method = "", url = "", headers } = request;
  const path = url.split("?")[0];
  if (method !== "GET" && method !== "HEAD") return plain(405, "only GET and HEAD");
  if (isOfPage(headers)) return plain(403, "not for web pages");
  switch (path) {
    case "/metrics": {
      const snapshot = takeSnapshot(await askAll(sources.networks()), sources.figures());
      const { contentType, text } = await expose(snapshot, headers.accept ?? "");
      return { status: 200, type: contentType, text };
    }
    case "/healthz": {
      const down = (await askAll(sources.networks())).filter(({ isUp }) => !isUp);
      if (down.length === 0) return plain(200, "ok");
      return plain(503, `no answer: ${down.map((each) => each.interface).join(", ")}`);
    }
    case "/readyz":
      return sources.isReady() ? plain(200, "ready") : plain(503, "not ready");
    default:
      return plain(404, "/metrics, /healthz and /readyz are here");
  }
}

/** What a browser says of a request that a page makes; typing the address is no page's doing. */
function isOfPage(headers: IncomingMessage["headers"]): boolean {
  const site = headers["sec-fetch-site"];
  return headers.origin !== undefined || (site !== undefined && site !== "none");
}

function plain(status: number, text: string): Answer {
  return { status, type: TEXT, text: `${text}\n` };
}

function send(request: IncomingMessage, response: ServerResponse, found: Answer): void {
  const { status, type, text } = found;
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(request.method === "HEAD" ? undefined : text);
}
