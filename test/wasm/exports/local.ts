/**
 * Test module of the engine parts that answer the guest themselves: neighbours, fragments, ICMP
 * errors, the IPv4 emitter, ARP, echo, DHCP - and the rings and counters needed to watch them.
 */
import { prngInit } from "../../../wasm/prng";
import { memoryDescribe, memoryInit } from "../../../wasm/memory";
import { OPS, OPS_SIZE, ringInit } from "../../../wasm/ring";
import { emitInit } from "../../../wasm/flow/emit";
import { fragmentInit } from "../../../wasm/flow/fragments";
import { errorLimitInit } from "../../../wasm/flow/error-limit";
import { neighborInit } from "../../../wasm/flow/neighbor";
import { dhcpInit } from "../../../wasm/local/dhcpv4";
import * as memory_ from "../../../wasm/memory";
import * as ring from "../../../wasm/ring";
import * as emit from "../../../wasm/flow/emit";
import { DhcpView } from "../../../wasm/wire/dhcpv4";

export { txReset } from "../../../wasm/ring";
export { ipv4Check } from "../../../wasm/wire/ipv4";
export { ipv4Send, isOwnAddress, nextIdent } from "../../../wasm/flow/emit";
export {
  neighborExpire,
  neighborFind,
  neighborLearn,
  neighborRequest,
} from "../../../wasm/flow/neighbor";
export {
  fragmentBatchReset,
  fragmentExpire,
  fragmentInput,
  fragmentNext,
} from "../../../wasm/flow/fragments";
export { icmpErrorQuote, icmpErrorReply } from "../../../wasm/flow/icmp-error";
export { arpInput } from "../../../wasm/local/arp";
export { icmpEchoLocal } from "../../../wasm/local/icmp";
export { dhcpInput } from "../../../wasm/local/dhcpv4";
export {
  dhcpCheck,
  dhcpEmit,
  dhcpOptionLength,
  dhcpOptionsParse,
  dhcpOptionValue,
} from "../../../wasm/wire/dhcpv4";

/** Empties everything; CONFIG has been written. */
export function init(): void {
  memoryInit();
  memoryDescribe(OPS, OPS_SIZE);
  prngInit();
  ringInit();
  emitInit();
  neighborInit();
  fragmentInit();
  errorLimitInit();
  dhcpInit();
}

export function configBase(): usize {
  return memory_.CONFIG;
}

export function statsBase(): usize {
  return memory_.STATS;
}

/** Where tests put frames; RX slots are as good as any. */
export function rxBase(): usize {
  return memory_.RX_BUFFERS;
}

export function txRecords(): usize {
  return memory_.TX_RECORDS;
}

export function txBuffers(): usize {
  return memory_.TX_BUFFERS;
}

export function txCount(): i32 {
  return ring.txCount;
}

export function networkMask(): u32 {
  return emit.networkMask();
}

export function networkBroadcast(): u32 {
  return emit.networkBroadcast();
}

function put(out: usize, index: usize, value: u64): void {
  store<u64>(out + (index << 3), value);
}

function get(values: usize, index: usize): u32 {
  return <u32>load<u64>(values + (index << 3));
}

export function dhcpDeconstruct(p: usize, out: usize): void {
  const view = DhcpView.at(p);
  put(out, 0, view.op);
  put(out, 1, view.hardwareType);
  put(out, 2, view.hardwareLength);
  put(out, 3, view.xid);
  put(out, 4, view.flags);
  put(out, 5, view.ciaddr);
  put(out, 6, view.yiaddr);
  put(out, 7, view.siaddr);
  put(out, 8, view.giaddr);
  put(out, 9, view.clientMac);
}

export function dhcpConstruct(p: usize, values: usize): void {
  const view = DhcpView.at(p);
  view.op = get(values, 0);
  view.hardwareType = get(values, 1);
  view.hardwareLength = get(values, 2);
  view.xid = get(values, 3);
  view.flags = get(values, 4);
  view.ciaddr = get(values, 5);
  view.yiaddr = get(values, 6);
  view.siaddr = get(values, 7);
  view.giaddr = get(values, 8);
  view.clientMac = load<u64>(values + (9 << 3));
}
