/** What the tests of the command line share. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "../../src/cli/command.ts";
import { parseCommandLine } from "../../src/cli/options.ts";
import { ownCommand } from "../../src/cli/program.ts";
import type { Environment } from "../../src/config/option.ts";
import { type Outcome, type Running, start, until } from "../support/e2e/shell.ts";

export function parse(argv: readonly string[], env: Environment = {}): Command {
  return parseCommandLine(argv, env, false);
}

export function describeOf(command: Command): string {
  return command.kind === "error" ? command.message : command.kind;
}

export function errorOf(argv: readonly string[], env: Environment = {}): string {
  const command = parse(argv, env);
  assert.equal(command.kind, "error");
  const message = describeOf(command);
  assert.doesNotMatch(message, /\n|\.$/, "one line without a period");
  return message;
}

export function variable(name: string): string {
  return `SLIRP_${name.toUpperCase().replaceAll("-", "_")}`;
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Descriptor of the program that says when it is ready. */
export const READY_FD = "3";
const END_LIMIT_ms = 20_000;

/** This program from source under the runtime of the test, in a folder for all users. */
export class Program {
  readonly folder = mkdtempSync(join(tmpdir(), "slirp-cli-"));
  #running: Running | undefined;

  constructor() {
    chmodSync(this.folder, 0o777);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /**
   * Starts it. What it writes to `READY_FD` goes into the file "ready".
   * @param before shell commands, with "$@" as the program's command line
   */
  start(args: readonly string[], before = 'exec "$@"', command = ownCommand()): Running {
    const ready = this.path("ready");
    rmSync(ready, { force: true });
    const shell = ["sh", "-c", `exec ${READY_FD}>'${ready}'; ${before}`, "sh"];
    this.#running = start([...shell, ...command, ...args], { env: { SLIRP_SECRET: "x" } });
    return this.#running;
  }

  /** Resolves once it has said that it is ready. */
  async ready(): Promise<void> {
    const [file, running] = [this.path("ready"), this.running];
    const isReady = (): boolean => existsSync(file) && readFileSync(file, "utf8") !== "";
    await until(
      () => isReady() || running.ended(),
      () => `ready: ${running.stderr()}`,
    );
    assert.ok(isReady(), `not ready: ${running.stderr()}`);
    assert.equal(readFileSync(file, "utf8"), "1");
  }

  /** Resolves to the first match in its log. */
  async logs(pattern: RegExp): Promise<RegExpExecArray> {
    const { running } = this;
    const found = (): RegExpExecArray | null => pattern.exec(running.stderr());
    await until(
      () => found() !== null || running.ended(),
      () => `${pattern}: ${running.stderr()}`,
    );
    const match = found();
    assert.ok(match, `${pattern} is not in ${running.stderr()}`);
    return match;
  }

  /** Its log in JSON: the fields of the line with this message. */
  fields(message: string): Readonly<Record<string, unknown>> | undefined {
    const lines = this.running.stderr().split("\n");
    const [line] = lines.filter((each) => each.includes(`"msg":"${message}"`));
    return line === undefined ? undefined : JSON.parse(line);
  }

  /** Not by the runtime's handle of the child: Deno then says of every end that it was by it. */
  signal(name: NodeJS.Signals): void {
    process.kill(this.running.pid, name);
  }

  get running(): Running {
    assert.ok(this.#running);
    return this.#running;
  }

  outcome(): Promise<Outcome> {
    return this.running.outcome(END_LIMIT_ms);
  }

  remove(): void {
    if (this.#running?.ended() === false) this.signal("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Has a program until the work with it is done. */
export async function withProgram(work: (program: Program) => Promise<void>): Promise<void> {
  const program = new Program();
  try {
    await work(program);
  } finally {
    program.remove();
  }
}
