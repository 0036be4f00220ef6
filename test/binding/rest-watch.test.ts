/** A guest comes to rest: after work, once, and not for a word now and then. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RestWatch } from "../../src/binding/rest-watch.ts";
import * as abi from "../../wasm/abi.ts";
import { EngineWorld } from "../support/engine-harness.ts";

const SECOND = 1_000_000;
const START = 100 * SECOND;

function setUp() {
  const { engine } = new EngineWorld();
  let rests = 0;
  const watch = new RestWatch(() => {
    rests += 1;
  });
  const set = (stat: number, frames: number): void => {
    engine.view.setBigUint64(engine.bases.stats + 8 * stat, BigInt(frames), true);
  };
  const poll = (seconds: number): number => {
    watch.poll(engine, START + seconds * SECOND);
    return rests;
  };
  const wait = (seconds: number) => watch.wait(START + seconds * SECOND);
  return { set, poll, wait };
}

describe("rest", () => {
  test("five seconds after the last of many frames, and once", () => {
    const { set, poll, wait } = setUp();
    set(abi.STAT_GUEST_RX_FRAMES, 400);
    set(abi.STAT_GUEST_TX_FRAMES, 600);
    assert.equal(poll(0), 0);
    assert.equal(wait(1), 4 * SECOND);
    assert.equal(poll(4.9), 0);
    assert.equal(poll(5), 1);
    assert.equal(wait(5), undefined);
    assert.equal(poll(20), 1);
  });

  test("a frame begins the time anew", () => {
    const { set, poll, wait } = setUp();
    set(abi.STAT_GUEST_RX_FRAMES, 5000);
    poll(0);
    set(abi.STAT_GUEST_RX_FRAMES, 5001);
    assert.equal(poll(4), 0);
    assert.equal(poll(8), 0);
    assert.equal(wait(10), 0);
    assert.equal(poll(9), 1);
  });

  test("a few frames wake nobody up and are no work, together they are", () => {
    const { set, poll, wait } = setUp();
    set(abi.STAT_GUEST_TX_FRAMES, 999);
    poll(0);
    assert.equal(wait(1), undefined);
    assert.equal(poll(60), 0);
    set(abi.STAT_GUEST_TX_FRAMES, 1000);
    poll(61);
    assert.equal(poll(70), 1);
    set(abi.STAT_GUEST_TX_FRAMES, 1999);
    poll(71);
    assert.equal(poll(90), 1, "counted from the last rest on");
  });
});
