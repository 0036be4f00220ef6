/** Where the options of `run` end and its command begins. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { splitRunLine } from "../../src/cli/run-line.ts";
import { errorOf, parse } from "./support.ts";

function commandOf(...argv: string[]): readonly string[] {
  const command = parse(["run", ...argv], { SHELL: "/bin/dash" });
  assert.ok(command.kind === "run");
  return command.options.command;
}

describe("run's command line", () => {
  test("the command begins behind --, or with the first word of its own", () => {
    assert.deepEqual(commandOf("--", "sh", "-c", "id"), ["sh", "-c", "id"]);
    assert.deepEqual(commandOf("sh", "-c", "id"), ["sh", "-c", "id"]);
    assert.deepEqual(commandOf("--mtu", "1500", "--no-ipv6", "ls", "--mtu"), ["ls", "--mtu"]);
    assert.deepEqual(commandOf("--mtu=1500", "ls", "--", "x"), ["ls", "--", "x"]);
    assert.deepEqual(commandOf("--", "--odd"), ["--odd"]);
    assert.deepEqual(commandOf("--map-root"), ["/bin/dash"]);
    assert.deepEqual(commandOf("--"), ["/bin/dash"]);
  });

  test("the options before it are attach's, and nothing of the command is", () => {
    const command = parse(["run", "--mtu=1500", "--map-root", "--no-ipv6", "--", "ls", "--mtu"]);
    assert.ok(command.kind === "run");
    const { mapRoot, attach, attachArguments } = command.options;
    assert.deepEqual([mapRoot, attach.network.mtu], [true, 1500]);
    assert.deepEqual([...attachArguments].sort(), [
      "--log-format=json",
      "--log-level=error",
      "--mtu=1500",
      "--no-ipv6",
      "--tap=tap0",
    ]);
  });

  test("other commands are left as they are", () => {
    const argv = ["attach", "--", "x"];
    assert.deepEqual(splitRunLine(argv), { own: argv, command: [] });
  });

  test("its own help, and options that it has not", () => {
    const help = parse(["run", "--help"]);
    assert.ok(help.kind === "help");
    assert.match(help.text, /--map-root/);
    assert.doesNotMatch(help.text, /--(?:netns|listen|exit-fd|configure)\b/);
    assert.match(errorOf(["run", "--netns", "x"]), /unknown option '--netns'/);
    assert.match(errorOf(["run", "--pubish", "80:80", "ls"]), /Did you mean --publish/);
    assert.match(errorOf(["run", "--mtu"]), /argument missing/);
  });
});
