/**
 * Link over a stream socket, as QEMU's `-netdev stream` and `-netdev socket` have at their other
 * end: each frame behind its length in four octets, big-endian; no virtio_net_hdr, no offloads.
 *
 * Theory of operation
 *   A link outlives its peers (peer-socket). While there is none, frames to the guest are dropped
 *   and counted, as by a tap that is down. What becomes of the flows is the engine's to say
 *   (`wasm/guest.ts`), which is told that the peer has gone: the next one may be the same guest or
 *   another one.
 *
 *   Nothing that a peer does ends the link or makes it hold more than a frame that has come in
 *   part. A peer that does not read makes the link full; the loop then waits for room, and goes on
 *   reading: QEMU does not read while its own write waits.
 *
 *   It outlives engines, too: the connection stays, and frames begin and end where they did. What
 *   had come and was not handed to the engine that failed is left out (`stream-read`), a frame that
 *   is out in part is finished before anything else (`stream-write`).
 *
 * Source: net/stream.c and net/socket.c of QEMU are what it has to talk to; SOCK_STREAM framing is
 * described with -netdev in QEMU's manual.
 */

import { EAGAIN, EBADF, EINTR, errnoName, errnoText } from "../sys/errno.ts";
import type { Libc } from "../sys/libc.ts";
import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  SO_SNDBUF,
  SOL_SOCKET,
} from "../sys/linux.ts";
import { setNoDelay, setOption } from "../sys/socket.ts";
import type { LinkMemory, LinkWatcher } from "./link.ts";
import { type PeerLink, PeerSocket, type PeerSocketOptions, type PeerUse } from "./peer-socket.ts";
import type { PeerCounters } from "./stream-peer.ts";
import { FRAME_SIZE_MAX, FRAME_SIZE_MIN, FrameReader } from "./stream-read.ts";
import { FrameWriter } from "./stream-write.ts";

/** A link that waits for peers, or looks for one. */
export function openStreamLink(sys: Libc, options: PeerSocketOptions): PeerLink {
  return new SocketLink(sys, options);
}

const MTU_MAX = 65520;
/**
 * Frames from the guest wait in front of QEMU's socket and are never dropped there, so this is not
 * what a queue holds but what windows are made from: with a tenth of it uploads at MTU 1500 are a
 * third slower, with more of it they are no faster and only wait longer.
 */
const QUEUE_FRAMES = 1024;
/**
 * Octets between us and QEMU; the kernel doubles it for its own book-keeping. Enough to keep QEMU
 * busy while we are elsewhere, little enough that what waits there is soon through.
 */
const SEND_BUFFER_SIZE = 262_144;

const ENDED = EPOLLERR | EPOLLHUP | EPOLLRDHUP;

class SocketLink implements PeerLink, PeerUse {
  readonly vnetSize = 0;
  readonly flags = 0;
  readonly queueFrames = QUEUE_FRAMES;
  readonly mtuMax = MTU_MAX;
  readonly #sys: Libc;
  readonly #socket: PeerSocket;
  readonly #reader = new FrameReader();
  readonly #writer: FrameWriter;
  #wantsRoom = false;
  /** Frames dropped because nobody was there. */
  #dropped = 0;

  constructor(sys: Libc, options: PeerSocketOptions) {
    this.#sys = sys;
    this.#socket = new PeerSocket(sys, options, this);
    this.#writer = new FrameWriter(sys);
  }

  get peers(): PeerCounters {
    return this.#socket;
  }

  get refused(): number {
    return this.#writer.refused + this.#dropped + this.#reader.lost;
  }

  watch(watcher: LinkWatcher): number {
    return this.#socket.watch(watcher);
  }

  event(token: number, events: number): boolean {
    return this.#socket.event(token) && (events & (EPOLLIN | ENDED)) !== 0;
  }

  wantRoom(on: boolean): void {
    this.#wantsRoom = on;
    this.#socket.heed();
  }

  receive(memory: LinkMemory, max: number): number {
    if (!this.#socket.hasPeer) return this.#socket.isClosed ? -EBADF : 0;
    if (max <= 0) return 0;
    let n = this.#reader.next(memory, max);
    if (n === 0 && this.#reader.badLength < 0) {
      if (!this.#fill(memory)) return 0;
      n = this.#reader.next(memory, max);
    }
    const { badLength } = this.#reader;
    if (badLength >= 0) {
      const wanted = `${FRAME_SIZE_MIN} to ${FRAME_SIZE_MAX}`;
      this.#socket.loseBad(`frame of ${badLength} octets announced, wanted ${wanted}`);
    } else if (n > 0) this.#socket.trust();
    return n;
  }

  transmit(memory: LinkMemory, first: number, count: number): number {
    if (this.#socket.isClosed) return -EBADF;
    if (this.#socket.hasPeer) {
      const n = this.#writer.write(this.#socket.fd, memory, first, count);
      if (n >= 0) return n;
      this.#socket.lose(`${errnoText(n)} (${errnoName(n)})`);
    }
    this.#dropped += count - first;
    return count - first;
  }

  handOver(): void {
    this.#wantsRoom = false;
    this.#reader.handOver();
    this.#writer.handOver();
  }

  close(): void {
    this.#socket.close();
  }

  opened(fd: number): void {
    setOption(this.#sys, fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_SIZE);
    setNoDelay(this.#sys, fd, true); // has no meaning, and fails, for a unix socket
  }

  closed(): void {
    this.#reader.reset();
    this.#writer.reset();
  }

  interest(): number {
    return this.#wantsRoom ? EPOLLIN | EPOLLOUT : EPOLLIN;
  }

  /** True when something came. */
  #fill(memory: LinkMemory): boolean {
    for (;;) {
      const n = this.#reader.fill(this.#sys, this.#socket.fd, memory);
      if (n > 0) {
        this.#socket.speak();
        return true;
      }
      if (n === -EINTR) continue;
      if (n === 0) {
        const where = this.#reader.inFrame ? " in the middle of a frame" : "";
        this.#socket.lose(`closed by the peer${where}`);
      } else if (n !== -EAGAIN) this.#socket.lose(`${errnoText(n)} (${errnoName(n)})`);
      return false;
    }
  }
}
