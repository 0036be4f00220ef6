/** What a caught value says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { messageOf } from "../../src/lib/message.ts";

test("an error says its message, anything else what it is as text", () => {
  assert.equal(messageOf(new TypeError("no route")), "no route");
  assert.equal(messageOf("thrown text"), "thrown text");
  assert.equal(messageOf(undefined), "undefined");
  assert.equal(messageOf({ message: "no error" }), "[object Object]");
});
