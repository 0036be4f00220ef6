/** Which published port a flow has come in by. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PortMarks } from "../../src/upstream/port-marks.ts";

describe("port marks", () => {
  test("connections are counted by their listener while they are there", () => {
    const marks = new PortMarks(8);
    for (const [slot, token] of [
      [0, 0],
      [3, 7],
      [5, 7],
    ] as const) {
      marks.accepted(slot, token);
    }
    assert.deepEqual(
      [...marks.acceptedBy],
      [
        [0, 1],
        [7, 2],
      ],
    );
    assert.equal(marks.clear(3), -1, "it had no socket of a port");
    assert.deepEqual([...marks.acceptedBy.values()], [1, 1]);
    assert.deepEqual([[...marks.held], marks.holderOf(7)], [[], -1]);
  });

  test("the socket of a UDP port has one flow", () => {
    const marks = new PortMarks(8);
    marks.hold(2, 0);
    marks.hold(4, 9);
    assert.deepEqual([marks.holderOf(0), marks.holderOf(9), marks.holderOf(1)], [2, 4, -1]);
    assert.deepEqual([[...marks.held], marks.acceptedBy.size], [[0, 9], 0]);
    assert.deepEqual([marks.clear(2), marks.clear(2)], [0, -1]);
    assert.deepEqual([[...marks.held], marks.holderOf(0), marks.holderOf(-1)], [[9], -1, -1]);
  });
});
