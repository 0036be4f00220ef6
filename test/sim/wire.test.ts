/** Links with faults: what comes out of what went in. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { START, VirtualClock } from "../../src/lab/sim/clock.ts";
import { Random } from "../../src/lab/sim/random.ts";
import { NO_FAULTS, Wire, type WireFaults, type WireOptions } from "../../src/lab/sim/wire.ts";

const FRAMES = 2000;

interface Arrived {
  readonly at: number;
  readonly number: number;
  readonly isIntact: boolean;
  readonly frame: Uint8Array;
}

/** An IPv4 frame with its number behind the headers. */
function frameOf(number: number): Uint8Array {
  const frame = new Uint8Array(100);
  frame.set([8, 0], 12);
  new DataView(frame.buffer).setUint32(50, number);
  return frame;
}

function carry(faults: Partial<WireFaults>, options: Partial<WireOptions> = {}, pause = 10) {
  const clock = new VirtualClock();
  const arrived: Arrived[] = [];
  const usual = { delay: 100, jitter: 0, rate: 0, queueFrames: 1_000_000 };
  const wire = new Wire(
    clock,
    new Random(3),
    { ...usual, ...options, faults: { ...NO_FAULTS, ...faults } },
    (frame, isIntact) => {
      const number = new DataView(frame.buffer, frame.byteOffset).getUint32(50);
      arrived.push({ at: clock.now - START, number, isIntact, frame });
    },
  );
  for (let i = 0; i < FRAMES; i += 1) {
    wire.send(frameOf(i));
    while (clock.runNext(START + (i + 1) * pause));
    clock.advance(START + (i + 1) * pause);
  }
  while (clock.runNext(Number.MAX_SAFE_INTEGER));
  return { arrived, wire };
}

describe("sim/wire", () => {
  test("without faults everything arrives in order, after the delay", () => {
    const { arrived } = carry({});
    assert.deepEqual(
      arrived.map(({ number }) => number),
      Array.from({ length: FRAMES }, (_, i) => i),
    );
    assert.equal(arrived[0]?.at, 100);
    assert.ok(arrived.every(({ isIntact }) => isIntact));
  });

  test("loss, in about the share asked for", () => {
    const { arrived, wire } = carry({ loss: 100_000 });
    assert.equal(arrived.length + wire.counts.lost, FRAMES);
    assert.ok(Math.abs(wire.counts.lost - FRAMES / 10) < FRAMES / 40, `${wire.counts.lost}`);
  });

  test("duplicates", () => {
    const { arrived, wire } = carry({ duplicate: 100_000 });
    assert.equal(arrived.length, FRAMES + wire.counts.duplicated);
    assert.ok(wire.counts.duplicated > 0);
  });

  test("some are late, the others keep their order", () => {
    const { arrived, wire } = carry({ late: 50_000, lateness: 5000 });
    let highest = -1;
    let overtaken = 0;
    for (const { number } of arrived) {
      if (number < highest) overtaken += 1;
      highest = Math.max(highest, number);
    }
    assert.ok(overtaken > 0 && overtaken <= wire.counts.late, `${overtaken} ${wire.counts.late}`);
  });

  test("jitter does not change the order", () => {
    const { arrived } = carry({}, { jitter: 1000 });
    assert.ok(arrived.every(({ number }, i) => number === i));
  });

  test("corruption flips one bit behind the Ethernet header, and says so", () => {
    const { arrived, wire } = carry({ corrupt: 100_000 });
    const damaged = arrived.filter(({ isIntact }) => !isIntact);
    assert.equal(damaged.length, wire.counts.corrupted);
    assert.ok(damaged.length > 0);
    for (const { frame } of damaged) {
      assert.deepEqual(frame.subarray(0, 14), frameOf(0).subarray(0, 14));
    }
  });

  test("an outage loses all for a while; calm ends it", () => {
    const { arrived } = carry({ outages: 2000, outage: 2000 });
    assert.ok(arrived.length < FRAMES - 50, `${arrived.length}`);
    const { wire } = carry({ loss: 1_000_000 });
    wire.calm();
    const before = wire.counts.lost;
    wire.send(frameOf(1));
    assert.equal(wire.counts.lost, before);
  });

  test("rate and queue: what does not fit is dropped", () => {
    // 100 octets each 10 us are 10 MB/s; half of that passes.
    const { arrived, wire } = carry({}, { rate: 5_000_000, queueFrames: 20 });
    assert.equal(arrived.length + wire.counts.overflowed, FRAMES);
    assert.ok(Math.abs(arrived.length - FRAMES / 2) < 50, `${arrived.length}`);
  });
});
