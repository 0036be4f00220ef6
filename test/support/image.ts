/**
 * Images for the test of the Containerfile, on a machine that can pull none: stand-ins for its two
 * bases, made of files of this machine, in a store of buildah's that is ours alone.
 *
 * The stand-in for the build's base has Node, a shell, and an `npm` whose "run build" hands out the
 * binary that is in `dist` already: the build itself has tests of its own. All else is the real
 * thing: the very Containerfile, with other names for its bases, and npm where it lists packages.
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { packagedProgram } from "../../src/lab/demo/guest-image.ts";
import { ROOT } from "./e2e/program.ts";
import { onEnd } from "./e2e/shell.ts";
import { CACHE } from "./qemu.ts";

const LIMIT_ms = 300_000;
const NPM = `#!/bin/sh
[ "$1" = sbom ] && exec node /npm/bin/npm-cli.js "$@"
[ "$*" = "run build" ] && mkdir -p dist && cp /built/* dist/
`;
/** What the binary loads, where Debian's package has it. */
const GLIBC = [
  "lib64/ld-linux-x86-64.so.2",
  ...["libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2"].map(
    (name) => `lib/x86_64-linux-gnu/${name}`,
  ),
];

/** Where this machine's npm is, whose program is in the folder "bin" of it. */
function npmFolder(): string {
  const { stdout } = spawnSync("sh", ["-c", "command -v npm"], { encoding: "utf8" });
  return dirname(dirname(realpathSync(stdout.trim())));
}

export interface BuiltImage {
  /** Copy of the root file system. */
  readonly root: string;
  /** What the build printed as its result. */
  readonly listing: string;
  /** The configuration, as OCI has it. */
  readonly config: unknown;
}

/** A store of images; `remove` takes all of it away. */
export class ImageStore {
  readonly #folder = mkdtempSync(join(tmpdir(), "slirp-image-"));
  readonly #forget = onEnd(() => this.remove());
  #count = 0;

  /** Stand-in for BUILD_BASE; its name. */
  buildBase(): string {
    const folder = this.#newFolder();
    const busybox = packagedProgram(CACHE, "busybox-static", "bin/busybox");
    install(busybox, join(folder, "bin/busybox"));
    for (const name of ["sh", "cp", "mkdir"]) symlinkSync("busybox", join(folder, "bin", name));
    install(process.execPath, join(folder, "bin/node"));
    const { stdout } = spawnSync("ldd", [process.execPath], { encoding: "utf8" });
    for (const file of stdout.match(/\/\S+\.so\S*/g) ?? []) install(file, join(folder, file));
    writeFileSync(join(folder, "bin/npm"), NPM, { mode: 0o755 });
    cpSync(npmFolder(), join(folder, "npm"), { recursive: true, dereference: true });
    install(join(ROOT, "dist/slirp-binding"), join(folder, "built/slirp-binding"));
    mkdirSync(join(folder, "tmp"));
    return this.#commit(folder, "localhost/build-base");
  }

  /** Stand-in for BASE: glibc as Debian has it, of what the binary needs no more; its name. */
  glibcBase(): string {
    const folder = this.#newFolder();
    for (const file of GLIBC) install(packagedProgram(CACHE, "libc6", file), join(folder, file));
    return this.#commit(folder, "localhost/glibc-base");
  }

  /** Runs `npm run image`'s script. */
  build(buildBase: string, base?: string): BuiltImage {
    const root = join(this.#newFolder(), "root");
    const tag = `localhost/slirp-test:${this.#count}`;
    const listing = output([
      ...[process.execPath, join(ROOT, "scripts/image.mjs"), "--storage", this.#folder],
      ...["--tag", tag, "--build-base", buildBase, "--export", root],
      ...(base === undefined ? [] : ["--base", base]),
    ]);
    const inspected = JSON.parse(output(this.#buildah("inspect", "--type", "image", tag)));
    return { root, listing, config: inspected.OCIv1.config };
  }

  remove(): void {
    this.#forget();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #newFolder(): string {
    this.#count += 1;
    const folder = join(this.#folder, `work-${this.#count}`);
    mkdirSync(folder);
    return folder;
  }

  #buildah(...args: readonly string[]): string[] {
    const places = ["--root", join(this.#folder, "root"), "--runroot", join(this.#folder, "run")];
    return ["buildah", "--storage-driver", "vfs", ...places, ...args];
  }

  #commit(folder: string, name: string): string {
    const container = output(this.#buildah("from", "scratch")).trim();
    output(this.#buildah("copy", "--quiet", container, folder, "/"));
    output(this.#buildah("config", "--env", "PATH=/bin", container));
    output(this.#buildah("commit", "--quiet", "--rm", container, name));
    rmSync(folder, { recursive: true });
    return name;
  }
}

function install(source: string, target: string): void {
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(source, target); // what a link leads to, under the link's name
  chmodSync(target, 0o755);
}

/** Runs a command; its output. Throws with what it said when it fails. */
function output([file = "", ...args]: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(file, args, { encoding: "utf8", timeout: LIMIT_ms });
  if (status === 0) return stdout;
  throw new Error(`"${[file, ...args].join(" ")}" gave ${status}: ${stderr}`);
}
