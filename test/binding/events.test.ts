/** Lines of the log that are events: handed on whatever the level, and written as before. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type NetworkEvent, withEvents } from "../../src/binding/events.ts";
import { openLogger } from "../../src/lib/log.ts";

describe("events", () => {
  test("a line with a kind is one, also below the log's level; other lines are none", async () => {
    const lines: string[] = [];
    const events: NetworkEvent[] = [];
    const sink = (line: string): void => void lines.push(line);
    const log = await openLogger({ level: "warn", format: "pretty", now: () => 0, sink });
    const both = withEvents(log, (event) => events.push(event));
    both.info({ event: "guest_attached", link: "unix:/x", port: 80 }, "guest connected");
    both.warn({ event: "nonsense", err: new Error("why") }, "other");
    both.error({ event: "network_failed", err: new Error("why") }, "failed");
    both.debug({}, "quiet");
    assert.deepEqual(events, [
      {
        kind: "guest_attached",
        message: "guest connected",
        details: { link: "unix:/x", port: "80" },
      },
      { kind: "network_failed", message: "failed", details: { err: "why" } },
    ]);
    assert.deepEqual(
      lines.map((line) => line.split(" ")[0]?.trim()),
      ["warn", "error"],
    );
  });
});
