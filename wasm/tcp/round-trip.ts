/**
 * Round trips to the guest and the timeout that follows from them (RFC 6298, 7323 §4).
 *
 * Theory of operation
 *  Samples come from three places: the handshake, one new segment at a time (`F_RTT`, a clock of
 *  one microsecond), and, while something is being repaired, the timestamp that the guest sends
 *  back, which tells of which transmission it speaks; its clock of a millisecond is too coarse for
 *  more. Without timestamps what was sent twice is not timed (Karn), and a timeout that was backed
 *  off stays so until there is a sample.
 */

import { MILLISECOND_US, SECOND_US } from "../timer";
import { F_RTT, F_TIMESTAMPS, has, RTO_MAX_US, RTO_MIN_US, Tcp, timestamp } from "./conn";
import { segment } from "./segment";

const SAMPLE_MAX_US: i64 = 60 * SECOND_US;
/** G of RFC 6298 §2: how late a loop may be. */
const CLOCK_US: u32 = 1000;
/** What an echo of the same millisecond has taken on average. */
const ECHO_MIN_US: i64 = 500;

/** RFC 6298 §2.2, 2.3 with a clock of one microsecond. */
function sampleRtt(flow: Tcp, sample: i64): void {
  const rtt = <u32>max<i64>(min<i64>(sample, SAMPLE_MAX_US), 1);
  if (flow.srtt == 0) {
    flow.srtt = rtt;
    flow.rttVariance = rtt >> 1;
    flow.rttMin = rtt;
  } else {
    const delta = rtt > flow.srtt ? rtt - flow.srtt : flow.srtt - rtt;
    flow.rttVariance = <u32>((3 * <u64>flow.rttVariance + <u64>delta) >> 2);
    flow.srtt = max<u32>(<u32>((7 * <u64>flow.srtt + <u64>rtt) >> 3), 1);
    // A way that has become longer is learned, too.
    flow.rttMin = rtt < flow.rttMin ? rtt : flow.rttMin + ((rtt - flow.rttMin) >> 6);
  }
  flow.rto = min(max(flow.srtt + max<u32>(4 * flow.rttVariance, CLOCK_US), RTO_MIN_US), RTO_MAX_US);
}

/** The segment that is timed has arrived. */
export function sampleTimed(flow: Tcp, now: i64): void {
  if (!has(flow, F_RTT)) return;
  flow.flags &= ~F_RTT;
  sampleRtt(flow, now - flow.rttAt);
}

/** Milliseconds since what the segment just parsed echoes was sent; -1 = it does not tell. */
export function echoAge(flow: Tcp, now: i64): i32 {
  if (!has(flow, F_TIMESTAMPS) || !segment.hasTimestamps || segment.tsEcho == 0) return -1;
  return max<i32>(<i32>(timestamp(flow, now) - segment.tsEcho), -1);
}

/** A sample by the echo of the segment just parsed; true when there was one. */
export function sampleEcho(flow: Tcp, now: i64): bool {
  const age = echoAge(flow, now);
  if (age < 0 || <i64>age * MILLISECOND_US > SAMPLE_MAX_US) return false;
  sampleRtt(flow, max<i64>(<i64>age * MILLISECOND_US, ECHO_MIN_US));
  return true;
}
