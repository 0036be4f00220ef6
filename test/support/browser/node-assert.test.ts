/** The assertions of a browser judge as Node's do. */
import strict from "node:assert/strict";
import { describe, test } from "node:test";
import { assert as browser } from "./node-assert.ts";

/** Given in place of a message, which takes Node long to make, as does the trace of an error. */
const TOLD = new Error("not so");

class Point {
  x = 1;
}
class Other {
  x = 1;
}

const sparse = [1, 2, 3];
delete sparse[1];
/** Made anew each time, so that equal ones are not the same. */
const VALUES: readonly (() => unknown)[] = [
  ...[undefined, null, true, 0, -0, 1, 1n, Number.NaN, "", "1", Symbol.iterator].map(
    (v) => () => v,
  ),
  () => [],
  () => [1, 2, 3],
  () => [1, undefined, 3],
  () => sparse,
  () => ({ 0: 1, 1: 2, 2: 3, length: 3 }),
  () => new Uint8Array([1, 2, 3]),
  () => new Uint8Array([1, 2, 4]),
  () => new Int8Array([1, 2, 3]),
  () => new Uint8Array([1, 2, 3]).buffer,
  () => new Uint8Array([1, 2, 4]).buffer,
  () => new Float64Array([0]),
  () => new Float64Array([-0]),
  () => ({}),
  () => ({ x: 1 }),
  () => ({ x: 1, y: undefined }),
  () => ({ y: undefined }),
  () => ({ x: { y: [1n, { z: "deep" }] } }),
  () => ({ x: { y: [1n, { z: "other" }] } }),
  () => ({ [Symbol.iterator]: 1 }),
  () => Object.assign(Object.create(null), { x: 1 }),
  () => new Point(),
  () => new Other(),
  () => new Map(),
  () => new Map([[1, { a: 1 }]]),
  () => new Map([[1, { a: 2 }]]),
  () => new Map([[{ a: 1 }, 1]]),
  () => new Set([1, 2]),
  () => new Set([2, 1]),
  () => new Set([1, 3]),
  () => new Set([{ a: 1 }, { a: 1 }]),
  () => new Set([{ a: 1 }, { a: 2 }]),
  () => new Date(1),
  () => new Date(2),
  () => /a/g,
  () => /a/i,
  () => new Error("a"),
  () => new Error("b"),
  () => new RangeError("a"),
];

function passes(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

describe("assertions of a browser", () => {
  for (const name of ["equal", "notEqual", "deepEqual", "notDeepEqual"] as const) {
    test(`${name} judges each pair as Node does`, () => {
      for (const [i, a] of VALUES.entries()) {
        for (const [j, b] of VALUES.entries()) {
          const wanted = passes(() => strict[name](a(), b(), TOLD));
          const found = passes(() => browser[name](a(), b(), TOLD));
          strict.equal(found, wanted, `values ${i} and ${j}`);
        }
      }
    });
  }

  test("ok judges each value as Node does", () => {
    for (const [i, value] of VALUES.entries()) {
      const wanted = passes(() => strict.ok(value(), TOLD));
      strict.equal(
        passes(() => browser.ok(value(), TOLD)),
        wanted,
        `value ${i}`,
      );
    }
  });

  test("match and doesNotMatch", () => {
    for (const text of ["abc", "xyz"]) {
      for (const name of ["match", "doesNotMatch"] as const) {
        const wanted = passes(() => strict[name](text, /b/));
        strict.equal(
          passes(() => browser[name](text, /b/)),
          wanted,
          `${name} ${text}`,
        );
      }
    }
  });

  const thrown = Object.assign(new RangeError("too far"), { code: "FAR", more: { at: 1 } });
  const expectations = [
    ...[undefined, Error, RangeError, TypeError, /far/, /RangeError: too/, /near/],
    ...[{ code: "FAR" }, { code: "NEAR" }, { message: /far/, name: "RangeError" }],
    ...[{ message: /^far/ }, { more: { at: 1 } }, { more: { at: 2 } }, { absent: 1 }],
    ...[(error: unknown) => error === thrown, (error: unknown) => error !== thrown],
  ];

  test("throws judges what was thrown as Node does", () => {
    const raise = (): never => {
      throw thrown;
    };
    for (const [i, expected] of expectations.entries()) {
      const wanted = passes(() => strict.throws(raise, expected as RegExp));
      const found = passes(() => browser.throws(raise, expected as RegExp));
      strict.equal(found, wanted, `expectation ${i}`);
      strict.ok(!passes(() => browser.throws(() => {}, expected as RegExp)), "nothing is thrown");
    }
  });

  test("rejects judges as throws does", async () => {
    for (const [i, expected] of expectations.entries()) {
      const judge = (work: Promise<void>): Promise<boolean> =>
        work.then(
          () => true,
          () => false,
        );
      const wanted = await judge(strict.rejects(Promise.reject(thrown), expected as RegExp));
      const found = await judge(browser.rejects(Promise.reject(thrown), expected as RegExp));
      strict.equal(found, wanted, `expectation ${i}`);
      strict.ok(!(await judge(browser.rejects(Promise.resolve(), expected as RegExp))));
    }
  });

  test("fail, and a message of the test's own", () => {
    strict.throws(() => browser.fail("why"), /why/);
    strict.throws(() => browser.equal(1, 2, "why"), /why/);
    strict.throws(() => browser.ok(false, new TypeError("why")), TypeError);
  });
});
