/** `events`, `drops`, `log` and `log-level`: what is told, to people and to programs. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EventKind, LogLevel } from "../../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import { logLevel, showDrops, showEvents, showLog } from "../../../src/cli/admin/happenings.ts";
import { readDrops, readEvents, readLog } from "../../../src/config/inspect.ts";
import { readLogLevel } from "../../../src/config/steer.ts";
import { settingsOf } from "../../config/support.ts";
import { stage } from "./support.ts";

const GONE = {
  id: 4n,
  timeUs: 1_700_000_000_000_000n,
  network: "tap0",
  kind: EventKind.GUEST_GONE,
  message: "guest is gone",
  details: { reason: "closed\u001b[2J" },
};
const LEVEL = { id: 5n, kind: EventKind.LOG_LEVEL_CHANGED, message: "level", timeUs: 1n };

describe("events", () => {
  const service = {
    listEvents: () => ({ events: [GONE, LEVEL] }),
    async *watchEvents({ afterId }: { afterId: bigint }) {
      yield { ...GONE, id: afterId + 1n, network: "other" };
      yield { ...GONE, id: afterId + 2n };
    },
  };

  test("are a table whose cells cannot harm a terminal", async () => {
    const at = stage(service);
    await showEvents(readEvents(settingsOf({})), at);
    assert.deepEqual(
      at.output.lines.map((line) => line.replace(/ {2,}/g, "  ")),
      [
        "TIME  EVENT  INTERFACE  MESSAGE",
        "2023-11-14T22:13:20.000Z  guest_gone  tap0  guest is gone reason=closed\\u{1b}[2J",
        "1970-01-01T00:00:00.000Z  log_level_changed  level",
      ],
    );
  });

  test("with --watch go on behind the last one, of the interface that is asked for", async () => {
    const at = stage(service);
    const given = { watch: "true", json: "true", interface: "tap0" };
    await showEvents(readEvents(settingsOf(given)), at);
    assert.deepEqual(
      at.output.records.map(({ id, kind }) => [id, kind]),
      [
        [4, "guest_gone"],
        [5, "log_level_changed"],
        [7, "guest_gone"],
      ],
    );
    assert.deepEqual(at.output.records[0]?.["details"], GONE.details);
  });

  test("that are none are told so, but where one waits for them", async () => {
    const at = stage({ listEvents: () => ({}), async *watchEvents() {} });
    await showEvents(readEvents(settingsOf({})), at);
    assert.deepEqual([at.output.text, at.notes], ["", ["nothing has happened yet"]]);
    await showEvents(readEvents(settingsOf({ watch: "true" })), at);
    assert.match(at.output.text, /^TIME/);
  });
});

describe("drops", () => {
  const frame = {
    network: "tap0",
    timeUs: 1_700_000_000_000_000n,
    reason: "tcp_checksum",
    length: 1514,
    headers: Uint8Array.of(1, 2, 255),
    summary: "192.0.2.15:1234 > 198.51.100.1:80 tcp",
  };

  test("have reason, length and what the frame was", async () => {
    const at = stage({ listDrops: () => ({ frames: [frame] }) });
    await showDrops(readDrops(settingsOf({})), at);
    assert.match(at.output.text, /tcp_checksum +1514 +192\.0\.2\.15:1234 > 198.*tcp +tap0\n$/);
    const json = stage({ listDrops: () => ({ frames: [frame] }) });
    await showDrops(readDrops(settingsOf({ json: "true" })), json);
    assert.equal(json.output.records[0]?.["headers"], "0102ff");
  });

  test("that are none are told so", async () => {
    const at = stage({ listDrops: () => ({}) });
    await showDrops(readDrops(settingsOf({})), at);
    assert.deepEqual([at.output.text, at.notes], ["", ["nothing was dropped"]]);
  });
});

describe("log", () => {
  test("is lines as they are, and says what was lost", async () => {
    const requests: unknown[] = [];
    const at = stage({
      async *watchLog({ backlog, backlogOnly }) {
        requests.push([backlog, backlogOnly]);
        yield { text: '{"msg":"ready"}' };
        yield { text: "x\u001b[2J", lost: 3 };
      },
    });
    await showLog(readLog(settingsOf({ lines: "5" })), at);
    await showLog(readLog(settingsOf({ follow: "true" })), at);
    assert.equal(at.output.text, '{"msg":"ready"}\nx\\u{1b}[2J\n'.repeat(2));
    assert.deepEqual(at.notes, ["3 lines lost", "3 lines lost"]);
    assert.deepEqual(requests, [
      [5, true],
      [256, false],
    ]);
  });

  test("has a level that is told and set", async () => {
    let level: LogLevel = LogLevel.INFO;
    const at = stage({
      getLogLevel: () => ({ level }),
      setLogLevel: (request) => {
        const previous = level;
        level = request.level;
        return { previous };
      },
    });
    await logLevel(readLogLevel(settingsOf({})), at);
    await logLevel(readLogLevel(settingsOf({ level: "debug" })), at);
    await logLevel(readLogLevel(settingsOf({})), at);
    assert.equal(at.output.text, "info\ndebug\n");
    assert.deepEqual(at.notes, ["the log was at info, and is at debug now"]);
  });
});
