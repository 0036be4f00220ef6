/** Bounds of what a guest network may take, and of how long what it has taken stays. */
import { CHUNK_CAPACITY_COUNT, CHUNK_SIZE, FLOW_CAPACITY_COUNT } from "../../wasm/abi.ts";
import { BUFFER_MIB_DEFAULT, FLOWS_MAX_DEFAULT } from "./limits.ts";
import { type Bounds, integer, readGroup, type Values, value } from "./option.ts";
import { integerBetween } from "./settings.ts";

const LIMITS = "Limits:";
const MIB = 1 << 20;

const FLOWS_MAX_BOUNDS: Bounds = [256, FLOW_CAPACITY_COUNT];
const BUFFER_MIB_BOUNDS: Bounds = [4, (CHUNK_CAPACITY_COUNT * CHUNK_SIZE) / MIB];
const KEEPALIVE_BOUNDS: Bounds = [30, 32767];

/** What flows and payload may take at most, and how long silence may last. */
export const ROOM_OPTIONS = {
  /** Flows of all kinds at once; undefined = what there is room for. */
  flowsMax: integer({
    name: "flows-max",
    argument: "N",
    description:
      `flows at once, {bounds} (default ${FLOWS_MAX_DEFAULT}, less where memory or descriptors ` +
      "are)",
    heading: LIMITS,
    bounds: FLOWS_MAX_BOUNDS,
  }),
  /** Payload memory of all flows together, MiB; undefined = what there is room for. */
  bufferMib: integer({
    name: "buffer-mib",
    argument: "N",
    description:
      `payload memory in MiB, {bounds} (default ${BUFFER_MIB_DEFAULT}, less where memory or ` +
      "descriptors are)",
    heading: LIMITS,
    bounds: BUFFER_MIB_BOUNDS,
  }),
  /** Silence after which both ends of a TCP connection are asked, seconds (RFC 5382 REQ-5). */
  tcpIdleSeconds: integer({
    name: "tcp-idle-timeout",
    argument: "SECONDS",
    description:
      "silence after which both ends of a TCP connection are asked, and who does not answer " +
      "within 11 minutes ends it, {bounds} (default {default})",
    heading: LIMITS,
    bounds: [7440, 31536000],
    fallback: 7440,
  }),
};

/** Times that only `attach` lets anybody choose. */
export const TIMEOUT_OPTIONS = {
  /** Idle time after which a UDP flow ends, seconds, at least 120 (RFC 4787 REQ-5). */
  udpTimeoutSeconds: integer({
    name: "udp-timeout",
    argument: "SECONDS",
    description: "idle time that ends a UDP flow, {bounds} (default {default})",
    heading: LIMITS,
    bounds: [120, 86400],
    fallback: 300,
  }),
  /** Keepalive interval of TCP connections, seconds; 0 = off, else at least 30. */
  keepaliveSeconds: value({
    name: "keepalive",
    argument: "SECONDS",
    description:
      "ask them after this time already, 0 for no or " +
      `${KEEPALIVE_BOUNDS.join(" to ")} (default {default})`,
    heading: LIMITS,
    parse: parseKeepalive,
    fallback: 0,
  }),
};

/** What they are where nobody is asked. */
export const TIMEOUTS_DEFAULT = readGroup(TIMEOUT_OPTIONS, new Map());

export type LimitOptions = Values<typeof ROOM_OPTIONS & typeof TIMEOUT_OPTIONS>;

function parseKeepalive(text: string): number {
  return text === "0" ? 0 : integerBetween(...KEEPALIVE_BOUNDS)(text);
}
