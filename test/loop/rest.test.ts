/** Sources that cannot be served are left alone: nothing keeps the loop awake for nothing. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Sources } from "../../src/loop/sources.ts";
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

describe("sources", () => {
  /** Registrations as the kernel has them, by descriptor. */
  function setUp() {
    const watched = new Map<number, string>();
    const state = { errno: 0 };
    const sources = new Sources({
      add: (fd, events, lo, hi) => {
        if (state.errno === 0) watched.set(fd, `${events} ${lo} ${hi}`);
        return state.errno;
      },
      modify: (fd, events, lo, hi) => {
        watched.set(fd, `${events} ${lo} ${hi}`);
        return 0;
      },
      remove: (fd) => {
        watched.delete(fd);
        return 0;
      },
    });
    return { sources, watched, state };
  }

  test("a source that rests is not watched at all, and afterwards for what is wanted then", () => {
    const { sources, watched } = setUp();
    assert.equal(sources.add(7, 1, -2, 1), 0);
    assert.equal(sources.add(8, 1, -2, 3), 0);
    sources.pause(-2, 1);
    sources.pause(-2, 1);
    assert.deepEqual([...watched], [[8, "1 -2 3"]]);
    assert.equal(sources.modify(7, 5, -2, 1), 0);
    assert.deepEqual([...watched.keys()], [8]);
    assert.equal(sources.resume(-2, 1), true);
    assert.equal(watched.get(7), "5 -2 1");
    assert.equal(sources.modify(7, 4, -2, 1), 0);
    assert.equal(watched.get(7), "4 -2 1");
  });

  test("one that cannot be watched again rests on; one never watched is no trouble", () => {
    const { sources, watched, state } = setUp();
    state.errno = -ENOMEM;
    assert.equal(sources.add(7, 1, 0, 3), -ENOMEM);
    assert.equal(sources.resume(0, 3), true);
    state.errno = 0;
    sources.add(7, 1, 0, 3);
    sources.pause(0, 3);
    state.errno = -ENOMEM;
    assert.equal(sources.resume(0, 3), false);
    state.errno = 0;
    assert.equal(sources.resume(0, 3), true);
    assert.deepEqual([...watched.keys()], [7]);
  });

  test("one whose descriptor is closed is forgotten: its number may be another's", () => {
    const { sources, watched } = setUp();
    sources.add(7, 1, 5, 1);
    sources.pause(5, 1);
    sources.forget(5, 1);
    assert.equal(sources.resume(5, 1), true);
    assert.equal(watched.size, 0);
  });
});
