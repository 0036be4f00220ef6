/** The loop's turns: their order, their bounds, a full link, the ends, and how long it sleeps. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EVENT_BATCH, GUEST_BATCH } from "../../src/loop/budget.ts";
import * as abi from "../../wasm/abi.ts";
import { START } from "../support/engine-harness.ts";
import {
  CONTROL,
  LINK_READABLE,
  LINK_WRITABLE,
  OF_FLOW,
  OF_LINK,
  OF_LISTENER,
  Stage,
} from "./stage.ts";

const ENODEV = 19;
const SLEEP_MAX = 60_000_000;
const WAIT = `wait ${EVENT_BATCH}`;
const RECEIVE = `receive ${GUEST_BATCH}`;
const ROOM_AGAIN = "wantRoom false";
const LISTENER = { bits: abi.EVENT_READABLE, lo: 3, hi: OF_LISTENER };

const matching = (notes: readonly string[], pattern: RegExp): string[] =>
  notes.filter((note) => pattern.test(note));

/** A stage with a socket, whose handle is given too. */
function withSocket(): { stage: Stage; handle: number } {
  const stage = new Stage();
  stage.sendDatagram();
  stage.turn(LINK_READABLE);
  const handle = stage.host.live[0]?.handle;
  assert.ok(handle !== undefined);
  return { stage, handle };
}

/** A stage whose link is full: one of three answers is through, a socket waits to be opened. */
function blocked(): Stage {
  const stage = new Stage();
  for (let i = 0; i < 3; i += 1) stage.sendPing(i);
  stage.sendDatagram();
  stage.room = 1;
  const notes = stage.turn(LINK_READABLE);
  assert.deepEqual(notes.slice(-3), ["step", "transmit 0-3: 1", "wantRoom true"]);
  return stage;
}

describe("loop: a turn", () => {
  test("events, frames, a step, then frames and operations in turns until none is left", () => {
    const { stage, handle } = withSocket();
    stage.sendArp();
    stage.sendDatagram(40_001);
    const writable = { bits: abi.EVENT_WRITABLE, lo: handle, hi: OF_FLOW };
    assert.deepEqual(stage.turn(writable, LINK_READABLE, LISTENER), [
      WAIT,
      `upstreamEvent ${handle} ${abi.EVENT_WRITABLE}`,
      `accept 3 0`,
      "poll",
      `${RECEIVE}: 2`,
      "guestRx 2",
      "step",
      "transmit 0-1: 1",
      "txDone",
      "execute 1",
      "complete",
      "execute 1",
      "complete",
    ]);
    assert.equal(stage.guest.pending, 1);
    assert.equal(stage.host.live.length, 2);
    assert.ok(stage.host.live.every((socket) => socket.datagrams.length === 1));
  });

  test("a turn without events lets the engine step and reads nothing", () => {
    const stage = new Stage();
    stage.sendArp();
    assert.deepEqual(stage.turn(), [WAIT, "poll", "step"]);
    assert.deepEqual(stage.turn(LINK_WRITABLE), [WAIT, "poll", "step"]);
    assert.deepEqual(stage.turn({ bits: abi.EVENT_HANGUP, lo: 0, hi: OF_LINK }).slice(2, 3), [
      `${RECEIVE}: 1`,
    ]);
  });

  test("takes a bounded number of frames, and the rest without waiting for an event", () => {
    const stage = new Stage();
    for (let i = 0; i < 2 * GUEST_BATCH + 5; i += 1) stage.sendPing(i);
    const receives = (notes: readonly string[]): string[] => matching(notes, /^receive/);
    assert.deepEqual(receives(stage.turn(LINK_READABLE)), [`${RECEIVE}: ${GUEST_BATCH}`]);
    assert.deepEqual(receives(stage.turn()), [`${RECEIVE}: ${GUEST_BATCH}`]);
    assert.deepEqual(receives(stage.turn()), [`${RECEIVE}: 5`]);
    assert.deepEqual(receives(stage.turn()), []);
    assert.equal(stage.guest.pending, 2 * GUEST_BATCH + 5);
  });

  test("takes no frames and no connections while the engine has to flush first", () => {
    const stage = new Stage();
    stage.sendArp();
    stage.setReady(abi.READY_FLUSH);
    assert.deepEqual(stage.turn(LINK_READABLE, LISTENER), [WAIT, "poll", "step"]);
    assert.equal(stage.engine.ready, false);
    const next = stage.turn(LISTENER);
    assert.deepEqual(matching(next, /^(?:receive|accept)/), ["accept 3 0", `${RECEIVE}: 1`]);
  });

  test("work that is left over for receiving holds up neither frames nor connections", () => {
    const stage = new Stage();
    stage.sendArp();
    stage.setReady(abi.READY_RECEIVE);
    const notes = stage.turn(LINK_READABLE, LISTENER);
    assert.deepEqual(matching(notes, /^(?:receive|accept)/), ["accept 3 0", `${RECEIVE}: 1`]);
  });
});

describe("loop: a full link", () => {
  test("nothing is taken from the guest and no operation done until it is writable", () => {
    const stage = blocked();
    stage.sendArp();
    stage.room = 0;
    const idle = stage.turn(LINK_READABLE);
    assert.deepEqual(idle, [WAIT, "transmit 1-3: 0"]);
    assert.equal(stage.host.live.length, 0);
    assert.equal(stage.guest.pending, 1);
  });

  test("frames go on where they stopped, each once, and the turn after that is whole", () => {
    const stage = blocked();
    stage.sendArp();
    stage.room = 1;
    assert.deepEqual(stage.turn(LINK_READABLE, LINK_WRITABLE), [WAIT, "transmit 1-3: 1"]);
    stage.room = Number.POSITIVE_INFINITY;
    assert.deepEqual(stage.turn(LINK_WRITABLE), [
      WAIT,
      "transmit 2-3: 1",
      ROOM_AGAIN,
      "txDone",
      "execute 1",
      "complete",
      "execute 1",
      "complete",
      "poll",
      `${RECEIVE}: 1`,
      "guestRx 1",
      "step",
      "transmit 0-1: 1",
      "txDone",
    ]);
    assert.equal(stage.guest.pending, 4);
    assert.equal(stage.host.live[0]?.datagrams.length, 1);
  });

  test("events of sockets reach the engine meanwhile, connections wait", () => {
    const { stage, handle } = withSocket();
    stage.sendPing(1);
    stage.room = 0;
    stage.turn(LINK_READABLE);
    const readable = { bits: abi.EVENT_READABLE, lo: handle, hi: OF_FLOW };
    stage.host.live[0]?.receive("answer");
    assert.deepEqual(stage.turn(readable, LISTENER), [
      WAIT,
      `upstreamEvent ${handle} ${abi.EVENT_READABLE}`,
      "transmit 0-1: 0",
    ]);
    const { host } = stage;
    host.live[0]?.receive("answer");
    stage.room = Number.POSITIVE_INFINITY;
    const executed = matching(stage.turn(LINK_WRITABLE), /^(?:step|execute)/);
    assert.deepEqual(executed.slice(0, 2), ["step", "execute 1"], "what was announced is fetched");
  });

  test("deadlines of the engine do not keep it awake", () => {
    const { stage } = withSocket();
    stage.sendPing(1);
    stage.room = 0;
    stage.turn(LINK_READABLE);
    assert.notEqual(stage.engine.nextDeadline(), 0);
    stage.now = START + 3600 * 1e6;
    stage.sleeps.length = 0;
    assert.equal(stage.loop.run(), 0);
    assert.deepEqual(stage.sleeps, [SLEEP_MAX]);
  });
});

describe("loop: the end", () => {
  test("told to stop it stops, with nothing begun any more", () => {
    const stage = new Stage();
    stage.sendArp();
    stage.script.push([LINK_READABLE, CONTROL]);
    assert.equal(stage.loop.run(), 0);
    assert.deepEqual(stage.notes, [WAIT, "control"]);
    assert.equal(stage.guest.pending, 0);
  });

  test("other commands do not end it", () => {
    const stage = new Stage();
    stage.goesOn = true;
    assert.deepEqual(stage.turn(CONTROL), [WAIT, "control", "poll", "step"]);
    stage.goesOn = false;
    assert.equal(stage.loop.run(), 0);
  });

  test("a link that is gone ends it with the errno, found by reading or by writing", () => {
    const reading = new Stage();
    reading.receiveErrno = -ENODEV;
    reading.script.push([{ bits: abi.EVENT_ERROR, lo: 0, hi: OF_LINK }]);
    assert.equal(reading.loop.run(), -ENODEV);
    const writing = new Stage();
    writing.sendArp();
    writing.transmitErrno = -ENODEV;
    writing.script.push([LINK_READABLE]);
    assert.equal(writing.loop.run(), -ENODEV);
  });

  test("a link that goes away while it is full ends it too", () => {
    const stage = blocked();
    stage.transmitErrno = -ENODEV;
    stage.script.push([{ bits: abi.EVENT_ERROR, lo: 0, hi: OF_LINK }]);
    assert.equal(stage.loop.run(), -ENODEV);
    assert.deepEqual(stage.notes, [WAIT, `transmit 1-3: ${-ENODEV}`]);
  });

  test("control is looked at while the link is full", () => {
    const stage = blocked();
    stage.script.push([CONTROL]);
    assert.equal(stage.loop.run(), 0);
  });
});

describe("loop: sleeping", () => {
  test("until the housekeeping or the engine wants to be called, whichever is first", () => {
    const idle = new Stage();
    idle.chore = 5000;
    idle.loop.run();
    assert.deepEqual(idle.sleeps, [5000]);
    const { stage } = withSocket();
    const deadline = stage.engine.nextDeadline();
    assert.ok(deadline > START);
    stage.now = deadline - 700;
    stage.chore = 5000;
    stage.sleeps.length = 0;
    stage.loop.run();
    assert.deepEqual(stage.sleeps, [700]);
  });

  test("not at all while work is left, by the engine's word or on the link", () => {
    for (const bits of [abi.READY_RECEIVE, abi.READY_FLUSH]) {
      const stage = new Stage();
      stage.chore = 5000;
      stage.setReady(bits);
      stage.script.push([]);
      stage.loop.run();
      assert.deepEqual(stage.sleeps, [0, 5000]);
    }
    const stage = new Stage();
    for (let i = 0; i < 2 * GUEST_BATCH + 1; i += 1) stage.sendPing(i);
    stage.script.push([LINK_READABLE], [], []);
    stage.loop.run();
    assert.deepEqual(stage.sleeps, [SLEEP_MAX, 0, 0, SLEEP_MAX]);
    assert.equal(matching(stage.notes, /^receive/).length, 3);
  });

  test("an hour of idling is not one wait", () => {
    const stage = new Stage();
    stage.loop.run();
    assert.deepEqual(stage.sleeps, [SLEEP_MAX]);
  });
});
