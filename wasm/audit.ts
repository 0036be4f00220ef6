/**
 * The audit: all that the engine remembers agrees. Only the checked build (`trap`) makes one, at
 * the beginning of a turn, when no operation is under way: in each of the first turns, where tests
 * are, later once in AUDIT_TURNS, as it walks over everything.
 */
import * as abi from "./abi/index";
import { UdpFlow } from "./flow/datagram";
import { holdersAudit } from "./flow/holders";
import { datagramIsSound } from "./flow/invariants";
import { LIST_COUNT, LIST_NONE, LIST_PARTY, SHARE_COUNT, SHARE_OUTSIDE } from "./flow/kinds";
import { partiesAudit } from "./flow/parties";
import {
  dirtyFirst,
  flowAt,
  flowFind,
  flowsFresh,
  flowsUsed,
  isNone,
  listOldest,
  listSize,
  readyFirst,
  shareUsed,
  slotOf,
  UNLISTED,
} from "./flow/table";
import { Flow } from "./layout";
import { chunksAudit } from "./memory";
import { Tcp } from "./tcp/conn";
import { tcpAudit } from "./tcp/invariants";
import { timerAudit } from "./timer";

const AUDIT_TURNS: u32 = 256;
const FIRST_TURNS: u32 = 64;

let turns: u32 = 0;
/** Chunks that the flows have, those of connections from outside that the host has not taken. */
let chunks: i32 = 0;
let heldOutside: i32 = 0;

export function auditInit(): void {
  turns = 0;
}

/** Once a turn. */
export function auditTurn(): void {
  turns++;
  if (turns > FIRST_TURNS && turns % AUDIT_TURNS != 0) return;
  chunks = 0;
  heldOutside = 0;
  flowsAudit();
  listsAudit();
  timerAudit();
  chunksAudit(chunks);
  holdersAudit(heldOutside);
}

function flowAudit(flow: Flow, slot: i32): void {
  assert(flow.generation != 0, "handle 0 means no flow");
  const ports = ((<u32>flow.guestPort) << 16) | <u32>flow.peerPort;
  const found = flowFind(flow.kind, flow.guestAddress, flow.peerAddress, ports);
  assert(!isNone(found) && slotOf(found) == slot, "a flow is found by its tuple");
  assert(flow.list != LIST_NONE && flow.deadline != 0, "every flow ends, or gives way, some day");
  if (flow.kind != <u8>abi.KIND_TCP) {
    datagramIsSound(changetype<UdpFlow>(flow));
    return;
  }
  const tcp = changetype<Tcp>(flow);
  chunks += tcpAudit(tcp);
  if (flow.share == SHARE_OUTSIDE) heldOutside += tcp.heldCount;
}

/** Flows, and who is marked as listed. */
function flowsAudit(): void {
  let flows = 0;
  let dirty = 0;
  let ready = 0;
  let members = 0;
  const slots = flowsFresh();
  for (let slot = 0; slot < slots; slot++) {
    const flow = flowAt(slot);
    if (flow.kind == <u8>abi.KIND_FREE) continue;
    flowAudit(flow, slot);
    flows++;
    if (flow.dirtyNext != UNLISTED) dirty++;
    if (flow.readyNext != UNLISTED) ready++;
    if (flow.list == LIST_PARTY) members++;
  }
  assert(flows == flowsUsed, "flows in the table are counted");
  for (let slot = dirtyFirst(); slot >= 0; slot = flowAt(slot).dirtyNext) dirty--;
  assert(dirty == 0, "who is marked dirty is in the list");
  for (let slot = readyFirst(); slot >= 0; slot = flowAt(slot).readyNext) ready--;
  assert(ready == 0, "who is marked ready is in the list");
  let counted = 0;
  for (let share: u8 = 0; <i32>share < SHARE_COUNT; share++) counted += shareUsed(share);
  assert(counted == flowsUsed, "each flow counts against one share");
  partiesAudit(members);
}

/** The lists of flows that may be evicted. */
function listsAudit(): void {
  for (let list: u8 = 1; <i32>list < LIST_COUNT; list++) {
    let size = 0;
    let before = -1;
    for (let flow = listOldest(list); !isNone(flow); size++) {
      assert(flow.list == list, "a flow knows which list it is in");
      assert(flow.lruPrevious == before, "lists lead back as they lead on");
      before = slotOf(flow);
      const after = flow.lruNext;
      flow = after < 0 ? changetype<Flow>(0) : flowAt(after);
    }
    assert(size == listSize(list), "a list is as long as it is said to be");
  }
}
