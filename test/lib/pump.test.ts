/**
 * The pump. Goal: everything that can be written is, in order and once; nothing is written while a
 * write is under way; an outlet that is full, fails or never answers harms nobody; no half batch
 * is left in a file.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ByteRing } from "../../src/lib/byte-ring.ts";
import { concat } from "../../src/lib/bytes.ts";
import { type AfterError, type Outlet, Pump, type Written } from "../../src/lib/pump.ts";

/** Keeps what it gets; what happens to a write is decided by the test. */
class TestOutlet implements Outlet {
  octets: Uint8Array = new Uint8Array(0);
  isClosed = false;
  /** Octets it takes before `error`. */
  room = Number.POSITIVE_INFINITY;
  error: Error = full("EAGAIN");
  /** Answers wait here if it is slow. */
  isSlow = false;
  readonly waiting: (() => void)[] = [];

  write(octets: Uint8Array, done: Written): void {
    assert.equal(this.waiting.length, 0, "one write at a time");
    const answer = (): void => {
      const taken = Math.min(octets.length, this.room);
      this.octets = concat(this.octets, octets.subarray(0, taken));
      this.room -= taken;
      done(taken === 0 ? this.error : taken);
    };
    if (this.isSlow) this.waiting.push(answer);
    else answer();
  }

  answer(): void {
    this.waiting.shift()?.();
  }

  cut(octets: number): void {
    this.octets = this.octets.subarray(0, this.octets.length - octets);
  }

  close(): void {
    this.isClosed = true;
  }
}

function full(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** Runs `act` with timers that only the test moves on. */
async function withTimers(act: (timers: Timers) => Promise<void> | void): Promise<void> {
  const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis;
  const timers = new Timers();
  const start = (fire: () => void, ms: number): number => timers.add(fire, ms);
  const stop = (id: number | undefined): void => timers.remove(id);
  try {
    Object.assign(globalThis, {
      ...{ setTimeout: start, setInterval: start },
      ...{ clearTimeout: stop, clearInterval: stop },
    });
    await act(timers);
  } finally {
    Object.assign(globalThis, { setTimeout, setInterval, clearTimeout, clearInterval });
  }
}

class Timers {
  readonly #running = new Map<number, { readonly fire: () => void; readonly ms: number }>();
  #last = 0;

  add(fire: () => void, ms: number): number {
    this.#last += 1;
    this.#running.set(this.#last, { fire, ms });
    return this.#last;
  }

  remove(id: number | undefined): void {
    if (id !== undefined) this.#running.delete(id);
  }

  /** Times of those that run. */
  get times_ms(): number[] {
    return [...this.#running.values()].map(({ ms }) => ms);
  }

  fire(): void {
    for (const { fire } of this.#running.values()) fire();
  }
}

function stage(after: AfterError = "end") {
  const ring = ByteRing.create(256);
  const outlet = new TestOutlet();
  const errors: string[] = [];
  const onError = (error: Error): AfterError => {
    errors.push(error.message);
    return after;
  };
  const moves = { count: 0 };
  const onWritten = (): void => {
    moves.count += 1;
  };
  const pump = new Pump({ ring, outlet, onError, onWritten });
  const put = (text: string): boolean => ring.put(new TextEncoder().encode(text));
  const written = (): string => new TextDecoder().decode(outlet.octets);
  return { ring, outlet, pump, put, written, errors, moves };
}

describe("pump", () => {
  test("writes all there is, across the end of the ring, and asks to be told of more", () => {
    const { ring, pump, put, written } = stage();
    let wanted = "";
    for (let i = 0; i < 50; i += 1) {
      wanted += `line ${i}\n`;
      assert.ok(put(`line ${i}\n`));
      assert.equal(ring.mustTell(), true);
      pump.kick();
      assert.equal(written(), wanted);
    }
  });

  test("one write at a time; what comes meanwhile follows", () => {
    const { ring, outlet, pump, put, written } = stage();
    outlet.isSlow = true;
    put("a");
    pump.kick();
    put("b");
    pump.kick();
    pump.kick();
    assert.equal(outlet.waiting.length, 1);
    outlet.answer();
    assert.equal(outlet.waiting.length, 1);
    outlet.answer();
    assert.equal(written(), "ab");
    assert.equal(ring.used, 0);
  });

  test("a full outlet is tried again by itself", async () => {
    const { outlet, pump, put, written, errors } = stage();
    outlet.room = 3;
    put("abcdef");
    pump.kick();
    assert.equal(written(), "abc");
    outlet.room = 100;
    assert.ok(await pump.drain(1000, 1000));
    assert.equal(written(), "abcdef");
    assert.deepEqual(errors, []);
  });

  for (const code of ["EAGAIN", "EINTR"]) {
    test(`after ${code} it waits 20 ms, whatever comes meanwhile`, async () => {
      await withTimers((timers) => {
        const { outlet, pump, put, written, errors, moves } = stage();
        outlet.room = 3;
        outlet.error = full(code);
        put("abcdef");
        pump.kick();
        assert.deepEqual([timers.times_ms, moves.count], [[20], 1]);
        outlet.room = 100;
        put("g");
        pump.kick();
        assert.equal(written(), "abc");
        timers.fire();
        assert.equal(written(), "abcdefg");
        assert.deepEqual([errors, moves.count], [[], 3]);
      });
    });
  }

  test("nothing is tried again once it is closed", async () => {
    await withTimers((timers) => {
      const { outlet, pump, put } = stage();
      outlet.room = 0;
      put("a");
      pump.kick();
      pump.close();
      assert.deepEqual([timers.times_ms, outlet.isClosed], [[], true]);
    });
  });

  test("an error ends it without half a batch, and whoever fills the ring learns of it", () => {
    const { ring, outlet, pump, put, written, errors } = stage();
    put("whole\n");
    pump.kick();
    outlet.room = 2;
    outlet.error = full("ENOSPC");
    put("half\n");
    pump.kick();
    assert.equal(written(), "whole\n");
    assert.deepEqual(errors, ["ENOSPC"]);
    assert.ok(ring.isClosed && outlet.isClosed);
    pump.kick();
    pump.close();
    assert.deepEqual(errors, ["ENOSPC"]);
    assert.equal(written(), "whole\n");
  });

  test("an error may cost a batch and nothing else", () => {
    const { outlet, pump, put, written } = stage("go on");
    outlet.room = 2;
    outlet.error = full("EPIPE");
    put("abcd");
    put("efgh");
    pump.kick();
    outlet.room = 100;
    put("ijkl");
    pump.kick();
    assert.equal(written(), "abijkl");
    pump.close();
    assert.equal(written(), "abijkl", "the batch that was thrown away is not cut off");
  });

  test("what is thrown away may lie across the end of the ring", () => {
    const { ring, outlet, pump, put, written } = stage("go on");
    put("x".repeat(240));
    pump.kick();
    outlet.room = 2;
    outlet.error = full("EPIPE");
    put("y".repeat(100));
    put("z");
    pump.kick();
    assert.equal(ring.used, 0);
    outlet.room = 100;
    put("end");
    pump.kick();
    assert.equal(written(), `${"x".repeat(240)}yyend`);
  });

  test("a pause throws away what there is and begins with a whole batch", () => {
    const { ring, outlet, pump, put, written } = stage("pause");
    outlet.room = 2;
    outlet.error = full("EPIPE");
    put("abcd");
    put("efgh");
    pump.kick();
    assert.equal(ring.used, 0);
    outlet.room = 100;
    put("ijkl");
    pump.kick();
    assert.equal(written(), "ab", "paused");
    pump.resume();
    assert.equal(written(), "abijkl");
    pump.close();
    assert.equal(written(), "abijkl", "the batch that was thrown away is not cut off");
  });

  test("while it is paused there is nothing to wait for", async () => {
    const { outlet, pump, put } = stage("pause");
    outlet.room = 0;
    outlet.error = full("EPIPE");
    put("a");
    pump.kick();
    put("b");
    assert.equal(await pump.drain(1e6, 1e6), true);
  });

  test("draining ends when nothing moves, closing waits for the write under way", async () => {
    const { outlet, pump, put, written } = stage();
    put("ab");
    outlet.isSlow = true;
    pump.kick();
    assert.equal(await pump.drain(20, 10_000), false);
    pump.close();
    assert.equal(outlet.isClosed, false, "its octets are in use");
    outlet.answer();
    assert.ok(outlet.isClosed);
    assert.equal(written(), "ab");
  });

  test("draining gives up in time even when something moves", async () => {
    const { outlet, pump, put } = stage();
    outlet.isSlow = true;
    put("first");
    const moving = setInterval(() => {
      put("more"); // before the answer, so that it is never empty
      outlet.answer();
    }, 1);
    const isEmpty = await pump.drain(1000, 60);
    clearInterval(moving);
    assert.equal(isEmpty, false);
  });

  test("draining looks every 5 ms, and counts anew when something moves", async () => {
    await withTimers(async (timers) => {
      const { outlet, pump, put } = stage();
      outlet.isSlow = true;
      put("first");
      put("second");
      let isEmpty: boolean | undefined;
      const drained = pump.drain(15, 1000).then((value) => {
        isEmpty = value;
      });
      assert.deepEqual(timers.times_ms, [5]);
      timers.fire();
      timers.fire();
      outlet.answer(); // it moves after 10 of 15 ms
      for (let look = 0; look < 3; look += 1) timers.fire();
      assert.deepEqual(timers.times_ms, [5], "10 ms since then");
      timers.fire();
      assert.deepEqual(timers.times_ms, [], "15 ms since then");
      await drained;
      assert.equal(isEmpty, false);
    });
  });

  test("draining ends at the look that finds it empty, or the last one", async () => {
    await withTimers(async (timers) => {
      const { outlet, pump, put } = stage();
      outlet.isSlow = true;
      put("first");
      const drained = pump.drain(1000, 1000);
      timers.fire();
      outlet.answer();
      timers.fire();
      assert.deepEqual(timers.times_ms, []);
      assert.equal(await drained, true);
      put("second");
      const given = pump.drain(1000, 15);
      timers.fire();
      timers.fire();
      assert.deepEqual(timers.times_ms, [5]);
      timers.fire();
      assert.deepEqual(timers.times_ms, []);
      assert.equal(await given, false);
    });
  });

  test("there is nothing to wait for once it is over", async () => {
    const { outlet, pump, put } = stage();
    outlet.isSlow = true;
    put("first");
    pump.kick();
    pump.close();
    outlet.answer();
    put("second");
    assert.equal(await pump.drain(1e6, 1e6), true);
  });

  test("a batch whose rest never comes is cut off", () => {
    const { ring, outlet, pump, put, written } = stage();
    put("whole");
    ring.open(1000);
    ring.add(new Uint8Array(10), 0);
    pump.kick();
    assert.equal(outlet.octets.length, 15);
    pump.close();
    assert.equal(written(), "whole");
  });

  test("draining what is empty is done at once", async () => {
    const { pump } = stage();
    assert.equal(await pump.drain(1000, 1000), true);
  });
});
