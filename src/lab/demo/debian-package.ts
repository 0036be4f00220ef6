/**
 * Debian packages that are fetched and unpacked into a folder, where they stay for the next time;
 * nothing is installed, and no privilege is needed.
 *
 * Packages of another architecture than this system's come by way of apt settings and lists of
 * their own, in the same folder, so that the system is not told of that architecture.
 */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";

const COMMAND_LIMIT_MS = 300_000;

export interface PackageChoice {
  /** Take the package that `name` depends on first: names of kernels stand for the latest. */
  readonly viaDependency?: boolean;
  /** Debian's name of an architecture; without it the system's own. */
  readonly architecture?: string;
}

/**
 * Folder with what the Debian package `name` would install.
 *
 * @param place where packages are unpacked; made where it is missing
 * @throws {Error} with what apt or dpkg said
 */
export function unpackedPackage(place: string, name: string, choice: PackageChoice = {}): string {
  const cache = resolve(place); // commands below run in a folder of their own
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const settings = choice.architecture === undefined ? [] : foreign(cache, choice.architecture);
  const work = mkdtempSync(join(cache, "fetch-"));
  try {
    const wanted = choice.viaDependency === true ? firstDependency(cache, settings, name) : name;
    command(["apt-get", "-q", ...settings, "download", wanted], work);
    const file = readdirSync(work).find((entry) => entry.endsWith(".deb"));
    if (file === undefined) throw new Error(`apt-get brought no file for "${wanted}"`);
    command(["dpkg-deb", "-x", join(work, file), join(work, "root")], work);
    // Another run may have been faster.
    if (!existsSync(folder)) renameSync(join(work, "root"), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

/** Settings of apt for packages of another architecture; fetches their lists once. */
function foreign(cache: string, architecture: string): string[] {
  const place = join(cache, `apt-${architecture}`);
  const values = {
    "APT::Architecture": architecture,
    "APT::Architectures": architecture,
    "Dir::State": join(place, "state"),
    "Dir::State::status": join(place, "status"),
    "Dir::Cache": join(place, "cache"),
    // As root, apt would fetch as a user who may not enter this folder.
    "APT::Sandbox::User": "root",
  };
  const settings = Object.entries(values).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  const done = join(place, "lists-fetched");
  if (existsSync(done)) return settings;
  mkdirSync(join(place, "state/lists/partial"), { recursive: true });
  mkdirSync(join(place, "cache/archives/partial"), { recursive: true });
  writeFileSync(join(place, "status"), "");
  try {
    command(["apt-get", "-q", ...settings, "update"], place);
  } catch {
    // A source that has nothing for this architecture makes the whole update fail; what is missing
    // then is told by the download.
  }
  if (readdirSync(join(place, "state/lists")).some((name) => name.includes("_Packages"))) {
    writeFileSync(done, "");
  }
  return settings;
}

/** Runs a command of the set-up; its output. Throws with what it said when it fails. */
function command([file = "", ...args]: readonly string[], folder: string): string {
  const options = { cwd: folder, encoding: "utf8", timeout: COMMAND_LIMIT_MS } as const;
  const { status, stdout, stderr, error } = spawnSync(file, args, options);
  if (status === 0) return stdout;
  throw new Error(`"${[file, ...args].join(" ")}" gave ${status}: ${error?.message ?? stderr}`);
}

function firstDependency(cache: string, settings: readonly string[], name: string): string {
  const listing = command(["apt-cache", ...settings, "depends", "--important", name], cache);
  const found = /Depends: (linux-image-\S+)/.exec(listing)?.[1];
  if (found === undefined) throw new Error(`Package "${name}" names no kernel: ${listing}`);
  return found;
}
