/** How long connections take: once for each, and only where they came up. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectTimes } from "../../src/upstream/connect-times.ts";

test("a time is noted when a connection is up, once; a failure and a stranger are no times", () => {
  let now = 1_000_000;
  const seen: number[] = [];
  const times = new ConnectTimes(
    (seconds) => seen.push(seconds),
    () => now,
  );
  times.begin(3);
  times.begin(4);
  now += 250_000;
  times.end(3, 0);
  times.end(3, 0);
  times.end(4, -111);
  times.end(4, 0);
  times.end(5, 0);
  assert.deepEqual(seen, [0.25]);
  times.begin(4);
  now += 500;
  times.end(4, 0);
  assert.deepEqual(seen, [0.25, 0.0005], "a slot's next connection");
});
