/**
 * A copy of the project's files in a folder of its own, where mutants are put in place and tests
 * are run, so that the project's tree is never changed.
 *
 * What runs here is broken on purpose: it may signal, delete or configure what it should not, or
 * never end. Where this process may make namespaces, each run has process ids and a network of its
 * own, and ends with all its descendants; memory and the size of files are limited everywhere.
 */
import {
  type ChildProcess,
  type ChildProcessByStdio,
  execFileSync,
  spawn,
  spawnSync,
} from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import type { Readable } from "node:stream";

/** What is not copied: too big, and the same for every mutant. */
const SHARED = ["node_modules", "dist", "build"];
const LIMITS = ["prlimit", `--data=${4 * 2 ** 30}`, `--fsize=${2 ** 30}`];
const ALONE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--net"];
/**
 * With a loopback, without the named namespaces that a run before has left, and with a /dev/null
 * that no file can replace, being a mount: a mutant of `lib/output-file.ts` did that once.
 */
const SET_UP = [
  "ip link set lo up",
  "mkdir -p /run/netns",
  "mount -t tmpfs tmpfs /run/netns",
  "mount --bind /dev/null /dev/null",
].join(" && ");
const FRESH = ["sh", "-c", `${SET_UP} && exec "$@"`, "sh"];
/** Says that all is ready for the command; what fails before is no verdict on a mutant. */
const READY = "ready\n";
const THEN = ["sh", "-c", 'echo ready && exec "$@"', "sh"];
/** Exit codes of a shell that cannot run the command. */
const NOT_RUN = [126, 127];

export interface Outcome {
  readonly state: "passed" | "failed" | "late";
  readonly spent_ms: number;
  readonly output: string;
  /** The longest time in which nothing was put out. */
  readonly silence_ms: number;
}

export interface Command {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly limit_ms: number;
  /** For what puts something out all the time: how long it may put out nothing. */
  readonly silence_ms?: number;
}

/** The project's files as they are now, those not yet added to the repository among them. */
function files(root: string): string[] {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
  const listed = execFileSync("git", args, { cwd: root, encoding: "utf8", maxBuffer: 2 ** 26 });
  return listed.split("\0").filter((file) => file !== "" && !SHARED.includes(file));
}

/** What to put before a command so that it can do no harm; found out once. */
function containment(): readonly string[] {
  const { status } = spawnSync("unshare", [...ALONE.slice(1), ...FRESH, "true"]);
  if (status === 0) return [...LIMITS, ...ALONE, ...FRESH];
  process.stderr.write("mutants: no right to make namespaces, mutants run among everything else\n");
  return LIMITS;
}

/** What a program puts out, and how long it puts out nothing. */
class Output {
  readonly #chunks: Buffer[] = [];
  #last_ms = performance.now();
  silence_ms = 0;

  constructor({ stdout, stderr }: ChildProcessByStdio<null, Readable, Readable>, told: () => void) {
    const take = (chunk: Buffer): void => {
      this.#chunks.push(chunk);
      const now_ms = performance.now();
      this.silence_ms = Math.max(this.silence_ms, now_ms - this.#last_ms);
      this.#last_ms = now_ms;
      told();
    };
    stdout.on("data", take);
    stderr.on("data", take);
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString();
  }
}

let contained: readonly string[] | undefined;

export class Arena {
  readonly folder: string;
  /** Of files that are changed, what they were; the project may have moved on meanwhile. */
  readonly #originals = new Map<string, string | undefined>();
  readonly #temporary: string;
  #child: ChildProcess | undefined;

  /**
   * @param root the project
   * @param parent where the copy is made; short, for sockets are made below it
   * @param shared folders that are the project's own; those of them left out are not there
   */
  constructor(root: string, parent: string, shared: readonly string[] = SHARED) {
    const place = mkdtempSync(join(parent, "mutants-"));
    chmodSync(place, 0o755); // some tests are other users'
    this.folder = join(place, "p");
    this.#temporary = join(place, "t");
    mkdirSync(this.folder);
    for (const file of files(root)) {
      if (!existsSync(join(root, file))) continue; // deleted, and not yet so in the repository
      mkdirSync(join(this.folder, dirname(file)), { recursive: true });
      copyFileSync(join(root, file), join(this.folder, file));
    }
    for (const name of shared) symlinkSync(join(root, name), join(this.folder, name));
  }

  /** Puts content in a file's place, or in a place where no file is. */
  write(file: string, content: string | Uint8Array): void {
    const path = join(this.folder, file);
    if (!this.#originals.has(file)) {
      this.#originals.set(file, existsSync(path) ? readFileSync(path, "utf8") : undefined);
    }
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }

  /** The file as it was before it was written; gone where there was none. */
  restore(file: string): void {
    const [path, original] = [join(this.folder, file), this.#originals.get(file)];
    if (original !== undefined) writeFileSync(path, original);
    else if (this.#originals.has(file)) rmSync(path);
    this.#originals.delete(file);
  }

  /**
   * Runs a command in the copy, and ends it and its descendants when its time is over.
   * @throws {Error} where it could not be run
   */
  async run({ command, env, limit_ms, silence_ms }: Command): Promise<Outcome> {
    contained ??= containment();
    rmSync(this.#temporary, { recursive: true, force: true });
    mkdirSync(this.#temporary);
    chmodSync(this.#temporary, 0o1777);
    const began_ms = performance.now();
    const [program = "", ...args] = [...contained, ...THEN, ...command];
    const child = spawn(program, args, {
      cwd: this.folder,
      env: { ...process.env, ...env, TMPDIR: this.#temporary, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#child = child;
    let late = false;
    const end = (): void => {
      late = true;
      this.#kill();
    };
    const timer = setTimeout(end, limit_ms);
    const watch = silence_ms === undefined ? undefined : setTimeout(end, silence_ms);
    const output = new Output(child, () => watch?.refresh());
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on("error", reject);
      // Not "close": a descendant that got away may keep the pipes open.
      child.on("exit", resolve);
    });
    clearTimeout(timer);
    clearTimeout(watch);
    this.#kill();
    this.#child = undefined;
    const said = output.text();
    if (!said.startsWith(READY) || (!late && NOT_RUN.includes(code ?? 0))) {
      throw new Error(`cannot run "${command.join(" ")}": ${said}`);
    }
    return {
      state: late ? "late" : code === 0 ? "passed" : "failed",
      spent_ms: performance.now() - began_ms,
      output: said.slice(READY.length),
      silence_ms: output.silence_ms,
    };
  }

  #kill(): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // the group has ended
    }
  }

  /** Ends what runs, and takes the copy away. */
  close(): void {
    this.#kill();
    rmSync(dirname(this.folder), { recursive: true, force: true });
  }
}
