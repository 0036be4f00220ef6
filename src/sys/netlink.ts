/**
 * The one routing-netlink request this project makes: setting a 32-bit attribute of an interface.
 *
 * Source: netlink(7), rtnetlink(7).
 */

import { Block } from "./block.ts";
import { EPROTO } from "./errno.ts";
import type { Libc } from "./libc.ts";
import {
  AF_NETLINK,
  IFINFOMSG_INDEX_OFFSET,
  IFINFOMSG_SIZE,
  NETLINK_ROUTE,
  NLM_F_ACK,
  NLM_F_REQUEST,
  NLMSG_ERROR,
  NLMSG_HEADER_SIZE,
  RTM_SETLINK,
  SOCK_CLOEXEC,
  SOCK_RAW,
} from "./linux.ts";

const ATTRIBUTE_OFFSET = NLMSG_HEADER_SIZE + IFINFOMSG_SIZE;
const ATTRIBUTE_SIZE = 8;
const REQUEST_SIZE = ATTRIBUTE_OFFSET + ATTRIBUTE_SIZE;
const TYPE_OFFSET = 4;
const FLAGS_OFFSET = 6;
/** The answer repeats the request behind its error number. */
const ANSWER_SIZE = 256;

/** Sets attribute `type` of interface `index`. Zero, or the negative errno. */
export function setLinkWord(sys: Libc, index: number, type: number, value: number): number {
  const socket = sys.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (socket < 0) return socket;
  const request = new Block(sys, REQUEST_SIZE);
  request.setI32(0, REQUEST_SIZE);
  request.view.setUint16(TYPE_OFFSET, RTM_SETLINK, true);
  request.view.setUint16(FLAGS_OFFSET, NLM_F_REQUEST | NLM_F_ACK, true);
  request.setI32(NLMSG_HEADER_SIZE + IFINFOMSG_INDEX_OFFSET, index);
  request.view.setUint16(ATTRIBUTE_OFFSET, ATTRIBUTE_SIZE, true);
  request.view.setUint16(ATTRIBUTE_OFFSET + 2, type, true);
  request.setI32(ATTRIBUTE_OFFSET + 4, value);
  const sent = sys.send(socket, request.address, REQUEST_SIZE, 0);
  const answer = new Block(sys, ANSWER_SIZE);
  // Blocking, but the kernel has answered before send returns.
  const n = sent < 0 ? sent : sys.recv(socket, answer.address, ANSWER_SIZE, 0);
  sys.close(socket);
  if (n < 0) return n;
  const isAnswer = n >= NLMSG_HEADER_SIZE + 4;
  if (!isAnswer || answer.view.getUint16(TYPE_OFFSET, true) !== NLMSG_ERROR) return -EPROTO;
  return answer.getI32(NLMSG_HEADER_SIZE);
}
