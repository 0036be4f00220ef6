/** Frames on a stream socket as QEMU writes them: each behind its length, 32 bits, big-endian. */
import type { Socket } from "node:net";
import { concat, u32 } from "./packet.ts";

const LENGTH_SIZE = 4;

/** Has every whole frame that comes in taken, in order. */
export function onFrames(socket: Socket, take: (octets: Uint8Array) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= LENGTH_SIZE) {
      const end = LENGTH_SIZE + rest.readUInt32BE(0);
      if (rest.length < end) return;
      const octets = Uint8Array.from(rest.subarray(LENGTH_SIZE, end));
      rest = rest.subarray(end);
      take(octets);
    }
  });
}

/** Sends a frame; not where the socket is closed. */
export function sendFrame(socket: Socket, frame: Uint8Array): void {
  if (!socket.destroyed) socket.write(concat(u32(frame.length), frame));
}
