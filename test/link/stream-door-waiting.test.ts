/** Who gets in at a stream link's door, who waits for the place, and who is refused. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EPOLLIN, EPOLLRDHUP } from "../../src/sys/linux.ts";
import { Entrance, SECOND, STRANGER } from "./entrance.ts";

describe("door: those that wait", () => {
  test("are few, and others stay in the kernel's queue", () => {
    const entrance = new Entrance();
    entrance.knock(10, 11, 12, 13, 14, 15, 16);
    assert.equal(entrance.holder, 10);
    assert.deepEqual(entrance.socket.accepts, [15, 16]);
    assert.equal(entrance.isWatched, false);
    entrance.pass(10 * SECOND);
    assert.equal(entrance.holder, 11);
    assert.deepEqual(entrance.socket.accepts, [16]);
    entrance.door.close();
    assert.deepEqual(entrance.closed.slice(-4), [12, 13, 14, 15]);
  });

  test("get the place in turns, so that one that connects and speaks has it at last", () => {
    const entrance = new Entrance();
    entrance.knock(10, 11, 12, 13, 14, 15);
    for (const fd of [11, 12, 13, 14, 15]) {
      entrance.pass(10 * SECOND);
      assert.equal(entrance.holder, fd);
    }
    entrance.speak();
    entrance.pass(100 * SECOND);
    assert.equal(entrance.holder, 15);
    assert.equal(entrance.door.silent, 5);
  });

  test("one that has spoken is preferred", () => {
    const entrance = new Entrance();
    entrance.knock(10, 11, 12, 13);
    entrance.socket.polls.set(12, EPOLLIN);
    entrance.pass(10 * SECOND);
    assert.equal(entrance.holder, 12);
  });

  test("those that have hung up get nothing", () => {
    const entrance = new Entrance();
    entrance.knock(10, 11, 12);
    entrance.socket.polls.set(11, EPOLLRDHUP);
    entrance.pass(10 * SECOND);
    assert.equal(entrance.holder, 12);
    entrance.knock(13);
    entrance.socket.polls.set(13, EPOLLRDHUP);
    entrance.pass(100 * SECOND);
    assert.equal(entrance.holder, 12, "nobody waits any more");
    assert.equal(entrance.door.silent, 1);
  });

  test("one that has hung up does not get the place of the holder that goes", () => {
    const entrance = new Entrance();
    entrance.knock(10, 11, 12);
    entrance.socket.polls.set(11, EPOLLRDHUP);
    entrance.leave();
    assert.equal(entrance.holder, 12);
    assert.deepEqual(entrance.closed, [11]);
    assert.equal(entrance.door.fleeting, 2);
  });

  test("once nobody waits any more there is nothing to wait for", () => {
    const entrance = new Entrance();
    entrance.knock(10, 11);
    entrance.socket.polls.set(11, EPOLLRDHUP);
    entrance.socket.polls.set(12, EPOLLRDHUP);
    entrance.pass(SECOND);
    entrance.socket.calls.length = 0;
    entrance.knock(12);
    entrance.pass(SECOND);
    assert.deepEqual(
      entrance.socket.calls.filter((call) => call.startsWith("timer")),
      [],
    );
  });

  test("one waits for 10 s from when it came, however long the holder is there", () => {
    const entrance = new Entrance();
    entrance.knock(10);
    entrance.pass(3600 * SECOND);
    entrance.knock(11);
    entrance.pass(10 * SECOND - 1);
    assert.equal(entrance.holder, 10);
    entrance.pass(1);
    assert.equal(entrance.holder, 11);
  });

  test("each holder's refusals are told of by themselves", () => {
    const entrance = new Entrance();
    for (const fd of [10, 20]) {
      entrance.knock(fd);
      entrance.speak();
      entrance.knock(fd + 1, fd + 2);
      assert.equal(entrance.door.refusedHere, 2);
      entrance.leave();
    }
    assert.deepEqual([entrance.said, entrance.door.refused], [["refused", "refused"], 4]);
  });

  test("nothing is waited for once the holder has spoken, or nobody else is there", () => {
    const spoken = new Entrance();
    spoken.knock(10, 11);
    spoken.speak();
    assert.deepEqual(spoken.timers, ["timer 10000000"]);
    spoken.pass(SECOND);
    assert.deepEqual(spoken.timers, []);
    const left = new Entrance();
    left.knock(10, 11);
    left.leave();
    assert.equal(left.holder, 11);
    assert.deepEqual(left.timers, ["timer 10000000"], "of when the second one came");
    left.pass(SECOND);
    assert.deepEqual(left.timers, []);
  });

  test("a holder that is found to have spoken keeps its place when their time is over", () => {
    const entrance = new Entrance();
    entrance.knock(10, 11);
    entrance.hasSpoken = true; // and the link has not read it yet
    entrance.pass(10 * SECOND);
    assert.deepEqual([entrance.holder, entrance.closed, entrance.door.silent], [10, [11], 0]);
  });

  test("less than a microsecond is waited for as one: none would stop the timer", () => {
    const entrance = new Entrance();
    entrance.knock(10, 11);
    entrance.pass(10 * SECOND - 0.5);
    assert.deepEqual(entrance.timers, ["timer 10000000", "timer 1"]);
  });

  test("all are refused once the holder speaks, told once", () => {
    const entrance = new Entrance();
    entrance.knock(10, 11, 12, 13, 14, 15);
    entrance.speak();
    assert.deepEqual(entrance.closed, [11, 12, 13, 14]);
    assert.equal(entrance.isWatched, true);
    entrance.knock();
    assert.deepEqual(entrance.closed.at(-1), 15);
    assert.deepEqual([entrance.door.refused, entrance.door.refusedHere], [5, 5]);
    assert.deepEqual(entrance.said, ["refused"]);
  });

  test("one that gets the place of one that has hung up has its own 10 s", () => {
    const entrance = new Entrance();
    entrance.knock(10, 11, 12);
    entrance.pass(10 * SECOND - 1);
    entrance.holderHungUp = true;
    entrance.pass(1);
    assert.equal(entrance.holder, 11);
    entrance.pass(10 * SECOND - 1);
    assert.equal(entrance.holder, 11);
    assert.equal(entrance.door.silent, 0);
    entrance.pass(1);
    assert.equal(entrance.holder, 12);
    assert.equal(entrance.door.silent, 1);
  });

  test("the last one that waits gets the place of one that has hung up, and keeps it", () => {
    const entrance = new Entrance();
    entrance.knock(10, 11);
    entrance.pass(10 * SECOND - 1);
    entrance.holderHungUp = true;
    entrance.pass(100 * SECOND);
    assert.equal(entrance.holder, 11);
    assert.equal(entrance.door.silent, 0);
  });

  test("who is refused hears a reset, who has hung up is only closed", () => {
    const entrance = new Entrance();
    entrance.knock(10);
    entrance.speak();
    entrance.knock(11);
    entrance.uids.set(12, STRANGER);
    entrance.knock(12);
    entrance.socket.polls.set(13, EPOLLRDHUP);
    entrance.pass(SECOND);
    entrance.knock(13);
    const calls = entrance.socket.calls.filter((call) => /^(?:linger|close) /.test(call));
    assert.deepEqual(calls, ["linger 11", "close 11", "linger 12", "close 12", "close 13"]);
  });

  test("the timer is set once for what is due", () => {
    const entrance = new Entrance();
    assert.equal(entrance.door.refusedHere, 0);
    entrance.knock(10, 11);
    entrance.pass(SECOND);
    entrance.knock(12);
    const timers = entrance.socket.calls.filter((call) => call.startsWith("timer"));
    assert.deepEqual(timers, ["timer 10000000", "timer 9000000"], "at first, and after a tick");
    entrance.knock(13);
    assert.equal(entrance.socket.calls.filter((call) => call.startsWith("timer")).length, 2);
  });
});
