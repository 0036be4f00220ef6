/** Order of what is to be done, against sorting. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Random } from "../../src/lab/sim/random.ts";
import { TimeHeap } from "../../src/lab/sim/time-heap.ts";

describe("sim/time-heap", () => {
  test("the earliest first; of the same time, the first that was put in", () => {
    const random = new Random(1);
    for (let round = 0; round < 50; round += 1) {
      const heap = new TimeHeap<number>();
      const model: { readonly at: number; readonly item: number }[] = [];
      for (let i = 0; i < 200; i += 1) {
        if (random.below(3) > 0) {
          const at = random.below(20);
          heap.push(at, i);
          model.push({ at, item: i });
          continue;
        }
        const first = Math.min(...model.map(({ at }) => at));
        assert.equal(heap.next, first);
        const index = model.findIndex(({ at }) => at === first);
        assert.equal(heap.pop(), model.splice(index, 1)[0]?.item, `round ${round}, step ${i}`);
      }
      assert.equal(heap.size, model.length);
    }
  });

  test("an empty one has nothing", () => {
    const heap = new TimeHeap<string>();
    assert.equal(heap.pop(), undefined);
    assert.equal(heap.next, Number.POSITIVE_INFINITY);
  });
});
