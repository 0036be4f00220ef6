/** What a request's head means. Source: RFC 9112 §3, §9.3; RFC 9110 §7.2, §10.1.1. */
import type { TcpTarget } from "../upstream.ts";
import { HttpError, type MessageHead } from "./http-head.ts";

/** Host and port as an authority has them, without a user. */
const HOST = /^(?:[A-Za-z0-9.\-_~%!$&'()*+,;=]*|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/;

export interface RequestHead {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly isHead: boolean;
  /** HTTP/1.0, which knows no chunks. */
  readonly isOld: boolean;
  readonly keepsAlive: boolean;
  readonly expectsContinue: boolean;
}

/** Throws `HttpError`. */
export function readRequestHead({ first, headers }: MessageHead, target: TcpTarget): RequestHead {
  const [method, path, version] = first;
  const isOld = version === "HTTP/1.0";
  if (/^(?:CONNECT|TRACE|TRACK)$/i.test(method)) throw new HttpError(501, "unknown method");
  const connection = (headers.get("connection") ?? "").toLowerCase().split(/[\t ]*,[\t ]*/);
  const expects = headers.get("expect");
  if (expects !== null && expects.toLowerCase() !== "100-continue") {
    throw new HttpError(417, "unknown expectation");
  }
  if (isOld && headers.has("transfer-encoding")) throw new HttpError(400, "chunks in HTTP/1.0");
  return {
    method,
    url: urlOf(path, headers, isOld, target),
    headers,
    isHead: method === "HEAD",
    isOld,
    keepsAlive: isOld ? connection.includes("keep-alive") : !connection.includes("close"),
    expectsContinue: expects !== null && !isOld,
  };
}

function urlOf(path: string, headers: Headers, isOld: boolean, target: TcpTarget): string {
  const host = headers.get("host");
  if (host === null && !isOld) throw new HttpError(400, "no host");
  if (host !== null && !HOST.test(host)) throw new HttpError(400, "malformed host");
  const authority = host || authorityOf(target);
  const text = path === "*" ? "/" : path;
  const isAbsolute = /^https?:\/\//i.test(text);
  if (!isAbsolute && !text.startsWith("/")) throw new HttpError(400, "malformed target");
  try {
    // A path of two slashes is a path, not a host.
    const url = new URL(isAbsolute ? text : `http://${authority}${text}`);
    if (url.username !== "" || url.password !== "") throw new HttpError(400, "a user in a target");
    return url.href;
  } catch (error) {
    throw error instanceof HttpError ? error : new HttpError(400, "malformed target");
  }
}

function authorityOf({ address, port }: TcpTarget): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
