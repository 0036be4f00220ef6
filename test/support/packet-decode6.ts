/**
 * Decodes IPv6 frames that come out of the engine, as strictly as `packet-decode.ts` does IPv4's.
 * Sources: RFC 8200, RFC 4443, RFC 4861 §4 and 6.1, virtio 1.2 §5.1.6.
 */

import type { FragmentFrame, Frame, FrameBase, Icmp6Frame, IpFrame } from "./frame.ts";
import { ip6Text, pseudoSum, sum16 } from "./packet.ts";

export type IpCommon = Omit<IpFrame, "payload">;

const HEADER_SIZE = 40;
const NEXT_FRAGMENT = 44;
const ERROR_SIZE_MAX = 1280;

function check(holds: boolean, wanted: string, found: unknown): void {
  if (!holds) throw new Error(`wanted ${wanted}, not "${String(found)}"`);
}

function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}

/** Takes off the padding of a short frame, which has to be zeroes. */
function packetOf(base: FrameBase, padded: Uint8Array): Uint8Array {
  check(padded.length >= HEADER_SIZE, "a whole IPv6 header", padded.length);
  const length = HEADER_SIZE + viewOf(padded).getUint16(4);
  if (length === padded.length) return padded;
  check(length < padded.length && base.octets.length === 60, `${length} octets`, padded.length);
  check(sum16(padded.subarray(length)) === 0, "zeroes as padding", "others");
  return padded.subarray(0, length);
}

export function decodeIpv6(
  base: FrameBase,
  padded: Uint8Array,
  mtu: number,
  decodeTransport: (common: IpCommon, payload: Uint8Array) => Frame,
): Frame {
  const packet = packetOf(base, padded);
  const view = viewOf(packet);
  check(view.getUint8(0) >> 4 === 6, "version 6", view.getUint8(0) >> 4);
  const gso = (base.vnet?.gsoType ?? 0) !== 0;
  check(gso || packet.length <= mtu, `at most ${mtu}`, packet.length);
  check(view.getUint8(7) > 0, "a hop limit above 0", 0);
  const first = view.getUint32(0);
  const common = {
    ...base,
    source: ip6Text(packet.subarray(8, 24)),
    destination: ip6Text(packet.subarray(24, 40)),
    protocol: view.getUint8(6),
    ttl: view.getUint8(7),
    tos: (first >>> 20) & 0xff,
    id: 0,
    dontFragment: true,
  };
  check(!/^ff[0-9a-f]{2}:/.test(common.source), "a unicast source", common.source);
  const payload = packet.subarray(HEADER_SIZE);
  if (common.protocol !== NEXT_FRAGMENT) return decodeTransport(common, payload);
  return decodeFragment(common, payload);
}

function decodeFragment(common: IpCommon, payload: Uint8Array): FragmentFrame {
  check(common.vnet === undefined, "no offload of a fragment", "some");
  check(payload.length > 8, "a fragment with content", payload.length);
  const view = viewOf(payload);
  const field = view.getUint16(2);
  const moreFragments = (field & 1) !== 0;
  check((field & 6) === 0 && view.getUint8(1) === 0, "reserved bits clear", field);
  check(!moreFragments || payload.length % 8 === 0, "a multiple of 8", payload.length);
  return {
    ...common,
    kind: "fragment",
    protocol: view.getUint8(0),
    id: view.getUint32(4),
    fragmentOffset: field & 0xfff8,
    moreFragments,
    payload: payload.subarray(8),
  };
}

export function decodeIcmp6(common: IpCommon, message: Uint8Array): Icmp6Frame {
  check(message.length >= 8, "a whole ICMPv6 header", message.length);
  check(common.vnet === undefined, "no offload of ICMPv6", "some");
  const pseudo = pseudoSum(common.source, common.destination, common.protocol, message.length);
  check(sum16(message, pseudo) === 0xffff, "a sound ICMPv6 checksum", message[2]);
  const type = viewOf(message).getUint8(0);
  if (type < 128) {
    const size = HEADER_SIZE + message.length;
    check(size <= ERROR_SIZE_MAX, `an error of at most ${ERROR_SIZE_MAX}`, size);
    check(message.length >= 8 + HEADER_SIZE, "an error with its quote", message.length);
  }
  if (type >= 133 && type <= 137) checkNeighbor(common, message, type);
  return {
    kind: "icmp6",
    ...common,
    type,
    code: viewOf(message).getUint8(1),
    rest: viewOf(message).getUint32(4),
    payload: message.subarray(8),
  };
}

/** What every neighbour discovery message has to be (RFC 4861 §6.1 and 7.1). */
function checkNeighbor(common: IpCommon, message: Uint8Array, type: number): void {
  check(common.ttl === 255, "hop limit 255", common.ttl);
  check(viewOf(message).getUint8(1) === 0, "code 0", message[1]);
  const fixed = { 134: 16, 135: 24, 136: 24 }[type];
  check(fixed !== undefined, "an advertisement or a solicitation for a neighbour", type);
  if (type === 134) check(common.source.startsWith("fe80:"), "a link-local router", common.source);
  const options = message.subarray(fixed);
  for (let at = 0; at < options.length; ) {
    const size = 8 * (options[at + 1] ?? 0);
    check(size > 0 && at + size <= options.length, "an option inside the message", size);
    at += size;
  }
}
