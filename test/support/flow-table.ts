/** Engine memory with flow records, as the admin service reads them. */
import * as abi from "../../wasm/abi.ts";

const FLOWS = 64;
const ADDRESSES = FLOWS + abi.FLOW_CAPACITY_COUNT * abi.FLOW_SIZE;
const SIZE = ADDRESSES + 8 * abi.ADDRESS_SIZE;

/** Microseconds of a step of a flow's beginning. */
export const TICK = 2 ** abi.TRACE_BEGAN_SHIFT;
/** Number of the n-th IPv6 address. */
export const SIX = abi.ADDRESS_SIX >>> 0;

export interface FlowFields {
  readonly kind?: number;
  readonly state?: number;
  readonly flags?: number;
  readonly share?: number;
  readonly guestPort?: number;
  readonly peerAddress?: number;
  readonly peerPort?: number;
  readonly bytesToHost?: number;
  /** Microseconds. */
  readonly lastActive?: number;
  /** In steps of TICK. */
  readonly began?: number;
  readonly tcp?: Readonly<Record<number, number>>;
}

export class FlowTable {
  readonly octets = new Uint8Array(SIZE);
  readonly view = new DataView(this.octets.buffer);
  readonly bases = { flows: FLOWS, addresses: ADDRESSES };
  flowCount = 0;

  /** Puts a flow of the guest 10.0.2.15 into a slot, or in place of the one there. */
  put(slot: number, fields: FlowFields = {}): void {
    const base = FLOWS + slot * abi.FLOW_SIZE;
    const { view } = this;
    if (view.getUint8(base) === abi.KIND_FREE) this.flowCount += 1;
    this.octets.fill(0, base, base + abi.FLOW_SIZE);
    view.setUint8(base + abi.FLOW_KIND_OFFSET, fields.kind ?? abi.KIND_TCP);
    view.setUint8(base + abi.FLOW_STATE_OFFSET, fields.state ?? abi.STATE_ESTABLISHED);
    view.setUint16(base + abi.FLOW_GENERATION_OFFSET, 7, true);
    view.setUint32(base + abi.FLOW_FLAGS_OFFSET, fields.flags ?? 0, true);
    view.setUint8(base + abi.TRACE_FLOW_SHARE_OFFSET, fields.share ?? 0);
    view.setUint32(base + abi.FLOW_GUEST_ADDRESS_OFFSET, 0x0a00020f, true);
    view.setUint32(base + abi.FLOW_PEER_ADDRESS_OFFSET, fields.peerAddress ?? 0xc0000201, true);
    view.setUint32(base + abi.FLOW_HOST_ADDRESS_OFFSET, fields.peerAddress ?? 0xc0000201, true);
    view.setUint16(base + abi.FLOW_GUEST_PORT_OFFSET, fields.guestPort ?? 1000 + slot, true);
    view.setUint16(base + abi.FLOW_PEER_PORT_OFFSET, fields.peerPort ?? 80, true);
    view.setUint16(base + abi.FLOW_HOST_PORT_OFFSET, fields.peerPort ?? 80, true);
    const octets = BigInt(fields.bytesToHost ?? 0);
    view.setBigUint64(base + abi.FLOW_BYTES_TO_HOST_OFFSET, octets, true);
    const active = BigInt(fields.lastActive ?? 0);
    view.setBigInt64(base + abi.TRACE_FLOW_LAST_ACTIVE_OFFSET, active, true);
    view.setUint32(base + abi.TRACE_FLOW_BEGAN_OFFSET, fields.began ?? 0, true);
    view.setUint32(base + abi.FLOW_TCP_SND_WINDOW_OFFSET, 65_535, true);
    for (const [offset, value] of Object.entries(fields.tcp ?? {})) {
      view.setUint32(base + Number(offset), value, true);
    }
  }

  /** The flow has ended. */
  free(slot: number): void {
    this.view.setUint8(FLOWS + slot * abi.FLOW_SIZE + abi.FLOW_KIND_OFFSET, abi.KIND_FREE);
    this.flowCount -= 1;
  }

  /** Octets of the n-th IPv6 address. */
  address(number: number, octets: ArrayLike<number>): void {
    this.octets.set(octets, ADDRESSES + number * abi.ADDRESS_SIZE);
  }
}
