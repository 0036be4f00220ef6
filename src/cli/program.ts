/** How this very program is started again, and what it draws for an engine. */
import { randomBytes } from "node:crypto";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";

const MAIN = new URL("../main.ts", import.meta.url);
const isBinary = MAIN.pathname.startsWith("/$bunfs/");

/** Octets of the seed that a network's engine starts with. */
const SEED_SIZE = 32;

/** A seed that nobody else knows. */
export function drawSeed(): readonly number[] {
  return [...randomBytes(SEED_SIZE)];
}

/** The user that started the program, whatever it becomes later. */
export function ownUid(): number {
  return process.getuid?.() ?? 0; // there is one wherever there are system calls
}

/** Folder for sockets of the user's own, if he has one; gone once the environment is wiped. */
export function ownRuntimeDir(): string | undefined {
  const { XDG_RUNTIME_DIR: runtimeDir } = process.env;
  return runtimeDir;
}

/** What `doctor` looks at that is this process' own: the machine as it is, now. */
export function ownSurroundings() {
  return {
    root: "",
    uid: ownUid(),
    gid: process.getgid?.() ?? 0,
    now_ms: Date.now(),
    clock: () => performance.now(),
    program: process.execPath,
  };
}

/** What the runtime needs to be told before the file; Node only runs this with a loader. */
function runtimeArguments(): readonly string[] {
  if ("Deno" in globalThis) return ["run", "-A"];
  return "Bun" in globalThis ? [] : process.execArgv;
}

/** Its command line without arguments. From source the runtime needs to be told which file. */
export function ownCommand(): string[] {
  if (isBinary) return [process.execPath];
  return [process.execPath, ...runtimeArguments(), fileURLToPath(MAIN)];
}

/** The same for people, to be typed in the current folder. */
export function shownCommand(): string {
  if (isBinary) return process.argv0;
  const runtime = "Deno" in globalThis ? "deno" : "Bun" in globalThis ? "bun" : "node";
  const file = relative(process.cwd(), fileURLToPath(MAIN));
  return [runtime, ...runtimeArguments(), file].join(" ");
}

/**
 * Whoever has asked the program has gone: pages of its file that answering has needed are let go
 * when nobody has come again for some seconds.
 */
export async function forgetPagesLater(): Promise<void> {
  const [{ loadLibc }, { releaseProgramPagesLater }] = await Promise.all([
    import("../sys/libc.ts"),
    import("../sys/resident.ts"),
  ]);
  releaseProgramPagesLater(await loadLibc(), process.execPath);
}
