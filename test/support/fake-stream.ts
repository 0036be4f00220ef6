/** What a fake socket does with a stream: send, receive, break, urgent octets in their place. */
import type { FakeSocket } from "./fake-socket.ts";
import { concat } from "./packet.ts";

const EAGAIN = 11;
export const EPIPE = 32;

/** The errno a broken socket still owes; reported once, as SO_ERROR is. */
export function takeErrno(socket: FakeSocket): number {
  const errno = socket.pendingErrno;
  socket.pendingErrno = 0;
  return errno;
}

/** Spreads octets over pieces of memory; how many found room. */
export function fillPieces(pieces: readonly Uint8Array[], data: Uint8Array): number {
  let at = 0;
  for (const piece of pieces) {
    const part = data.subarray(at, at + piece.length);
    piece.set(part);
    at += part.length;
  }
  return at;
}

/** sendmsg(2), with MSG_OOB if `isUrgent`. */
export function sendStream(
  socket: FakeSocket,
  data: Uint8Array,
  length: number,
  isUrgent: boolean,
): number {
  if (data.length !== length || length === 0) {
    throw new Error(`wanted iovecs of ${length} octets, not "${data.length}"`);
  }
  const errno = takeErrno(socket) || socket.sendErrno;
  if (errno > 0) return -errno;
  if (socket.shutDown) return -EPIPE;
  if (!socket.isConnected) return -EAGAIN;
  if (socket.sendRoom <= 0) return -EAGAIN;
  const taken = data.slice(0, socket.sendRoom);
  socket.sendRoom -= taken.length;
  if (isUrgent) socket.urgent.push(taken.at(-1) ?? -1);
  socket.streamParts.push(taken);
  return taken.length;
}

/** recvmsg(2) with SO_OOBINLINE: a read that begins before the urgent octet ends there. */
export function receiveStream(
  socket: FakeSocket,
  pieces: readonly Uint8Array[],
  length: number,
): number {
  const room = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (room !== length || length === 0) {
    throw new Error(`wanted iovecs of ${length} octets, not "${room}"`);
  }
  const errno = takeErrno(socket);
  if (errno > 0) return -errno;
  const waiting = concat(...socket.incoming);
  if (waiting.length === 0) return socket.hasEnded ? 0 : -EAGAIN;
  const end = socket.mark > 0 ? socket.mark : waiting.length;
  const taken = fillPieces(pieces, waiting.subarray(0, end));
  socket.mark -= taken;
  const rest = waiting.subarray(taken);
  socket.incoming.splice(0, socket.incoming.length, ...(rest.length > 0 ? [rest] : []));
  return taken;
}
