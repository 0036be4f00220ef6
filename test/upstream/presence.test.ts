/** Presence of a guest: when published ports answer, when they no longer do, who is asked for. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Presence, type PresenceState } from "../../src/upstream/presence.ts";
import * as abi from "../../wasm/abi.ts";
import { speak, strangers } from "../support/arrivals.ts";
import { GUEST, GUEST6, LINK6 } from "../support/engine-settings.ts";

const SECOND = 1_000_000;

/** A presence over an engine that has heard of nobody. */
class Stage {
  readonly world = strangers();
  readonly changes: boolean[] = [];
  /** Ports that listen. */
  answering = 0;
  /** What was asked of the ports: to listen or not, and how many at most. */
  readonly asked: (readonly [boolean, number | undefined])[] = [];
  settled = 0;
  peer = 0;
  count: number;
  readonly presence: Presence;

  constructor(options: { count?: number; interval?: number; before?: PresenceState } = {}) {
    const { interval, before } = options;
    this.count = options.count ?? 2;
    const stage = this;
    this.presence = new Presence({
      engine: this.world.engine,
      ports: {
        get count() {
          return stage.count;
        },
        answer: (on, limit) => {
          const { count } = this;
          this.asked.push([on, limit]);
          const most = limit ?? count;
          const wanted = on ? count : 0;
          const step = Math.min(most, Math.abs(wanted - this.answering));
          this.answering += on ? step : -step;
          return this.answering === wanted;
        },
      },
      attachment: { peer: () => this.peer, interval },
      onChange: (isThere) => this.changes.push(isThere),
      onSettled: () => {
        this.settled += 1;
      },
      before,
    });
  }

  get isAsking(): boolean {
    const { words, bases } = this.world.engine;
    const flags = words[(bases.config + abi.CONFIG_FLAGS_OFFSET) >> 2] ?? 0;
    return (flags & abi.CONFIG_FLAG_ASK_GUEST) !== 0;
  }

  /** Turns until nothing is left to do at once; how many that were. */
  turn(): number {
    let turns = 0;
    do {
      this.presence.poll(this.world.engine, this.world.now);
      turns += 1;
      assert.ok(turns < 1000, "it comes to rest");
    } while (this.presence.wait(this.world.now) === 0);
    return turns;
  }
}

describe("presence", () => {
  test("38: nobody attached: no port answers, nobody is asked for", () => {
    const stage = new Stage();
    stage.turn();
    assert.deepEqual([stage.answering, stage.isAsking, stage.settled], [0, false, 1]);
    assert.equal(stage.presence.wait(stage.world.now), undefined);
  });

  for (const address of [GUEST, GUEST6]) {
    test(`38: attached it is asked for, and once it says ${address} the ports answer`, () => {
      const stage = new Stage();
      stage.turn();
      stage.peer = 1;
      assert.equal(stage.presence.wait(stage.world.now), 0);
      stage.turn();
      assert.deepEqual([stage.answering, stage.isAsking], [0, true]);
      speak(stage.world, LINK6);
      stage.turn();
      assert.equal(stage.answering, 0, "a link-local address is nothing to connect to");
      speak(stage.world, address);
      assert.equal(stage.presence.wait(stage.world.now), 0);
      stage.turn();
      assert.deepEqual([stage.answering, stage.isAsking], [2, false]);
      assert.deepEqual(stage.changes, [true]);
    });
  }

  test("38: gone, they refuse; the next machine has to be heard of itself", () => {
    const stage = new Stage();
    stage.peer = 1;
    stage.turn();
    speak(stage.world, GUEST);
    stage.turn();
    stage.peer = 0;
    assert.equal(stage.presence.wait(stage.world.now), 0);
    stage.turn();
    assert.deepEqual([stage.answering, stage.isAsking], [0, false]);
    stage.peer = 2;
    stage.turn();
    assert.deepEqual([stage.answering, stage.isAsking], [0, true]);
    speak(stage.world, GUEST);
    stage.turn();
    stage.peer = 3; // at once, without a turn between
    stage.turn();
    assert.equal(stage.answering, 0);
    speak(stage.world, GUEST);
    stage.turn();
    assert.equal(stage.answering, 2);
    assert.deepEqual(stage.changes, [true, false, true, false, true]);
  });

  test("ports are asked for a change alone, 256 at a time", () => {
    const stage = new Stage();
    stage.turn();
    stage.peer = 1;
    stage.turn();
    assert.deepEqual(stage.asked, []);
    speak(stage.world, GUEST);
    stage.turn();
    speak(stage.world, GUEST6);
    stage.turn();
    assert.deepEqual(stage.asked, [[true, 256]]);
    assert.deepEqual(stage.changes, [true], "at whichever address it is heard of");
  });

  test("somebody who is heard of while nobody is attached is nobody", () => {
    const stage = new Stage();
    stage.turn();
    speak(stage.world, GUEST);
    stage.turn();
    assert.deepEqual([stage.changes, stage.answering], [[], 0]);
  });

  test("there is something to do at once until it has settled, and 200 ms for a guest", () => {
    const without = new Stage({ count: 0 });
    assert.equal(without.presence.wait(without.world.now), 0);
    without.turn();
    assert.equal(without.presence.wait(without.world.now), undefined);
    const stage = new Stage();
    const { now } = stage.world;
    assert.equal(stage.presence.wait(now), 0);
    stage.peer = 1;
    stage.presence.poll(stage.world.engine, now);
    assert.equal(stage.presence.wait(now), 200_000);
    assert.equal(stage.presence.wait(now + 199_999), 1);
    assert.equal(stage.presence.wait(now + 200_001), 0);
    stage.presence.poll(stage.world.engine, now + 199_999);
    assert.equal(stage.settled, 0);
    stage.presence.poll(stage.world.engine, now + 200_000);
    assert.equal(stage.settled, 1);
  });

  test("07: thousands of ports change over many turns", () => {
    const stage = new Stage({ count: 65535 });
    stage.peer = 1;
    stage.turn();
    speak(stage.world, GUEST);
    assert.ok(stage.turn() >= 256);
    assert.equal(stage.answering, 65535);
  });

  test("who waits for it to be ready waits for the guest, but not long", () => {
    const stage = new Stage({ interval: 5 * SECOND });
    stage.peer = 1;
    stage.turn();
    assert.equal(stage.settled, 0);
    assert.ok((stage.presence.wait(stage.world.now) ?? SECOND) <= SECOND / 5);
    stage.world.advance(SECOND / 5);
    stage.turn();
    assert.equal(stage.settled, 1);
    const quick = new Stage();
    quick.peer = 1;
    quick.turn();
    speak(quick.world, GUEST);
    quick.turn();
    assert.deepEqual([quick.settled, quick.answering], [1, 2]);
    const without = new Stage({ count: 0 });
    without.peer = 1;
    without.turn();
    assert.deepEqual([without.settled, without.isAsking], [1, false]);
  });

  test("without ports a guest is told of as well, but nothing wakes up for it", () => {
    const stage = new Stage({ count: 0, interval: 5 * SECOND });
    stage.peer = 1;
    stage.turn();
    speak(stage.world, GUEST);
    assert.equal(stage.presence.wait(stage.world.now), undefined);
    stage.turn();
    assert.deepEqual([stage.changes, stage.isAsking], [[true], false]);
    stage.peer = 0;
    stage.turn();
    assert.deepEqual([stage.changes, stage.answering], [[true, false], 0]);
  });

  test("one that is to be asked again is, and never earlier than now", () => {
    const stage = new Stage({ interval: 5000 });
    stage.turn();
    const { now } = stage.world;
    assert.equal(stage.presence.wait(now), 5000);
    assert.equal(stage.presence.wait(now + 4999), 1);
    assert.equal(stage.presence.wait(now + 9000), 0);
  });

  test("the first port that is published later has the guest asked for, and follows it", () => {
    const stage = new Stage({ count: 0 });
    stage.peer = 1;
    stage.turn();
    assert.deepEqual([stage.isAsking, stage.presence.wait(stage.world.now)], [false, undefined]);
    stage.count = 1;
    stage.presence.portsChanged(stage.world.now);
    stage.turn();
    assert.deepEqual([stage.answering, stage.isAsking], [0, true]);
    speak(stage.world, GUEST);
    stage.turn();
    assert.deepEqual([stage.answering, stage.isAsking, stage.changes], [1, false, [true]]);
    stage.count = 3;
    stage.presence.portsChanged(stage.world.now);
    assert.equal(stage.answering, 3, "at once, as the guest is there");
  });

  test("without ports nobody is asked for any more", () => {
    const stage = new Stage({ count: 1 });
    stage.peer = 1;
    stage.turn();
    assert.equal(stage.isAsking, true);
    stage.count = 0;
    stage.presence.portsChanged(stage.world.now);
    assert.equal(stage.isAsking, false);
  });

  test("with the next engine a guest that is still attached is there, unheard", () => {
    const stage = new Stage({ before: { peer: 3, isThere: true, isSettled: true } });
    stage.peer = 3;
    assert.equal(stage.presence.wait(stage.world.now), 0);
    stage.turn();
    assert.deepEqual([stage.answering, stage.isAsking, stage.settled], [2, false, 0]);
    assert.deepEqual([stage.changes, stage.presence.state.isThere], [[], true]);
    stage.peer = 4;
    stage.turn();
    assert.deepEqual([stage.answering, stage.changes], [0, [false]], "another one is not");
  });

  test("one that went while no engine ran is found gone, and who waited is sent away", () => {
    const stage = new Stage({ before: { peer: 3, isThere: true, isSettled: true } });
    stage.answering = 2;
    stage.turn();
    assert.deepEqual([stage.answering, stage.changes], [0, [false]]);
    assert.deepEqual(stage.presence.state, { peer: 0, isThere: false, isSettled: true });
  });

  test("an engine that failed before anything was settled leaves that to the next one", () => {
    const stage = new Stage({ before: { peer: 0, isThere: false, isSettled: false } });
    stage.turn();
    assert.equal(stage.settled, 1);
  });
});
