/** The log's level and form. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readLogOptions } from "../../src/config/log-options.ts";
import { settingsOf } from "./support.ts";

test("the log is pretty on a terminal and JSON elsewhere, unless asked otherwise", () => {
  assert.deepEqual(readLogOptions(new Map(), true), { level: "info", format: "pretty" });
  assert.deepEqual(readLogOptions(new Map(), false), { level: "info", format: "json" });
  const json = settingsOf({ "log-level": "debug", "log-format": "json" });
  assert.deepEqual(readLogOptions(json, true), { level: "debug", format: "json" });
  const pretty = settingsOf({ "log-format": "pretty" });
  assert.equal(readLogOptions(pretty, false).format, "pretty");
});

test("unknown words are refused", () => {
  const level = 'parse --log-level "trace": wanted one of "debug", "info", "warn", "error"';
  assert.throws(() => readLogOptions(settingsOf({ "log-level": "trace" }), false), {
    message: level,
  });
  const format = 'parse --log-format "xml": wanted one of "json", "pretty"';
  assert.throws(() => readLogOptions(settingsOf({ "log-format": "xml" }), false), {
    message: format,
  });
});
