/** The receiving half: order, windows that never shrink, SACK blocks; against a simple model. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ReceiveSide } from "../../../src/lab/sim/guest/tcp-receive.ts";
import { Random } from "../../../src/lab/sim/random.ts";
import { pattern } from "./pair.ts";

const LIMIT = 1 << 30;
const START = 0xffffff00; // wraps soon

function side(size: number): ReceiveSide {
  const receive = new ReceiveSide(size);
  receive.start(START);
  receive.advertise(1, LIMIT);
  return receive;
}

describe("sim/guest/tcp-receive", () => {
  test("in order: available at once, and read as it came", () => {
    const receive = side(1000);
    assert.equal(receive.accept(START, pattern(400), 0, 400), 400);
    assert.equal(receive.available, 400);
    const target = new Uint8Array(500);
    assert.equal(receive.read(target), 400);
    assert.deepEqual(target.subarray(0, 400), pattern(400));
  });

  test("out of order: reported, the latest first, and joined when the gap is filled", () => {
    const receive = side(1000);
    const put = (from: number, length: number): number =>
      receive.accept((START + from) >>> 0, pattern(length, from), 0, length);
    const relative = (edges: readonly number[]): number[] => edges.map((at) => (at - START) >>> 0);
    assert.equal(put(100, 50), 0);
    assert.equal(put(300, 50), 0);
    assert.equal(put(200, 50), 0);
    assert.deepEqual(relative(receive.blocks(4)), [200, 250, 100, 150, 300, 350]);
    assert.deepEqual(relative(receive.blocks(2)), [200, 250, 100, 150]);
    assert.equal(put(0, 120), 150);
    assert.equal(put(150, 60), 100);
    assert.deepEqual(relative(receive.blocks(4)), [300, 350]);
    const target = new Uint8Array(1000);
    assert.equal(receive.read(target), 250);
    assert.deepEqual(target.subarray(0, 250), pattern(250));
  });

  test("what lies beyond the edge is cut off", () => {
    const receive = side(100);
    assert.equal(receive.accept(START, pattern(300), 0, 300), 100);
    assert.equal(receive.accept((START + 100) >>> 0, pattern(5), 0, 5), 0);
  });

  test("the edge moves by a segment or half of the buffer, never back", () => {
    const receive = side(1000);
    receive.accept(START, pattern(1000), 0, 1000);
    assert.equal(receive.advertise(300, LIMIT), 0);
    receive.read(new Uint8Array(200));
    assert.equal(receive.advertise(300, LIMIT), 0);
    receive.read(new Uint8Array(200));
    assert.equal(receive.advertise(300, LIMIT), 400);
    assert.equal(receive.advertise(300, 10), 400);
  });

  test("any order, overlap and repetition give the stream", () => {
    const random = new Random(5);
    for (let round = 0; round < 30; round += 1) {
      const size = random.between(50, 3000);
      const receive = side(size);
      const total = random.between(1, size * 3);
      const whole = pattern(total, round);
      const found = new Uint8Array(total);
      let read = 0;
      for (let steps = 0; read < total && steps < 20_000; steps += 1) {
        const at = Math.min(Math.max(read + random.between(-50, size), 0), total - 1);
        const length = Math.min(random.between(1, 400), total - at);
        receive.accept((START + at) >>> 0, whole, at, length);
        if (random.oneIn(3)) read += receive.read(found.subarray(read, read + random.below(900)));
        receive.advertise(random.between(1, 100), LIMIT);
      }
      assert.equal(read, total, `round ${round}`);
      assert.deepEqual(found, whole, `round ${round}`);
    }
  });
});
