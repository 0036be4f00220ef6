/** Serves the page's files from one origin, and DNS over HTTPS beside them. */
import { createReadStream, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { answerDns, DNS_TYPE } from "./dns.ts";
import { listen } from "./listen.ts";
import type { Destination } from "./relay.ts";

const QUERY_MAX = 512;

/** A file of the page, or text that is made anew for each server. */
export interface PageFile {
  readonly type: string;
  readonly path?: string;
  readonly text?: string;
}

export interface PageSettings {
  /** By path of the request. */
  readonly files: ReadonlyMap<string, PageFile>;
  /** What the page may connect to besides its own origin. */
  readonly connectTo: readonly string[];
  readonly destinations: readonly Destination[];
}

export async function openPages(settings: PageSettings): Promise<Server> {
  const server = createServer((request, response) => {
    serve(request, response, settings).catch(() => response.destroy());
  });
  await listen(server);
  return server;
}

/** Scripts of this origin and WebAssembly, which v86 makes as it runs; nothing from elsewhere. */
function policyOf({ connectTo }: PageSettings): string {
  return [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    // v86 has its alarm clock in a worker that it makes from text.
    "worker-src 'self' blob:",
    // The terminal puts its style beside its elements.
    "style-src 'self' 'unsafe-inline'",
    `connect-src ${["'self'", ...connectTo].join(" ")}`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  settings: PageSettings,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
  if (pathname === "/dns-query") {
    const query =
      request.method === "POST"
        ? await bodyOf(request)
        : Buffer.from(searchParams.get("dns") ?? "", "base64url");
    const answer = answerDns(query, settings.destinations);
    response.writeHead(answer === undefined ? 400 : 200, { "Content-Type": DNS_TYPE });
    response.end(answer);
    return;
  }
  const file = settings.files.get(pathname);
  if (file === undefined) {
    response.writeHead(404).end();
    return;
  }
  const head = {
    "Content-Type": file.type,
    "Content-Security-Policy": policyOf(settings),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
  };
  if (file.path === undefined) {
    response.writeHead(200, head).end(file.text);
    return;
  }
  response.writeHead(200, { ...head, "Content-Length": statSync(file.path).size });
  createReadStream(file.path).pipe(response);
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > QUERY_MAX) throw new Error("no query is that long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
