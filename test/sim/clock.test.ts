/** Virtual time, chance, and the hash of what happened: the same everywhere. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { START, VirtualClock } from "../../src/lab/sim/clock.ts";
import { fillPattern, findMismatch } from "../../src/lab/sim/pattern.ts";
import { Random } from "../../src/lab/sim/random.ts";
import { Trace } from "../../src/lab/sim/trace.ts";

describe("sim/clock", () => {
  test("events happen at their time, in their order, and may ask for more", () => {
    const clock = new VirtualClock();
    const seen: [number, string][] = [];
    const note = (what: string) => () => void seen.push([clock.now - START, what]);
    clock.after(10, note("b"));
    clock.after(5, () => {
      note("a")();
      clock.after(5, note("c"));
      clock.at(START - 100, note("at once"));
    });
    while (clock.runNext(START + 50));
    assert.deepEqual(seen, [
      [5, "a"],
      [5, "at once"],
      [10, "b"],
      [10, "c"],
    ]);
  });

  test("time goes on without events, and never back", () => {
    const clock = new VirtualClock();
    clock.after(100, () => {});
    assert.equal(clock.runNext(START + 99), false);
    clock.advance(START + 60);
    clock.advance(START + 50);
    assert.equal(clock.now, START + 60);
    assert.equal(clock.next, START + 100);
  });
});

describe("sim/random", () => {
  test("the numbers of a seed are pinned", () => {
    const random = new Random(42);
    const found = [random.u32(), random.u32(), random.below(1000), random.between(-5, 5)];
    assert.deepEqual(found, [3778525926, 3676079305, 343, 1]);
  });

  test("streams and seeds differ, large seeds too", () => {
    const seeds = [1, 2, 2 ** 32, 2 ** 32 + 1, 2 ** 40];
    const firsts = new Set(seeds.flatMap((seed) => [0, 1].map((s) => new Random(seed, s).u32())));
    assert.equal(firsts.size, 10);
  });

  test("choices are about as frequent as they should be", () => {
    const random = new Random(7);
    let hits = 0;
    for (let i = 0; i < 10_000; i += 1) if (random.chance(250_000)) hits += 1;
    assert.ok(hits > 2300 && hits < 2700, `${hits}`);
    assert.equal(random.chance(0), false);
    for (let i = 0; i < 1000; i += 1) assert.ok(random.skewed(37) < 37);
  });
});

describe("sim/pattern", () => {
  test("what was filled in is found again, and nothing else", () => {
    const whole = new Uint8Array(200_000);
    fillPattern(3, 0, whole);
    const part = new Uint8Array(1000);
    fillPattern(3, 130_000, part);
    assert.deepEqual(part, whole.subarray(130_000, 131_000));
    assert.equal(findMismatch(3, 130_000, part), -1);
    assert.notEqual(findMismatch(3, 130_001, part), -1);
    assert.notEqual(findMismatch(4, 130_000, part), -1);
    part[500] = (part[500] ?? 0) ^ 1;
    assert.equal(findMismatch(3, 130_000, part), 500);
  });
});

describe("sim/trace", () => {
  test("every difference changes the hash", () => {
    const hash = (steps: (trace: Trace) => void): string => {
      const trace = new Trace();
      steps(trace);
      return trace.hash;
    };
    const hashes = [
      hash(() => {}),
      hash((trace) => trace.note(1, 2, 3)),
      hash((trace) => trace.note(2, 2, 3)),
      hash((trace) => trace.note(1 + 2 ** 32, 2, 3)),
      hash((trace) => trace.note(1, 3, 2)),
      hash((trace) => trace.octets(Uint8Array.of(1, 2, 3, 4, 5))),
      hash((trace) => trace.octets(Uint8Array.of(1, 2, 3, 4, 6))),
      hash((trace) => trace.octets(Uint8Array.of(1, 2, 3, 4, 5, 0))),
    ];
    assert.equal(new Set(hashes).size, hashes.length);
    assert.match(hashes[0] ?? "", /^[0-9a-f]{16}$/);
  });

  test("lines are made only for somebody who reads", () => {
    const lines: string[] = [];
    new Trace((line) => lines.push(line)).tell(1_500_000, () => "hello");
    assert.deepEqual(lines, ["1.500000 hello"]);
    new Trace().tell(0, () => assert.fail("nobody reads"));
  });
});
