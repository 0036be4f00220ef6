/**
 * Heads of HTTP/1.1 messages, read as strictly as RFC 9112 allows: whoever sends one that two
 * readers could take differently is refused (§11.2, request smuggling).
 *
 *   - lines end with CR LF; a bare CR or LF, a folded line, white space before a colon: 400
 *   - a length and a transfer coding, more than one length, one that is no number: 400
 *   - a transfer coding other than "chunked" alone: 501
 *   - a head beyond HEAD_MAX: 431; a request line beyond LINE_MAX: 414
 */
import { EndError, LengthError, type OctetReader } from "./octet-reader.ts";

const HEAD_MAX = 64 * 1024;
const LINE_MAX = 8 * 1024;
const FIELDS_MAX = 256;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Printable octets, and those of other character sets; no control characters but tabs. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** A message that is refused, with the status that says why. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Octets of a body; "chunked", or "close" where its end is the connection's. */
export type BodyLength = number | "chunked" | "close";

export interface MessageHead {
  /** The three parts of the first line. */
  readonly first: readonly [string, string, string];
  readonly headers: Headers;
}

/** Reads a head. Throws `HttpError`, and what the stream fails with. */
export async function readHead(
  reader: OctetReader,
  kind: "request" | "response",
): Promise<MessageHead> {
  try {
    return await read(reader, kind);
  } catch (error) {
    if (error instanceof EndError) throw new HttpError(400, "the head is cut short");
    throw error;
  }
}

async function read(reader: OctetReader, kind: "request" | "response"): Promise<MessageHead> {
  const first = firstLine(await lineOf(reader, LINE_MAX, 414), kind);
  const headers = new Headers();
  let room = HEAD_MAX;
  for (let count = 0; ; count += 1) {
    const line = await lineOf(reader, room, 431);
    if (line === "") return { first, headers };
    if (count === FIELDS_MAX) throw new HttpError(431, "too many header fields");
    room -= line.length;
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon));
    const value = line.slice(colon + 1).replace(/^[\t ]+|[\t ]+$/g, "");
    if (!TOKEN.test(name) || !VALUE.test(value)) throw new HttpError(400, "malformed header field");
    const isSingle = /^(?:host|content-length|transfer-encoding)$/i.test(name);
    if (isSingle && headers.has(name)) throw new HttpError(400, `more than one ${name}`);
    headers.append(name, value);
  }
}

/** A line without its CR LF; also used for those of chunked bodies. */
export async function lineOf(reader: OctetReader, max: number, status: number): Promise<string> {
  try {
    const line = await reader.line(max);
    if (!line.endsWith("\r") || line.indexOf("\r") !== line.length - 1) {
      throw new HttpError(400, "a line does not end with CR LF");
    }
    return line.slice(0, -1);
  } catch (error) {
    if (error instanceof LengthError) throw new HttpError(status, error.message);
    throw error;
  }
}

function firstLine(line: string, kind: "request" | "response"): MessageHead["first"] {
  const pattern =
    kind === "request" ? /^(\S+) (\S+) (HTTP\/\d\.\d)$/ : /^(HTTP\/1\.[01]) ([1-9]\d\d)(?: (.*))?$/;
  const match = VALUE.test(line) ? pattern.exec(line) : null;
  if (match === null) throw new HttpError(400, `malformed ${kind} line`);
  const [, a = "", b = "", c = ""] = match;
  if (kind === "request") {
    if (!TOKEN.test(a)) throw new HttpError(400, "malformed method");
    if (!c.startsWith("HTTP/1.")) throw new HttpError(505, "not HTTP/1");
  }
  return [a, b, c];
}

/** Length of the body that follows a head. Throws `HttpError`. */
export function bodyLength(headers: Headers, kind: "request" | "response"): BodyLength {
  const coding = headers.get("transfer-encoding");
  const length = headers.get("content-length");
  if (coding !== null) {
    if (length !== null) throw new HttpError(400, "both a length and a transfer coding");
    if (coding.toLowerCase() !== "chunked") throw new HttpError(501, "unknown transfer coding");
    return "chunked";
  }
  if (length === null) return kind === "request" ? 0 : "close";
  const size = Number(length);
  if (!/^\d+$/.test(length) || !Number.isSafeInteger(size)) {
    throw new HttpError(400, "malformed content-length");
  }
  return size;
}
