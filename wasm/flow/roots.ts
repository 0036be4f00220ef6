/**
 * Who holds numbers of IPv6 addresses: flows, the filters of UDP flows, their peers, neighbours,
 * fragments, queries, and the payload lists of this batch. See `addresses` for what this is for;
 * whoever learns to remember an address has to be marked here.
 */
import * as abi from "../abi/index";
import { entriesUsed, entryAt } from "../ring";
import { addressHeldBy, addressMark } from "./addresses";
import { filterMark, UdpFlow } from "./datagram";
import { fragmentMark } from "./fragment-context";
import { neighborMark } from "./neighbor";
import { peersMark } from "./peers";
import { queriesMark } from "./queries";
import { flowAt, flowsFresh } from "./table";
import { whereMark } from "./whereabouts";

/** Has `addresses` ask here before it frees numbers. */
export function rootsInit(): void {
  addressHeldBy(rootsMark);
}

/** Marks every number in use. */
function rootsMark(): void {
  const slots = flowsFresh();
  for (let slot = 0; slot < slots; slot++) {
    const flow = flowAt(slot);
    if (flow.kind == <u8>abi.KIND_FREE) continue;
    addressMark(flow.guestAddress);
    addressMark(flow.peerAddress);
    addressMark(flow.hostAddress);
    if (flow.kind != <u8>abi.KIND_TCP) filterMark(changetype<UdpFlow>(flow));
  }
  const entries = entriesUsed();
  for (let i = 0; i < entries; i++) {
    addressMark(entryAt(i).address);
    addressMark(entryAt(i).from);
  }
  peersMark();
  neighborMark();
  whereMark();
  fragmentMark();
  queriesMark();
}
