/**
 * Builds the sidecar's image with buildah and prints what is in it.
 *
 *     npm run image [-- [--tag NAME] [--build-base IMAGE] [--base IMAGE] [--export FOLDER]
 *                       [--storage FOLDER]]
 *
 *     --tag         name of the image (default slirp-binding:VERSION)
 *     --build-base  the image that the binary is built in; see Containerfile
 *     --base        the image that the binary is put on; see Containerfile
 *     --export      also copies the root file system to this folder, which must be empty
 *     --storage     keeps buildah's images there and not where it usually does
 *
 * Storage driver vfs and isolation chroot ask least of the machine: no overlay, no namespaces.
 */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { inRoot, main, ROOT } from "./shell.mjs";

const MIB = 2 ** 20;
const NAMES = ["tag", "build-base", "base", "export", "storage"];

function asked() {
  const options = Object.fromEntries(NAMES.map((name) => [name, { type: "string" }]));
  const { values } = parseArgs({ options, strict: true });
  const { version } = JSON.parse(fs.readFileSync(inRoot("package.json"), "utf8"));
  return { ...values, version, tag: values.tag ?? `slirp-binding:${version}` };
}

function storageFlags(storage) {
  const places = ["--root", `${storage}/root`, "--runroot", `${storage}/run`];
  return ["--storage-driver", "vfs", ...(storage === undefined ? [] : places)];
}

/** Runs buildah; what it printed, where that is wanted. */
function buildah(flags, args, stdout = "pipe") {
  try {
    const stdio = ["ignore", stdout, "inherit"];
    return execFileSync("buildah", [...flags, ...args], { cwd: ROOT, encoding: "utf8", stdio });
  } catch (error) {
    if (error.code !== "ENOENT") throw new Error(`buildah ${args[0]} failed`);
    throw new Error(
      "install buildah (Debian package buildah), " +
        'or build with what you have: "docker build --file Containerfile ."',
    );
  }
}

/** The commit this is built from, where the project is a clone and git is here. */
function revision() {
  try {
    const stdio = ["ignore", "pipe", "ignore"];
    const said = execFileSync("git", ["rev-parse", "HEAD"], { cwd: ROOT, encoding: "utf8", stdio });
    return said.trim();
  } catch {
    return "unknown";
  }
}

function build(options, flags) {
  const values = {
    VERSION: options.version,
    REVISION: revision(),
    BUILD_BASE: options["build-base"],
    BASE: options.base,
  };
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  const settings = given.flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]);
  const how = ["--isolation", "chroot", "--layers=false"];
  const what = ["--file", "Containerfile", "--tag", options.tag, "."];
  // buildah's own words go where ours go, as standard output is for the result.
  buildah(flags, ["build", ...how, ...settings, ...what], 2);
}

/** Every file, folder and link below a folder, each with its size in octets. */
function* entriesBelow(folder, below = "") {
  for (const entry of fs.readdirSync(path.join(folder, below), { withFileTypes: true })) {
    const place = path.join(below, entry.name);
    const { size, mode } = fs.lstatSync(path.join(folder, place));
    yield { place, size: entry.isFile() ? size : 0, mode, isFolder: entry.isDirectory() };
    if (entry.isDirectory()) yield* entriesBelow(folder, place);
  }
}

function print(root, tag) {
  let total = 0;
  for (const { place, size, mode, isFolder } of entriesBelow(root)) {
    total += size;
    const octets = isFolder ? "" : String(size);
    const rights = (mode & 0o7777).toString(8).padStart(4, "0");
    process.stdout.write(`${octets.padStart(12)}  ${rights}  /${place}${isFolder ? "/" : ""}\n`);
  }
  process.stdout.write(`${tag}: ${(total / MIB).toFixed(1)} MiB\n`);
}

main(async () => {
  const options = asked();
  const flags = storageFlags(options.storage);
  build(options, flags);
  const container = buildah(flags, ["from", "--pull-never", options.tag]).trim();
  try {
    const root = buildah(flags, ["mount", container]).trim();
    print(root, options.tag);
    if (options.export !== undefined) fs.cpSync(root, options.export, { recursive: true });
  } finally {
    buildah(flags, ["rm", container]);
  }
});
