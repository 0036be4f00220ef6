/** Lines of the log as the page shows them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readLine } from "../../../src/ui/browser/log-line.ts";

describe("line of the log", () => {
  test("JSON is taken apart", () => {
    const text = JSON.stringify({
      ...{ level: "warn", timestamp: "2026-11-30T12:57:17.219205Z", component: "slirp-binding" },
      ...{ pos: "worker", event: "limit_reached", flows: 7, name: "a b", msg: "limit reached" },
    });
    assert.deepEqual(readLine(text), {
      ...{ level: "warn", time: "12:57:17", message: "limit reached", fields: "flows=7 name=a b" },
    });
  });

  test("words are left as they are", () => {
    const text = "12:57:17 WARN  resolver does not answer";
    assert.deepEqual(readLine(text), { level: "warn", time: "", message: text, fields: "" });
    assert.equal(readLine("").level, "");
  });

  test("what only looks like JSON, and JSON without a message, are shown whole", () => {
    for (const text of ["{", "{}", '{"level":"info"}', "null", '{"msg":7}']) {
      assert.equal(readLine(text).message, text);
    }
  });
});
