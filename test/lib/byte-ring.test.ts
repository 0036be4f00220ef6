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
    // As after 2^32 - 16 octets, and after 2^31 - 16.
    for (const count of [-16, 2 ** 31 - 16]) {
      words.fill(count);
      for (let mark = 0; mark < 20; mark += 1) {
        assert.ok(ring.put(batchOf(40, mark)));
        assert.equal(ring.used, 44);
        assert.equal(ring.put(batchOf(40, mark)), false);
        assert.deepEqual(takeBatch(ring), batchOf(40, mark));
      }
      assert.equal(ring.used, 0);
    }
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

  test("a batch that is only opened has begun", () => {
    const ring = ByteRing.create(64);
    ring.put(batchOf(55, 1));
    assert.equal(ring.room, 5);
    assert.ok(ring.open(2 ** 31 + 5));
    assert.equal(ring.open(1), false, "one octet is no room for a length");
    assert.equal(ring.add(batchOf(9, 2), 1), 1);
    takeBatch(ring);
    assert.deepEqual([...ring.next()], [...batchOf(9, 2).subarray(1, 2)]);
    ring.take(1);
    assert.ok(!ring.isBetween);
    assert.equal(ring.next().length, 0);
    assert.equal(ring.add(batchOf(9, 2), 2), 7);
    assert.deepEqual([...ring.next()], [...batchOf(9, 2).subarray(2)]);
  });

  test("a batch has begun as soon as its length is read", () => {
    const ring = ByteRing.create(64);
    assert.equal(ring.next().length, 0);
    assert.ok(ring.isBetween);
    ring.open(3);
    assert.equal(ring.next().length, 0);
    assert.ok(!ring.isBetween);
    assert.equal(ring.used, 0);
  });

  test("both sides share the words that its head describes", () => {
    const ring = ByteRing.create(64);
    assert.deepEqual([ring.size, ring.buffer.byteLength], [64, 64 + 64]);
    ring.put(batchOf(3, 1));
    ring.next();
    ring.take(1);
    ring.lose(2);
    ring.close();
    ring.mustTell();
    const words = [...new Int32Array(ring.buffer, 0, 16)];
    assert.deepEqual(words, [7, 5, 1, 0, 2, 1, ...Array(10).fill(0)]);
    ring.isPaused = true;
    assert.equal(new Int32Array(ring.buffer)[3], 1);
    const octets = new Uint8Array(ring.buffer, 64);
    assert.deepEqual([...octets.subarray(0, 7)], [3, 0, 0, 0, ...batchOf(3, 1)]);
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

  test("there is room up to the last octet", () => {
    const ring = ByteRing.create(64);
    ring.put(batchOf(50, 1));
    assert.equal(ring.waitForRoom(10, 1), true);
    assert.equal(ring.waitForRoom(11, 1), false);
  });

  test("what the consumer does wakes whoever waits in another thread", async () => {
    const doings: readonly ((ring: ByteRing) => void)[] = [
      (ring) => ring.take(ring.next().length),
      (ring) => ring.discard(),
      (ring) => ring.close(),
    ];
    for (const act of doings) {
      const ring = ByteRing.create(64);
      ring.put(batchOf(60, 1));
      ring.next();
      const words = new Int32Array(ring.buffer);
      const waits = Atomics.waitAsync(words, 1, words[1] ?? 0, 5000);
      assert.ok(waits.async);
      act(ring);
      assert.equal(await waits.value, "ok");
    }
  });

  test("carries states and losses to the other side", () => {
    const ring = ByteRing.create(64);
    const other = new ByteRing(ring.buffer);
    assert.equal(other.isPaused, false);
    ring.isPaused = true;
    assert.ok(other.isPaused);
    ring.isPaused = false;
    assert.ok(!other.isPaused);
    other.lose(3);
    other.lose(2);
    assert.equal(ring.lost, 5);
    other.lose(2 ** 31);
    assert.equal(ring.lost, 2 ** 31 + 5);
  });

  test("refuses sizes that are no power of two, or too small or large", () => {
    for (const size of [0, 32, 100, 2 ** 31, Number.NaN]) {
      const message = `a ring cannot have ${size} octets`;
      assert.throws(() => ByteRing.create(size), { name: "RangeError", message });
    }
    // Memory that nothing is written to costs nothing.
    assert.equal(ByteRing.create(2 ** 30).size, 2 ** 30);
  });
});
