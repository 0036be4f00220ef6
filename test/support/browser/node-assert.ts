/**
 * `node:assert/strict` of a browser, as far as the tests use it. `test/support/browser` has a test
 * that it judges as Node's own does.
 */

class AssertionError extends Error {
  override readonly name = "AssertionError";
}

type Message = string | Error;
type Class = abstract new (...args: never) => unknown;
type Judge = (thrown: unknown) => unknown;
/** What has to be thrown: text that matches, an instance, what a function likes, or properties. */
type Expected = RegExp | Class | Judge | Readonly<Record<string, unknown>>;

/** A value for a message, of bounded length. */
function shown(value: unknown): string {
  const text = JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === "bigint") return `${part}n`;
    if (part instanceof Map || part instanceof Set || ArrayBuffer.isView(part)) {
      return [...(part as Iterable<unknown>)];
    }
    return part === undefined || Object.is(part, -0) ? String(part) : part;
  });
  return (text ?? String(value)).slice(0, 2000);
}

function fail(message: Message | undefined, otherwise: string): never {
  if (message instanceof Error) throw message;
  throw new AssertionError(message === undefined ? otherwise : `${message} (${otherwise})`);
}

/** Own properties that `for … in` shows, and symbols that are enumerable. */
function keysOf(value: object): PropertyKey[] {
  const symbols = Object.getOwnPropertySymbols(value);
  const isShown = (key: symbol): boolean => Object.prototype.propertyIsEnumerable.call(value, key);
  return [...Object.keys(value), ...symbols.filter(isShown)];
}

function sameMembers(a: ReadonlySet<unknown>, b: ReadonlySet<unknown>): boolean {
  const rest = new Set(b);
  for (const member of a) {
    const like = rest.has(member) ? member : [...rest].find((other) => isSame(member, other));
    if (!rest.delete(like)) return false;
  }
  return rest.size === 0;
}

function sameEntries(a: ReadonlyMap<unknown, unknown>, b: ReadonlyMap<unknown, unknown>): boolean {
  const pairs = (map: ReadonlyMap<unknown, unknown>): Set<unknown> => new Set([...map]);
  return a.size === b.size && sameMembers(pairs(a), pairs(b));
}

type Numbers = ArrayLike<number | bigint>;

/** Compared as numbers, since as properties they take a hundred times longer. */
function sameNumbers(a: Numbers, b: Numbers): boolean {
  return a.length === b.length && Array.prototype.every.call(a, (x, i) => Object.is(x, b[i]));
}

function isNumbers(value: object): value is Numbers {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

/** What is in boxes and cannot be seen as properties. */
function sameInside(a: object, b: object): boolean {
  if (a instanceof Map && b instanceof Map) return sameEntries(a, b);
  if (a instanceof Set && b instanceof Set) return sameMembers(a, b);
  if (a instanceof Date && b instanceof Date) return a.getTime() === b.getTime();
  if (a instanceof RegExp && b instanceof RegExp) return String(a) === String(b);
  if (a instanceof Error && b instanceof Error) return a.message === b.message && a.name === b.name;
  if (a instanceof ArrayBuffer && b instanceof ArrayBuffer) {
    return isSame(new Uint8Array(a), new Uint8Array(b));
  }
  return true;
}

/**
 * Deep equality as `deepStrictEqual` has it, for values without circles and without properties of
 * their own on typed arrays.
 */
function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (Array.isArray(a) !== Array.isArray(b) || !sameInside(a, b)) return false;
  if (Array.isArray(a) && a.length !== (b as unknown[]).length) return false;
  if (isNumbers(a) && isNumbers(b)) return sameNumbers(a, b);
  const keys = keysOf(a);
  if (keys.length !== keysOf(b).length) return false;
  return keys.every((key) => {
    const isShared = Object.prototype.propertyIsEnumerable.call(b, key);
    return isShared && isSame(Reflect.get(a, key), Reflect.get(b, key));
  });
}

function hasProperty(thrown: object, name: string, wanted: unknown): boolean {
  const value: unknown = Reflect.get(thrown, name);
  if (wanted instanceof RegExp && typeof value === "string") return wanted.test(value);
  return isSame(value, wanted);
}

/** Arrow functions, which are what judges, have no prototype. */
function isClass(expected: Expected): expected is Class {
  return typeof expected === "function" && expected.prototype !== undefined;
}

function matches(thrown: unknown, expected: Expected | undefined): boolean {
  if (expected === undefined) return true;
  if (expected instanceof RegExp) return expected.test(String(thrown));
  if (isClass(expected)) return thrown instanceof expected;
  if (typeof expected === "function") return expected(thrown) === true;
  if (typeof thrown !== "object" || thrown === null) return false;
  return Object.entries(expected).every(([name, wanted]) => hasProperty(thrown, name, wanted));
}

function judgeThrown(thrown: unknown, expected?: Expected, message?: Message): void {
  if (!matches(thrown, expected)) fail(message, `something else was thrown: ${String(thrown)}`);
}

export const assert = {
  ok(value: unknown, message?: Message): void {
    if (!value) fail(message, `${shown(value)} is not true`);
  },

  equal(actual: unknown, expected: unknown, message?: Message): void {
    if (!Object.is(actual, expected)) fail(message, `${shown(actual)} is not ${shown(expected)}`);
  },

  notEqual(actual: unknown, expected: unknown, message?: Message): void {
    if (Object.is(actual, expected)) fail(message, `both are ${shown(actual)}`);
  },

  deepEqual(actual: unknown, expected: unknown, message?: Message): void {
    if (!isSame(actual, expected)) fail(message, `${shown(actual)} is not ${shown(expected)}`);
  },

  notDeepEqual(actual: unknown, expected: unknown, message?: Message): void {
    if (isSame(actual, expected)) fail(message, `both are ${shown(actual)}`);
  },

  match(text: string, pattern: RegExp, message?: Message): void {
    if (!pattern.test(text)) fail(message, `${shown(text)} does not match ${pattern}`);
  },

  doesNotMatch(text: string, pattern: RegExp, message?: Message): void {
    if (pattern.test(text)) fail(message, `${shown(text)} matches ${pattern}`);
  },

  throws(work: () => unknown, expected?: Expected, message?: Message): void {
    try {
      work();
    } catch (thrown) {
      judgeThrown(thrown, expected, message);
      return;
    }
    fail(message, "nothing was thrown");
  },

  async rejects(work: Promise<unknown>, expected?: Expected, message?: Message): Promise<void> {
    try {
      await work;
    } catch (thrown) {
      judgeThrown(thrown, expected, message);
      return;
    }
    fail(message, "nothing was thrown");
  },

  fail(message?: Message): never {
    return fail(message, "failed");
  },
};
