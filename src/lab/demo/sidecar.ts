/**
 * The real sidecar: `serve` of this very program as a process of its own, with a hooks folder that
 * is there for the time of the demonstration only.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ownCommand } from "../../cli/program.ts";
import { deferred } from "../../lib/deferred.ts";
import { isListening } from "../../lib/unix-socket.ts";

const CONTAINER_NAME = "hook-sidecar-0";
/** The hooks folder as virt-launcher's container has it mounted. */
const MOUNTED = `/var/run/kubevirt-hooks/${CONTAINER_NAME}/`;
const START_LIMIT_MS = 20_000;
const END_LIMIT_MS = 5_000;
const POLL_MS = 3;
const LOG_LINES_SHOWN = 8;

export interface SidecarOptions {
  /** Arguments of `serve` but for the folder. */
  readonly args: readonly string[];
  /** First port of the link `client`. */
  readonly loopbackPort: number;
}

export class Sidecar {
  readonly #child: ChildProcess;
  readonly #ended = deferred<string>();
  readonly folder: string;
  #log = "";
  #isOver = false;

  constructor({ args, loopbackPort }: SidecarOptions) {
    this.folder = mkdtempSync(join(tmpdir(), "slirp-demo-"));
    const [program = "", ...first] = ownCommand();
    // The demo's world has no resolver of the machine's.
    const given = ["--hooks-dir", this.folder, "--log-format", "pretty", "--no-checks", ...args];
    const argv = [...first, "serve", ...given];
    this.#child = spawn(program, argv, {
      stdio: ["ignore", "ignore", "pipe"],
      env: environment(loopbackPort),
    });
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.#log += chunk.toString();
    });
    const end = (words: string): void => {
      this.#isOver = true;
      this.#ended.resolve(words);
    };
    this.#child.once("error", (error) => end(error.message));
    this.#child.once("exit", (code, signal) => end(signal ?? `exit code ${code}`));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Resolves with how it ended, as words. */
  get ended(): Promise<string> {
    return this.#ended.promise;
  }

  /** Last lines of its log. */
  get log(): readonly string[] {
    return this.#log.trimEnd().split("\n").slice(-LOG_LINES_SHOWN);
  }

  /** Path of its socket as soon as it is there. */
  async socket(): Promise<string> {
    const deadline_ms = performance.now() + START_LIMIT_MS;
    for (;;) {
      const name = readdirSync(this.folder).find((each) => each.endsWith(".sock"));
      const path = join(this.folder, name ?? "");
      // A socket has a name a moment before it listens.
      if (name !== undefined && (await isListening(path))) return path;
      if (this.#isOver) throw new Error(`The sidecar did not start: ${await this.ended}`);
      if (performance.now() > deadline_ms) throw new Error("The sidecar's socket did not appear");
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Where a path of a domain is on this machine, which has no pod to mount folders. */
  localPath(path: string): string {
    return path.startsWith(MOUNTED) ? join(this.folder, path.slice(MOUNTED.length)) : path;
  }

  /** What is in the hooks folder. */
  leftovers(): readonly string[] {
    return readdirSync(this.folder);
  }

  /** Ends it if it has not ended, and removes the folder. May be called again. */
  async remove(): Promise<void> {
    if (!this.#isOver) {
      this.#child.kill("SIGINT");
      const timer = setTimeout(() => this.#child.kill("SIGKILL"), END_LIMIT_MS);
      await this.ended;
      clearTimeout(timer);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** As KubeVirt sets it, and nothing of what the user has for programs of his own. */
function environment(loopbackPort: number): Record<string, string> {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("SLIRP_"));
  const base = Object.fromEntries(own.flatMap(([name, text]) => (text ? [[name, text]] : [])));
  return {
    ...base,
    CONTAINER_NAME,
    NETWORK_BINDING_PLUGIN_NAME: "slirp",
    SLIRP_LOOPBACK_PORT: String(loopbackPort),
  };
}
