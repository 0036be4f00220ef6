/** Rows of the options that bound what a guest network may take. */
import { DEFAULTS, LIMITS } from "../config/config.ts";
import type { OptionRow } from "./option-row.ts";

const LIMIT = "Limits:";

export function range(bounds: readonly [number, number], fallback: number): string {
  return `${bounds[0]} to ${bounds[1]} (default ${fallback})`;
}

const KEEPALIVE_RANGE = range(LIMITS.keepaliveSeconds, DEFAULTS.keepaliveSeconds);

/** Bounds of a limit that is derived at start, and what it is where nothing is scarce. */
function derived(bounds: readonly [number, number], most: number): string {
  return `${bounds[0]} to ${bounds[1]} (default ${most}, less where memory or descriptors are)`;
}

export const ROOM_ROWS: readonly OptionRow[] = [
  {
    name: "flows-max",
    argument: "N",
    description: `flows at once, ${derived(LIMITS.flowsMax, DEFAULTS.flowsMax)}`,
    group: LIMIT,
  },
  {
    name: "buffer-mib",
    argument: "N",
    description: `payload memory in MiB, ${derived(LIMITS.bufferMib, DEFAULTS.bufferMib)}`,
    group: LIMIT,
  },
  {
    name: "tcp-idle-timeout",
    argument: "SECONDS",
    description:
      "silence after which both ends of a TCP connection are asked, and who does not answer " +
      "within 11 minutes ends it, " +
      range(LIMITS.tcpIdleSeconds, DEFAULTS.tcpIdleSeconds),
    group: LIMIT,
  },
];

export const LIMIT_ROWS: readonly OptionRow[] = [
  ...ROOM_ROWS,
  {
    name: "udp-timeout",
    argument: "SECONDS",
    description:
      "idle time that ends a UDP flow, " +
      range(LIMITS.udpTimeoutSeconds, DEFAULTS.udpTimeoutSeconds),
    group: LIMIT,
  },
  {
    name: "keepalive",
    argument: "SECONDS",
    description: `ask them after this time already, 0 for no or ${KEEPALIVE_RANGE}`,
    group: LIMIT,
  },
];
