/** Plays the demonstration as a program, in a folder for temporary files of its own. */
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { keepCaptures } from "./e2e/captures.ts";
import { ourCommand } from "./e2e/program.ts";
import { onEnd, type Running, start } from "./e2e/shell.ts";

const NOBODY = "65534";

/** A demonstration that runs. */
export interface DemoRun {
  readonly running: Running;
  /** What it has left there but captures. */
  left(): readonly string[];
  captures(): readonly string[];
  drop(): void;
}

export interface DemoRunOptions {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** As the user of the test, else as nobody. */
  readonly privileged?: boolean;
  readonly prefix?: readonly string[];
}

export function play({ args, env = {}, privileged = false, prefix = [] }: DemoRunOptions): DemoRun {
  const folder = mkdtempSync(join(tmpdir(), "demo-test-"));
  chmodSync(folder, 0o777);
  const drop = (): void => rmSync(folder, { recursive: true, force: true });
  const forget = onEnd(drop);
  const isRoot = process.getuid?.() === 0;
  const ids = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--no-new-privs"];
  const user = isRoot && !privileged ? ["setpriv", ...ids] : [];
  const home = join(folder, "home"); // Deno keeps a cache there
  const running = start([...prefix, ...user, ...ourCommand(), "demo", ...args], {
    env: { TMPDIR: folder, HOME: home, XDG_CACHE_HOME: home, ...env },
  });
  const entries = (): string[] => readdirSync(folder).filter((name) => name !== "home");
  const captures = (): string[] =>
    entries()
      .filter((name) => name.endsWith(".pcap"))
      .map((name) => join(folder, name));
  return {
    running,
    left: () => entries().filter((name) => !name.endsWith(".pcap")),
    captures,
    drop: () => {
      forget();
      keepCaptures(captures());
      drop();
    },
  };
}

export function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}
