/**
 * Of the contract (`abi.ts`): what the engine notes for whoever looks at it. Nothing it does
 * depends on that, so a recording is replayed whatever is noted.
 *
 * A mark for each frame of the last `guest_rx`, in the order of their descriptors, from this offset
 * of the region RX_DESCRIPTORS on, behind its end; one more is the engine's own.
 */
export const TRACE_MARKS_OFFSET: i32 = 512;
export const TRACE_MARK_REASON_OFFSET: i32 = 0; // DROP_*: all of it or a part went no further
export const TRACE_MARK_HANDLE_OFFSET: i32 = 4; // flow that it is of, 0 = none
export const TRACE_MARK_SIZE: i32 = 8;
