/** Who is promised what, and when it is said that the promise was broken; applications by hand. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ProgressWatch, type WatchedSocket } from "../../../src/lab/sim/check/progress-watch.ts";
import { planOfCompetition } from "../../../src/lab/sim/competition.ts";

const SECOND = 1_000_000;
const PROMISES = {
  connectWithin: 2 * SECOND,
  moveWithin: 5 * SECOND,
  answerWithin: 1.5 * SECOND,
  halfClosedWithin: 300 * SECOND,
};
const [PLAN] = planOfCompetition(1).plan.tcp;

function watched(yields = false) {
  assert.ok(PLAN !== undefined);
  const plan = { ...PLAN, id: 7, yields };
  const standing = {
    ...{ isStarted: true, isOpen: true, isOver: false, hasEnded: false, isClosing: false },
    ...{ written: 1000, read: 0 },
  };
  const socket: { -readonly [K in keyof WatchedSocket]: WatchedSocket[K] } = {
    ...{ plan, taken: 1000, received: 0, arrived: 0, isWritable: true },
    ...{ isShut: false, hasEnded: false, isClosed: false, isBroken: false },
  };
  const faults: string[] = [];
  const watch = new ProgressWatch(PROMISES, (text) => faults.push(text));
  watch.add({ plan, standing });
  watch.opened(socket);
  const pass = (seconds: number): void => {
    for (let i = 0; i < seconds * 5; i += 1) watch.look(SECOND / 5, []);
  };
  return { watch, standing, socket, faults, pass };
}

describe("sim/check/progress-watch: connections", () => {
  test("one on which nobody wants anything may rest", () => {
    const { faults, pass } = watched();
    pass(3600);
    assert.deepEqual(faults, []);
  });

  test("octets that the host would take are to move", () => {
    const { faults, pass, standing } = watched();
    standing.written = 2000;
    pass(4);
    assert.deepEqual(faults, []);
    pass(60);
    assert.deepEqual(faults, [
      "progress: TCP 7 of the guest does not move (1000 of 2000 up, 0 of 0 down) after 5 s",
    ]);
  });

  test("each octet that moves begins the time anew", () => {
    const { faults, pass, socket, standing } = watched();
    standing.written = 2000;
    for (let i = 0; i < 100; i += 1) {
      pass(4);
      socket.taken += 1;
    }
    assert.deepEqual(faults, []);
  });

  test("a host whose socket is full has no claim", () => {
    const { faults, pass, socket, standing } = watched();
    standing.written = 2000;
    socket.isWritable = false;
    pass(60);
    assert.deepEqual(faults, []);
  });

  test("what the host has for the guest, and ends of stream both ways", () => {
    const changes: readonly ((of: ReturnType<typeof watched>) => void)[] = [
      ({ socket }) => {
        socket.arrived = 10;
      },
      ({ socket }) => {
        socket.hasEnded = true;
      },
      ({ socket }) => {
        socket.isClosed = true;
      },
      ({ standing }) => {
        standing.isClosing = true;
      },
    ];
    for (const change of changes) {
      const run = watched();
      change(run);
      run.pass(6);
      assert.match(run.faults.join(), /does not move/);
    }
  });

  test("a connection is to be up in time, but one that yields may wait", () => {
    for (const yields of [false, true]) {
      const { faults, pass, standing } = watched(yields);
      standing.isOpen = false;
      pass(3);
      const wanted = ["progress: TCP 7 of the guest not connected after 2 s"];
      assert.deepEqual(faults, yields ? [] : wanted);
    }
  });

  test("one that is half-closed and idle is to be ended", () => {
    const { faults, pass, socket, standing } = watched(true);
    socket.isShut = true;
    standing.isClosing = true;
    pass(299);
    assert.deepEqual(faults, []);
    pass(2);
    assert.deepEqual(faults, ["progress: TCP 7 of the guest is half-closed and idle after 300 s"]);
  });

  test("one that is over is no matter any more", () => {
    const { faults, pass, socket, standing } = watched();
    socket.isClosed = true;
    standing.isOver = true;
    pass(60);
    assert.deepEqual(faults, []);
  });

  test("time in which the guest does not read does not count", () => {
    const { faults, watch, standing } = watched();
    standing.written = 2000;
    for (let i = 0; i < 1000; i += 1) watch.look(0, []);
    assert.deepEqual(faults, []);
  });
});

describe("sim/check/progress-watch: questions", () => {
  test("each is to be answered in time, and is told once", () => {
    const { faults, watch } = watched();
    const asked = { name: "a.example", isStarted: true, isAnswered: false };
    const later = { ...asked, isStarted: false };
    for (let i = 0; i < 100; i += 1) watch.look(SECOND / 5, [asked, later]);
    assert.deepEqual(faults, ["progress: DNS a.example is not answered after 1.5 s"]);
  });
});
