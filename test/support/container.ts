/**
 * Runs a root file system as KubeVirt has a sidecar run: namespaces of its own but the network's,
 * process id 1, user and group 107, no capability, no_new_privs, a seccomp profile, everything
 * read-only but the hooks folder. Stands in for a container runtime; see contain.ts for the last
 * steps. Needs root.
 */
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { ROOT } from "./e2e/program.ts";
import { onEnd, type Running, start, until } from "./e2e/shell.ts";

/** User and group of qemu in KubeVirt's images; its sidecars get the same. */
export const USER = 107;
/** Where KubeVirt mounts the hooks folder. */
export const HOOKS_MOUNT = "/var/run/kubevirt-hooks";
const ENTRY = "/usr/bin/slirp-binding";
const DEVICES = ["null", "zero", "full", "random", "urandom", "tty"];
const START_LIMIT_ms = 60_000;
const LIFE_LIMIT_ms = 900_000;

/** The part of a runtime's work that has to be done inside the new mount namespace. */
const MOUNTS = `set -e
root=$1 hooks=$2; shift 2
mount --bind "$root" "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t tmpfs -o nosuid,noexec,mode=755,size=64k dev "$root/dev"
for device in ${DEVICES.join(" ")}; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount --bind "$hooks" "$root${HOOKS_MOUNT}"
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
mount -o remount,bind,ro "$root/etc/resolv.conf"
mount -o remount,bind,ro "$root"
exec "$@"
`;

/** Opened first, as `ip netns exec` hides what is mounted below /sys. */
const CGROUP_FD = "9";
const OPEN_CGROUP = `exec ${CGROUP_FD}>"$1/cgroup.procs"; shift; exec "$@"`;

export interface ContainerOptions {
  /** Root file system; gets the folders that a runtime would mount things on. */
  readonly root: string;
  /** The pod's share of the hooks folder. */
  readonly hooks: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Put before everything, as `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
  readonly seccomp?: string;
  /** Folder of the control group that the program is in. */
  readonly cgroup?: string;
}

export interface Container {
  readonly running: Running;
  /** The program's id out here; in there it is 1. */
  readonly pid: number;
}

/** Places that a runtime makes in the image before it mounts something there. */
function makeMountPoints(root: string): void {
  for (const folder of ["proc", "dev", "sys", "etc", HOOKS_MOUNT]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  writeFileSync(join(root, "etc/resolv.conf"), "");
}

/** Hands a folder to the group of the pod, as the kubelet does with `fsGroup`. */
export function giveToGroup(folder: string): void {
  chownSync(folder, 0, USER);
  chmodSync(folder, 0o2770);
}

/** Starts the image's program and waits until it is that program that runs. */
export async function startContainer(options: ContainerOptions): Promise<Container> {
  const { root, hooks, args, prefix = [], seccomp, cgroup } = options;
  makeMountPoints(root);
  const env = Object.entries({ PATH: "/usr/bin:/bin", HOME: "/", ...options.env });
  const running = start([
    ...(cgroup === undefined ? [] : ["sh", "-c", OPEN_CGROUP, "sh", cgroup]),
    ...prefix,
    ...["unshare", "--mount", "--pid", "--ipc", "--uts", "--propagation", "private"],
    ...["--fork", "--kill-child=SIGKILL", "--"],
    ...["sh", "-c", MOUNTS, "sh", root, hooks],
    // Nothing of the environment of whoever runs the tests.
    ...["env", "-i", ...env.map(([name, value]) => `${name}=${value}`)],
    ...[join(ROOT, "node_modules/.bin/bun"), join(ROOT, "test/support/contain.ts")],
    ...(cgroup === undefined ? [] : ["--cgroup-fd", CGROUP_FD]),
    ...["--root", root, "--user", String(USER)],
    ...(seccomp === undefined ? [] : ["--seccomp", seccomp]),
    ...["--", ENTRY, ...args],
  ]);
  const pid = await until(
    () => (running.ended() ? -1 : descendants(running.pid).find(isEntry)),
    "the container's program",
    START_LIMIT_ms,
  );
  // The tie by which `unshare` takes its child along is cut when that becomes another user.
  const forget = onEnd(() => signal({ running, pid }, "SIGKILL"));
  running.outcome(LIFE_LIMIT_ms).then(forget);
  return { running, pid };
}

function isEntry(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`).endsWith(ENTRY);
  } catch {
    return false; // ended meanwhile
  }
}

/** Processes below this one, parents first. */
function descendants(pid: number): number[] {
  let text = "";
  try {
    text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  } catch {
    // ended meanwhile
  }
  const children = text.split(" ").filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** A line of the kernel's own account of a process, without its name. */
export function statusOf(pid: number, name: string): string {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "";
}

/** Signals the container's program, if it has not ended yet. */
export function signal({ running, pid }: Container, name: NodeJS.Signals): void {
  if (running.ended() || pid <= 0) return;
  try {
    process.kill(pid, name);
  } catch {
    // it has ended, and its end is not told yet
  }
}
