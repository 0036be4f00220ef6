/** Rows of the options that bound what a guest network may take. */
import { DEFAULTS, LIMITS } from "../config/config.ts";
import type { OptionRow } from "./options-table.ts";

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
    description: `TCP keepalive, 0 for none or ${KEEPALIVE_RANGE}`,
    group: LIMIT,
  },
];
