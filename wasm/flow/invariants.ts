/**
 * What is always so of a UDP, DNS or ping flow between two calls of its own code. Only the checked
 * build (`trap`) asks, as for TCP (`tcp/invariants`).
 */
import * as abi from "../abi/index";
import {
  F_AWAITING,
  F_DUAL,
  F_FIXED,
  F_LOCAL,
  F_OVER,
  F_PUBLISHED,
  F_RECEIVING,
  F_SENDING,
  has,
  SOCKET_FAILED,
  SOCKET_OPEN,
  UdpFlow,
} from "./datagram";
import { LIST_PUBLISHED, listOf, SHARE_DATAGRAM, SHARE_DNS, SHARE_PUBLISHED } from "./kinds";

/** The flow is as it must be between two calls. */
export function datagramIsSound(flow: UdpFlow): void {
  const kind = flow.kind;
  assert(kind != <u8>abi.KIND_TCP && kind != <u8>abi.KIND_FREE, "it is a datagram flow");
  assert(flow.socket <= SOCKET_FAILED, "its socket is in a state");
  if (has(flow, F_SENDING | F_RECEIVING)) {
    assert(flow.socket == SOCKET_OPEN, "only an open socket sends and receives");
  }
  if (flow.socket == SOCKET_FAILED) assert(kind == <u8>abi.KIND_PING, "others are asked for again");
  assert(flow.batchHead < 0 == flow.batchTail < 0, "a batch has two ends");
  assert(flow.batchHead < 0 == (flow.batchCount == 0), "the batch is as long as it says");
  assert(<u32>flow.filterNext < <u32>abi.FILTER_COUNT, "the next filter has a place");
  assert(flow.receiveSlots > 0 && <i32>flow.receiveSlots <= abi.SCRATCH_SLOT_COUNT / 2);
  if (has(flow, F_OVER)) assert(has(flow, F_LOCAL), "only a service of the host's ends a flow");
  if (has(flow, F_DUAL | F_FIXED)) assert(has(flow, F_PUBLISHED), "only published ports are so");
  if (has(flow, F_AWAITING)) assert(kind == <u8>abi.KIND_UDP, "others know where answers go");
  const share = flow.share;
  if (kind == <u8>abi.KIND_DNS) assert(share == SHARE_DNS, "DNS has a share of its own");
  else
    assert(share == SHARE_DATAGRAM || share == SHARE_PUBLISHED, "it is of a share of datagrams'");
  if (has(flow, F_PUBLISHED)) assert(share == SHARE_PUBLISHED, "published ports have a share");
  assert(
    flow.list == (share == SHARE_PUBLISHED ? LIST_PUBLISHED : listOf(kind)),
    "it may be evicted",
  );
  assert(flow.heapIndex >= 0 && flow.deadline != 0, "it ends when it has been idle");
}
