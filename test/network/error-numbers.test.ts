/** Errors of the runtime by the names that the engine knows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { codeOf } from "../../src/network/error-numbers.ts";

test("an error has the system's name for it, and EIO where it has another", () => {
  const withCode = (code: unknown): Error => Object.assign(new Error("x"), { code });
  assert.equal(codeOf(withCode("ECONNREFUSED")), "ECONNREFUSED");
  assert.equal(codeOf(withCode("EHOSTUNREACH")), "EHOSTUNREACH");
  for (const other of [withCode("ERR_SOCKET_CLOSED"), withCode("toString"), withCode(5)]) {
    assert.equal(codeOf(other), "EIO");
  }
  for (const none of [new Error("x"), undefined, null, "ECONNRESET"]) {
    assert.equal(codeOf(none), "EIO");
  }
});
