/** Paths that options take. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePath } from "../../src/config/path.ts";

test("a path has at least one character and no NUL", () => {
  for (const path of ["a", "/", "./a b", "/tmp/a,b"]) assert.equal(parsePath(path), path);
  for (const path of ["", "\0", "a\0b"]) {
    assert.throws(() => parsePath(path), { name: "ConfigError", message: "wanted a path" });
  }
});
