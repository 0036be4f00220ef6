/**
 * The live page's server: an HTTP server in a process of its own, between a browser and the admin
 * socket of one instance.
 *
 * Theory of operation
 *   GET  /            the page; it has nothing in it but code
 *   POST /watch       lines of JSON, without end: all that the page shows (`watch.ts`)
 *   POST /call/NAME   one call of the admin service, JSON in and JSON out; only those of CALLS
 *   POST /capture     a CaptureRequest as JSON; the answer is a pcapng file as it is made
 *
 *   Why not the admin service itself: a Unix socket is out of a browser's reach, and a port is
 *   within everybody's. So this server is started by whoever may open the socket, for as long as
 *   they look, and its process holds nothing but the page.
 *
 *   Why lines read by `fetch`, and not EventSource, WebSocket or gRPC-Web: EventSource can send no
 *   header, which would put the token into addresses, and so into histories and logs; a WebSocket
 *   is subject to no same-origin rule and needs a library here; gRPC-Web needs one there. A line of
 *   JSON is what the admin service says already.
 *
 *   Who is kept out (`gate.ts`; each tried in test/ui/server.test.ts and test/e2e/ui.test.ts):
 *     other users of the machine   can connect to loopback: they have no token
 *     the guest                    where the instance lets it reach the host's loopback it can
 *                                  connect as well, since this is another process than the one that
 *                                  hides ports from it: it has no token
 *     web pages in the browser     Host, Origin, Sec-Fetch-Site; no CORS; the token is in a header
 *                                  that none can send without asking by OPTIONS, which is refused
 *     other pages around this one  frame-ancestors
 *   The token has 256 bits. It stands in the fragment of the printed address, which no browser
 *   sends; the page takes it out of the address and keeps it for as long as its tab lives.
 *
 *   Everything is bounded: connections, watchers, captures, calls under way, size of a request,
 *   time it may take. A page that reads slowly makes its own stream wait and nothing else.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { messageOf } from "../lib/message.ts";
import { type AdminCalls, CallError } from "./admin-calls.ts";
import { type Asked, authority, type Gate, PAGE_PATH, refusalOf } from "./gate.ts";
import { type Page, type PageParts, renderPage } from "./page.ts";
import { watch } from "./watch.ts";

const CONNECTIONS_MAX = 64;
/** Each is four watchers of the instance, which has sixteen. */
const WATCHERS_MAX = 3;
const CAPTURES_MAX = 4;
const CALLS_MAX = 16;
const BODY_SIZE_MAX = 16 * 1024;
const HEADER_SIZE_MAX = 8192;
const REQUEST_LIMIT_ms = 5000;

/** What the page calls; everything else of the admin service is out of its reach. */
const CALLS = new Set(["AddPublished", "RemovePublished", "SetLogLevel"]);

/** HTTP's status for what Connect says. */
const STATUS: Readonly<Record<string, number>> = {
  invalid_argument: 400,
  not_found: 404,
  already_exists: 409,
  failed_precondition: 409,
  resource_exhausted: 429,
  unimplemented: 501,
  unavailable: 503,
};

export interface UiOptions {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  readonly token: string;
  readonly parts: PageParts;
  readonly calls: AdminCalls;
}

export interface UiServer {
  /** The page's address, with the token. */
  readonly url: string;
  close(): Promise<void>;
}

/** What is under way, by kind. */
type Load = Record<"watch" | "capture" | "call", number>;

interface Context {
  readonly gate: Gate;
  readonly page: Page;
  readonly calls: AdminCalls;
  readonly load: Load;
}

/** @throws Error where it cannot listen */
export async function startUi(options: UiOptions): Promise<UiServer> {
  const { host, token, parts, calls } = options;
  const page = renderPage(parts);
  const load: Load = { watch: 0, capture: 0, call: 0 };
  const server = createServer({ maxHeaderSize: HEADER_SIZE_MAX }, (request, response) => {
    // An address it is, since it listens at none of a file.
    const { port } = server.address() as AddressInfo;
    const context = { gate: { host, port, token }, page, calls, load };
    answer(request, response, context).catch((error: unknown) => fail(response, error));
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.headersTimeout = REQUEST_LIMIT_ms;
  server.requestTimeout = REQUEST_LIMIT_ms;
  server.keepAliveTimeout = REQUEST_LIMIT_ms;
  await listen(server, options);
  const { port } = server.address() as AddressInfo;
  return { url: `http://${authority({ host, port })}/#${token}`, close: () => close(server) };
}

function listen(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      reject(new Error(`Listen at ${authority({ host, port })}: ${messageOf(error)}`));
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

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  context: Context,
): Promise<void> {
  const { method = "", url = "", headers } = request;
  const asked: Asked = { method, path: url.split("?")[0] ?? "", headers };
  const refusal = refusalOf(asked, context.gate);
  if (refusal !== undefined) {
    // What it has sent, or goes on sending, is not read.
    response.shouldKeepAlive = false;
    return plain(response, refusal.status, refusal.text);
  }
  if (asked.path === PAGE_PATH) return sendPage(request, response, context.page);
  const body = await bodyOf(request);
  if (body === undefined) {
    response.shouldKeepAlive = false;
    return plain(response, 413, `at most ${BODY_SIZE_MAX} octets`);
  }
  if (asked.path === "/watch")
    return within(response, context.load, "watch", WATCHERS_MAX, () =>
      sendWatch(response, context.calls),
    );
  if (asked.path === "/capture")
    return within(response, context.load, "capture", CAPTURES_MAX, () =>
      sendCapture(response, context.calls, body),
    );
  const [, name = ""] = /^\/call\/(\w+)$/.exec(asked.path) ?? [];
  if (!CALLS.has(name)) return plain(response, 404, "no such call");
  return within(response, context.load, "call", CALLS_MAX, async () => {
    json(response, 200, await context.calls.call(name, body, whileOpen(response)));
  });
}

async function within(
  response: ServerResponse,
  load: Load,
  kind: keyof Load,
  max: number,
  work: () => Promise<void>,
): Promise<void> {
  if (load[kind] >= max) return plain(response, 429, `at most ${max} of these (${kind}) at a time`);
  load[kind] += 1;
  try {
    await work();
  } finally {
    load[kind] -= 1;
  }
}

/** Undefined where it is too long. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  if (Number(request.headers["content-length"] ?? 0) > BODY_SIZE_MAX) return undefined;
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > BODY_SIZE_MAX) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** Aborted when the browser has gone. */
function whileOpen(response: ServerResponse): AbortSignal {
  const ending = new AbortController();
  if (response.destroyed) ending.abort();
  response.on("close", () => ending.abort());
  return ending.signal;
}

async function sendWatch(response: ServerResponse, calls: AdminCalls): Promise<void> {
  const signal = whileOpen(response);
  response.writeHead(200, headersOf("application/x-ndjson; charset=utf-8"));
  await watch(calls, signal, (line) => write(response, signal, line));
  response.end();
}

async function sendCapture(
  response: ServerResponse,
  calls: AdminCalls,
  body: string,
): Promise<void> {
  const signal = whileOpen(response);
  for await (const message of calls.stream("Capture", body, signal)) {
    const { octets = "" } = JSON.parse(message) as { octets?: string };
    // Not before the first octets: a filter that cannot be read is told by a status.
    if (!response.headersSent) response.writeHead(200, headersOf("application/octet-stream"));
    if (octets !== "") await write(response, signal, Buffer.from(octets, "base64"));
  }
  if (!response.headersSent) response.writeHead(200, headersOf("application/octet-stream"));
  response.end();
}

/** Resolves when there is room for more, or nobody to read it. */
function write(
  response: ServerResponse,
  signal: AbortSignal,
  data: string | Buffer,
): Promise<void> {
  if (signal.aborted || response.write(data)) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    response.on("drain", done);
    signal.addEventListener("abort", done, { once: true });
  });
}

function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const code = error instanceof CallError ? error.code : "internal";
  json(response, STATUS[code] ?? 500, JSON.stringify({ code, message: messageOf(error) }));
}

function sendPage(request: IncomingMessage, response: ServerResponse, page: Page): void {
  response.writeHead(200, {
    ...headersOf("text/html; charset=utf-8"),
    "content-security-policy": page.policy,
    "content-length": Buffer.byteLength(page.html),
  });
  response.end(request.method === "HEAD" ? undefined : page.html);
}

function plain(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, headersOf("text/plain; charset=utf-8"));
  response.end(`${text}\n`);
}

function json(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, headersOf("application/json"));
  response.end(text);
}

function headersOf(type: string): Record<string, string> {
  return {
    "content-type": type,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
  };
}
