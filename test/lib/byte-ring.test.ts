/**
 * The ring between two threads. Goal: what comes out is what went in, in whole batches and in
 * order, wherever the ring wraps; what does not fit changes nothing; each side learns of the other.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ByteRing } from "../../src/lib/byte-ring.ts";
import { concat } from "../../src/lib/bytes.ts";

function batchOf(length: number, mark: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (mark * 31 + i * 7) & 0xff);
}

/** The next batch, whole; undefined: none. */
function takeBatch(ring: ByteRing): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  do {
    const piece = ring.next();
    if (piece.length === 0) break;
    parts.push(piece.slice());
    ring.take(piece.length);
  } while (!ring.isBetween);
  return parts.length === 0 ? undefined : concat(...parts);
}

describe("byte ring", () => {
  test("gives batches back in order, whatever their sizes and whoever is ahead", () => {
    const step = fc.oneof(fc.integer({ min: 1, max: 70 }), fc.constant("take" as const));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const producer = ByteRing.create(64);
        const consumer = new ByteRing(producer.buffer);
        const model: Uint8Array[] = [];
        for (const [mark, each] of steps.entries()) {
          if (each === "take") {
            assert.deepEqual(takeBatch(consumer), model.shift());
            continue;
          }
          const used = model.reduce((sum, batch) => sum + batch.length + 4, 0);
          const isTaken = producer.put(batchOf(each, mark));
          assert.equal(isTaken, used + each + 4 <= 64);
          if (isTaken) model.push(batchOf(each, mark));
          assert.equal(
            consumer.used,
            model.reduce((sum, batch) => sum + batch.length + 4, 0),
          );
        }
      }),
    );
  });

  test("counts on beyond 2^32 octets", () => {
    const ring = ByteRing.create(64);
    const words = new Int32Array(ring.buffer, 0, 2);
    words.fill(-16); // as after 2^32 - 16 octets
    for (let mark = 0; mark < 20; mark += 1) {
      assert.ok(ring.put(batchOf(40, mark)));
      assert.equal(ring.put(batchOf(40, mark)), false);
      assert.deepEqual(takeBatch(ring), batchOf(40, mark));
    }
    assert.equal(ring.used, 0);
  });

  test("lets a batch through that is longer than itself", () => {
    const ring = ByteRing.create(64);
    const batch = batchOf(500, 1);
    assert.ok(ring.open(batch.length));
    const parts: Uint8Array[] = [];
    for (let at = 0; at < batch.length; ) {
      at += ring.add(batch, at);
      const piece = ring.next();
      parts.push(piece.slice());
      ring.take(piece.length);
      assert.equal(ring.isBetween, at === batch.length && ring.used === 0);
    }
    while (!ring.isBetween) {
      const piece = ring.next();
      parts.push(piece.slice());
      ring.take(piece.length);
    }
    assert.deepEqual(concat(...parts), batch);
  });

  test("an empty batch is none, and discarding begins anew between batches", () => {
    const ring = ByteRing.create(64);
    assert.ok(ring.put(new Uint8Array(0)));
    assert.equal(ring.next().length, 0);
    ring.put(batchOf(20, 1));
    ring.next();
    ring.take(5);
    ring.put(batchOf(20, 2));
    ring.discard();
    assert.equal(ring.used, 0);
    assert.ok(ring.isBetween);
    ring.put(batchOf(9, 3));
    assert.deepEqual(takeBatch(ring), batchOf(9, 3));
  });

  test("has the consumer told once until it asks", () => {
    const ring = ByteRing.create(64);
    assert.deepEqual([ring.mustTell(), ring.mustTell(), ring.mustTell()], [true, false, false]);
    ring.ask();
    assert.deepEqual([ring.mustTell(), ring.mustTell()], [true, false]);
  });

  test("a producer that waits is woken by what is taken, and by the end", async () => {
    const ring = ByteRing.create(64);
    ring.put(batchOf(60, 1));
    assert.equal(ring.waitForRoom(10, 1), false);
    takeBatch(ring);
    assert.equal(ring.waitForRoom(10, 1), true);
    ring.put(batchOf(60, 1));
    ring.close();
    assert.ok(ring.isClosed);
    assert.equal(ring.waitForRoom(10, 1), true);
  });

  test("carries states and losses to the other side", () => {
    const ring = ByteRing.create(64);
    const other = new ByteRing(ring.buffer);
    assert.equal(other.isPaused, false);
    ring.isPaused = true;
    assert.ok(other.isPaused);
    other.lose(3);
    other.lose(2);
    assert.equal(ring.lost, 5);
  });

  test("refuses sizes that are no power of two", () => {
    for (const size of [0, 32, 100, 2 ** 31, Number.NaN]) {
      assert.throws(() => ByteRing.create(size), RangeError);
    }
  });
});
