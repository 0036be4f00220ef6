/**
 * Completes package-lock.json for platforms whose packages the registry in use does not carry.
 *
 * npm leaves an optional platform package out of the lockfile when its metadata cannot be read, and
 * `npm ci` then refuses that lockfile as out of step with package.json. Each such package gets an
 * entry with the exact version its parent asks for and the platform its name tells, so `npm ci`
 * passes it over everywhere but on that platform. npm is asked for its checksum: what has none
 * could be anything by the time somebody on that platform installs it. Run after every change of a
 * dependency: `npm install --package-lock-only && npm run lock`.
 */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const OS = ["aix", "android", "darwin", "freebsd", "linux", "openharmony", "sunos", "win32"];
const CPU = ["arm", "arm64", "ia32", "loong64", "ppc64", "riscv64", "s390x", "wasm32", "x64"];
/** Other names of the same, as some packages have them. */
const ALIASES = { aarch64: "arm64", armv7: "arm" };

function platform(name) {
  const words = name
    .split("/")
    .at(-1)
    .split("-")
    .map((word) => ALIASES[word] ?? word);
  const os = words.filter((word) => OS.includes(word));
  const cpu = words.filter((word) => CPU.includes(word));
  if (os.length !== 1 || cpu.length !== 1) {
    throw new Error(`complete the lockfile by hand: no platform in the name "${name}"`);
  }
  const last = words.at(-1);
  const libc = last.startsWith("musl") ? ["musl"] : /^(gnu|glibc)/.test(last) ? ["glibc"] : null;
  return { os, cpu, ...(libc !== null && os[0] === "linux" ? { libc } : {}) };
}

export function completeLock(lock) {
  const packages = lock.packages;
  for (const parent of Object.values({ ...packages })) {
    for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
      const key = `node_modules/${name}`;
      if (packages[key] !== undefined) continue;
      const dev = parent.dev === true ? { dev: true } : {};
      packages[key] = { version, ...dev, optional: true, ...platform(name) };
    }
  }
  const sorted = Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, "en"));
  return { ...lock, packages: Object.fromEntries(sorted) };
}

/** Entries that npm would install without a checksum. */
export function unsealed(lock) {
  const names = Object.keys(lock.packages).filter((key) => key !== "");
  return names.filter((key) => !/^sha512-[\w+/]{86}==$/.test(lock.packages[key].integrity ?? ""));
}

/** Adds the checksums that are missing. Throws where npm does not tell one. */
function sealLock(lock) {
  for (const key of unsealed(lock)) {
    const entry = lock.packages[key];
    const name = `${key.slice(key.lastIndexOf("node_modules/") + "node_modules/".length)}`;
    const args = ["view", `${name}@${entry.version}`, "dist.integrity"];
    entry.integrity = execFileSync("npm", args, { encoding: "utf8" }).trim();
  }
  const [left] = unsealed(lock);
  if (left !== undefined) throw new Error(`npm tells no SHA-512 of "${left}"`);
  return lock;
}

const file = fileURLToPath(new URL("../package-lock.json", import.meta.url));
if (process.argv[1] !== undefined && path.resolve(process.argv[1]) === import.meta.filename) {
  const lock = sealLock(completeLock(JSON.parse(fs.readFileSync(file, "utf8"))));
  fs.writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
}
