/** The loop's turns: their order, their bounds, a full link, the ends, and how long it sleeps. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readStat } from "../../src/engine/stats.ts";
import { BATCHES_MAX, EVENT_BATCH, FULL_PAUSE_US, GUEST_BATCH } from "../../src/loop/budget.ts";
import { EBADF } from "../../src/sys/errno.ts";
import * as abi from "../../wasm/abi.ts";
import { START } from "../support/engine-harness.ts";
import { PEER } from "../support/engine-settings.ts";
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

/** A stage whose link is full: one of three answers is through. */
function blocked(): Stage {
  const stage = new Stage();
  for (let i = 0; i < 3; i += 1) stage.sendPing(i);
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

  test("takes as many frames as the link says it is best asked for", () => {
    const stage = new Stage();
    for (let i = 0; i < 69; i += 1) stage.sendPing(i);
    const receives = (notes: readonly string[]): string[] => matching(notes, /^receive/);
    stage.batchFrames = 64;
    assert.deepEqual(receives(stage.turn(LINK_READABLE)), ["receive 64: 64"]);
    stage.batchFrames = 4;
    assert.deepEqual(receives(stage.turn()), ["receive 4: 4"]);
    assert.deepEqual(receives(stage.turn()), ["receive 4: 1"]);
    assert.deepEqual(receives(stage.turn()), []);
  });

  test("a guest that is given more than was taken from it is heard out, within bounds", () => {
    const { stage, handle } = withSocket();
    for (let i = 0; i < (BATCHES_MAX + 2) * GUEST_BATCH; i += 1) stage.sendPing(i);
    stage.host.live[0]?.receive("not asked for", { address: PEER, port: 9 });
    const readable = { bits: abi.EVENT_READABLE, lo: handle, hi: OF_FLOW };
    const work = matching(stage.turn(readable, LINK_READABLE), /^(?:receive|step)/);
    const batch = [`${RECEIVE}: ${GUEST_BATCH}`, "step"];
    assert.deepEqual(work, new Array(BATCHES_MAX).fill(batch).flat());
    assert.deepEqual(matching(stage.turn(), /^receive/), [batch[0]], "even: a batch is enough");
  });

  test("takes no frames while the engine has to flush first", () => {
    const stage = new Stage();
    stage.sendArp();
    stage.setReady(abi.READY_FLUSH);
    assert.deepEqual(stage.turn(LINK_READABLE, LISTENER), [WAIT, "accept 3 0", "poll", "step"]);
    assert.equal(stage.engine.ready, false);
    assert.deepEqual(matching(stage.turn(), /^(?:receive|accept)/), [`${RECEIVE}: 1`]);
  });

  test("work that is left over for receiving holds up neither frames nor connections", () => {
    const stage = new Stage();
    stage.sendArp();
    stage.setReady(abi.READY_RECEIVE);
    const notes = stage.turn(LINK_READABLE, LISTENER);
    assert.deepEqual(matching(notes, /^(?:receive|accept)/), ["accept 3 0", `${RECEIVE}: 1`]);
  });

  test("waiting that fails is told, and is no reason to turn for ever", () => {
    const stage = new Stage();
    stage.waitErrno = -EBADF;
    assert.throws(() => stage.loop.run(), {
      name: "SystemError",
      errno: EBADF,
      message: /^Wait for events: /,
    });
  });
});

describe("loop: a full link", () => {
  test("operations are carried out although frames wait", () => {
    const stage = new Stage();
    for (let i = 0; i < 3; i += 1) stage.sendPing(i);
    stage.sendDatagram();
    stage.room = 1;
    assert.deepEqual(stage.turn(LINK_READABLE).slice(-6), [
      "transmit 0-3: 1",
      "wantRoom true",
      "execute 1",
      "complete",
      "execute 1",
      "complete",
    ]);
    assert.equal(stage.host.live[0]?.datagrams.length, 1);
  });

  test("frames are taken from the guest, and what answers them waits behind the rest", () => {
    const stage = blocked();
    stage.sendPing(3);
    stage.sendDatagram(40_001);
    stage.room = 0;
    assert.deepEqual(stage.turn(LINK_READABLE), [
      WAIT,
      "transmit 1-3: 0",
      "poll",
      `${RECEIVE}: 2`,
      "guestRx 2",
      "step",
      "execute 1",
      "complete",
      "execute 1",
      "complete",
    ]);
    assert.equal(stage.engine.txCount, 4);
    assert.equal(stage.host.live[0]?.datagrams.length, 1);
    stage.room = Number.POSITIVE_INFINITY;
    stage.turn(LINK_WRITABLE);
    assert.deepEqual(stage.pingSequences(), [0, 1, 2, 3], "each once, in order, as it was asked");
  });

  test("a guest that writes and never reads is answered as far as the list goes", () => {
    const stage = blocked();
    stage.room = 0;
    const asked = 2 * abi.TX_CAPACITY_COUNT;
    for (let i = 3; i < asked; i += GUEST_BATCH) {
      for (let n = 0; n < GUEST_BATCH; n += 1) stage.sendPing(i + n);
      assert.ok(stage.turn(LINK_READABLE).includes(`${RECEIVE}: ${GUEST_BATCH}`));
    }
    assert.equal(stage.engine.txCount, abi.TX_CAPACITY_COUNT);
    assert.ok(readStat(stage.engine, abi.STAT_COUNT + abi.DROP_TX_FULL) >= asked / 2 - GUEST_BATCH);
    stage.sendDatagram(40_001);
    stage.turn(LINK_READABLE);
    assert.equal(stage.host.live[0]?.datagrams.length, 1, "what it sends to others gets there");
  });

  test("frames are taken although the engine has to flush, which it cannot", () => {
    const stage = blocked();
    stage.room = 0;
    stage.sendPing(3);
    stage.setReady(abi.READY_FLUSH);
    assert.deepEqual(matching(stage.turn(LINK_READABLE), /^receive/), [`${RECEIVE}: 1`]);
  });

  test("frames go on where they stopped, each once, and the turn after that is whole", () => {
    const stage = blocked();
    stage.room = 1;
    const first = stage.turn(LINK_WRITABLE);
    assert.deepEqual(first, [WAIT, "transmit 1-3: 1", "poll", "step"]);
    stage.sendArp();
    stage.room = Number.POSITIVE_INFINITY;
    assert.deepEqual(stage.turn(LINK_READABLE, LINK_WRITABLE), [
      WAIT,
      "transmit 2-3: 1",
      ROOM_AGAIN,
      "heed",
      "txDone",
      "poll",
      `${RECEIVE}: 1`,
      "guestRx 1",
      "step",
      "transmit 0-1: 1",
      "txDone",
    ]);
    assert.equal(stage.guest.pending, 4);
  });

  test("news of sockets reaches the engine, which asks for nothing until there is room", () => {
    const { stage, handle } = withSocket();
    stage.sendPing(1);
    stage.room = 0;
    stage.turn(LINK_READABLE);
    const readable = { bits: abi.EVENT_READABLE, lo: handle, hi: OF_FLOW };
    stage.host.live[0]?.receive("answer");
    assert.deepEqual(stage.turn(readable), [
      WAIT,
      `upstreamEvent ${handle} ${abi.EVENT_READABLE}`,
      `quieten ${handle}`,
      "transmit 0-1: 0",
      "poll",
      "step",
    ]);
    stage.room = Number.POSITIVE_INFINITY;
    const executed = matching(stage.turn(LINK_WRITABLE), /^(?:step|execute)/);
    assert.deepEqual(executed.slice(0, 2), ["step", "execute 1"], "what was announced is fetched");
  });

  test("a listener rests until there is room", () => {
    const stage = blocked();
    stage.room = 0;
    assert.deepEqual(stage.turn(LISTENER).slice(1, 2), [`pause 3 ${OF_LISTENER}`]);
    stage.room = Number.POSITIVE_INFINITY;
    const notes = stage.turn(LINK_WRITABLE);
    assert.deepEqual(matching(notes, /^(?:resume|accept)/), [`resume 3 ${OF_LISTENER}`]);
    assert.deepEqual(matching(stage.turn(LISTENER), /^accept/), ["accept 3 0"]);
  });

  test("a peer that is gone frees it, by whatever event that shows", () => {
    const stage = blocked();
    stage.room = 0;
    const notes = stage.turn(LINK_READABLE);
    assert.deepEqual(matching(notes, /^(?:receive|transmit)/), [
      "transmit 1-3: 0",
      `${RECEIVE}: 0`,
      "transmit 1-3: 0",
    ]);
  });

  test("deadlines are looked at ten times a second, work that waits for room never", () => {
    const { stage } = withSocket();
    stage.sendPing(1);
    stage.room = 0;
    stage.turn(LINK_READABLE);
    assert.notEqual(stage.engine.nextDeadline(), 0);
    stage.now = START + 3600 * 1e6;
    stage.setReady(abi.READY_FLUSH | abi.READY_RECEIVE);
    stage.chore = 50;
    stage.sleeps.length = 0;
    assert.equal(stage.loop.run(), 0);
    assert.deepEqual(stage.sleeps, [FULL_PAUSE_US]);
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
    assert.deepEqual(stage.notes, [WAIT, "control"], "and nothing is begun any more");
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

  test("until the first rest is over, or what is wanted before that", () => {
    const stage = new Stage();
    stage.accepted = -EBADF;
    stage.turn(LISTENER);
    for (const [chore, sleep] of [
      [5e6, 100_000],
      [undefined, 100_000],
      [50, 50],
    ] as const) {
      stage.chore = chore;
      assert.equal(stage.loop.sleep, sleep);
    }
  });

  test("while the link is full a tenth of a second at least, and longer if nothing is due", () => {
    const stage = blocked();
    for (const [chore, sleep] of [
      [50, FULL_PAUSE_US],
      [5e6, 5e6],
    ] as const) {
      stage.chore = chore;
      assert.equal(stage.loop.sleep, sleep);
    }
  });

  test("an hour of idling is not one wait", () => {
    const stage = new Stage();
    stage.loop.run();
    assert.deepEqual(stage.sleeps, [SLEEP_MAX]);
  });
});
