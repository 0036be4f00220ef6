/** Where the live page is served, and of which program. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseCommandLine } from "../../src/cli/options.ts";
import type { UiOptions } from "../../src/config/ui.ts";

function read(...args: string[]): UiOptions | string {
  const command = parseCommandLine(["ui", ...args], {}, false);
  if (command.kind === "error") return command.message;
  assert.equal(command.kind, "ui");
  return command.kind === "ui" ? command.options : "";
}

describe("options of ui", () => {
  test("nothing is needed", () => {
    const target = { instance: undefined, admin: undefined, hooksDir: "/var/run/kubevirt-hooks" };
    assert.deepEqual(read(), { listen: undefined, target });
  });

  test("an address, and a program as other commands have it", () => {
    const options = read("--listen", "[::1]:8000", "--instance", "attach-1");
    assert.ok(typeof options === "object");
    assert.deepEqual(options.listen, { host: "::1", port: 8000 });
    assert.equal(options.target.instance, "attach-1");
  });

  test("a name is no address", () => {
    assert.match(String(read("--listen", "localhost:80")), /wanted ADDR:PORT/);
  });
});
