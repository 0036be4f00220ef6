/** Where a TCP server listens, as people write it. */
import { isIPv4, isIPv6 } from "node:net";
import { ConfigError } from "./errors.ts";

export interface TcpAddress {
  /** As text, IPv4 or IPv6, without brackets. */
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
}

const PORT_MAX = 65535;
const FORM = /^(?:\[([^\]]+)\]|([^:]*)):([0-9]{1,5})$/;

/** Reads `127.0.0.1:9100` or `[::1]:9100`. Throws `ConfigError`. */
export function parseTcpAddress(text: string): TcpAddress {
  const [, six, four, portText] = FORM.exec(text) ?? [];
  const port = Number(portText);
  if (four !== undefined && isIPv4(four) && port <= PORT_MAX) return { host: four, port };
  if (six !== undefined && isIPv6(six) && port <= PORT_MAX) return { host: six, port };
  throw new ConfigError("wanted ADDR:PORT such as 127.0.0.1:9100 or [::1]:9100");
}
