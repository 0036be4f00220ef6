/** Calls with long answers: pages and intervals as the service sends them, put together. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { stage } from "../cli/admin/support.ts";

test("a page has its flows and the token of the next one", async () => {
  const { flows } = stage({
    listFlows: ({ pageToken }) => ({
      flows: [{ id: 1, network: "a", bytesToHost: 2n ** 40n }],
      nextPageToken: `${pageToken}x`,
    }),
  });
  const page = await flows.list({ pageToken: "t" });
  assert.equal(page.nextPageToken, "tx");
  assert.deepEqual(
    page.flows.map(({ id, network, bytesToHost, state }) => [id, network, bytesToHost, state]),
    [[1, "a", 2 ** 40, ""]],
  );
});

test("what is told of an interval in pieces comes as one", async () => {
  const { flows } = stage({
    async *watchFlows() {
      yield { flows: [{ id: 1 }] };
      yield { flows: [{ id: 2 }] };
      yield { ended: [{ id: 9, network: "a" }], isComplete: true, timeUs: 5n };
      yield { isComplete: true, timeUs: 6n };
      yield { flows: [{ id: 3 }] };
    },
  });
  const told: unknown[] = [];
  for await (const news of flows.watch({})) {
    told.push([news.flows.map(({ id }) => id), news.ended.map(({ id }) => id), news.time]);
  }
  assert.deepEqual(told, [
    [[1, 2], [9], 5],
    [[], [], 6],
  ]);
});
