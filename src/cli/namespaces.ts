/** The namespaces that `run` makes: which ones, and why they cannot be made. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mayMakeNamespaces } from "../sys/privileges.ts";

/** unshare(1) of util-linux. */
export const UNSHARE = "unshare";
const PROBE_LIMIT_ms = 10_000;
const REMEDY_OTHERWISE = "start as root, or let this user and container make user namespaces";

/** Why users may not make namespaces: setting, value that forbids it, what to do. */
const SETTINGS: readonly (readonly [path: string, value: string, remedy: string])[] = [
  ["kernel/unprivileged_userns_clone", "0", "set kernel.unprivileged_userns_clone to 1"],
  ["user/max_user_namespaces", "0", "raise user.max_user_namespaces"],
  ["user/max_net_namespaces", "0", "raise user.max_net_namespaces"],
  ["user/max_mnt_namespaces", "0", "raise user.max_mnt_namespaces"],
  [
    "kernel/apparmor_restrict_unprivileged_userns",
    "1",
    "set kernel.apparmor_restrict_unprivileged_userns to 0, or give this program an AppArmor " +
      'profile with "userns,"',
  ],
];

/**
 * Arguments of unshare(1).
 * @param mapRoot be root inside, where a user namespace is needed
 * @param mayMake whether it can be done without a user namespace
 */
export function namespaceFlags(
  mapRoot: boolean,
  mayMake: boolean = mayMakeNamespaces(),
): readonly string[] {
  const own = ["--net", "--mount"];
  if (mayMake) return own;
  // Capabilities are kept until the command is started, where the user is not root.
  const user = mapRoot ? ["--map-root-user"] : ["--map-current-user", "--keep-caps"];
  return ["--user", ...user, ...own];
}

/**
 * What is in the way, and what to do about it; undefined when they can be made.
 * @param readSetting reads a setting of the kernel by its path below /proc/sys
 */
export function findObstacle(
  flags: readonly string[],
  readSetting: (path: string) => string | undefined = readSystemSetting,
): string | undefined {
  const env = { PATH: process.env["PATH"] };
  const { error, status, stderr } = spawnSync(UNSHARE, [...flags, "--", "true"], {
    env,
    stdio: ["ignore", "ignore", "pipe"],
    timeout: PROBE_LIMIT_ms,
    encoding: "utf8",
  });
  if (error !== undefined && "code" in error && error.code === "ENOENT") {
    return `install "${UNSHARE}" of util-linux`;
  }
  if (status === 0) return undefined;
  const remedy = SETTINGS.find(([path, value]) => readSetting(path) === value)?.[2];
  const words = stderr.trim().replace(/^unshare: /, "") || (error?.message ?? `code ${status}`);
  return `${words}; ${remedy ?? REMEDY_OTHERWISE}`;
}

function readSystemSetting(path: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${path}`, "utf8").trim();
  } catch {
    return undefined;
  }
}
