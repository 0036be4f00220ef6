/** The command lines of the commands besides `attach`; options.test.ts has that one's. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { Command } from "../../src/cli/command.ts";
import { parseCommandLine } from "../../src/cli/options.ts";
import { readDemoOptions } from "../../src/config/demo.ts";
import type { Environment } from "../../src/config/option.ts";
import { readSimulateOptions } from "../../src/config/simulate.ts";
import { HELP_COMMANDS, helpFile, helpOf } from "../config/help-texts.ts";
import { settingsOf } from "../config/support.ts";

function parse(argv: readonly string[], env: Environment = {}): Command {
  return parseCommandLine(argv, env, false);
}

function errorOf(argv: readonly string[], env: Environment = {}): string {
  const command = parse(argv, env);
  assert.ok(command.kind === "error");
  return command.message;
}

describe("the other commands", () => {
  test("serve takes its options from arguments, their variables and KubeVirt", () => {
    const env = { SLIRP_HOOKS_DIR: "/a", SLIRP_GRACE: "9", CONTAINER_NAME: "hook-sidecar-0" };
    const command = parse(["serve", "--grace", "5", "--link", "user"], env);
    assert.ok(command.kind === "serve");
    const { hooksDir, graceSeconds, hooks } = command.options;
    assert.deepEqual([hooksDir, graceSeconds, hooks.link], ["/a", 5, "user"]);
    assert.equal(hooks.containerName, "hook-sidecar-0");
    assert.deepEqual(
      [command.options.rights.user, command.options.rights.seccomp],
      [undefined, true],
    );
    const told = parse(["serve", "--user", "107"], { SLIRP_NO_SECCOMP: "1" });
    assert.ok(told.kind === "serve");
    assert.deepEqual(told.options.rights.user, { uid: 107, gid: 107 });
    assert.equal(told.options.rights.seccomp, false);
  });

  test("serve refuses what it cannot use", () => {
    assert.match(errorOf(["serve", "--grace", "x"]), /^parse --grace "x": wanted an integer from/);
    assert.match(errorOf(["serve"], { CONTAINER_NAME: "a/b" }), /^parse CONTAINER_NAME "a\/b": /);
    assert.match(errorOf(["serve", "--tap", "t"]), /^read arguments: unknown option '--tap'/);
  });

  test("demo and simulate have theirs, and their defaults", () => {
    const demo = parse(["demo"]);
    assert.ok(demo.kind === "demo");
    assert.deepEqual(demo.options, readDemoOptions(new Map()));
    const simulate = parse(["simulate", "--seed", "7"]);
    assert.ok(simulate.kind === "simulate");
    assert.deepEqual(simulate.options, readSimulateOptions(settingsOf({ seed: "7" })));
    const file = parse(["simulate", "a.yaml"]);
    assert.ok(file.kind === "simulate");
    assert.deepEqual(file.options, readSimulateOptions(settingsOf({ scenario: "a.yaml" })));
    assert.match(errorOf(["simulate", ""]), /^parse SCENARIO "": /);
  });

  test("replay wants a file", () => {
    assert.deepEqual(parse(["replay", "a.rec"]), { kind: "replay", file: "a.rec" });
    assert.match(errorOf(["replay"]), /missing required argument 'file'/);
    assert.match(errorOf(["replay", ""]), /^parse FILE "": wanted a path$/);
    assert.match(errorOf(["replay", "a", "b"]), /too many arguments/);
  });

  test("run has the shell that there is where no command is given", () => {
    for (const [env, command] of [
      [{}, ["/bin/sh"]],
      [{ SHELL: "/bin/dash" }, ["/bin/dash"]],
    ] as const) {
      const run = parse(["run"], env);
      assert.ok(run.kind === "run");
      assert.deepEqual(run.options.command, command);
    }
  });

  test("manifests takes its options", () => {
    const command = parse(["manifests", "--name", "mine", "--only", "vm"]);
    assert.ok(command.kind === "manifests");
    assert.equal(command.options.name, "mine");
    assert.deepEqual(command.options.only, ["vm"]);
  });
});

test("the help of each command is the one that is kept", () => {
  for (const command of ["", ...HELP_COMMANDS]) {
    assert.equal(helpOf(command), readFileSync(helpFile(command), "utf8"), command);
  }
});
