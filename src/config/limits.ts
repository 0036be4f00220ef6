/**
 * What a guest network may take of the machine it runs on: flows, payload memory, descriptors and
 * socket buffers, from what was found out at the start.
 *
 * Theory of operation
 *   Memory M is the limit of the control group, or all memory where there is none. Of it
 *
 *     FIXED    is the program's own: heap of two threads, engine, the pages of its file it runs on
 *     reserve  a sixteenth, 4 MiB at least, stays free for hooks, signals and what is not foreseen
 *     rest     what is left, divided by the guest networks of the process
 *
 *   A flow costs FLOW: its record, and in the kernel a socket, its file, inode, entry of a folder
 *   and of epoll. Measured with 8,192 of each in a control group: TCP out 4,160 octets, accepted
 *   3,600, UDP 2,790; the engine and its host 530. Payload memory and socket buffers have a quarter
 *   of the rest each, and flows all but what these need at least: not everything is full at a
 *   time, and `pressure` looks at what is really used while it runs, and takes back.
 *
 *   Descriptors: what RLIMIT_NOFILE allows, less those in use at the start, less a reserve for
 *   hooks and control, divided by the networks. A published port takes one for each of its sockets,
 *   and PORT_COST octets, for good: a range of thousands leaves so many fewer for flows.
 *
 *         M      64 MiB   128 MiB   256 MiB and more
 *     flows       5,233    16,384      16,384
 *     payload     6 MiB    16 MiB      16 MiB
 *     buffers     6 MiB    21 MiB      51 MiB, a quarter of the rest, 1/32 of the machine at most
 *
 *   What is asked for by an option is given, whatever was derived; the caller warns.
 */
import { CHUNK_SIZE, CHUNKS_DEFAULT_COUNT, FLOWS_DEFAULT_COUNT } from "../../wasm/abi.ts";

const MIB = 1 << 20;

/** What the program needs by itself, octets: 25 MiB of its own and the pages of code in use. */
export const MEMORY_FIXED = 34 * MIB;
/** Pages of the program's file that it runs on under load, octets. */
export const PROGRAM_PAGES = 8 * MIB;
/** For each network after the first: a thread, its heap and its engine. */
const NETWORK_FIXED = 12 * MIB;
const RESERVE_MIN = 4 * MIB;
/** What payload and buffers need to go on at all, octets. */
const PAYLOAD_MIN = 2 * MIB;
const BUFFERS_MIN = 1 * MIB;
/** Cost of one flow, octets. */
export const FLOW_COST = 4608;

/**
 * Cost of the socket of a published port that nobody uses, octets: measured with 16,384 of UDP, 3.3
 * KiB in the kernel and 1.2 in the program.
 */
const PORT_COST = 4608;

/** Descriptors for hooks, the log, files and what a library opens. */
const DESCRIPTORS_RESERVE_MIN = 40;
const DESCRIPTORS_RESERVE_MAX = 256;

/** Flows and payload where nothing is scarce. */
export const FLOWS_MAX_DEFAULT = FLOWS_DEFAULT_COUNT;
export const BUFFER_MIB_DEFAULT = (CHUNKS_DEFAULT_COUNT * CHUNK_SIZE) / MIB;
/** Fewer than this are of no use to a guest. */
const FLOWS_MIN = 64;

/** What was found out about the machine. */
export interface Room {
  /** Octets of memory; undefined = not known. */
  readonly memory: number | undefined;
  /** Descriptors the process may have; undefined = not known. */
  readonly descriptors: number | undefined;
  /**
   * Octets of memory of the machine. Linux lets TCP of all its processes have a sixteenth of that
   * before it goes short everywhere (net.ipv4.tcp_mem; tcp_init_mem in net/ipv4/tcp.c).
   */
  readonly machine: number | undefined;
  /** Descriptors that are in use already. */
  readonly descriptorsInUse: number;
  /** Guest networks that share all this. */
  readonly networks: number;
  /** Sockets of this network's published ports; absent = none. */
  readonly published?: number;
}

/** What the user wants; undefined = as much as is good. */
export interface LimitsAsked {
  readonly flowsMax: number | undefined;
  readonly bufferMib: number | undefined;
}

/** What one guest network may take. */
export interface Limits {
  readonly flowsMax: number;
  /** Payload memory, MiB. */
  readonly bufferMib: number;
  /** Host sockets. */
  readonly socketsMax: number;
  /** Octets in the kernel's buffers of all sockets. */
  readonly buffers: number;
  /** Octets of memory that stay free. */
  readonly reserve: number;
  /** What was asked for and is more than there is room for, as sentences. */
  readonly warnings: readonly string[];
}

/** Divides what there is. */
export function deriveLimits(room: Room, asked: LimitsAsked): Limits {
  const memory = memoryShare(room);
  const sockets = socketsShare(room);
  const flows = Math.min(FLOWS_MAX_DEFAULT, memory.flows, sockets);
  const flowsMax = asked.flowsMax ?? flows;
  const bufferMib = asked.bufferMib ?? memory.payloadMib;
  const warnings: string[] = [];
  if (flowsMax > Math.min(memory.flows, sockets)) {
    const why = memory.flows < sockets ? "memory" : "descriptors";
    warnings.push(`--flows-max ${flowsMax} is more than there is room for: ${why} for ${flows}`);
  }
  if (bufferMib > memory.payloadMib && memory.isTight) {
    warnings.push(
      `--buffer-mib ${bufferMib} is more than there is room for: memory for ${memory.payloadMib}`,
    );
  }
  if (memory.rest <= 0) warnings.push("there is less memory than the program itself needs");
  const { buffers, reserve } = memory;
  return { flowsMax, bufferMib, socketsMax: sockets, buffers, reserve, warnings };
}

interface MemoryShare {
  readonly flows: number;
  readonly payloadMib: number;
  readonly buffers: number;
  readonly reserve: number;
  /** Octets one network may take beyond what it needs to exist. */
  readonly rest: number;
  /** Payload has less than where nothing is scarce. */
  readonly isTight: boolean;
}

function memoryShare({ memory, machine, networks, published = 0 }: Room): MemoryShare {
  const count = Math.max(1, networks);
  const whole = memory ?? Number.POSITIVE_INFINITY;
  const reserve = memory === undefined ? 0 : Math.max(RESERVE_MIN, whole / 16);
  const fixed = MEMORY_FIXED + (count - 1) * NETWORK_FIXED;
  const rest = (whole - fixed - reserve) / count;
  const quarter = Math.max(0, rest / 4);
  // Half of what the machine's TCP may have: others live here, too.
  const everybody = (machine ?? Number.POSITIVE_INFINITY) / 32 / count;
  const payloadMib = clamp(quarter / MIB, PAYLOAD_MIN / MIB, BUFFER_MIB_DEFAULT);
  const ports = published * PORT_COST;
  const flows = (rest - ports - PAYLOAD_MIN - BUFFERS_MIN) / FLOW_COST;
  return {
    flows: clamp(flows, FLOWS_MIN, Number.MAX_SAFE_INTEGER),
    payloadMib,
    buffers: Math.max(BUFFERS_MIN, Math.min(quarter, everybody)),
    reserve,
    rest,
    isTight: payloadMib < BUFFER_MIB_DEFAULT,
  };
}

function descriptorReserve(descriptors: number): number {
  return clamp(descriptors / 16, DESCRIPTORS_RESERVE_MIN, DESCRIPTORS_RESERVE_MAX);
}

function socketsShare(room: Room): number {
  const { descriptors, descriptorsInUse, networks, published = 0 } = room;
  if (descriptors === undefined) return Number.MAX_SAFE_INTEGER;
  const all = descriptors - descriptorsInUse - descriptorReserve(descriptors);
  const left = all / Math.max(1, networks) - published;
  return clamp(left, FLOWS_MIN, Number.MAX_SAFE_INTEGER);
}

/**
 * How many descriptors the process would have to be allowed for all published ports and a few
 * flows; undefined = it has enough, or nobody knows.
 */
export function descriptorsMissing(room: Room): number | undefined {
  const { descriptors, descriptorsInUse, networks, published = 0 } = room;
  if (descriptors === undefined || published === 0) return undefined;
  const each = (published + FLOWS_MIN) * Math.max(1, networks);
  const needed = descriptorsInUse + DESCRIPTORS_RESERVE_MAX + each;
  const isEnough = descriptorsInUse + descriptorReserve(descriptors) + each <= descriptors;
  return isEnough ? undefined : needed;
}

/** The whole number nearest below that lies between the two. */
function clamp(value: number, least: number, most: number): number {
  return Math.floor(Math.min(most, Math.max(least, value)));
}
