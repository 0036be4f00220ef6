/** Sources that cannot be served are left alone: nothing keeps the loop awake for nothing. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RestingSources } from "../../src/loop/rest.ts";
import { EMFILE, ENOMEM } from "../../src/sys/errno.ts";
import * as abi from "../../wasm/abi.ts";
import { START } from "../support/engine-harness.ts";
import { type FakeEvent, LINK_READABLE, OF_LISTENER, Stage } from "./stage.ts";

const SECOND = 1e6;
const LISTENER = { bits: abi.EVENT_READABLE, lo: 3, hi: OF_LISTENER };

const matching = (notes: readonly string[], pattern: RegExp): string[] =>
  notes.filter((note) => pattern.test(note));

/** Turns in each of `seconds` seconds in which a source always has news, unless left alone. */
function turnsBySecond(stage: Stage, source: FakeEvent, seconds: number): number[] {
  stage.insist(source, seconds * SECOND);
  assert.equal(stage.loop.run(), 0);
  const turns = new Array<number>(seconds).fill(0);
  for (const at of stage.waits) {
    const second = Math.floor((at - START) / SECOND);
    if (second < seconds) turns[second] = (turns[second] ?? 0) + 1;
  }
  return turns;
}

describe("loop: sources that cannot be served", () => {
  test("a listener that can accept nothing rests, ever longer, and is told of once", () => {
    const stage = new Stage();
    stage.accepted = -EMFILE;
    assert.deepEqual(stage.turn(LISTENER).slice(1, 4), [
      "accept 3 0",
      `rests 3 ${OF_LISTENER} ${-EMFILE}`,
      `pause 3 ${OF_LISTENER}`,
    ]);
    stage.now += 100_000;
    const again = stage.turn(LISTENER);
    assert.deepEqual(again.slice(1, 4), [
      `resume 3 ${OF_LISTENER}`,
      `accept 3 ${stage.now - START}`,
      `pause 3 ${OF_LISTENER}`,
    ]);
    stage.now += 199_999;
    assert.deepEqual(matching(stage.turn(), /resume/), []);
    stage.now += 1;
    stage.accepted = 2;
    assert.deepEqual(matching(stage.turn(LISTENER), /resume|pause/), [`resume 3 ${OF_LISTENER}`]);
    assert.equal(stage.loop.broken, 0);
  });

  test("whatever a listener cannot do, the loop turns ten times a second at most", () => {
    for (const errno of [EMFILE, ENOMEM]) {
      const stage = new Stage();
      stage.accepted = -errno;
      const turns = turnsBySecond(stage, LISTENER, 10);
      assert.ok(Math.max(...turns) <= 10, `${turns}`);
      assert.equal(matching(stage.notes, /^rests/).length, 1, "told of once");
    }
  });

  test("the same while the link is full, whoever has news", () => {
    const stage = new Stage();
    stage.sendPing(1);
    stage.room = 0;
    stage.turn(LINK_READABLE);
    const turns = turnsBySecond(stage, LISTENER, 10);
    assert.ok(Math.max(...turns) <= 11, `${turns}`);
    assert.equal(stage.loop.broken, 0);
  });

  test("what is told of for nothing over and over is counted, told of once, and rests", () => {
    const strange = { bits: abi.EVENT_READABLE, lo: 1, hi: 77 };
    for (const source of [LISTENER, { ...LINK_READABLE, lo: 5 }, strange]) {
      const stage = new Stage();
      stage.accepted = 0;
      const [first = 0, ...others] = turnsBySecond(stage, source, 10);
      assert.ok(first <= 110, `${first} turns before it is found out`);
      assert.ok(Math.max(...others) <= 10, `${others}`);
      assert.ok(stage.loop.broken > 0);
      assert.equal(matching(stage.notes, /^rests/).length, 1);
    }
  });

  test("a source that is served now and then breaks no rule", () => {
    const stage = new Stage();
    for (let i = 0; i < 1000; i += 1) {
      stage.accepted = i % 50 === 0 ? 1 : 0;
      stage.turn(LISTENER);
    }
    assert.equal(stage.loop.broken, 0);
  });
});

describe("resting sources", () => {
  /** Sources whose pauses, resumptions and reports are noted. */
  function setUp() {
    const notes: string[] = [];
    const state = { canResume: true };
    const sources = {
      pause: (token: number, kind: number) => notes.push(`pause ${token} ${kind}`),
      resume: (token: number, kind: number) => {
        notes.push(`resume ${token} ${kind}`);
        return state.canResume;
      },
    };
    const rest = new RestingSources(sources, (token, kind, errno) =>
      notes.push(`report ${token} ${kind} ${errno}`),
    );
    return { rest, state, take: () => notes.splice(0) };
  }

  test("a rest is 0.1 s, twice as long each time, 1.6 s at most, and told of once", () => {
    const { rest, take } = setUp();
    let now = 1000;
    for (const pause of [100_000, 200_000, 400_000, 800_000, 1_600_000, 1_600_000]) {
      rest.later(5, 3, now, -EMFILE);
      const reported = pause === 100_000 ? [`report 5 3 ${-EMFILE}`] : [];
      assert.deepEqual(take(), [...reported, "pause 5 3"]);
      assert.equal(rest.wait(now), pause);
      assert.equal(rest.wait(now + 40), pause - 40);
      rest.wake(now + pause - 1);
      assert.deepEqual(take(), []);
      now += pause;
      assert.equal(rest.wait(now + 9), 0);
      rest.wake(now);
      assert.deepEqual(take(), ["resume 5 3"]);
      assert.equal(rest.wait(now), undefined);
    }
  });

  test("one that was served begins with short rests again, and is told of again", () => {
    const { rest, take } = setUp();
    rest.later(5, 3, 0, -1);
    rest.served(5, 3); // of an event of before
    rest.later(5, 3, 10, -1);
    assert.equal(rest.wait(10), 200_000, "it rested still");
    rest.wake(1e6);
    rest.served(5, 3);
    take();
    rest.later(5, 3, 2e6, -2);
    assert.deepEqual(take(), ["report 5 3 -2", "pause 5 3"]);
    assert.equal(rest.wait(2e6), 100_000);
  });

  test("of several the first to wake counts, and each wakes by itself", () => {
    const { rest, take } = setUp();
    rest.later(1, 3, 0, -1);
    rest.later(2, 3, 30_000, -1);
    rest.later(2, 1, 60_000, -1);
    assert.equal(rest.wait(60_000), 40_000);
    take();
    rest.wake(130_000);
    assert.deepEqual(take(), ["resume 1 3", "resume 2 3"]);
    assert.equal(rest.wait(130_000), 30_000);
    rest.wake(160_000);
    assert.deepEqual(take(), ["resume 2 1"]);
  });

  test("one that cannot be watched again rests on, as long as it would next", () => {
    const { rest, state, take } = setUp();
    rest.later(5, 3, 0, -1);
    take();
    state.canResume = false;
    rest.wake(100_000);
    assert.deepEqual(take(), ["resume 5 3"]);
    assert.equal(rest.wait(100_000), 200_000);
    state.canResume = true;
    rest.wake(300_000);
    assert.equal(rest.wait(300_000), undefined);
  });

  test("the hundredth report for nothing within a second breaks the rule", () => {
    const { rest, take } = setUp();
    for (let i = 0; i < 99; i += 1) rest.idle(5, 1, 1000);
    assert.deepEqual([rest.broken, take()], [0, []]);
    rest.idle(5, 1, 1_001_000);
    assert.deepEqual([rest.broken, take()], [1, ["report 5 1 0", "pause 5 1"]]);
    rest.wake(2e6);
    take();
    rest.idle(5, 1, 2e6);
    assert.deepEqual([rest.broken, take()], [2, ["pause 5 1"]], "found out at once afterwards");
  });

  test("reports that are apart, or that something came of, break nothing", () => {
    const { rest } = setUp();
    for (let i = 0; i < 99; i += 1) rest.idle(5, 1, 0);
    for (let i = 0; i < 99; i += 1) rest.idle(5, 1, 1_000_001);
    rest.served(5, 1);
    for (let i = 0; i < 99; i += 1) rest.idle(5, 1, 1_000_001);
    for (let i = 0; i < 99; i += 1) rest.idle(6, 1, 1_000_001);
    assert.equal(rest.broken, 0);
  });

  test("a window begins with the first report after the last one", () => {
    const { rest } = setUp();
    for (let i = 0; i < 99; i += 1) rest.idle(5, 1, 0);
    for (let i = 0; i < 99; i += 1) rest.idle(5, 1, 1_000_001 + i);
    assert.equal(rest.broken, 0);
    rest.idle(5, 1, 1_000_200);
    assert.equal(rest.broken, 1);
  });

  test("reports that come while it rests are counted anew", () => {
    const { rest } = setUp();
    for (let i = 0; i < 100; i += 1) rest.idle(5, 1, 0);
    for (let i = 0; i < 99; i += 1) rest.idle(5, 1, 0);
    assert.equal(rest.broken, 1);
    rest.idle(5, 1, 0);
    assert.equal(rest.broken, 2);
  });

  test("few that are remembered are not forgotten, however long they were quiet", () => {
    const { rest } = setUp();
    rest.later(5, 1, 0, -1);
    rest.wake(100_000);
    rest.idle(6, 1, 10e6);
    rest.later(5, 1, 10e6, -1);
    assert.equal(rest.wait(10e6), 200_000);
  });

  test("from 64 on those that were quiet for more than a second are forgotten", () => {
    for (const [others, now, pause] of [
      [62, 1_100_001, 200_000],
      [63, 1_100_000, 200_000],
      [63, 1_100_001, 100_000],
    ] as const) {
      const { rest } = setUp();
      rest.later(0, 1, 0, -1);
      rest.wake(100_000);
      for (let token = 1; token <= others; token += 1) rest.idle(token, 1, 500_000);
      rest.idle(99, 1, now);
      rest.later(0, 1, now, -1);
      assert.equal(rest.wait(now), pause, `${others} ${now}`);
    }
  });

  test("of several rests the first to end counts", () => {
    const { rest } = setUp();
    rest.later(5, 1, 0, -1);
    rest.later(6, 1, 50_000, -1);
    rest.later(7, 1, 20_000, -1);
    assert.equal(rest.wait(60_000), 40_000);
    rest.wake(100_000);
    assert.equal(rest.wait(100_000), 20_000);
  });

  test("of 64 that are remembered those that were quiet for a second are forgotten", () => {
    const { rest } = setUp();
    for (let i = 0; i < 98; i += 1) rest.idle(0, 1, 0);
    rest.later(1, 1, 0, -1);
    for (let token = 2; token < 64; token += 1) rest.idle(token, 1, 500_000);
    rest.idle(64, 1, 1_000_001);
    rest.idle(0, 1, 1_000_001);
    rest.idle(0, 1, 1_000_001);
    assert.equal(rest.broken, 0, "what was counted of the first one is forgotten");
    assert.equal(rest.wait(0), 100_000, "one that rests is not");
    for (let i = 0; i < 98; i += 1) rest.idle(2, 1, 1_000_001);
    assert.equal(rest.broken, 0);
    rest.idle(2, 1, 1_000_001);
    assert.equal(rest.broken, 1, "nor is one that was heard of lately");
  });

  test("those that wait for room are watched again with it, or rest if they cannot be", () => {
    const { rest, state, take } = setUp();
    rest.untilRoom(1, 3);
    rest.untilRoom(2, 3);
    assert.deepEqual(take(), ["pause 1 3", "pause 2 3"]);
    assert.equal(rest.wait(0), undefined);
    rest.room(0);
    assert.deepEqual(take(), ["resume 1 3", "resume 2 3"]);
    rest.room(0);
    assert.deepEqual(take(), []);
    rest.untilRoom(1, 3);
    state.canResume = false;
    rest.room(7);
    assert.deepEqual(take().slice(1), ["resume 1 3", "report 1 3 0", "pause 1 3"]);
    assert.equal(rest.wait(7), 100_000);
  });

  test("without anybody to tell it does the same", () => {
    const rest = new RestingSources({ pause: () => {}, resume: () => true });
    rest.later(1, 1, 0, -1);
    assert.equal(rest.wait(0), 100_000);
  });
});
