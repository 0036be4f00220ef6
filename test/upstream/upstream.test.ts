/** Kinds of events: the upper words that epoll keeps for the loop. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as upstream from "../../src/upstream/upstream.ts";

test("upstream: each kind of event has a number of its own, flows 0", () => {
  assert.deepEqual(
    { ...upstream },
    {
      EVENT_OF_FLOW: 0,
      EVENT_OF_LINK: 1,
      EVENT_OF_CONTROL: 2,
      EVENT_OF_LISTENER: 3,
      EVENT_OF_ALARM: 4,
      EVENT_OF_ADDRESSES: 5,
      EVENT_OF_SERVICE: 6,
      EVENT_OF_PORT: 7,
    },
  );
});
