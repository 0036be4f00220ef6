/** What `top` shows: rates, ages that go on, order, scrolling, and lines that fit. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { FlowNews } from "../../../src/admin/flow-calls.ts";
import { FlowReader } from "../../../src/admin/flow-octets.ts";
import {
  FlowKeySchema,
  FlowKind,
  FlowSchema,
} from "../../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import { TopView } from "../../../src/cli/admin/top-view.ts";

const SECOND = 1_000_000;
const ROWS = 24;

function news(
  time: number,
  flows: readonly MessageInitShape<typeof FlowSchema>[],
  ended: readonly number[] = [],
): FlowNews {
  const reader = new FlowReader();
  return {
    time: time * SECOND,
    flows: flows.map((flow) => {
      const whole = { network: "tap0", kind: FlowKind.TCP, state: "ESTABLISHED", ...flow };
      return reader.read(toBinary(FlowSchema, create(FlowSchema, whole)));
    }),
    ended: ended.map((id) => create(FlowKeySchema, { network: "tap0", id })),
  };
}

function flow(id: number, bytesToHost: number, more: object = {}) {
  return {
    id,
    guestAddress: "10.0.2.15",
    guestPort: id,
    bytesToHost: BigInt(bytesToHost),
    ...more,
  };
}

/** Guest's ports of the rows, in their order. */
function order(view: TopView, rows = ROWS): number[] {
  const lines = view.lines(200, rows).slice(3);
  return lines.map((line) => Number(/10\.0\.2\.15:(\d+)/.exec(line)?.[1]));
}

describe("top", () => {
  test("shows octets a second of what moved, and the busiest first", () => {
    const view = new TopView("attach-1", undefined);
    view.update(news(10, [flow(1, 1_000_000), flow(2, 0), flow(3, 0)]));
    assert.match(
      view.lines(200, ROWS)[0] ?? "",
      /^attach-1: 3 flows \(tcp 3\), sent 0\/s, received 0/,
    );
    view.update(news(12, [flow(2, 4096), flow(3, 20480, { bytesToGuest: 2048n })]));
    assert.deepEqual(order(view), [3, 2, 1]);
    const [summary, , , first] = view.lines(200, ROWS);
    assert.match(summary ?? "", /sent 12K\/s, received 1\.0K\/s$/);
    assert.match(first ?? "", /^ *10K +1\.0K +tcp/);
    view.update(news(13, []));
    assert.match(view.lines(200, ROWS)[0] ?? "", /sent 0\/s/);
  });

  test("lets flows grow older while nothing is told of them, and forgets those that ended", () => {
    const view = new TopView("x", "age");
    view.update(news(10, [flow(1, 0, { ageUs: 5_000_000n, idleUs: 1_000_000n }), flow(2, 0)]));
    view.update(news(70, [], [2]));
    assert.deepEqual(order(view), [1]);
    assert.match(view.lines(200, ROWS)[3] ?? "", / 1m05s +1m01s/);
  });

  test("a number that another flow has got is that one's", () => {
    const view = new TopView("x", undefined);
    view.update(news(10, [flow(1, 1000)]));
    view.update(news(11, [flow(1, 5)], [1]));
    assert.match(view.lines(200, ROWS)[0] ?? "", /1 flows.*sent 0\/s/);
  });

  test("changes its order by keys, pauses, scrolls within what there is, and ends", () => {
    const view = new TopView("x", undefined);
    const flows = [30, 10, 20, 40].map((bytes, i) => flow(i + 1, bytes));
    view.update(news(10, flows));
    assert.equal(view.key("s", ROWS), "show");
    assert.deepEqual(order(view), [4, 1, 3, 2], "by octets");
    view.key("r", ROWS);
    assert.deepEqual(order(view), [2, 3, 1, 4]);
    assert.match(view.lines(200, ROWS)[1] ?? "", /^by bytes, least first/);
    view.key("\u001b[B", ROWS);
    assert.deepEqual(order(view, 5), [3, 1]);
    view.key("\u001b[6~", 5);
    view.key("j", 5);
    view.key("j", 5);
    assert.deepEqual(order(view, 5), [1, 4]);
    view.key("\u001b[5~", 30);
    assert.deepEqual(order(view, 5), [2, 3]);
    view.key("p", ROWS);
    assert.equal(view.update(news(11, [], [1, 2, 3])), false);
    assert.equal(order(view).length, 4);
    assert.match(view.lines(200, ROWS)[1] ?? "", /^PAUSED/);
    view.key(" ", ROWS);
    assert.deepEqual(order(view), [4]);
    assert.equal(view.key("x", ROWS), undefined);
    assert.deepEqual([view.key("q", ROWS), view.key("\u0003", ROWS)], ["end", "end"]);
  });

  test("fits every screen", () => {
    const view = new TopView("attach-1 (attach, 1)", undefined);
    view.update(
      news(
        10,
        Array.from({ length: 50 }, (_, i) => flow(i + 1, i)),
      ),
    );
    for (const [columns, rows] of [
      [200, 50],
      [80, 24],
      [40, 10],
      [10, 3],
      [1, 1],
    ] as const) {
      const lines = view.lines(columns, rows);
      assert.equal(lines.length, rows);
      for (const line of lines) assert.ok([...line].length <= columns, `${columns}: ${line}`);
    }
  });
});
