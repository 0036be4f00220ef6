/**
 * Who has a port: the process behind a socket that is in the way of another one.
 *
 * The kernel's tables of sockets say which of them has the port, its address, user and inode; the
 * links in /proc/PID/fd say which process has that inode open. Both are of this network namespace
 * and of the processes that this one may look at: in a container, or without rights, the user is
 * all there is to be told. A socket of TCP that is bound and does not listen is in no table.
 *
 * Bounds: TABLE_SIZE_MAX octets of each table, PROCESSES_MAX processes, LINKS_MAX descriptors.
 * For messages only: by the time it is told the port may be another's.
 * Source: proc_pid_net(5), proc_pid_fd(5), proc_net_tcp in the kernel's documentation.
 */
import { closeSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";
import { endianness } from "node:os";
import { formatIpv4 } from "../lib/addr.ts";
import { formatIpv6, groupsOfOctets } from "../lib/addr6.ts";

const TABLE_SIZE_MAX = 8 << 20;
const PROCESSES_MAX = 4096;
const LINKS_MAX = 32_768;
const NAME_LENGTH_MAX = 15;
const LISTEN = 0x0a;
/** Of UDP: bound, and not connected. */
const BOUND = 0x07;

/** An address that somebody wants. */
export interface WantedAddress {
  readonly family: 4 | 6;
  /** 16, of IPv4 ::ffff:A.B.C.D. */
  readonly octets: ArrayLike<number>;
}

interface Process {
  readonly pid: number;
  readonly name: string;
  /** It is this one. */
  readonly isOwn: boolean;
}

/** A socket, as the kernel's tables have it. */
export interface PortOwner {
  /** As written: `192.0.2.1:80`, `[::]:80`. */
  readonly at: string;
  readonly uid: number;
  /** Undefined: none that this one may look at. */
  readonly process: Process | undefined;
}

interface Entry {
  readonly octets: readonly number[];
  readonly state: number;
  readonly uid: number;
  readonly inode: string;
}

/** What is read, for tests. */
export interface OwnerSources {
  /** The text of a file, as far as the bound allows; throws where there is none. */
  readonly read: (path: string) => string;
  readonly list: (path: string) => readonly string[];
  readonly link: (path: string) => string;
}

const SYSTEM: OwnerSources = {
  read: readStart,
  list: (path) => readdirSync(path),
  link: (path) => readlinkSync(path),
};

/** Who has `port` at any of the addresses, or at all addresses; undefined = nobody that is told. */
export function findPortOwner(
  protocol: "tcp" | "udp",
  wanted: readonly WantedAddress[],
  port: number,
  sources: OwnerSources = SYSTEM,
): PortOwner | undefined {
  const entries = [4, 6].flatMap((family) =>
    entriesOf(protocol, family === 4 ? 4 : 6, port, sources),
  );
  const inWay = entries.filter(({ octets }) => wanted.some((each) => conflicts(octets, each)));
  const first = protocol === "tcp" ? LISTEN : BOUND;
  const entry = inWay.find(({ state }) => state === first) ?? inWay[0];
  if (entry === undefined) return undefined;
  const { octets, uid, inode } = entry;
  return { at: `${addressText(octets)}:${port}`, uid, process: processOf(inode, sources) };
}

/** One clause for a message. */
export function ownerText({ at, uid, process: owner }: PortOwner): string {
  if (owner === undefined) return `a process of user ${uid} has ${at}`;
  if (owner.isOwn) return `this program itself has ${at}`;
  return `"${owner.name}" (pid ${owner.pid}) has ${at}`;
}

function readStart(path: string): string {
  const fd = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(1 << 16);
    const parts: string[] = [];
    for (let size = 0; size < TABLE_SIZE_MAX; ) {
      const n = readSync(fd, buffer, 0, buffer.length, null);
      if (n === 0) break;
      parts.push(buffer.toString("latin1", 0, n));
      size += n;
    }
    return parts.join("");
  } finally {
    closeSync(fd);
  }
}

/** Sockets with that port of their own, those that somebody has open. */
function entriesOf(
  protocol: "tcp" | "udp",
  family: 4 | 6,
  port: number,
  { read }: OwnerSources,
): Entry[] {
  let table: string;
  try {
    table = read(`/proc/thread-self/net/${protocol}${family === 4 ? "" : "6"}`);
  } catch {
    return []; // a kernel without IPv6 has no second table
  }
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  // Its own end, the other end, state, queues, timer, retransmits, user, timeout, inode.
  const rest = "\\S+ ([0-9A-F]{2}) \\S+ \\S+ \\S+ +(\\d+) +\\d+ (\\d+)";
  const row = `^ *\\d+: ([0-9A-F]{8,32}):${hex} ${rest}`;
  return [...table.matchAll(new RegExp(row, "gm"))].flatMap((found) => {
    const [, address = "", state = "", uid = "", inode = "0"] = found;
    if (inode === "0") return [];
    const octets = octetsOf(address);
    return octets.length === 16
      ? [{ octets, state: Number.parseInt(state, 16), uid: Number(uid), inode }]
      : [];
  });
}

/** 16 octets of what is written as words of this machine. */
function octetsOf(hex: string): number[] {
  const words = hex.match(/.{8}/g) ?? [];
  const octets = words.flatMap((word) => {
    const inOrder = [0, 2, 4, 6].map((at) => Number.parseInt(word.slice(at, at + 2), 16));
    return endianness() === "LE" ? inOrder.reverse() : inOrder;
  });
  return octets.length === 4 ? [...new Array<number>(10).fill(0), 0xff, 0xff, ...octets] : octets;
}

function isIpv4(octets: ArrayLike<number>): boolean {
  return Array.from(octets).every((octet, i) => i > 11 || octet === (i > 9 ? 0xff : 0));
}

function isAll(octets: ArrayLike<number>): boolean {
  return Array.from(octets).every((octet, i) => octet === 0 || (i > 9 && i < 12));
}

/** Whether no two sockets can be at both; one at :: may be of both versions. */
function conflicts(has: readonly number[], { family, octets }: WantedAddress): boolean {
  if (isAll(has)) return family === 4 || !isIpv4(has);
  if (isIpv4(has) !== (family === 4)) return false;
  return isAll(octets) || has.every((octet, i) => octet === octets[i]);
}

function addressText(octets: readonly number[]): string {
  if (!isIpv4(octets)) return `[${formatIpv6(groupsOfOctets(Uint8Array.from(octets)))}]`;
  return formatIpv4(octets.slice(12).reduce((sum, octet) => sum * 256 + octet, 0));
}

/** The process that has a socket open, this one first. */
function processOf(inode: string, sources: OwnerSources): Process | undefined {
  const wanted = `socket:[${inode}]`;
  let left = LINKS_MAX;
  const own = Number(attempt(() => sources.link("/proc/self")));
  for (const pid of [own, ...processes(own, sources)]) {
    const folder = `/proc/${pid}/fd`;
    for (const fd of attempt(() => sources.list(folder)) ?? []) {
      if (left <= 0) return undefined;
      left -= 1;
      if (attempt(() => sources.link(`${folder}/${fd}`)) !== wanted) continue;
      return { pid, name: nameOf(pid, sources), isOwn: pid === own };
    }
  }
  return undefined;
}

function processes(own: number, { list }: OwnerSources): number[] {
  const pids = (attempt(() => list("/proc")) ?? []).map(Number).filter(Number.isSafeInteger);
  return pids.filter((pid) => pid !== own).slice(0, PROCESSES_MAX);
}

/** A process names itself, so it may call itself anything. */
function nameOf(pid: number, { read }: OwnerSources): string {
  const name = attempt(() => read(`/proc/${pid}/comm`).trimEnd()) ?? "?";
  return name.replaceAll(/[^ !#-~]/g, "?").slice(0, NAME_LENGTH_MAX);
}

/** Undefined where it is not there any more, or not to be looked at. */
function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
