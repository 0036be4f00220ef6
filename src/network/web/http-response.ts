/** Writes answers of HTTP/1.1. Source: RFC 9112 §4, §6, §7; RFC 9110 §6.4.1. */
import { HttpError } from "./http-head.ts";

const text = new TextEncoder();
const CRLF = text.encode("\r\n");
const LAST_CHUNK = text.encode("0\r\n\r\n");
/** Fields that belong to the connection, not to the answer. */
const OWN = new Set(["connection", "keep-alive", "transfer-encoding", "content-length", "upgrade"]);

const REASONS: Readonly<Record<number, string>> = {
  ...{ 200: "OK", 201: "Created", 204: "No Content", 206: "Partial Content" },
  ...{ 301: "Moved Permanently", 302: "Found", 304: "Not Modified", 400: "Bad Request" },
  ...{ 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed" },
  ...{ 413: "Content Too Large", 414: "URI Too Long", 417: "Expectation Failed" },
  ...{ 431: "Request Header Fields Too Large", 500: "Internal Server Error" },
  ...{ 501: "Not Implemented", 502: "Bad Gateway", 505: "HTTP Version Not Supported" },
};

export interface Answering {
  readonly isHead: boolean;
  readonly isOld: boolean;
  /** Whether another request may follow. */
  readonly goesOn: boolean;
  /** The connection has failed: nobody waits for the body any more. */
  readonly signal: AbortSignal;
}

/**
 * What a handler has given, which need not be what its type says. Throws what is answered in its
 * place: once the head is written, only a reset could tell.
 */
export function checked(response: Response): Response {
  // Of another realm or library it may be, too.
  if (typeof response?.status !== "number") throw new TypeError("the handler gave no Response");
  // `Response.error()`: a handler that passes a failure on.
  if (response.status === 0) throw new HttpError(502, "the service has got no answer");
  if (response.bodyUsed || response.body?.locked) throw new TypeError("its body is used up");
  return response;
}

/** The answer to what was refused, or has failed. */
export function refusalOf(error: unknown): Response {
  const status = error instanceof HttpError ? error.status : 500;
  const say = error instanceof HttpError ? error.message : "the service has failed";
  return new Response(`${say}\n`, { status, headers: { "content-type": "text/plain" } });
}

/**
 * Writes an answer; whether another request may follow. Rejects where the connection fails, and
 * where the body does: the guest must not take what it has got for all of it.
 */
export async function writeResponse(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  response: Response,
  { isHead, isOld, goesOn, signal }: Answering,
): Promise<boolean> {
  const { status, body } = response;
  const isBare = status === 204 || status === 304;
  // What `fetch` gave is decoded, and its length is not that of what follows.
  const isFetched = response.url !== "";
  const length = isFetched ? undefined : lengthOf(response, isHead || isBare);
  const isChunked = length === undefined && !isOld && !isBare;
  const stays = goesOn && (length !== undefined || isChunked || isHead || isBare);
  const lines = [`HTTP/1.1 ${status} ${response.statusText || (REASONS[status] ?? "")}`];
  for (const [name, value] of response.headers) {
    const isWrong = isFetched && name === "content-encoding";
    if (!OWN.has(name) && !isWrong) lines.push(`${name}: ${value}`);
  }
  if (length !== undefined && !isBare) lines.push(`content-length: ${length}`);
  if (isChunked) lines.push("transfer-encoding: chunked");
  if (!stays) lines.push("connection: close");
  else if (isOld) lines.push("connection: keep-alive");
  await writer.write(latin(`${lines.join("\r\n")}\r\n\r\n`));
  if (isHead || isBare) await body?.cancel();
  else await writeBody(writer, body, { isChunked, length, signal });
  return stays;
}

/** Octets of the body, where that is known. */
function lengthOf({ headers, body }: Response, isBodiless: boolean): number | undefined {
  const told = headers.get("content-length");
  if (told !== null && /^\d{1,15}$/.test(told)) return Number(told);
  return body === null && !isBodiless ? 0 : undefined;
}

interface Framing {
  readonly isChunked: boolean;
  /** What was told. */
  readonly length: number | undefined;
  readonly signal: AbortSignal;
}

async function writeBody(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  body: ReadableStream<Uint8Array> | null,
  { isChunked, length, signal }: Framing,
): Promise<void> {
  const reader = body?.getReader();
  // Ends a reading that is under way, too: a body that waits for news would never notice.
  const giveUp = (): void => void reader?.cancel(signal.reason).catch(() => {});
  signal.addEventListener("abort", giveUp);
  let total = 0;
  try {
    if (signal.aborted) giveUp();
    for (;;) {
      const part = await reader?.read();
      if (part === undefined || part.done) break;
      const octets = part.value;
      // A type that streams do not hold their makers to; the connection takes octets alone.
      if (octets?.[Symbol.toStringTag] !== "Uint8Array") throw new TypeError("body of no octets");
      if (octets.length === 0) continue; // a chunk without octets would be the last one
      total += octets.length;
      if (length !== undefined && total > length) throw new RangeError("body beyond its length");
      if (isChunked) await writer.write(text.encode(`${octets.length.toString(16)}\r\n`));
      await writer.write(octets);
      if (isChunked) await writer.write(CRLF);
    }
    signal.throwIfAborted();
  } catch (error) {
    reader?.cancel(error).catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
  if (length !== undefined && total < length) throw new RangeError("body below its length");
  if (isChunked) await writer.write(LAST_CHUNK);
}

/** Characters of header fields are octets. */
function latin(line: string): Uint8Array {
  return Uint8Array.from(line, (character) => character.charCodeAt(0));
}
