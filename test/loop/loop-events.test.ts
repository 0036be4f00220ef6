/** What each kind of event comes to, and the engine's memory as links see it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { linkMemoryOf } from "../../src/loop/loop.ts";
import {
  EVENT_OF_ADDRESSES,
  EVENT_OF_ALARM,
  EVENT_OF_CONTROL,
  EVENT_OF_FLOW,
  EVENT_OF_LINK,
  EVENT_OF_LISTENER,
  EVENT_OF_PORT,
  EVENT_OF_SERVICE,
} from "../../src/upstream/upstream.ts";
import * as abi from "../../wasm/abi.ts";
import { LINK_READABLE, LINK_WRITABLE, Stage } from "./stage.ts";

/** What a turn does with one event, less what every turn does. */
function done(stage: Stage, hi: number, bits: number = abi.EVENT_READABLE, lo = 5): string[] {
  const notes = stage.turn({ bits, lo, hi });
  assert.equal(notes[0], "wait 256");
  return notes.slice(1).filter((note) => note !== "poll" && note !== "step");
}

describe("loop: events", () => {
  test("each kind goes where it belongs", () => {
    const stage = new Stage();
    assert.deepEqual(done(stage, EVENT_OF_FLOW), ["upstreamEvent 5 1"]);
    assert.deepEqual(done(stage, EVENT_OF_LINK), ["receive 32: 0"]);
    assert.deepEqual(done(stage, EVENT_OF_LISTENER), ["accept 5 0"]);
    assert.deepEqual(done(stage, EVENT_OF_ALARM), []);
    assert.deepEqual(done(stage, EVENT_OF_ADDRESSES), [`notice ${EVENT_OF_ADDRESSES}`]);
    assert.deepEqual(done(stage, EVENT_OF_SERVICE), [`notice ${EVENT_OF_SERVICE}`]);
    assert.deepEqual(done(stage, EVENT_OF_PORT), ["arrived 5 0"]);
    assert.deepEqual(stage.turn({ bits: 1, lo: 5, hi: EVENT_OF_CONTROL }), ["wait 256", "control"]);
  });

  test("an alarm that goes off again and again breaks no rule, a stranger does", () => {
    const stage = new Stage();
    for (let i = 0; i < 200; i += 1) done(stage, EVENT_OF_ALARM);
    assert.equal(stage.loop.broken, 0);
    for (let i = 0; i < 100; i += 1) done(stage, 99);
    assert.equal(stage.loop.broken, 1);
  });

  test("a link that is told of and moves frames breaks no rule, one that does not, does", () => {
    const stage = new Stage();
    for (let i = 0; i < 200; i += 1) {
      stage.sendArp();
      stage.turn(LINK_READABLE);
    }
    assert.equal(stage.loop.broken, 0);
    for (let i = 0; i < 100; i += 1) stage.turn(LINK_READABLE);
    assert.equal(stage.loop.broken, 1);
  });

  test("a link's descriptors are judged in the order of their events", () => {
    const stage = new Stage();
    const events = [3, 5].map((lo) => ({ bits: abi.EVENT_READABLE, lo, hi: EVENT_OF_LINK }));
    for (let i = 0; i < 99; i += 1) stage.turn(...events);
    const rests = stage.turn(...events).filter((note) => note.startsWith("rests"));
    assert.deepEqual(rests, [`rests 3 ${EVENT_OF_LINK} 0`, `rests 5 ${EVENT_OF_LINK} 0`]);
  });

  test("events of sockets are made quiet while the link is full, and not otherwise", () => {
    const stage = new Stage();
    assert.deepEqual(done(stage, EVENT_OF_FLOW), ["upstreamEvent 5 1"]);
    stage.sendPing(1);
    stage.room = 0;
    stage.turn(LINK_READABLE);
    const notes = done(stage, EVENT_OF_FLOW);
    assert.deepEqual(notes, ["upstreamEvent 5 1", "quieten 5", "transmit 0-1: 0"]);
  });

  test("a link that moves one frame a turn, and no more, breaks no rule", () => {
    const stage = new Stage();
    stage.sendPing(0);
    stage.room = 0;
    stage.turn(LINK_READABLE);
    for (let i = 1; i < 200; i += 1) {
      stage.sendPing(i);
      stage.turn(LINK_READABLE);
    }
    assert.equal(stage.loop.broken, 0);
  });

  test("a link that takes one frame each time it has room breaks no rule", () => {
    const stage = new Stage();
    stage.room = 0;
    for (let i = 0; i < 160; i += 1) stage.sendPing(i);
    for (let i = 0; i < 5; i += 1) stage.turn(LINK_READABLE);
    assert.equal(stage.engine.txCount, 160);
    for (let i = 0; i < 120; i += 1) {
      stage.room = 1;
      stage.turn(LINK_WRITABLE);
    }
    assert.equal(stage.guest.pending, 120);
    assert.equal(stage.loop.broken, 0);
  });

  test("what is wanted at once is not put off by a microsecond", () => {
    const stage = new Stage();
    stage.chore = 0;
    assert.equal(stage.loop.sleep, 0);
  });

  test("any errno of the link ends it, EPERM too, and nothing is done after it", () => {
    const stage = new Stage();
    stage.sendArp();
    stage.transmitErrno = -1;
    stage.script.push([LINK_READABLE]);
    assert.equal(stage.loop.run(), -1);
    assert.equal(stage.notes.at(-1), "transmit 0-1: -1");
  });

  test("any errno of reading the link ends it, too", () => {
    const stage = new Stage();
    stage.receiveErrno = -1;
    stage.script.push([LINK_READABLE]);
    assert.equal(stage.loop.run(), -1);
  });

  test("a link that took nothing is offered all again when nothing is read from it", () => {
    const stage = new Stage();
    stage.sendPing(1);
    stage.room = 0;
    stage.turn(LINK_READABLE);
    const offers = stage.turn(LINK_READABLE).filter((note) => note.startsWith("transmit"));
    assert.deepEqual(offers, ["transmit 0-1: 0", "transmit 0-1: 0"]);
  });

  test("a listener is not asked to accept while the link is full", () => {
    const stage = new Stage();
    stage.sendPing(1);
    stage.room = 0;
    stage.turn(LINK_READABLE);
    const notes = done(stage, EVENT_OF_LISTENER);
    assert.deepEqual(notes, [`pause 5 ${EVENT_OF_LISTENER}`, "transmit 0-1: 0"]);
  });
});

test("loop: links see the engine's regions, at its address or at none", () => {
  const { engine } = new Stage();
  const { rxDescriptors, rxBuffers, txRecords } = engine.bases;
  const seen = linkMemoryOf(engine, 4096);
  assert.equal(seen.buffer, engine.octets.buffer);
  assert.equal(seen.u32, engine.words);
  const { buffer: _, u32: __, ...rest } = seen;
  const loans = undefined;
  assert.deepEqual(rest, { base: 4096, rxDescriptors, rxBuffers, txRecords, loans });
  assert.equal(linkMemoryOf(engine).base, 0);
});
