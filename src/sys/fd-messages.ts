/** Messages that carry descriptors (SCM_RIGHTS). */

import { Block } from "./block.ts";
import { EINVAL, EPROTO } from "./errno.ts";
import type { Libc } from "./libc.ts";
import {
  CMSG_HEADER_SIZE,
  CMSG_LEVEL_OFFSET,
  CMSG_TYPE_OFFSET,
  MSG_CMSG_CLOEXEC,
  MSG_CTRUNC,
  MSG_NOSIGNAL,
  MSGHDR_CONTROL_LENGTH_OFFSET,
  MSGHDR_CONTROL_OFFSET,
  MSGHDR_FLAGS_OFFSET,
  MSGHDR_IOV_COUNT_OFFSET,
  MSGHDR_IOV_OFFSET,
  MSGHDR_SIZE,
  SCM_RIGHTS,
  SOL_SOCKET,
} from "./linux.ts";

/** Descriptors one message may carry; vhost-user sends at most eight. */
export const FDS_PER_MESSAGE = 8;
const IOVEC_OFFSET = MSGHDR_SIZE;
const CONTROL_OFFSET = IOVEC_OFFSET + 16;
const CONTROL_SIZE = CMSG_HEADER_SIZE + FDS_PER_MESSAGE * 4;
const BLOCK_SIZE = CONTROL_OFFSET + CONTROL_SIZE;

/** Sends `payload` (one octet or more) and the descriptors with it; they stay open here. */
export function sendFds(
  sys: Libc,
  socket: number,
  fds: readonly number[],
  payload: Uint8Array,
): number {
  if (fds.length > FDS_PER_MESSAGE || payload.length === 0) return -EINVAL;
  const block = message(sys, payload, fds.length === 0 ? 0 : CMSG_HEADER_SIZE + fds.length * 4);
  block.setU64(CONTROL_OFFSET, CMSG_HEADER_SIZE + fds.length * 4);
  block.setI32(CONTROL_OFFSET + CMSG_LEVEL_OFFSET, SOL_SOCKET);
  block.setI32(CONTROL_OFFSET + CMSG_TYPE_OFFSET, SCM_RIGHTS);
  fds.forEach((fd, i) => {
    block.setI32(CONTROL_OFFSET + CMSG_HEADER_SIZE + i * 4, fd);
  });
  return sys.sendmsg(socket, block.address, MSG_NOSIGNAL);
}

/** Receives into `payload`; descriptors that came along are appended to `fds`. */
export function recvFds(sys: Libc, socket: number, payload: Uint8Array, fds: number[]): number {
  if (payload.length === 0) return -EINVAL;
  const block = message(sys, payload, CONTROL_SIZE);
  const n = sys.recvmsg(socket, block.address, MSG_CMSG_CLOEXEC);
  if (n < 0) return n;
  const received = readRights(block);
  if ((block.getI32(MSGHDR_FLAGS_OFFSET) & MSG_CTRUNC) !== 0) {
    for (const fd of received) sys.close(fd);
    return -EPROTO;
  }
  fds.push(...received);
  return n;
}

function message(sys: Libc, payload: Uint8Array, controlLength: number): Block {
  const block = new Block(sys, BLOCK_SIZE);
  block.setU64(MSGHDR_IOV_OFFSET, block.address + IOVEC_OFFSET);
  block.setU64(MSGHDR_IOV_COUNT_OFFSET, 1);
  block.setU64(IOVEC_OFFSET, sys.address(payload));
  block.setU64(IOVEC_OFFSET + 8, payload.length);
  block.setU64(MSGHDR_CONTROL_OFFSET, controlLength === 0 ? 0 : block.address + CONTROL_OFFSET);
  block.setU64(MSGHDR_CONTROL_LENGTH_OFFSET, controlLength);
  return block;
}

/** Walks the control messages: a stream socket may deliver SCM_RIGHTS behind others. */
function readRights(block: Block): number[] {
  const fds: number[] = [];
  const end = CONTROL_OFFSET + Math.min(block.getU64(MSGHDR_CONTROL_LENGTH_OFFSET), CONTROL_SIZE);
  let at = CONTROL_OFFSET;
  while (at + CMSG_HEADER_SIZE <= end) {
    const length = block.getU64(at);
    if (length < CMSG_HEADER_SIZE || at + length > end) break;
    const level = block.getI32(at + CMSG_LEVEL_OFFSET);
    if (level === SOL_SOCKET && block.getI32(at + CMSG_TYPE_OFFSET) === SCM_RIGHTS) {
      for (let i = at + CMSG_HEADER_SIZE; i + 4 <= at + length; i += 4) fds.push(block.getI32(i));
    }
    at += (length + 7) & ~7; // CMSG_ALIGN of a 64-bit kernel
  }
  return fds;
}
