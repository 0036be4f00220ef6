/** Whether a program that runs looks around: it does unless told otherwise. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CHECK_OPTIONS } from "../../src/config/checks.ts";
import { readGroup } from "../../src/config/option.ts";
import { settingsOf } from "./support.ts";

test("--no-checks turns checks off", () => {
  assert.deepEqual(readGroup(CHECK_OPTIONS, settingsOf({})), { checks: true });
  assert.deepEqual(readGroup(CHECK_OPTIONS, settingsOf({ "no-checks": "true" })), {
    checks: false,
  });
});
