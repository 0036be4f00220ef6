/**
 * Where a stream link meets its peer, as people write it: `unix:PATH`, `unix:@NAME` (abstract) or
 * `tcp:ADDRESS:PORT`. What can be nothing else needs no word in front: `/PATH`, `./PATH`, `@NAME`,
 * `ADDRESS:PORT`.
 *
 * TCP is for the loopback addresses only: whoever can connect is the guest's only neighbour and
 * sees all its traffic.
 */
import { formatIpv4 } from "../lib/addr.ts";
import { readIpv4 } from "./address.ts";
import { ConfigError } from "./errors.ts";

export interface UnixEndpoint {
  readonly kind: "unix";
  /** Of a file; with `@` in front, a name without a file (Linux's abstract sockets). */
  readonly path: string;
}

export type StreamEndpoint =
  | UnixEndpoint
  | {
      readonly kind: "tcp";
      /** 127.0.0.0/8, host order. */
      readonly address: number;
      /** 0 = any free one, to listen only. */
      readonly port: number;
    };

/** How an endpoint is written. */
export const ENDPOINT_FORM = "unix:PATH|tcp:127.0.0.1:PORT";

/** Octets of a socket's path: sun_path of unix(7) less its terminating zero. */
const PATH_SIZE_MAX = 107;
const PORT_MAX = 65535;
const LOOPBACK_NET = 127;
const TCP = /^([0-9.]+):([0-9]{1,5})$/;
const encoder = new TextEncoder();

/** Reads where to listen. Throws `ConfigError`. */
export function parseListenEndpoint(text: string): StreamEndpoint {
  const [, kind, rest = ""] = /^(unix|tcp):(.*)$/s.exec(withKind(text)) ?? [];
  if (kind === "unix") return { kind, path: readPath(rest) };
  const [, host = "", port = ""] = TCP.exec(rest) ?? [];
  const address = readIpv4(host);
  if (kind === undefined || address === undefined) throw new ConfigError(`wanted ${ENDPOINT_FORM}`);
  if (address >>> 24 !== LOOPBACK_NET) {
    throw new ConfigError("wanted a loopback address such as 127.0.0.1");
  }
  if (Number(port) > PORT_MAX) throw new ConfigError(`wanted a port from 1 to ${PORT_MAX}`);
  return { kind: "tcp", address, port: Number(port) };
}

function withKind(text: string): string {
  if (/^(?:@|\.{0,2}\/)/.test(text)) return `unix:${text}`;
  return TCP.test(text) ? `tcp:${text}` : text;
}

/** Reads where to connect to. Throws `ConfigError`. */
export function parseConnectEndpoint(text: string): StreamEndpoint {
  const endpoint = parseListenEndpoint(text);
  if (endpoint.kind === "tcp" && endpoint.port === 0) {
    throw new ConfigError(`wanted a port from 1 to ${PORT_MAX}`);
  }
  return endpoint;
}

function readPath(path: string): string {
  const size = encoder.encode(path).length;
  const name = path.startsWith("@") ? path.slice(1) : path;
  if (name === "" || path.includes("\0")) throw new ConfigError("wanted the path of a socket");
  if (size > PATH_SIZE_MAX) {
    throw new ConfigError(`wanted a path of at most ${PATH_SIZE_MAX} octets, not ${size}`);
  }
  return path;
}

/** Reads the path of a unix socket, with or without `unix:` in front. Throws `ConfigError`. */
export function parseUnixEndpoint(text: string): UnixEndpoint {
  return { kind: "unix", path: readPath(text.replace(/^unix:/, "")) };
}

/** As it is written. */
export function formatEndpoint(endpoint: StreamEndpoint): string {
  if (endpoint.kind === "unix") return `unix:${endpoint.path}`;
  return `tcp:${formatIpv4(endpoint.address)}:${endpoint.port}`;
}
