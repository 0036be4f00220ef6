/** Long waits share one alarm; short ones have a timeout. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AlarmedEvents } from "../../src/loop/alarm.ts";
import { EBADF } from "../../wasm/errno.ts";

function setUp() {
  const log: string[] = [];
  const state = { now: 1_000_000, answer: 0 };
  const source = {
    wait: (_max: number, us: number): number => log.push(`wait ${us}`) && 3,
    eventBits: (i: number) => i + 10,
    dataLo: (i: number) => i + 20,
    dataHi: (i: number) => i + 30,
  };
  const alarm = {
    set: (us: number): number => {
      log.push(`set ${us}`);
      return state.answer;
    },
  };
  const events = new AlarmedEvents(source, alarm, () => state.now);
  const take = (): string[] => log.splice(0);
  return { events, state, take };
}

describe("alarm", () => {
  test("a short wait, a look and a wait for ever are passed on", () => {
    const { events, take } = setUp();
    for (const us of [0, -1, 1, 500, 2000]) assert.equal(events.wait(8, us), 3);
    assert.deepEqual(take(), ["wait 0", "wait -1", "wait 1", "wait 500", "wait 2000"]);
  });

  test("a long wait sets the alarm, later ones leave it while it is early enough", () => {
    const { events, state, take } = setUp();
    events.wait(8, 200_000);
    assert.deepEqual(take(), ["set 200000", "wait -1"]);
    state.now += 100;
    events.wait(8, 200_000);
    state.now += 199_899;
    events.wait(8, 200_000);
    assert.deepEqual(take(), ["wait -1", "wait -1"]);
  });

  test("waiting that fails is thrown", () => {
    const failing = { wait: () => -EBADF, eventBits: () => 0, dataLo: () => 0, dataHi: () => 0 };
    const events = new AlarmedEvents(failing, { set: () => 0 }, () => 1);
    for (const us of [0, 200_000]) {
      assert.throws(() => events.wait(8, us), { errno: EBADF, message: /^Wait for events: / });
    }
  });

  test("one that goes off just then is early enough", () => {
    const { events, take } = setUp();
    events.wait(8, 5000);
    events.wait(8, 5000);
    assert.deepEqual(take(), ["set 5000", "wait -1", "wait -1"]);
  });

  test("it is set by the first long wait, however early the clock is", () => {
    const { events, state, take } = setUp();
    state.now = 0;
    events.wait(8, 5000);
    assert.deepEqual(take(), ["set 5000", "wait -1"]);
  });

  test("it is set again once it has gone off, and not a microsecond before", () => {
    const { events, state, take } = setUp();
    events.wait(8, 5000);
    state.now += 4999;
    events.wait(8, 7000);
    assert.deepEqual(take(), ["set 5000", "wait -1", "wait -1"]);
    state.now += 1;
    events.wait(8, 7000);
    assert.deepEqual(take(), ["set 7000", "wait -1"]);
  });

  test("an earlier deadline brings it forward", () => {
    const { events, state, take } = setUp();
    events.wait(8, 60_000_000);
    state.now += 10;
    events.wait(8, 40_000);
    assert.deepEqual(take(), ["set 60000000", "wait -1", "set 40000", "wait -1"]);
  });

  test("where it cannot be set, the wait has its own timeout", () => {
    const { events, state, take } = setUp();
    state.answer = -1;
    events.wait(8, 5000);
    events.wait(8, 6000);
    assert.deepEqual(take(), ["set 5000", "wait 5000", "set 6000", "wait 6000"]);
  });

  test("events are the source's own", () => {
    const { events } = setUp();
    assert.deepEqual([events.eventBits(1), events.dataLo(1), events.dataHi(1)], [11, 21, 31]);
  });
});
