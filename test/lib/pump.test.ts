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

function stage(after: AfterError = "end") {
  const ring = ByteRing.create(256);
  const outlet = new TestOutlet();
  const errors: string[] = [];
  const onError = (error: Error): AfterError => {
    errors.push(error.message);
    return after;
  };
  const pump = new Pump({ ring, outlet, onError });
  const put = (text: string): boolean => ring.put(new TextEncoder().encode(text));
  const written = (): string => new TextDecoder().decode(outlet.octets);
  return { ring, outlet, pump, put, written, errors };
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
