/**
 * Lays out what the image consists of; the build stage of the Containerfile runs it.
 *
 *     node scripts/image-root.mjs FOLDER BASE
 *
 *     FOLDER/usr/bin/slirp-binding                       dist/slirp-binding
 *     FOLDER/usr/share/slirp-binding/{LICENSE,sbom.json}
 *     FOLDER/lib/…, FOLDER/lib64/…   where BASE is "scratch": what it loads, and the loader
 *
 * The loader itself is asked for the libraries: what it lists here is what it will load there, and
 * where it looks.
 */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { writeSbom } from "./sbom.mjs";
import { inRoot, main } from "./shell.mjs";

const BINARY = "dist/slirp-binding";
/** The psABI of each architecture fixes the loader's place. */
const LOADERS = { x64: "/lib64/ld-linux-x86-64.so.2", arm64: "/lib/ld-linux-aarch64.so.1" };
/** Where Debian's glibc package keeps its licence, which has to go with the files. */
const COPYRIGHT = "/usr/share/doc/libc6/copyright";

function install(source, target, mode) {
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.copyFileSync(source, target); // what a link leads to, under the link's name
  fs.chmodSync(target, mode);
}

/** Files that the loader maps for the binary, itself included. */
function libraries() {
  const loader = LOADERS[process.arch];
  if (loader === undefined) throw new Error(`images are not made for "${process.arch}"`);
  const listing = execFileSync(loader, ["--list", inRoot(BINARY)], { encoding: "utf8" });
  const found = [...listing.matchAll(/=> (\/\S+)/g)].map(([, file]) => file);
  return [...new Set([loader, ...found])];
}

main(async () => {
  const [folder, base] = process.argv.slice(2);
  if (folder === undefined || base === undefined) {
    throw new Error("name folder and base: node scripts/image-root.mjs FOLDER BASE");
  }
  writeSbom();
  const share = path.join(folder, "usr/share/slirp-binding");
  install(inRoot(BINARY), path.join(folder, "usr/bin/slirp-binding"), 0o755);
  install(inRoot("dist/sbom.json"), path.join(share, "sbom.json"), 0o644);
  install(inRoot("LICENSE"), path.join(share, "LICENSE"), 0o644);
  if (base !== "scratch") return; // it has a glibc of its own
  for (const file of libraries()) install(file, path.join(folder, file), 0o755);
  if (fs.existsSync(COPYRIGHT)) install(COPYRIGHT, path.join(folder, COPYRIGHT), 0o644);
});
