/** Codes and words of refusals. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConfigError } from "../../../src/config/errors.ts";
import {
  brief,
  HookError,
  invalid,
  naming,
  unsupported,
} from "../../../src/hooks/domain/errors.ts";

describe("refusals", () => {
  test("carry their code", () => {
    assert.equal(invalid("a").code, "invalid-argument");
    assert.equal(unsupported("a").code, "failed-precondition");
    assert.ok(invalid("a") instanceof HookError);
  });

  test("naming says what was read, and lets faults through", () => {
    assert.equal(
      naming("port", () => 7),
      7,
    );
    const refuse = (): never => {
      throw new ConfigError("wanted less");
    };
    assert.throws(() => naming("port", refuse), {
      name: "HookError",
      message: "port: wanted less",
    });
    assert.throws(() => naming("port", () => assert.fail("fault")), { message: "fault" });
  });

  test("brief quotes, escapes and shortens", () => {
    assert.equal(brief('a"\n'), '"a\\"\\n"');
    assert.equal(brief("x".repeat(81)), `"${"x".repeat(80)}…"`);
  });
});
