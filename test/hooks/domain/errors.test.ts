/** Codes and words of refusals. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConfigError } from "../../../src/config/errors.ts";
import {
  HookError,
  invalid,
  quoteTruncated,
  unsupported,
  withContext,
} from "../../../src/hooks/domain/errors.ts";

describe("refusals", () => {
  test("carry their code", () => {
    assert.equal(invalid("a").code, "invalid-argument");
    assert.equal(unsupported("a").code, "failed-precondition");
    assert.ok(invalid("a") instanceof HookError);
  });

  test("withContext says what was read, and lets faults through", () => {
    assert.equal(
      withContext("port", () => 7),
      7,
    );
    const refuse = (): never => {
      throw new ConfigError("wanted less");
    };
    assert.throws(() => withContext("port", refuse), {
      name: "HookError",
      message: "port: wanted less",
    });
    assert.throws(() => withContext("port", () => assert.fail("fault")), { message: "fault" });
  });

  test("quoteTruncated quotes, escapes and shortens", () => {
    assert.equal(quoteTruncated('a"\n'), '"a\\"\\n"');
    assert.equal(quoteTruncated("x".repeat(81)), `"${"x".repeat(80)}…"`);
  });
});
