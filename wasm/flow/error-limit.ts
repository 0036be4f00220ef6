/**
 * How many ICMP errors the guest gets, of both versions together: at most 50 at once and 100 a
 * second in the long run (RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f): a token bucket).
 */

/** Price of an error and the most that can be saved up, in microseconds of silence. */
const PRICE: i64 = 10_000;
const CREDIT_MAX: i64 = 50 * PRICE;

let credit: i64 = CREDIT_MAX;
let refilled: i64 = 0;

/** Fills the bucket. */
export function errorLimitInit(): void {
  credit = CREDIT_MAX;
  refilled = 0;
}

/** Takes one error out of the bucket; false when it is empty. */
export function errorAllowed(now: i64): bool {
  if (now > refilled) {
    credit = min(CREDIT_MAX, credit + (now - refilled));
    refilled = now;
  }
  if (credit < PRICE) return false;
  credit -= PRICE;
  return true;
}
