/**
 * The records of `abi.ts` as AssemblyScript views, checked against it when the engine is compiled,
 * and the flow record, of which only the head is public.
 *
 * Views are `@unmanaged` classes laid over engine memory: `changetype<Flow>(address)` costs
 * nothing.
 */
import * as abi from "./abi/index";

/** The table of flows is never smaller. */
export const FLOWS_MIN_COUNT: i32 = 16;

/**
 * One conversation between the guest and a host socket.
 *
 *     0   kind state generation | flags | guest | peer | host addresses | ports
 *    32   octets to the host | octets to the guest
 *    48   lists, timer, times            (every kind)
 *    96   receive side, send side        (TCP)
 *
 * Life of a slot: FREE -> allocated by `flowAllocate` (generation advanced, record zeroed) -> in
 * the index while it can be looked up -> released by `flowRelease` (out of index, heap and lists)
 * -> FREE. A handle with an older generation matches nothing from then on.
 */
@unmanaged
export class Flow {
  kind: u8;
  state: u8;
  generation: u16;
  flags: u32;
  guestAddress: u32;
  peerAddress: u32;
  hostAddress: u32;
  guestPort: u16;
  peerPort: u16;
  hostPort: u16;
  /** Which least-recently-used list it is in (LIST_*, 0 = none). */
  list: u8;
  /** Whose slots it counts against (SHARE_*). */
  share: u8;
  hash: u32;
  bytesToHost: u64;
  bytesToGuest: u64;
  /** Guest MAC frames of this flow go to, in the low 48 bits. */
  guestMac: u64;
  /** Absolute time of the earliest thing due, microseconds; 0 = nothing. Kept by `timer`. */
  deadline: i64;
  /** Position in the timer heap, -1 = not in it. */
  heapIndex: i32;
  /** Next in the list of flows touched in this batch; -1 = last, -2 = not in the list. */
  dirtyNext: i32;
  /** Next in the list of flows whose socket has something to read; -1 last, -2 not in it. */
  readyNext: i32;
  /** Least recently used list of flows that may be evicted; -1 = end. */
  lruPrevious: i32;
  lruNext: i32;
  /** First and last entry of the payload list of this batch; -1 = none (see `ring`). */
  batchHead: i32;
  batchTail: i32;
  batchCount: i32;
  lastActive: i64;
  /** Bits EVENT_*: what the host socket last said. */
  events: u32;
  /** When it was allocated (TRACE_FLOW_BEGAN_OFFSET). */
  began: u32;
  /**
   * Everything from here on belongs to the kind; TCP's is named in `tcp/conn`, that of
   * datagram flows in `flow/datagram`.
   */
  kindBytes: u64;
}

/**
 * What a TCP connection holds of things that others need, at the end of its record, where flow
 * table and TCP both find it. Times are `<u32>(now >> STAKE_TICK)`: 65.5 ms, no wrap for 8 years.
 */
@unmanaged
export class Stake {
  /** Its party (`flow/parties`), -1 = none. */
  party: i32;
  /** When octets last moved on, or began to wait. */
  progress: u32;
  /** What `progress` was when the flow was put where it is in its party's list. */
  listed: u32;
  /** Neighbours in the list of flows that hold what the host does not take (`flow/holders`). */
  holderPrevious: i32;
  holderNext: i32;
  /** 1 = it is in that list. */
  holds: u32;
  /** Segments that were sent again. */
  resent: u32;
  reserved: u32;
}

export const STAKE_TICK: u8 = 16;
export const STAKE_SIZE: usize = offsetof<Stake>();

export function stakeOf(flow: Flow): Stake {
  return changetype<Stake>(changetype<usize>(flow) + <usize>abi.FLOW_SIZE - STAKE_SIZE);
}

export const FLOW_KIND_BYTES: usize = offsetof<Flow>("kindBytes");

@unmanaged
export class Op {
  kind: i32;
  handle: u32;
  result: i32;
  a: u32;
  b: u32;
  c: u32;
  pointer: u32;
  count: u32;
}

@unmanaged
export class TxRecord {
  iov: u32;
  iovCount: u32;
  length: u32;
  handle: u32;
}

@unmanaged
export class Iov {
  base: u64;
  length: u64;
}

/** struct mmsghdr; the head is a struct msghdr. */
@unmanaged
export class Msg {
  name: u64;
  nameLength: u64;
  iov: u64;
  iovCount: u64;
  control: u64;
  controlLength: u64;
  flags: u64;
  received: u64;
}

/** struct virtio_net_hdr, as far as it is written (virtio 1.2 §5.1.6). */
@unmanaged
export class VirtioNetHeader {
  flags: u8;
  gsoType: u8;
  headerLength: u16;
  gsoSize: u16;
  checksumStart: u16;
  checksumOffset: u16;
}

/** Of its flags: the checksum is a partial one. */
export const VIRTIO_NET_NEEDS_CSUM: u8 = 1;

if (
  offsetof<Flow>("state") != <usize>abi.FLOW_STATE_OFFSET ||
  offsetof<Flow>("generation") != <usize>abi.FLOW_GENERATION_OFFSET ||
  offsetof<Flow>("flags") != <usize>abi.FLOW_FLAGS_OFFSET ||
  offsetof<Flow>("guestAddress") != <usize>abi.FLOW_GUEST_ADDRESS_OFFSET ||
  offsetof<Flow>("peerAddress") != <usize>abi.FLOW_PEER_ADDRESS_OFFSET ||
  offsetof<Flow>("hostAddress") != <usize>abi.FLOW_HOST_ADDRESS_OFFSET ||
  offsetof<Flow>("guestPort") != <usize>abi.FLOW_GUEST_PORT_OFFSET ||
  offsetof<Flow>("peerPort") != <usize>abi.FLOW_PEER_PORT_OFFSET ||
  offsetof<Flow>("hostPort") != <usize>abi.FLOW_HOST_PORT_OFFSET ||
  offsetof<Flow>("bytesToHost") != <usize>abi.FLOW_BYTES_TO_HOST_OFFSET ||
  offsetof<Flow>("bytesToGuest") != <usize>abi.FLOW_BYTES_TO_GUEST_OFFSET ||
  offsetof<Flow>("lastActive") != <usize>abi.TRACE_FLOW_LAST_ACTIVE_OFFSET ||
  offsetof<Flow>("share") != <usize>abi.TRACE_FLOW_SHARE_OFFSET ||
  offsetof<Flow>("began") != <usize>abi.TRACE_FLOW_BEGAN_OFFSET ||
  offsetof<Op>() != <usize>abi.OP_SIZE ||
  offsetof<Op>("result") != <usize>abi.OP_RESULT_OFFSET ||
  offsetof<Op>("pointer") != <usize>abi.OP_POINTER_OFFSET ||
  offsetof<TxRecord>() != <usize>abi.TX_RECORD_SIZE ||
  offsetof<Iov>() != <usize>abi.IOV_SIZE ||
  offsetof<Msg>() != <usize>abi.MSG_SIZE ||
  offsetof<Msg>("control") != <usize>abi.MSG_CONTROL_OFFSET ||
  offsetof<Msg>("received") != <usize>abi.MSG_RECEIVED_OFFSET
) {
  ERROR("layout.ts and abi.ts disagree");
}

/** Strides of the records that lie side by side, as shifts. */
export const OP_SHIFT: i32 = 5;
export const IOV_SHIFT: i32 = 4;
export const MSG_SHIFT: i32 = 6;
export const TX_RECORD_SHIFT: i32 = 4;
export const TX_SLOT_SHIFT: i32 = 11;

if (
  abi.OP_SIZE != 1 << OP_SHIFT ||
  abi.IOV_SIZE != 1 << IOV_SHIFT ||
  abi.MSG_SIZE != 1 << MSG_SHIFT ||
  abi.TX_RECORD_SIZE != 1 << TX_RECORD_SHIFT ||
  abi.TX_SLOT_SIZE != 1 << TX_SLOT_SHIFT
) {
  ERROR("strides of layout.ts and sizes of abi.ts disagree");
}
