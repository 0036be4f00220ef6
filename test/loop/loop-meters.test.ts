/** Times that the loop measures: its turns, without waiting, and how long the link was full. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CONTROL, LINK_READABLE, LINK_WRITABLE, Stage } from "./stage.ts";

describe("loop: times", () => {
  test("a turn ends where the loop begins to wait, or where the next one begins", () => {
    const stage = new Stage();
    stage.turnTime = 250;
    stage.turn(LINK_READABLE);
    assert.deepEqual(stage.turns, [], "its end is not known yet");
    assert.ok(stage.loop.sleep > 0);
    assert.deepEqual(stage.turns, [0.00025]);
    assert.ok(stage.loop.sleep > 0);
    stage.now += 5_000_000;
    stage.turn(LINK_READABLE);
    assert.deepEqual(stage.turns, [0.00025], "waiting is no part of it");
    stage.now += 50;
    stage.turn(LINK_READABLE);
    assert.deepEqual(stage.turns, [0.00025, 0.0003], "the next one followed at once");
  });

  test("the end of the loop is no turn", () => {
    const stage = new Stage();
    stage.turn(CONTROL);
    assert.deepEqual(stage.turns, []);
  });

  test("a full link counts from the first frame it does not take to the last one taken", () => {
    const stage = new Stage();
    for (let i = 0; i < 3; i += 1) stage.sendPing(i);
    stage.room = 1;
    stage.turn(LINK_READABLE);
    stage.now += 2_000_000;
    stage.room = 1;
    stage.turn(LINK_WRITABLE);
    assert.deepEqual(stage.blocks, [], "one more frame waits");
    stage.now += 1_500_000;
    stage.room = 5;
    stage.turn(LINK_WRITABLE);
    assert.deepEqual(stage.blocks, [3.5]);
  });
});
