/**
 * Checks of what this program itself promises. They stay on in production: a broken invariant must
 * stop the program, not corrupt a stream. Errors of the outside world are values, never assertions.
 */

/** @throws Error where `condition` does not hold; `message` says what had to be true */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`Internal error: ${message}`);
}
