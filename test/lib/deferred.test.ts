/** Promises settled from outside. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { deferred } from "../../src/lib/deferred.ts";

describe("deferred", () => {
  test("settles once, either way", async () => {
    const good = deferred<number>();
    good.resolve(1);
    good.resolve(2);
    good.reject(new Error("late"));
    assert.equal(await good.promise, 1);
    const bad = deferred();
    bad.reject(new Error("no"));
    await assert.rejects(bad.promise, /no/);
  });
});
