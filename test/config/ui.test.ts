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
    assert.deepEqual(read(), { listen: undefined, instance: undefined, admin: undefined });
  });

  test("an address, a program, a socket", () => {
    const args = [
      "--listen",
      "[::1]:8000",
      "--instance",
      "attach-1",
      "--admin",
      "unix:/run/a.sock",
    ];
    assert.deepEqual(read(...args), {
      listen: { host: "::1", port: 8000 },
      instance: "attach-1",
      admin: { kind: "unix", path: "/run/a.sock" },
    });
  });

  test("a name is no address", () => {
    assert.match(String(read("--listen", "localhost:80")), /wanted ADDR:PORT/);
  });
});
