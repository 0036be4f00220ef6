/**
 * What becomes of the frames of a batch, for captures and samples of drops: why one was dropped,
 * and which flow it is of.
 *
 * Theory of operation
 *  While a frame is handled, two variables say where its reason and its flow are noted: in its
 *  mark. At all other times, and after the first reason, that is a mark nobody reads. So a note is
 *  a store, and nobody asks whether it is wanted. What is dropped later, as the host has refused it
 *  or its flow has ended, leaves no mark.
 */
import * as abi from "./abi/index";
import { RX_DESCRIPTORS } from "./memory";

const MARKS: usize = RX_DESCRIPTORS + abi.TRACE_MARKS_OFFSET;
const NOWHERE: usize = MARKS + abi.RX_SLOT_COUNT * abi.TRACE_MARK_SIZE;

let reasonMark: usize = NOWHERE;
let flowMark: usize = NOWHERE;

/** Frame `i` is handled from now on. */
export function traceFrame(i: i32): void {
  reasonMark = MARKS + <usize>i * abi.TRACE_MARK_SIZE;
  flowMark = reasonMark;
  store<u64>(reasonMark, 0);
}

/** No frame is. */
export function traceIdle(): void {
  reasonMark = NOWHERE;
  flowMark = NOWHERE;
}

export function traceDrop(reason: i32): void {
  store<i32>(reasonMark, reason, abi.TRACE_MARK_REASON_OFFSET);
  reasonMark = NOWHERE; // what follows from it, as an answer that is not sent, is no reason
}

export function traceFlow(handle: u32): void {
  store<u32>(flowMark, handle, abi.TRACE_MARK_HANDLE_OFFSET);
}

if (abi.TRACE_MARKS_OFFSET != abi.RX_SLOT_COUNT * abi.RX_DESCRIPTOR_SIZE) {
  ERROR("marks do not begin where the descriptors end");
}
