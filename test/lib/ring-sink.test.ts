/**
 * The packet thread's side. Goal: a capture waits for a file that moves, rarely for one that
 * stalls, and for a FIFO not at all; a recording waits while the writer moves and gives up when it
 * does not; both learn of the other side's end.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ByteRing } from "../../src/lib/byte-ring.ts";
import { concat } from "../../src/lib/bytes.ts";
import { LossySink, OutputClosed, PatientSink } from "../../src/lib/ring-sink.ts";

function stage(size = 1024) {
  const ring = ByteRing.create(size);
  let told = 0;
  const tell = (): void => {
    told += 1;
  };
  return { ring, tell, told: () => told };
}

const batch = new Uint8Array(1000).fill(7);
const now_us = (): number => performance.now() * 1000;

describe("lossy sink", () => {
  test("takes what fits, tells, and refuses the rest at once", () => {
    const { ring, tell, told } = stage();
    const sink = new LossySink({ ring, tell });
    assert.ok(sink.isReady(1020));
    assert.equal(sink.isReady(1021), false, "there is a length before each batch");
    assert.equal(told(), 1);
    assert.ok(sink.isReady(1000) && sink.write(batch));
    assert.equal(told(), 2);
    const never = (): never => assert.fail("it must not wait");
    ring.waitForRoom = never;
    assert.equal(sink.isReady(1000), false);
    assert.equal(told(), 3);
    assert.equal(sink.write(batch), false);
    assert.equal(told(), 3);
    sink.close();
    assert.equal(told(), 4);
    assert.equal(ring.isClosed, false, "the consumer takes the rest first");
  });

  test("waits 100 ms for a move, and not again within two seconds", () => {
    const { ring, tell } = stage();
    let now = 50_000;
    const waits: (readonly number[])[] = [];
    ring.waitForRoom = (...wait) => {
      waits.push(wait);
      now += 100_000;
      return false;
    };
    const sink = new LossySink({ ring, tell }, () => now);
    sink.write(batch);
    assert.equal(sink.isReady(1000), false);
    now += 2_000_000 - 1;
    assert.equal(sink.isReady(1000), false);
    assert.deepEqual(waits, [[1004, 100]]);
    now += 1;
    assert.equal(sink.isReady(1000), false);
    assert.equal(waits.length, 2);
  });

  test("is ready when the other side closes while it waits, to learn of it", () => {
    const { ring, tell } = stage();
    const sink = new LossySink({ ring, tell }, now_us);
    sink.write(batch);
    ring.waitForRoom = () => {
      ring.close();
      return true;
    };
    assert.ok(sink.isReady(1000));
    assert.throws(() => sink.write(batch), { name: "OutputClosed" });
  });

  test("waits for a file that stalls now and then only", () => {
    const { ring, tell } = stage();
    let now = 0;
    let waits = 0;
    ring.waitForRoom = (_wanted, milliseconds) => {
      waits += 1;
      now += milliseconds * 1000;
      return false;
    };
    const sink = new LossySink({ ring, tell }, () => now);
    sink.write(batch);
    const seconds = 10;
    while (now < seconds * 1e6) {
      assert.equal(sink.isReady(1000), false);
      now += 1000;
    }
    assert.ok(waits <= seconds / 2, `${waits} waits of 100 ms`);
    assert.ok(waits >= seconds / 2 - 1, "it tries again");
  });

  test("waits on while the file moves", () => {
    const { ring, tell } = stage();
    const sink = new LossySink({ ring, tell }, now_us);
    sink.write(batch);
    let moves = 0;
    ring.waitForRoom = () => {
      ring.take(Math.min(10, ring.next().length));
      moves += 1;
      return true;
    };
    assert.ok(sink.isReady(1000) && sink.write(batch));
    assert.ok(moves > 50, `${moves} moves`);
  });

  test("stops waiting when there is room", () => {
    const { ring, tell } = stage();
    const sink = new LossySink({ ring, tell }, now_us);
    sink.write(batch);
    const { waitForRoom } = ring;
    ring.waitForRoom = (wanted, milliseconds) => {
      ring.take(ring.next().length);
      return waitForRoom.call(ring, wanted, milliseconds);
    };
    assert.ok(sink.isReady(1000) && sink.write(batch));
  });

  test("misses nothing while nobody reads, and throws once nothing is taken any more", () => {
    const { ring, tell } = stage();
    const sink = new LossySink({ ring, tell });
    assert.equal(sink.isPaused, false);
    ring.isPaused = true;
    assert.equal(sink.isPaused, true);
    for (let i = 0; i < 5; i += 1) assert.ok(sink.isReady(1000) && sink.write(batch));
    assert.equal(ring.used, 0);
    ring.isPaused = false;
    sink.write(batch);
    ring.isPaused = true;
    assert.ok(sink.isReady(1000), "there is no room, and none is needed");
    ring.isPaused = false;
    ring.close();
    assert.ok(sink.isReady(1000));
    assert.throws(() => sink.write(batch), OutputClosed);
  });
});

describe("patient sink", () => {
  test("gives up when nothing moves", () => {
    const { ring, tell } = stage();
    const sink = new PatientSink({ ring, tell });
    ring.waitForRoom = () => false;
    assert.ok(sink.write(batch));
    assert.throws(() => sink.write(batch), /nothing was written for 400 ms/);
  });

  test("tells before it waits, 400 ms for a length and then for any octet", () => {
    const { ring, tell, told } = stage();
    const sink = new PatientSink({ ring, tell });
    const waits: (readonly number[])[] = [];
    const tolds: number[] = [];
    ring.waitForRoom = (...wait) => {
      waits.push(wait);
      tolds.push(told());
      ring.take(ring.next().length);
      return true;
    };
    assert.ok(sink.write(new Uint8Array(1018)));
    assert.deepEqual([waits, told()], [[], 1]);
    assert.ok(sink.write(new Uint8Array(1020)));
    assert.deepEqual([waits, tolds], [[[4, 400]], [2]]);
    assert.equal(ring.room, 0);
    ring.next();
    ring.take(2);
    assert.ok(sink.write(batch));
    assert.deepEqual(waits.slice(1), [[1, 400]]);
    assert.deepEqual(tolds.slice(1), [told() - 1]);
    const before = told();
    sink.close();
    assert.equal(told(), before + 1);
    assert.equal(ring.isClosed, false);
  });

  test("an empty batch is none", () => {
    const { ring, tell, told } = stage();
    assert.ok(new PatientSink({ ring, tell }).write(new Uint8Array(0)));
    assert.deepEqual([ring.used, told()], [0, 0]);
  });

  test("learns while it waits that the file has failed", () => {
    const { ring, tell } = stage();
    const sink = new PatientSink({ ring, tell });
    sink.write(batch);
    ring.waitForRoom = () => {
      ring.close();
      return true;
    };
    assert.throws(() => sink.write(batch), { name: "OutputClosed" });
  });

  test("learns that the file has failed", () => {
    const { ring, tell } = stage();
    const sink = new PatientSink({ ring, tell });
    ring.close();
    assert.throws(() => sink.write(batch), OutputClosed);
    assert.throws(() => sink.write(new Uint8Array(5000)), OutputClosed);
  });

  test("lets batches of any size through, as the reader takes them", () => {
    const { ring, tell } = stage(4096);
    const sizes = [1, 4092, 4096, 20_000, 3, 1000, 12_345];
    const taken: Uint8Array[] = [];
    const take = (): boolean => {
      const piece = ring.next();
      taken.push(piece.slice());
      ring.take(piece.length);
      return true;
    };
    ring.waitForRoom = take;
    const sink = new PatientSink({ ring, tell });
    const batches = sizes.map((length, mark) =>
      Uint8Array.from({ length }, (_, i) => (mark + i * 3) & 0xff),
    );
    for (const each of batches) assert.ok(sink.write(each));
    while (ring.used > 0) take();
    assert.deepEqual(concat(...taken), concat(...batches));
  });
});
