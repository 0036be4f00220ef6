/**
 * Finds out what a guest network may take of the machine: looks at the control group's memory and
 * the descriptors of the process, raises the latter as far as it goes, and says in the log what
 * follows from it.
 *
 * Source: `config/limits` divides; `sys/cgroup` and `sys/rlimit` look.
 */
import {
  deriveLimits,
  type Limits,
  type LimitsAsked,
  MEMORY_FIXED,
  PROGRAM_PAGES,
} from "../config/limits.ts";
import type { Logger } from "../lib/log.ts";
import { messageOf } from "../lib/message.ts";
import { MemoryGauge, type MemoryGroup, memoryTotal } from "../sys/cgroup.ts";
import type { Libc } from "../sys/libc.ts";
import { descriptorsInUse, raiseDescriptors } from "../sys/rlimit.ts";
import type { MemoryBound } from "./pressure.ts";

const MIB = 1 << 20;

/** What was found. */
export interface FoundRoom {
  readonly limits: Limits;
  /** Undefined where memory has no limit of its own. */
  readonly memory: (MemoryBound & { readonly gauge: MemoryGauge }) | undefined;
}

/** What is known before rights are given up. */
export interface RoomKnown {
  /** Guest networks that share what there is. */
  readonly networks: number;
  /** Of `holdMemoryGroup`; undefined where memory has no limit of its own. */
  readonly memoryGroup: MemoryGroup | undefined;
}

/** Looks and logs. */
export function findRoom(
  sys: Libc,
  asked: LimitsAsked,
  { networks, memoryGroup: group }: RoomKnown,
  log: Pick<Logger, "info" | "warn">,
): FoundRoom {
  const total = group === undefined ? memoryTotal() : group.limit;
  const descriptors = raiseDescriptors(sys);
  const limits = deriveLimits(
    {
      memory: total,
      machine: memoryTotal(),
      descriptors: descriptors < 0 ? undefined : descriptors,
      descriptorsInUse: descriptorsInUse(),
      networks,
    },
    asked,
  );
  log.info(
    {
      flows_max: limits.flowsMax,
      payload_mib: limits.bufferMib,
      sockets_max: limits.socketsMax,
      buffers_mib: Math.floor(limits.buffers / MIB),
      memory_mib: total === undefined ? "unknown" : Math.floor(total / MIB),
      memory_from: group?.source ?? "/proc/meminfo",
      descriptors: descriptors < 0 ? "unknown" : descriptors,
    },
    "limits",
  );
  for (const warning of limits.warnings) log.warn({}, warning);
  if (group === undefined || group.limit < MEMORY_FIXED / 2) return { limits, memory: undefined };
  try {
    const gauge = new MemoryGauge(group, PROGRAM_PAGES);
    return { limits, memory: { group, gauge, reserve: limits.reserve } };
  } catch (error) {
    log.warn({ problem: messageOf(error) }, "memory in use cannot be watched");
    return { limits, memory: undefined };
  }
}
