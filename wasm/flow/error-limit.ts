/**
 * How many ICMP errors the guest gets, of both versions together: at most 50 at once and 100 a
 * second in the long run (RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f): a token bucket).
 */

import * as abi from "../abi/index";
import { txBegin } from "../ring";
import { drop } from "../stats";
import { MILLISECOND_US } from "../timer";

/** Price of an error and the most that can be saved up, in microseconds of silence. */
const PRICE_US: i64 = 10 * MILLISECOND_US;
const CREDIT_MAX_US: i64 = 50 * PRICE_US;

let credit: i64 = CREDIT_MAX_US;
let refilled: i64 = 0;

/** Fills the bucket. */
export function errorLimitInit(): void {
  credit = CREDIT_MAX_US;
  refilled = 0;
}

/**
 * Begins the frame of an error to the guest at `mac`: it needs a MAC, an error in the bucket, and
 * room. 0 = one of them is missing (counted).
 */
export function errorBegin(mac: u64, now: i64): usize {
  if (mac == 0) {
    drop(abi.DROP_NEIGHBOR);
    return 0;
  }
  if (!errorAllowed(now)) {
    drop(abi.DROP_REPLY_FLOOD);
    return 0;
  }
  return txBegin();
}

/** Takes one error out of the bucket; false when it is empty. */
function errorAllowed(now: i64): bool {
  if (now > refilled) {
    credit = min(CREDIT_MAX_US, credit + (now - refilled));
    refilled = now;
  }
  if (credit < PRICE_US) return false;
  credit -= PRICE_US;
  return true;
}
