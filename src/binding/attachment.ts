/**
 * Who is at the other end of a link, for `presence`: the peer of a stream, or the interface that a
 * tap is.
 */
import type { PeerCounters } from "../link/stream-peer.ts";
import type { Libc } from "../sys/libc.ts";
import { isWritable } from "../sys/poll.ts";
import type { Attachment } from "../upstream/presence.ts";

/** Between two looks at a tap, microseconds. */
const LOOK_INTERVAL = 5_000_000;
/** Looks in a row that find a tap closed to frames: it is down, and not merely full. */
const LOOKS_DOWN = 2;

/** The number of the peer that a stream link has. */
export function attachmentOfStream(link: PeerCounters): Attachment {
  return { peer: () => (link.hasPeer ? link.connections : 0), interval: undefined };
}

/** The interface, while it is up: then the kernel takes frames (tun_chr_poll of Linux). */
export function attachmentOfTap(sys: Libc, fd: number): Attachment {
  let closed = 0;
  let nextLook = 0;
  let isUp = true;
  return {
    interval: LOOK_INTERVAL,
    peer: (now) => {
      if (now >= nextLook) {
        nextLook = now + LOOK_INTERVAL;
        closed = isWritable(sys, fd) ? 0 : closed + 1;
        isUp = closed < LOOKS_DOWN;
      }
      return isUp ? 1 : 0;
    },
  };
}
