/** The cable: a guest that falls silent, and one whose writes block. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Cable } from "../../src/lab/sim/cable.ts";
import { VirtualClock } from "../../src/lab/sim/clock.ts";
import { planOfCompetition } from "../../src/lab/sim/competition.ts";
import { simulatedEngine } from "../../src/lab/sim/simulated-engine.ts";
import { NO_FAULTS } from "../../src/lab/sim/wire.ts";
import { World } from "../../src/lab/sim/world.ts";
import { linkMemoryOf } from "../../src/loop/loop.ts";
import { EVENT_READABLE } from "../../wasm/abi.ts";

const FRAME = new Uint8Array(60).fill(2);
const WIRE = { faults: NO_FAULTS, delay: 10, jitter: 0, rate: 0, queueFrames: 1000 };

function cableOf(guestBacklog: number | undefined) {
  const { plan } = planOfCompetition(1);
  const clock = new VirtualClock();
  const limits = { ...plan.limits, queueFrames: 8, offloads: false };
  const { guestBacklog: _, ...rest } = plan;
  const own = guestBacklog === undefined ? {} : { guestBacklog };
  const told = { arrived: 0, roomy: 0, faults: 0 };
  const cable = new Cable(
    clock,
    { ...rest, ...own, limits, toGuest: WIRE, toEngine: WIRE },
    {
      fault: () => {
        told.faults += 1;
      },
      left: () => {},
      sent: () => {},
      arrived: () => {
        told.arrived += 1;
      },
      roomy: () => {
        told.roomy += 1;
      },
    },
  );
  const pass = (): void => {
    while (clock.runNext(clock.now + 1000));
  };
  return { cable, told, pass };
}

describe("sim/cable: towards the engine", () => {
  test("what finds the link full is lost, unless the guest waits for it", () => {
    const { cable, pass } = cableOf(undefined);
    for (let i = 0; i < 20; i += 1) assert.equal(cable.transmit(FRAME), true);
    pass();
    assert.equal(cable.lost, 12);
  });

  test("a guest that waits keeps its frames, and its writes block when it has too many", () => {
    const { cable, told, pass } = cableOf(5);
    const taken = Array.from({ length: 20 }, () => cable.transmit(FRAME));
    assert.equal(taken.filter((each) => each).length, 8 + 5);
    pass();
    assert.equal(cable.lost, 0);
    const memory = linkMemoryOf(new World(simulatedEngine(), planOfCompetition(1).plan).engine);
    assert.equal(cable.link.receive(memory, 8), 8);
    for (let i = 0; i < 8; i += 1) assert.equal(cable.taken(), true);
    cable.move();
    assert.equal(told.roomy, 1);
    pass();
    assert.equal(cable.takeNews(EVENT_READABLE), EVENT_READABLE);
  });
});
