/** The clocks. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { monotonic, systemClock, wallClock } from "../../src/loop/clock.ts";

describe("clock", () => {
  test("the monotonic one is above 0, never goes back, and does go on", () => {
    const first = monotonic();
    assert.ok(first > 0);
    let last = first;
    for (let i = 0; i < 1000 || last === first; i += 1) {
      const now = monotonic();
      assert.ok(now >= last);
      last = now;
    }
  });

  test("the wall clock counts microseconds since 1970", () => {
    const before = Date.now();
    const now = wallClock() / 1000;
    // Both are read from different sources; a clock that was set since the start may stand apart.
    assert.ok(Math.abs(now - before) < 24 * 3600 * 1000, `${now}, ${before}`);
  });

  test("both count what the runtime's clock counts, in microseconds", () => {
    const own = performance.now;
    const at = (ms: number): [number, number] => {
      performance.now = () => ms;
      try {
        return [monotonic(), wallClock()];
      } finally {
        performance.now = own;
      }
    };
    const origin = performance.timeOrigin * 1000;
    assert.deepEqual(at(0), [1_000_000, origin]);
    const [monotone, wall] = at(4000.25);
    assert.equal(monotone, 5_000_250);
    assert.ok(Math.abs(wall - origin - 4_000_250) < 1);
  });

  test("both run at the same pace", () => {
    /** Bounds of how far the clocks are apart, however long the thread is held up in between. */
    const apart = (): [low: number, high: number] => {
      const before = monotonic();
      const wall = wallClock();
      return [wall - monotonic(), wall - before];
    };
    const [low, high] = apart();
    for (const start = monotonic(); monotonic() - start < 2000; );
    const [lowLater, highLater] = apart();
    const rounding = 1;
    assert.ok(low <= highLater + rounding && lowLater <= high + rounding);
  });

  test("the system's one goes on evenly, and follows one that is set", () => {
    const [ownNow, ownDate] = [performance.now, Date.now];
    const start = Math.ceil(performance.timeOrigin) + 1000;
    let ms = 1000;
    let ahead = 0;
    performance.now = () => ms;
    // As the system's: whole milliseconds.
    Date.now = () => Math.floor(performance.timeOrigin + ms + ahead);
    try {
      const first = systemClock();
      assert.ok(Math.abs(first / 1000 - start) < 3);
      ms += 0.25;
      assert.ok(Math.abs(systemClock() - first - 250) < 1);
      for (const step of [3_600_000, -7_200_000]) {
        ahead += step;
        assert.ok(Math.abs(systemClock() / 1000 - Date.now()) < 2, "it has been set");
        const before = systemClock();
        ms += 0.5;
        assert.ok(Math.abs(systemClock() - before - 500) < 1);
      }
    } finally {
      performance.now = ownNow;
      Date.now = ownDate;
    }
  });
});
