/** Events from memory: one for each source, in order, held while a source rests. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EventQueue } from "../../src/network/event-queue.ts";

function set() {
  let news = 0;
  const queue = new EventQueue(() => {
    news += 1;
  });
  const take = (max = 256): [number, number, number][] => {
    const count = queue.wait(max);
    return Array.from({ length: count }, (_, i) => [
      queue.dataLo(i),
      queue.dataHi(i),
      queue.eventBits(i),
    ]);
  };
  return { queue, take, news: () => news };
}

describe("event queue", () => {
  test("news of one source are one event with all its bits", () => {
    const { queue, take } = set();
    queue.add(7, 0, 1);
    queue.add(8, 0, 1);
    queue.add(7, 0, 4);
    queue.add(7, 1, 2);
    assert.deepEqual(take(), [
      [7, 0, 5],
      [8, 0, 1],
      [7, 1, 2],
    ]);
    assert.equal(queue.isEmpty, true);
    assert.deepEqual(take(), []);
  });

  test("no more are taken than asked for, and the rest stays", () => {
    const { queue, take } = set();
    for (let i = 0; i < 5; i += 1) queue.add(i, 0, 1);
    assert.equal(take(3).length, 3);
    assert.deepEqual(take(3), [
      [3, 0, 1],
      [4, 0, 1],
    ]);
  });

  test("a negative handle is a source of its own", () => {
    const { queue, take } = set();
    queue.add(-1, 0, 1);
    queue.add(1, 0, 1);
    assert.equal(take().length, 2);
  });

  test("a source that is forgotten has said nothing", () => {
    const { queue, take } = set();
    queue.add(7, 0, 1);
    queue.forget(7, 0);
    assert.deepEqual(take(), []);
  });

  test("news of one that rests are kept until it is heard again", () => {
    const { queue, take, news } = set();
    queue.pause(7, 3);
    queue.add(7, 3, 1);
    queue.add(7, 3, 4);
    assert.equal(news(), 0);
    assert.deepEqual(take(), []);
    assert.equal(queue.resume(7, 3), true);
    assert.equal(news(), 1);
    assert.deepEqual(take(), [[7, 3, 5]]);
  });
});
