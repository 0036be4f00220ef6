/**
 * Requests from this program to an HTTP server in the guest.
 *
 *     const fetchGuest = guestFetch(network, 8080);
 *     const response = await fetchGuest("/status");
 *
 * One connection to a request, closed after it; reset where the answer is malformed or given up, or
 * where the guest does not close it, too, within a second. Redirects, cookies, caches and codings
 * are the caller's. Bounds: the head 64 KiB, the body what its stream has room for.
 */
import { systemHost } from "../host.ts";
import { dial } from "../inbound.ts";
import type { Network } from "../network.ts";
import type { Connection } from "../stream-pair.ts";
import { HttpBody } from "./http-body.ts";
import { type BodyLength, bodyLength, HttpError, type MessageHead, readHead } from "./http-head.ts";
import { OctetReader } from "./octet-reader.ts";

/** As `fetch`, with paths as addresses: `/index.html`. */
export type GuestFetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

const INTERIM_MAX = 16;
/** How long a guest may take to end a connection after its answer. */
const LINGER_US = 1_000_000;
/** Status whose answers have no body. */
const BARE = new Set([204, 205, 304]);

/**
 * Rejects with `ConnectionError` where the guest refuses or resets, `HttpError` where it answers
 * something else than HTTP/1, `AbortError` where `signal` says so.
 */
export function guestFetch(network: Network, port: number): GuestFetch {
  const base = `http://guest:${port}/`;
  return async (input, init) => {
    const request =
      input instanceof Request
        ? new Request(input, init)
        : new Request(new URL(input, base).href, init);
    const body = new Uint8Array(await request.arrayBuffer());
    request.signal.throwIfAborted();
    const connection = dial(network, port);
    const abort = (): void => connection.abort();
    request.signal.addEventListener("abort", abort);
    const over = (): void => request.signal.removeEventListener("abort", abort);
    try {
      return await exchange(connection, request, body, over);
    } catch (error) {
      over();
      connection.abort();
      request.signal.throwIfAborted();
      throw error;
    }
  };
}

async function exchange(
  connection: Connection,
  request: Request,
  body: Uint8Array,
  over: () => void,
): Promise<Response> {
  const writer = connection.writable.getWriter();
  const sent = send(writer, request, body);
  sent.catch(() => {}); // the answer tells, as a server may answer before it has read all
  const reader = new OctetReader(connection.readable);
  const head = await readFinalHead(reader);
  const status = Number(head.first[1]);
  const length = request.method === "HEAD" || BARE.has(status) ? 0 : responseLength(head);
  const content = new HttpBody(reader, length);
  const end = (): void => {
    over();
    finish(connection, writer, reader);
  };
  const cancel = (): void => {
    over();
    connection.abort();
  };
  const { headers } = head;
  const init = { status, statusText: head.first[2], headers };
  if (content.isComplete) {
    end();
    return new Response(null, init);
  }
  content.onOver = (isWhole) => (isWhole ? end() : cancel());
  return new Response(content.stream(), init);
}

/**
 * Ends what is over: gently, so that a server finds no error at the end of what went well. One that
 * does not end it within LINGER_US, or takes no more of the request, has its connection reset.
 */
async function finish(
  connection: Connection,
  writer: WritableStreamDefaultWriter<Uint8Array>,
  reader: OctetReader,
): Promise<void> {
  const stop = systemHost().after(LINGER_US, () => connection.abort());
  try {
    await writer.close();
    if (await reader.hasMore()) connection.abort();
  } catch {
    // The guest was quicker.
  } finally {
    stop();
  }
}

async function send(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  request: Request,
  body: Uint8Array,
): Promise<void> {
  const url = new URL(request.url);
  const headers = new Headers(request.headers);
  for (const name of ["connection", "transfer-encoding", "content-length"]) headers.delete(name);
  const lines = [`${request.method} ${url.pathname}${url.search} HTTP/1.1`];
  if (!headers.has("host")) lines.push(`host: ${url.host}`);
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  const hasBody = body.length > 0 || /^(?:POST|PUT|PATCH)$/.test(request.method);
  if (hasBody) lines.push(`content-length: ${body.length}`);
  const head = `${lines.join("\r\n")}\r\nconnection: close\r\n\r\n`;
  await writer.write(Uint8Array.from(head, (character) => character.charCodeAt(0)));
  if (body.length > 0) await writer.write(body);
}

/** The head of the answer itself, after those of status 1xx. */
async function readFinalHead(reader: OctetReader): Promise<MessageHead> {
  for (let count = 0; count < INTERIM_MAX; count += 1) {
    const head = await readHead(reader, "response");
    const status = Number(head.first[1]);
    if (status === 101 || status > 599) throw new HttpError(502, `unknown status ${status}`);
    if (status >= 200) return head;
  }
  throw new HttpError(502, "no answer after many that are none");
}

function responseLength({ headers }: MessageHead): BodyLength {
  return bodyLength(headers, "response");
}
