/** Which program is meant: by arguments, by the environment of a container, by both. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError } from "../../src/config/errors.ts";
import type { Setting } from "../../src/config/settings.ts";
import { readTarget } from "../../src/config/target.ts";
import { settingsOf } from "./support.ts";

function fromEnvironment(name: string, text: string): [string, Setting] {
  return [name, { values: [text], origin: `SLIRP_${name.toUpperCase()}` }];
}

test("nothing said is the one there is, and the usual folder of hooks", () => {
  assert.deepEqual(readTarget(new Map()), {
    instance: undefined,
    admin: undefined,
    hooksDir: "/var/run/kubevirt-hooks",
  });
});

test("a name, a socket and a folder", () => {
  assert.equal(readTarget(settingsOf({ instance: "attach-7" })).instance, "attach-7");
  assert.equal(readTarget(settingsOf({ admin: "unix:/run/x" })).admin, "/run/x");
  assert.equal(readTarget(settingsOf({ "hooks-dir": "/h" })).hooksDir, "/h");
});

test("an argument wins over the environment that says where the container's own one is", () => {
  const env = fromEnvironment("admin", "unix:/run/own");
  assert.equal(readTarget(new Map([env])).admin, "/run/own");
  const named = readTarget(new Map([env, ...settingsOf({ instance: "other" })]));
  assert.deepEqual([named.admin, named.instance], [undefined, "other"]);
  const instance = fromEnvironment("instance", "x");
  const placed = readTarget(new Map([instance, ...settingsOf({ admin: "unix:/a" })]));
  assert.deepEqual([placed.admin, placed.instance], ["/a", undefined]);
});

test("what cannot be meant", () => {
  const cases: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ admin: "off" }, /^parse --admin "off": the program was told to have no admin socket$/],
    [{ admin: `unix:/${"x".repeat(200)}` }, /^parse --admin /],
    [{ instance: "" }, /^parse --instance "": wanted a name$/],
    [{ instance: "a", admin: "unix:/b" }, /^leave out "--admin" or "--instance"$/],
  ];
  for (const [given, message] of cases) {
    assert.throws(
      () => readTarget(settingsOf(given)),
      (error) => {
        assert.ok(error instanceof ConfigError);
        assert.match(error.message, message);
        return true;
      },
    );
  }
});
