/**
 * Of the contract (`abi.ts`): the head of the flow record, kinds of flows, states of TCP.
 */

export const FLOW_SIZE: i32 = 448;
export const FLOW_KIND_OFFSET: i32 = 0; // u8 KIND_*
export const FLOW_STATE_OFFSET: i32 = 1; // u8 STATE_*
export const FLOW_GENERATION_OFFSET: i32 = 2; // u16
export const FLOW_FLAGS_OFFSET: i32 = 4; // u32
export const FLOW_GUEST_ADDRESS_OFFSET: i32 = 8;
export const FLOW_PEER_ADDRESS_OFFSET: i32 = 12; // as the guest sees it
export const FLOW_HOST_ADDRESS_OFFSET: i32 = 16; // where the host socket goes
export const FLOW_GUEST_PORT_OFFSET: i32 = 20; // u16
export const FLOW_PEER_PORT_OFFSET: i32 = 22; // u16
export const FLOW_HOST_PORT_OFFSET: i32 = 24; // u16
export const FLOW_BYTES_TO_HOST_OFFSET: i32 = 32; // u64
export const FLOW_BYTES_TO_GUEST_OFFSET: i32 = 40; // u64
// Of TCP flows, to be looked at and never written; `tcp/conn.ts` checks them.
export const FLOW_TCP_RCV_ACK_OFFSET: i32 = 128; // sequence number acknowledged to the guest
export const FLOW_TCP_RCV_EDGE_OFFSET: i32 = 132; // right edge of the window offered to it
export const FLOW_TCP_HELD_COUNT_OFFSET: i32 = 152; // chunks of the guest that nobody has taken
export const FLOW_TCP_SND_UNA_OFFSET: i32 = 180;
export const FLOW_TCP_SND_MAX_OFFSET: i32 = 188; // highest sequence number sent
export const FLOW_TCP_SND_WINDOW_OFFSET: i32 = 196; // what the guest offers, scaled
export const FLOW_TCP_SEND_COUNT_OFFSET: i32 = 220; // chunks on their way to the guest
export const FLOW_TCP_CWND_OFFSET: i32 = 232;
export const FLOW_TCP_SSTHRESH_OFFSET: i32 = 236; // 2^31 - 1 until the first loss
export const FLOW_TCP_SRTT_OFFSET: i32 = 296; // microseconds; 0 = not measured yet

// Noted for whoever looks at flows; nothing depends on it.
export const TRACE_FLOW_LAST_ACTIVE_OFFSET: i32 = 96; // i64, when a packet of it last moved
/** When it began: u32, the low bits of microseconds >> TRACE_BEGAN_SHIFT; they wrap in 203 days. */
export const TRACE_FLOW_BEGAN_OFFSET: i32 = 108;
export const TRACE_BEGAN_SHIFT: i32 = 12;
export const TRACE_FLOW_RESENT_OFFSET: i32 = 440; // of TCP: u32, segments sent again

export const TRACE_FLOW_SHARE_OFFSET: i32 = 27; // u8, whose slots it counts against
export const TRACE_SHARE_OUTSIDE: i32 = 1; // TCP that came in
export const TRACE_SHARE_PUBLISHED: i32 = 4; // UDP that came in
export const TRACE_FLAG_BLOCKED: i32 = 256; // of TCP: the host takes no more for now

export const KIND_FREE: i32 = 0;
export const KIND_TCP: i32 = 1;
export const KIND_UDP: i32 = 2;
export const KIND_PING: i32 = 3;
/** UDP towards the DNS address: one connected socket per guest port and resolver. */
export const KIND_DNS: i32 = 4;

/** TCP states, RFC 9293 §3.3.2, from our side of the guest-facing connection. */
export const STATE_CLOSED: i32 = 0;
/** Guest's SYN is held while the host connects. */
export const STATE_CONNECTING: i32 = 1;
export const STATE_SYN_SENT: i32 = 2;
export const STATE_SYN_RECEIVED: i32 = 3;
export const STATE_ESTABLISHED: i32 = 4;
export const STATE_FIN_WAIT_1: i32 = 5;
export const STATE_FIN_WAIT_2: i32 = 6;
export const STATE_CLOSE_WAIT: i32 = 7;
export const STATE_CLOSING: i32 = 8;
export const STATE_LAST_ACK: i32 = 9;
export const STATE_TIME_WAIT: i32 = 10;
export const STATE_COUNT: i32 = 11;
