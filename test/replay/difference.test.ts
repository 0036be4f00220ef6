/** Names and marks of a replay's verdict. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { copyOf, Differs, functionName, value } from "../../src/replay/difference.ts";
import { KIND } from "../../src/replay/format.ts";
import type { FrameMark } from "../../src/replay/outputs.ts";

test("difference: each record that is a call bears the name of its function", () => {
  const names = Object.entries(KIND).map(([kind, number]) => [kind, functionName(number)]);
  assert.deepEqual(Object.fromEntries(names), {
    start: "init",
    guestRx: "guest_rx",
    event: "upstream_event",
    step: "step",
    complete: "complete",
    txDone: "tx_done",
    inboundTcp: "inbound_tcp",
    inboundUdp: "inbound_udp",
    addressSix: "address_six",
    hostAddress: "host_address",
    guestGone: "guest_gone",
    farewell: "farewell",
    deadline: "next_deadline",
    live: "",
    trap: "",
    end: "",
  });
  assert.equal(functionName(0), "");
});

test("difference: a copy of a frame's mark outlives the buffer it lay in", () => {
  const head = Uint8Array.of(1, 2);
  const mark: FrameMark = { kind: "frame", length: 2, low: 3, high: 4, head };
  const copy = copyOf(mark);
  head.fill(9);
  assert.deepEqual(copy, { ...mark, head: Uint8Array.of(1, 2) });
  assert.equal(copyOf(undefined), undefined);
});

test("difference: values are text, and an error carries the difference", () => {
  assert.deepEqual(value("7"), { kind: "value", text: "7" });
  const difference = {
    ...{ call: 1, name: "step", time: 2, what: "result" },
    ...{ expected: value("1"), actual: value("2") },
  };
  const error = new Differs(difference);
  assert.equal(error.difference, difference);
  assert.equal(error.message, "the replay differs");
});
