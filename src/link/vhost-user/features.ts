/**
 * Feature bits of virtio and of vhost-user that the back end offers, and what follows from those
 * that the guest has taken.
 *
 * Source: virtio 1.2 §2.2, §5.1.3 and §6; the vhost-user protocol of QEMU's documentation.
 */
import {
  LINK_CSUM,
  LINK_RX_TSO,
  LINK_TSO4,
  LINK_TSO6,
  LINK_USO,
  LINK_USO6,
} from "../../../wasm/abi.ts";

function bits(...numbers: readonly number[]): bigint {
  return numbers.reduce((sum, number) => sum | (1n << BigInt(number)), 0n);
}

/** The device takes frames whose checksum is a partial one. */
const NET_CSUM = 0;
const NET_GUEST_CSUM = 1;
const NET_MTU = 3;
const NET_GUEST_TSO4 = 7;
const NET_GUEST_TSO6 = 8;
const NET_HOST_TSO4 = 11;
const NET_HOST_TSO6 = 12;
const NET_HOST_ECN = 13;
const NET_MRG_RXBUF = 15;
const NET_GUEST_ANNOUNCE = 21;
const F_LOG_ALL = 26;
const F_ANY_LAYOUT = 27;
const RING_INDIRECT_DESC = 28;
const RING_EVENT_IDX = 29;
const F_PROTOCOL_FEATURES = 30;
const F_VERSION_1 = 32;
const NET_GUEST_USO4 = 54;
const NET_GUEST_USO6 = 55;
const NET_HOST_USO = 56;

export const FEATURES = bits(
  ...[NET_CSUM, NET_GUEST_CSUM, NET_MTU, NET_GUEST_TSO4, NET_GUEST_TSO6],
  ...[NET_HOST_TSO4, NET_HOST_TSO6, NET_HOST_ECN, NET_MRG_RXBUF, NET_GUEST_ANNOUNCE],
  ...[F_LOG_ALL, F_ANY_LAYOUT, RING_INDIRECT_DESC, RING_EVENT_IDX, F_PROTOCOL_FEATURES],
  ...[F_VERSION_1, NET_GUEST_USO4, NET_GUEST_USO6, NET_HOST_USO],
);

const PROTOCOL_LOG_SHMFD = 1;
const PROTOCOL_RARP = 2;
const PROTOCOL_REPLY_ACK = 3;
const PROTOCOL_NET_MTU = 4;
const PROTOCOL_CONFIGURE_MEM_SLOTS = 15;

/** Several queues are refused by leaving MQ out, packed rings by leaving out their feature. */
export const PROTOCOL_FEATURES = bits(
  ...[PROTOCOL_LOG_SHMFD, PROTOCOL_RARP, PROTOCOL_REPLY_ACK, PROTOCOL_NET_MTU],
  PROTOCOL_CONFIGURE_MEM_SLOTS,
);

/** Octets of the virtio_net_hdr that the engine reads in front of every frame. */
export const VNET_SIZE = 12;

/** What the guest and the front end have taken of it. */
export interface Negotiated {
  /** Octets of the header in front of each frame. */
  readonly headerSize: 10 | 12;
  /** One frame may take several buffers. */
  readonly isMergeable: boolean;
  readonly hasEventIndex: boolean;
  readonly hasIndirect: boolean;
  /** All that is written to guest memory goes into the log. */
  readonly isLogging: boolean;
  /** Rings begin disabled, and messages of the protocol's own features may come. */
  readonly hasProtocolFeatures: boolean;
  /** LINK_… of wasm/abi.ts: what frames the guest takes. */
  readonly linkFlags: number;
}

/** Frames with offloads come from a guest at any time; what it takes it has to say. */
export const LINK_FLAGS_NONE = LINK_RX_TSO;

export function negotiated(features: bigint): Negotiated {
  const has = (number: number): boolean => (features & bits(number)) !== 0n;
  return {
    headerSize: has(NET_MRG_RXBUF) || has(F_VERSION_1) ? 12 : 10,
    isMergeable: has(NET_MRG_RXBUF),
    hasEventIndex: has(RING_EVENT_IDX),
    hasIndirect: has(RING_INDIRECT_DESC),
    isLogging: has(F_LOG_ALL),
    hasProtocolFeatures: has(F_PROTOCOL_FEATURES),
    linkFlags: LINK_FLAGS_NONE | (has(NET_GUEST_CSUM) ? LINK_CSUM | offloads(has) : 0),
  };
}

/** Each of them is cut from frames whose checksum is a partial one. */
function offloads(has: (number: number) => boolean): number {
  return (
    (has(NET_GUEST_TSO4) ? LINK_TSO4 : 0) |
    (has(NET_GUEST_TSO6) ? LINK_TSO6 : 0) |
    (has(NET_GUEST_USO4) ? LINK_USO : 0) |
    (has(NET_GUEST_USO6) ? LINK_USO6 : 0)
  );
}

export function acknowledges(protocolFeatures: bigint): boolean {
  return (protocolFeatures & bits(PROTOCOL_REPLY_ACK)) !== 0n;
}
