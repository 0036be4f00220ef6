/** What the tests of the command line share. */
import assert from "node:assert/strict";
import type { Command } from "../../src/cli/commands.ts";
import { parseCommandLine } from "../../src/cli/options.ts";
import type { Environment } from "../../src/config/option.ts";

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
