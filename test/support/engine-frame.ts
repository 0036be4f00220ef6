/** Frames that the engine has for the guest: out of its memory, and as a line of a trace. */
import type { Engine } from "../../src/engine/engine.ts";
import * as abi from "../../wasm/abi.ts";
import type { Frame } from "./frame.ts";

/** Copies waiting frame number `index`, virtio_net_hdr included, out of its pieces. */
export function gatherFrame(engine: Engine, index: number): Uint8Array {
  const { octets, view, bases } = engine;
  const record = bases.txRecords + index * abi.TX_RECORD_SIZE;
  const iov = view.getUint32(record + abi.TX_IOV_OFFSET, true);
  const count = view.getUint32(record + abi.TX_IOV_COUNT_OFFSET, true);
  const length = view.getUint32(record + abi.TX_LENGTH_OFFSET, true);
  const frame = new Uint8Array(length);
  let at = 0;
  for (let i = 0; i < count; i += 1) {
    const piece = iov + i * abi.IOV_SIZE;
    const base = Number(view.getBigUint64(piece + abi.IOV_BASE_OFFSET, true));
    const size = Number(view.getBigUint64(piece + abi.IOV_LENGTH_OFFSET, true));
    if (at + size > length) throw new Error(`pieces of a frame exceed its length "${length}"`);
    frame.set(octets.subarray(base, base + size), at);
    at += size;
  }
  if (at !== length) throw new Error(`wanted pieces of ${length} octets, not "${at}"`);
  return frame;
}

/** One line about a frame. */
export function describeFrame(frame: Frame): string {
  switch (frame.kind) {
    case "arp":
      return `arp ${frame.operation === 1 ? "who has" : "reply to"} ${frame.targetAddress}`;
    case "fragment":
      return `fragment ${frame.id} ${frame.fragmentOffset}+${frame.payload.length}`;
    case "icmp":
    case "icmp6":
      return `icmp ${frame.source} > ${frame.destination} ${frame.type}/${frame.code}`;
    case "udp":
      return (
        `udp ${frame.source}:${frame.sourcePort} > ${frame.destination}:` +
        `${frame.destinationPort} ${frame.payload.length}`
      );
    case "tcp":
      return (
        `tcp ${frame.sourcePort} > ${frame.destinationPort} ${frame.flags} seq ${frame.seq} ` +
        `ack ${frame.ack} win ${frame.window} len ${frame.payload.length} ` +
        JSON.stringify(frame.options)
      );
  }
}
