/**
 * The few routing-netlink requests this project makes: a 32-bit attribute of an interface, an IPv6
 * address, an IPv6 default route.
 *
 * Every function returns zero, or the negative errno.
 * Source: netlink(7), rtnetlink(7).
 */

import { Block } from "./block.ts";
import { EPROTO } from "./errno.ts";
import type { Libc } from "./libc.ts";
import {
  AF_INET6,
  AF_NETLINK,
  IFA_ADDRESS,
  IFA_F_NODAD,
  IFADDRMSG_SIZE,
  IFINFOMSG_INDEX_OFFSET,
  IFINFOMSG_SIZE,
  NETLINK_ROUTE,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_REQUEST,
  NLMSG_ERROR,
  NLMSG_HEADER_SIZE,
  RT_TABLE_MAIN,
  RTA_GATEWAY,
  RTA_OIF,
  RTM_NEWADDR,
  RTM_NEWROUTE,
  RTM_SETLINK,
  RTMSG_SIZE,
  RTN_UNICAST,
  RTPROT_STATIC,
  SOCK_CLOEXEC,
  SOCK_RAW,
} from "./linux.ts";

const ATTRIBUTE_HEADER_SIZE = 4;
const TYPE_OFFSET = 4;
const FLAGS_OFFSET = 6;
/** The answer repeats the request behind its error number. */
const ANSWER_SIZE = 256;

/** A fixed header behind the message's, then attributes; all of them multiples of 4 octets. */
interface Request {
  readonly type: number;
  readonly flags: number;
  readonly header: Uint8Array;
  readonly attributes: readonly (readonly [type: number, value: Uint8Array])[];
}

function words(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

/** Sends a request and reads the kernel's verdict. */
function ask(sys: Libc, { type, flags, header, attributes }: Request): number {
  const socket = sys.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (socket < 0) return socket;
  const sizes = attributes.map(([, value]) => ATTRIBUTE_HEADER_SIZE + value.length);
  const size = sizes.reduce((sum, one) => sum + one, NLMSG_HEADER_SIZE + header.length);
  const request = new Block(sys, size);
  request.setI32(0, size);
  request.view.setUint16(TYPE_OFFSET, type, true);
  request.view.setUint16(FLAGS_OFFSET, NLM_F_REQUEST | NLM_F_ACK | flags, true);
  request.bytes.set(header, NLMSG_HEADER_SIZE);
  let at = NLMSG_HEADER_SIZE + header.length;
  for (const [kind, value] of attributes) {
    request.view.setUint16(at, ATTRIBUTE_HEADER_SIZE + value.length, true);
    request.view.setUint16(at + 2, kind, true);
    request.bytes.set(value, at + ATTRIBUTE_HEADER_SIZE);
    at += ATTRIBUTE_HEADER_SIZE + value.length;
  }
  const sent = sys.send(socket, request.address, size, 0);
  const answer = new Block(sys, ANSWER_SIZE);
  // Blocking, but the kernel has answered before send returns.
  const n = sent < 0 ? sent : sys.recv(socket, answer.address, ANSWER_SIZE, 0);
  sys.close(socket);
  if (n < 0) return n;
  const isAnswer = n >= NLMSG_HEADER_SIZE + 4;
  if (!isAnswer || answer.view.getUint16(TYPE_OFFSET, true) !== NLMSG_ERROR) return -EPROTO;
  return answer.getI32(NLMSG_HEADER_SIZE);
}

/** Sets attribute `type` of interface `index`. */
export function setLinkWord(sys: Libc, index: number, type: number, value: number): number {
  const header = new Uint8Array(IFINFOMSG_SIZE);
  header.set(words(index), IFINFOMSG_INDEX_OFFSET);
  return ask(sys, { type: RTM_SETLINK, flags: 0, header, attributes: [[type, words(value)]] });
}

/** Adds an IPv6 address of 16 octets, good at once: nobody else on this link can have it. */
export function addAddress6(
  sys: Libc,
  index: number,
  octets: ArrayLike<number>,
  prefixLength: number,
): number {
  const header = new Uint8Array(IFADDRMSG_SIZE);
  header.set([AF_INET6, prefixLength, IFA_F_NODAD, 0]);
  header.set(words(index), 4);
  return ask(sys, {
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE,
    header,
    attributes: [[IFA_ADDRESS, Uint8Array.from(octets)]],
  });
}

/** Adds a default route of IPv6 through a gateway on this link. */
export function addDefaultRoute6(sys: Libc, index: number, gateway: ArrayLike<number>): number {
  const header = new Uint8Array(RTMSG_SIZE);
  header.set([AF_INET6, 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, 0, RTN_UNICAST]);
  return ask(sys, {
    type: RTM_NEWROUTE,
    flags: NLM_F_CREATE,
    header,
    attributes: [
      [RTA_GATEWAY, Uint8Array.from(gateway)],
      [RTA_OIF, words(index)],
    ],
  });
}
