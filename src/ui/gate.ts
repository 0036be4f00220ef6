/**
 * Who may ask the live page's server for what; pure, so that each way in has its test.
 *
 * Asked in this order, and the first that fails is the answer:
 *   1. Host is a name of ours. A page of another site whose name was made to lead here ("DNS
 *      rebinding") is of our origin as far as the browser knows, but it still says its own name.
 *   2. Origin, which browsers send with every POST, is ours; Sec-Fetch-Site says the same of GET.
 *   3. The token, on everything but the page itself, which has nothing in it.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";

export interface Gate {
  /** As the server was told to listen: an address, without brackets. */
  readonly host: string;
  readonly port: number;
  readonly token: string;
}

export interface Asked {
  readonly method: string;
  /** Without a query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Refusal {
  readonly status: number;
  readonly text: string;
}

/** The path of the page itself. */
export const PAGE_PATH = "/";

const SCHEME = "Bearer ";
const ANY_ADDRESS = new Set(["0.0.0.0", "::"]);

/** True for 127.0.0.0/8 and ::1. */
export function isLoopback(host: string): boolean {
  return host === "::1" || host.startsWith("127.");
}

/** `host:port` as a URL has it. */
export function authority({ host, port }: Pick<Gate, "host" | "port">): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Undefined where it may pass. */
export function refusalOf(asked: Asked, gate: Gate): Refusal | undefined {
  const { method, path, headers } = asked;
  const { host = "", origin } = headers;
  if (!isOurName(host, gate)) return { status: 421, text: "not a name of this server" };
  if (origin !== undefined && origin !== `http://${host}`) {
    return { status: 403, text: "not for other pages" };
  }
  const isPage = path === PAGE_PATH;
  if (!isFromUs(headers, isPage)) return { status: 403, text: "not for other pages" };
  if (isPage) {
    return method === "GET" || method === "HEAD" ? undefined : { status: 405, text: "only GET" };
  }
  if (method !== "POST") return { status: 405, text: "only POST" };
  if (!hasToken(headers, gate.token)) return { status: 401, text: "wrong token" };
  if (!/^application\/json(?:;|$)/.test(headers["content-type"] ?? "")) {
    return { status: 415, text: "only application/json" };
  }
  return undefined;
}

function isOurName(name: string, gate: Gate): boolean {
  if (name === authority(gate)) return true;
  const [, host = "", port = ""] = /^(?:(.+):)?(\d+)$/.exec(name) ?? [];
  if (Number(port) !== gate.port) return false;
  if (host === "localhost") return isLoopback(gate.host) || ANY_ADDRESS.has(gate.host);
  // No name server can make an address lead anywhere else.
  return ANY_ADDRESS.has(gate.host) && isIP(host.replace(/^\[(.+)\]$/, "$1")) !== 0;
}

/** A link to the page may be followed from anywhere; nothing else is asked for by others. */
function isFromUs(headers: IncomingHttpHeaders, isPage: boolean): boolean {
  const site = headers["sec-fetch-site"];
  if (site === undefined || site === "same-origin" || site === "none") return true;
  return (
    isPage && headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document"
  );
}

/** In a time that does not depend on where the texts differ. */
function hasToken({ authorization = "" }: IncomingHttpHeaders, token: string): boolean {
  const told = authorization.startsWith(SCHEME) ? authorization.slice(SCHEME.length) : "";
  return timingSafeEqual(digest(told), digest(token));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
