/** What poll(2) says of a descriptor, and that a look takes nothing away. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { SOCK_CLOEXEC } from "../../src/sys/linux.ts";
import { becomesReadable, hasHungUp, isReadable, isWritable } from "../../src/sys/poll.ts";
import { openUnixPair } from "../support/unix-pair.ts";
import { play, systemTest } from "./support.ts";

const [IN, OUT, ERR, HUP, RDHUP] = [0x1, 0x4, 0x8, 0x10, 0x2000];

describe("poll", () => {
  systemTest("a socket: octets to be read, room, and the end of its peer", [], (sys) => {
    const pair = openUnixPair(sys);
    const look = () => [hasHungUp, isReadable, isWritable].map((each) => each(sys, pair.a));
    assert.deepEqual(look(), [false, false, true]);
    sys.send(pair.b, sys.scratch.address, 1, 0);
    assert.deepEqual(look(), [false, true, true]);
    assert.deepEqual(look(), [false, true, true], "it is there still");
    sys.close(pair.b);
    assert.deepEqual(look(), [true, true, true]);
    sys.close(pair.a);
    assert.deepEqual(look(), [true, false, false], "no descriptor at all is an end");
  });

  systemTest("what is to become readable is waited for, so long and no longer", [], (sys) => {
    const pair = openUnixPair(sys);
    const began = performance.now();
    assert.equal(becomesReadable(sys, pair.a, 30), false);
    assert.ok(performance.now() - began >= 29);
    sys.send(pair.b, sys.scratch.address, 1, 0);
    assert.equal(becomesReadable(sys, pair.a, 60_000), true);
    sys.close(pair.a);
    sys.close(pair.b);
  });

  systemTest("a pipe: an end without room is no writable one", [], (sys) => {
    sys.pipe2(sys.scratch.address, SOCK_CLOEXEC);
    const [reading, writing] = [sys.scratch.getI32(0), sys.scratch.getI32(4)];
    assert.equal(isWritable(sys, writing), true);
    assert.equal(isWritable(sys, reading), false);
    sys.close(reading);
    assert.equal(hasHungUp(sys, writing), true, "by an error");
    sys.close(writing);
  });

  systemTest("each looks for its own event, and only at what has happened", [], (sys) => {
    let happened = { count: 1, events: 0 };
    let wanted = 0;
    const { told, calls } = play(sys, {
      poll: (address) => {
        const entry = new DataView(sys.view(address, 8));
        assert.deepEqual([entry.getInt32(0, true), entry.getInt16(6, true)], [9, 0]);
        wanted = entry.getInt16(4, true);
        entry.setUint16(6, happened.events, true);
        return happened.count;
      },
    });
    for (const [look, event] of [
      [hasHungUp, RDHUP],
      [isReadable, IN],
      [isWritable, OUT],
    ] as const) {
      for (const events of [IN, OUT, ERR, HUP, RDHUP, 0x8000]) {
        happened = { count: 1, events };
        const isIt = look === hasHungUp || events === event; // any news is an end's
        assert.equal(look(told, 9), isIt, `${look.name} ${events}`);
        assert.equal(wanted, event);
      }
      for (const count of [0, -4]) {
        happened = { count, events: event };
        assert.equal(look(told, 9), false);
      }
    }
    assert.deepEqual(calls[0], ["poll", "@", 1, 0]);
  });
});
