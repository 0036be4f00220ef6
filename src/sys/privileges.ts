/**
 * What this process may do beyond others, and giving it up.
 *
 * - Capabilities of all five sets, user, groups and no_new_privs, in every thread (all-threads.ts
 *   says how). What was given up is read back from /proc for each thread; a thread that still has
 *   something is an error, not a line in the log.
 * - Core dumps and the view of other processes of the same user into this one (PR_SET_DUMPABLE).
 * - Descriptors that whoever started us left open: what leads anywhere is closed, unless it was
 *   given on purpose.
 * - The environment as the kernel keeps it (/proc/PID/environ): it often holds secrets that were
 *   not meant for us.
 * Source: capabilities(7), credentials(7), user_namespaces(7), proc(5), prctl(2), execve(2).
 */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { callInAllThreads, type RawCall, threadIds } from "./all-threads.ts";
import { Block } from "./block.ts";
import { callNumber } from "./call-numbers.ts";
import { check } from "./errno.ts";
import type { Libc } from "./libc.ts";
import { F_GETFD, F_SETFD, FD_CLOEXEC } from "./linux.ts";
import { isMapped, parseRights, type Rights } from "./rights.ts";

/** A user and a group, by number. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

const CAP_DAC_READ_SEARCH = 2n;
const CAP_SETGID = 6n;
const CAP_SETUID = 7n;
const CAP_SETPCAP = 8n;
const CAP_NET_ADMIN = 12n;
const CAP_SYS_ADMIN = 21n;

const PR_SET_DUMPABLE = 4;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
const CAPABILITY_VERSION_3 = 0x20080522;
const ROOT = 0;
/** struct __user_cap_header_struct, and two of __user_cap_data_struct. */
const CAPSET_HEADER_SIZE = 8;
const CAPSET_DATA_SIZE = 24;
const CAPABILITY_COUNT_MAX = 64;

const HALF = 0xffff_ffffn;

/** What a thread of this process may do; the calling one's without a number. */
export function readRights(thread?: number): Rights {
  const place = thread === undefined ? "thread-self" : `self/task/${thread}`;
  return parseRights(readFileSync(`/proc/${place}/status`, "utf8"));
}

function has(set: bigint, capability: bigint): boolean {
  return ((set >> capability) & 1n) === 1n;
}

/** May become another user. */
export function maySwitch({ effective }: Rights): boolean {
  return has(effective, CAP_SETUID) && has(effective, CAP_SETGID);
}

/** May make network and mount namespaces without a user namespace, and interfaces there. */
export function mayMakeNamespaces({ effective }: Rights = readRights()): boolean {
  return has(effective, CAP_SYS_ADMIN) && has(effective, CAP_NET_ADMIN);
}

/** Numbers of the signals that this process ignores; none where /proc does not tell. */
export function readIgnoredSignals(status = readStatus()): ReadonlySet<number> {
  const found = /^SigIgn:[ \t]*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  const set = BigInt(`0x${found}`);
  return new Set(
    Array.from({ length: 64 }, (_, at) => at + 1).filter((n) => has(set, BigInt(n - 1))),
  );
}

function readStatus(): string {
  try {
    return readFileSync("/proc/self/status", "utf8");
  } catch {
    return "";
  }
}

function capabilitiesGone(rights: Rights): boolean {
  const { inheritable, permitted, effective, ambient } = rights;
  return (inheritable | permitted | effective | ambient) === 0n;
}

function isIdentity({ uids, gids, groups }: Rights, { uid, gid }: Identity): boolean {
  const others = groups.filter((group) => group !== gid);
  return uids.every((id) => id === uid) && gids.every((id) => id === gid) && others.length === 0;
}

function capsetHeader(sys: Libc): Block {
  const header = new Block(sys, CAPSET_HEADER_SIZE);
  header.view.setUint32(0, CAPABILITY_VERSION_3, true);
  return header;
}

/** Root that may hand the right to read any file, and that alone, to a program it starts. */
export function mayHandOverReading({ uids, effective, bounding }: Rights): boolean {
  const wanted = [CAP_SETPCAP, CAP_DAC_READ_SEARCH].every((each) => has(effective, each));
  return uids.every((id) => id === ROOT) && wanted && has(bounding, CAP_DAC_READ_SEARCH);
}

/**
 * Leaves programs that this thread starts from now on the right to read any file, if root has it,
 * and no other: bounding set, inheritable and ambient set and no_new_privs are the thread's and go
 * over to its children. What the thread itself may do stays until `dropPrivileges`.
 * @param now what `readRights` says of the calling thread
 * @throws SystemError; the thread may have less by then than before
 */
export function narrowToReading(sys: Libc, now: Rights): void {
  for (let capability = 0; capability < CAPABILITY_COUNT_MAX; capability += 1) {
    if (BigInt(capability) === CAP_DAC_READ_SEARCH || !has(now.bounding, BigInt(capability)))
      continue;
    check(sys.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0), `Give up capability ${capability}`);
  }
  const [header, data] = [capsetHeader(sys), new Block(sys, CAPSET_DATA_SIZE)];
  for (const half of [0, 1]) {
    const shift = BigInt(half) * 32n;
    const at = (half * CAPSET_DATA_SIZE) / 2; // effective, permitted, inheritable
    data.view.setUint32(at, Number((now.effective >> shift) & HALF), true);
    data.view.setUint32(at + 4, Number((now.permitted >> shift) & HALF), true);
  }
  const result = sys.syscall(callNumber("capset"), header.address, data.address, 0, 0, 0);
  check(result, "Give up inheritable capabilities");
  check(sys.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "Give up new privileges");
}

/** What remains to be done by each thread, and how it shows that it is done. */
interface Task {
  readonly calls: readonly RawCall[];
  readonly isDone: (rights: Rights) => boolean;
  /** Memory whose addresses are in the calls. */
  readonly kept: readonly Block[];
}

function taskOf(sys: Libc, now: Rights, identity: Identity | undefined): Task {
  const prctl = callNumber("prctl");
  const header = capsetHeader(sys);
  const none = new Block(sys, CAPSET_DATA_SIZE);
  const calls: RawCall[] = [];
  // In this order: each step needs a capability that a later one takes away.
  const canEmptyBounding = has(now.effective, CAP_SETPCAP);
  if (canEmptyBounding) {
    for (let capability = 0; capability < CAPABILITY_COUNT_MAX; capability += 1) {
      if (!has(now.bounding, BigInt(capability))) continue;
      calls.push([prctl, PR_CAPBSET_DROP, capability, 0, 0, 0]);
    }
  }
  if (now.ambient !== 0n) calls.push([prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0]);
  if (identity !== undefined) {
    const { uid, gid } = identity;
    calls.push(
      [callNumber("setgroups"), 0, 0],
      [callNumber("setresgid"), gid, gid, gid],
      [callNumber("setresuid"), uid, uid, uid],
    );
  }
  if (!capabilitiesGone(now)) calls.push([callNumber("capset"), header.address, none.address]);
  calls.push([prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]);
  const isDone = (rights: Rights): boolean =>
    capabilitiesGone(rights) &&
    rights.noNewPrivs &&
    (!canEmptyBounding || rights.bounding === 0n) &&
    (identity === undefined || isIdentity(rights, identity));
  return { calls, isDone, kept: [header, none] };
}

/**
 * Gives up all capabilities and the way to new ones, in all threads, for good.
 * @param identity who to be from now on, without further groups; undefined: as before
 * @param now what the threads have: of all the same, or what the one with most has
 * @param read what a thread has by now, or an error where it is gone; for tests
 * @throws Error, SystemError where something is left; some threads may have given up more by then
 */
export function dropPrivileges(
  sys: Libc,
  identity: Identity | undefined,
  now: Rights = readRights(),
  read: (thread: number) => Rights = readRights,
): void {
  const task = taskOf(sys, now, identity);
  const isDone = (thread: number): boolean => {
    let rights: Rights;
    try {
      rights = read(thread);
    } catch (error) {
      if (!threadIds().includes(thread)) return true;
      throw error;
    }
    return task.isDone(rights);
  };
  if (!threadIds().every(isDone)) callInAllThreads(sys, task.calls, isDone);
  check(sys.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "Keep others from looking in");
}

/** Whether this process can be that user and group at all. */
export function canBe({ uid, gid }: Identity): boolean {
  const map = (name: string): string => readFileSync(`/proc/self/${name}`, "utf8");
  return (
    isMapped(map("uid_map"), uid) &&
    isMapped(map("gid_map"), gid) &&
    map("setgroups").trim() === "allow"
  );
}

/** Descriptors of the runtime itself that lead nowhere. */
const OWN_KIND = /^anon_inode:\[(?:eventpoll|eventfd|timerfd)\]$/;
const STANDARD_COUNT = 3;

/**
 * Closes what whoever started us has left open, besides standard input, output and error.
 *
 * A descriptor that came through execve has no close-on-exec. Bun sets that on all of them as it
 * starts, but has nothing open of its own at that time but event descriptors; Deno leaves it.
 * Called before this program opens anything itself. Does nothing where /proc does not tell.
 * @param keep those that were given on purpose
 * @returns what was closed, as /proc names it
 */
export function closeInherited(sys: Libc, keep: readonly number[]): string[] {
  const closed: string[] = [];
  for (const fd of openDescriptors()) {
    if (fd < STANDARD_COUNT || keep.includes(fd)) continue;
    const marks = sys.fcntl(fd, F_GETFD, 0);
    if (marks < 0) continue; // that of the list itself
    const target = targetOf(fd);
    const isOwn = sys.runtime === "bun" ? OWN_KIND.test(target) : (marks & FD_CLOEXEC) !== 0;
    if (isOwn) continue;
    sys.close(fd);
    closed.push(target);
  }
  return closed;
}

/** Lets no program that is started from now on have our descriptors; not all runtimes see to it. */
export function keepDescriptors(sys: Libc): void {
  for (const fd of openDescriptors()) if (fd >= STANDARD_COUNT) sys.fcntl(fd, F_SETFD, FD_CLOEXEC);
}

function openDescriptors(): number[] {
  try {
    return readdirSync("/proc/self/fd").map(Number);
  } catch {
    return [];
  }
}

function targetOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "unknown";
  }
}

/** Fields of /proc/self/stat behind the name of the program, which may have spaces in it. */
const ENVIRONMENT_START_FIELD = 47;

/**
 * Overwrites the environment that the kernel shows of this process. Whoever needs a variable later
 * finds an empty one. Does nothing where /proc does not tell.
 */
export function wipeEnvironment(sys: Libc): void {
  let stat: string;
  try {
    stat = readFileSync("/proc/self/stat", "utf8");
  } catch {
    return; // whoever could read it needs /proc too
  }
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [start, end] = fields.slice(ENVIRONMENT_START_FIELD).map(Number) as [number, number];
  if (start > 0 && end > start) new Uint8Array(sys.view(start, end - start)).fill(0);
}
