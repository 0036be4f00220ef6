/** Where a program is asked: a path in any of its forms, nowhere, and what others could reach. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ADMIN_OPTIONS, type AdminPlace } from "../../src/config/admin.ts";
import { ConfigError } from "../../src/config/errors.ts";

function read(text: string): AdminPlace | undefined {
  return ADMIN_OPTIONS.admin.read(new Map([["admin", { values: [text], origin: "test" }]]));
}

describe("--admin", () => {
  test("a path with and without its kind, and off", () => {
    assert.deepEqual(read("unix:/run/a.sock"), { kind: "unix", path: "/run/a.sock" });
    assert.deepEqual(read("./off"), { kind: "unix", path: "./off" });
    assert.equal(read("off"), "off");
  });

  test("the usual place where nobody says", () => {
    assert.equal(ADMIN_OPTIONS.admin.read(new Map()), undefined);
  });

  for (const text of ["", "unix:", "@name", "unix:@name", `/${"x".repeat(107)}`, "/a\0b"]) {
    test(`${JSON.stringify(text)} is refused`, () => {
      assert.throws(() => read(text), ConfigError);
    });
  }
});
