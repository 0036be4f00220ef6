/** What `run` makes of its settings. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readRunOptions } from "../../src/config/run.ts";
import type { Setting } from "../../src/config/settings.ts";

const CONTEXT = { shell: "/bin/dash", isTerminal: true };

function read(given: Readonly<Record<string, readonly string[]>>, command: readonly string[] = []) {
  const settings = Object.entries(given).map(([name, values]): [string, Setting] => [
    name,
    { values, origin: `--${name}` },
  ]);
  return readRunOptions(new Map(settings), command, CONTEXT);
}

describe("run", () => {
  test("without anything it is a shell, with errors alone in the log", () => {
    const { command, mapRoot, attach, attachArguments } = read({});
    assert.deepEqual([command, mapRoot], [["/bin/dash"], false]);
    const link = { kind: "tap", name: "tap0", netns: 1, configure: true, vnet: true };
    assert.deepEqual(attach.link, link);
    assert.equal(attach.log.level, "error");
    const expected = ["--tap=tap0", "--log-level=error", "--log-format=pretty"];
    assert.deepEqual(attachArguments, expected);
  });

  test("what is given goes to attach, once for each value, flags only where they are on", () => {
    const publish = ["8080:80", "5353:53/udp"];
    const given = { publish, "no-ipv6": ["true"], "host-loopback": ["false"], tap: ["eth0"] };
    const { mapRoot, attachArguments } = read({ ...given, "map-root": ["true"] }, ["id"]);
    assert.equal(mapRoot, true);
    assert.deepEqual(attachArguments.toSorted(), [
      "--log-format=pretty",
      "--log-level=error",
      "--no-ipv6",
      "--publish=5353:53/udp",
      "--publish=8080:80",
      "--tap=eth0",
    ]);
  });

  test("what attach refuses is refused at once, and so is no command", () => {
    assert.throws(() => read({ mtu: ["1"] }), /parse --mtu "1": wanted/);
    assert.throws(() => read({}, [""]), /wanted a command/);
    assert.throws(() => read({}, ["a\0b"]), /wanted a command/);
  });
});
