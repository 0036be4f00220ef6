/** What a link lends: when it is copied, and when it goes back. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as abi from "../../wasm/abi.ts";
import { LINK_READABLE, Stage } from "./stage.ts";

describe("loop: a link that lends", () => {
  test("has copies made after each call that lists them, and gets all back at the end", () => {
    const stage = new Stage(true);
    stage.lentCount = 1;
    stage.sendDatagram();
    const notes = stage.turn(LINK_READABLE);
    const calls = ["guestRx 1", "copy", "step", "copy", "execute", "complete", "copy", "release"];
    const found = notes.map((note) => note.replace(/^execute .*/, "execute"));
    assert.deepEqual(
      found.filter((note) => calls.includes(note)),
      [
        ...calls.slice(0, 4),
        "execute",
        "complete",
        "copy",
        "execute",
        "complete",
        "copy",
        "release",
      ],
    );
    assert.equal(notes.at(-1), "release");
  });

  test("gets nothing back that it has not lent", () => {
    const stage = new Stage(true);
    stage.sendArp();
    assert.ok(!stage.turn(LINK_READABLE).includes("release"));
  });

  test("gets it back although the engine is not done with it: it is in its slot then", () => {
    const stage = new Stage(true);
    stage.lentCount = 1;
    const { engine } = stage;
    const step = engine.step.bind(engine);
    engine.step = (now) => {
      step(now);
      stage.setReady(abi.READY_FLUSH);
    };
    assert.deepEqual(stage.turn(LINK_READABLE).slice(-2), ["settle", "release"]);
  });

  test("that is full gets it back as it is: what the engine has not used it has kept", () => {
    const stage = new Stage(true);
    stage.room = 0;
    stage.sendArp();
    stage.turn(LINK_READABLE);
    stage.lentCount = 1;
    const { engine } = stage;
    const step = engine.step.bind(engine);
    engine.step = (now) => {
      step(now);
      stage.setReady(abi.READY_FLUSH);
    };
    const notes = stage.turn(LINK_READABLE);
    assert.ok(!notes.includes("settle"));
    assert.equal(notes.at(-1), "release");
  });
});
