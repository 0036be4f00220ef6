/**
 * Finds out what a guest network may take of the machine: looks at the control group's memory and
 * the descriptors of the process, raises the latter as far as it goes, and says in the log what
 * follows from it.
 *
 * Source: `config/limits` divides; `sys/cgroup` and `sys/rlimit` look.
 */
import type { BindingOptions } from "../config/attach.ts";
import { publishedSockets } from "../config/forward.ts";
import {
  deriveLimits,
  descriptorsMissing,
  type Limits,
  MEMORY_FIXED,
  PROGRAM_PAGES,
  type Room,
} from "../config/limits.ts";
import type { PublishRule } from "../config/publish-rule.ts";
import type { Logger } from "../lib/log.ts";
import { messageOf } from "../lib/message.ts";
import { MemoryGauge, memoryTotal } from "../sys/cgroup.ts";
import type { Libc } from "../sys/libc.ts";
import type { MemoryGroup } from "../sys/memory-group.ts";
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

/** What of the options says how many sockets published ports need. */
export type PortsAsked = Pick<BindingOptions, "publish" | "network">;

function rulesOf({ publish }: PortsAsked): readonly PublishRule[] {
  const { rules, added = [] } = publish;
  return [...rules, ...added];
}

/** Whether all published ports can have their sockets. Throws where they cannot and must. */
function checkPorts(room: Room, asked: PortsAsked, log: Pick<Logger, "warn">): void {
  const needed = descriptorsMissing(room);
  if (needed === undefined) return;
  const { published = 0, descriptors } = room;
  const problem = `${published} sockets of published ports are more than descriptors allow`;
  const more = `raise "ulimit -n" (LimitNOFILE) from ${descriptors} to ${needed}`;
  const remedy = `${more}, or publish fewer; TCP on all addresses counts twice, on 0.0.0.0 once`;
  if (asked.publish.needsEveryPort) throw new Error(`${problem}: ${remedy}`);
  log.warn({ problem, remedy }, "ports will be left out");
}

/** Looks and logs. Throws where there are fewer descriptors than published ports need. */
export function findRoom(
  sys: Libc,
  asked: Pick<BindingOptions, "limits"> & PortsAsked,
  { networks, memoryGroup: group }: RoomKnown,
  log: Pick<Logger, "info" | "warn">,
): FoundRoom {
  const { ipv4, subnet6 } = asked.network;
  const total = group === undefined ? memoryTotal() : group.limit;
  const descriptors = raiseDescriptors(sys);
  const room = {
    memory: total,
    machine: memoryTotal(),
    descriptors: descriptors < 0 ? undefined : descriptors,
    descriptorsInUse: descriptorsInUse(),
    networks,
    published: publishedSockets(rulesOf(asked), ipv4 && subnet6 !== undefined ? 2 : 1),
  };
  checkPorts(room, asked, log);
  const limits = deriveLimits(room, asked.limits);
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
    log.warn({ problem: messageOf(error) }, "cannot watch memory in use");
    return { limits, memory: undefined };
  }
}
