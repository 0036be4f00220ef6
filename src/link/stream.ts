/**
 * Link over a stream socket, as QEMU's `-netdev stream` and `-netdev socket` have at their other
 * end: each frame behind its length in four octets, big-endian; no virtio_net_hdr, no offloads.
 *
 * Theory of operation
 *   A link outlives its peers. It listens, or connects again and again; there is one peer at a
 *   time. While there is none, frames to the guest are dropped and counted, as by a tap that is
 *   down, and the engine's flows live on: the next peer may be the same guest or another one.
 *
 *        listen:   waiting ──accept──▶ open ──end, error, bad length──▶ waiting
 *        connect:  waiting ──timer──▶ connecting ──▶ open ──…──▶ waiting (timer set anew)
 *
 *   Whoever comes while a peer is there is closed at once, unless that peer has hung up already and
 *   its last octets merely have not been read: a machine killed and started anew gets in.
 *
 *   Nothing that a peer does ends the link or makes it hold more than a frame that has come in
 *   part. A peer that does not read makes the link full; the loop then waits for room, and goes on
 *   reading: QEMU does not read while its own write waits.
 *
 * Source: net/stream.c and net/socket.c of QEMU are what it has to talk to; SOCK_STREAM framing is
 * described with -netdev in QEMU's manual.
 */

import type { StreamEndpoint } from "../config/endpoint.ts";
import {
  EAGAIN,
  EBADF,
  ECONNABORTED,
  EINPROGRESS,
  EINTR,
  errnoName,
  errnoText,
} from "../sys/errno.ts";
import { TimerFd } from "../sys/fd.ts";
import type { Libc } from "../sys/libc.ts";
import {
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  SO_SNDBUF,
  SOL_SOCKET,
} from "../sys/linux.ts";
import {
  accept,
  connectIpv4,
  connectUnix,
  openTcp,
  setLinger,
  setNoDelay,
  setOption,
  takeError,
} from "../sys/socket.ts";
import type { Link, LinkMemory, LinkWatcher } from "./link.ts";
import { FRAME_SIZE_MAX, FRAME_SIZE_MIN, FrameReader } from "./stream-read.ts";
import { FrameWriter } from "./stream-write.ts";

/** What happened at the other end. `reason` and `problem` are for people. */
export type PeerEvent =
  | { readonly kind: "connected" }
  /** `fault`: it broke the rules of the stream. `refused`: how many others came meanwhile. */
  | {
      readonly kind: "disconnected";
      readonly reason: string;
      readonly fault: boolean;
      readonly refused: number;
    }
  /** Told once for each peer that holds the place. */
  | { readonly kind: "refused" }
  /** Told once for each row of attempts that fail. */
  | { readonly kind: "unreachable"; readonly problem: string };

export interface StreamLinkOptions {
  /** A listening socket, which stays the caller's, or where to connect to. */
  readonly at: { readonly listener: number } | { readonly endpoint: StreamEndpoint };
  readonly onPeer?: (event: PeerEvent) => void;
}

/** A link that counts its peers. */
export interface StreamLink extends Link {
  readonly hasPeer: boolean;
  /** Peers so far. */
  readonly connections: number;
  /** Connections closed at once, because there was a peer. */
  readonly peersRefused: number;
  /** Peers that were closed because of a length that no frame has. */
  readonly badPeers: number;
}

/** A link that waits for peers, or looks for one. */
export function openStreamLink(sys: Libc, options: StreamLinkOptions): StreamLink {
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

const LISTENER = -1;
const TIMER = -2;
const NONE = -1;
const ENDED = EPOLLERR | EPOLLHUP | EPOLLRDHUP;
/** Connections taken in a turn, so that a flood leaves time for the peer. */
const ACCEPT_BATCH = 16;
const RETRY_MIN_US = 100_000;
const RETRY_MAX_US = 5_000_000;
/** Until the next attempt to accept, where no descriptor is left. */
const ACCEPT_PAUSE_US = 1_000_000;

type State = "waiting" | "connecting" | "open" | "closed";

class SocketLink implements StreamLink {
  readonly vnetSize = 0;
  readonly flags = 0;
  readonly queueFrames = QUEUE_FRAMES;
  readonly mtuMax = MTU_MAX;
  connections = 0;
  peersRefused = 0;
  badPeers = 0;
  readonly #sys: Libc;
  readonly #listener: number;
  readonly #endpoint: StreamEndpoint | undefined;
  readonly #tell: (event: PeerEvent) => void;
  readonly #reader = new FrameReader();
  readonly #writer: FrameWriter;
  #watcher: LinkWatcher | undefined;
  #timer: TimerFd | undefined;
  #state: State = "waiting";
  #fd = NONE;
  /** Of the connection: events of an earlier one that are still in a batch do not count. */
  #token = 0;
  #wantsRoom = false;
  /** Frames dropped because nobody was there. */
  #dropped = 0;
  #refusedHere = 0;
  #retry = RETRY_MIN_US;
  #toldUnreachable = false;

  constructor(sys: Libc, options: StreamLinkOptions) {
    this.#sys = sys;
    this.#listener = "listener" in options.at ? options.at.listener : NONE;
    this.#endpoint = "endpoint" in options.at ? options.at.endpoint : undefined;
    this.#tell = options.onPeer ?? (() => {});
    this.#writer = new FrameWriter(sys);
  }

  get refused(): number {
    return this.#writer.refused + this.#dropped;
  }

  get hasPeer(): boolean {
    return this.#state === "open";
  }

  watch(watcher: LinkWatcher): number {
    this.#watcher = watcher;
    this.#timer = new TimerFd(this.#sys);
    // Edge-triggered, and never read: setting it anew is what makes it readable once more.
    const result = watcher.add(this.#timer.number, EPOLLIN | EPOLLET, TIMER);
    if (result < 0) return result;
    if (this.#listener >= 0) return watcher.add(this.#listener, EPOLLIN, LISTENER);
    this.#connect();
    return 0;
  }

  event(token: number, events: number): boolean {
    if (token === LISTENER) this.#accept();
    else if (token === TIMER) this.#resume();
    else if (token !== this.#token) return false;
    else if (this.#state === "connecting") this.#connected(takeError(this.#sys, this.#fd));
    else if (this.#state === "open") {
      return (events & (EPOLLIN | ENDED)) !== 0;
    }
    return false;
  }

  wantRoom(on: boolean): void {
    this.#wantsRoom = on;
    if (this.#state === "open") this.#watcher?.modify(this.#fd, this.#interest(), this.#token);
  }

  receive(memory: LinkMemory, max: number): number {
    if (this.#state !== "open") return this.#state === "closed" ? -EBADF : 0;
    if (max <= 0) return 0;
    let n = this.#reader.next(memory, max);
    if (n === 0 && this.#reader.badLength < 0) {
      if (!this.#fill(memory)) return 0;
      n = this.#reader.next(memory, max);
    }
    if (this.#reader.badLength >= 0) this.#loseBad(this.#reader.badLength);
    else if (n > 0) this.#retry = RETRY_MIN_US;
    return n;
  }

  transmit(memory: LinkMemory, first: number, count: number): number {
    if (this.#state === "closed") return -EBADF;
    if (this.#state === "open") {
      const n = this.#writer.write(this.#fd, memory, first, count);
      if (n >= 0) return n;
      this.#lose(`${errnoText(n)} (${errnoName(n)})`);
    }
    this.#dropped += count - first;
    return count - first;
  }

  close(): void {
    if (this.#state === "closed") return;
    this.#drop();
    this.#timer?.close();
    this.#state = "closed";
  }

  /** True when something came. */
  #fill(memory: LinkMemory): boolean {
    for (;;) {
      const n = this.#reader.fill(this.#sys, this.#fd, memory);
      if (n > 0) return true;
      if (n === -EINTR) continue;
      if (n === 0) {
        const where = this.#reader.inFrame ? " in the middle of a frame" : "";
        this.#lose(`closed by the peer${where}`);
      } else if (n !== -EAGAIN) this.#lose(`${errnoText(n)} (${errnoName(n)})`);
      return false;
    }
  }

  // -------------------------------------------------------------- listening

  #accept(): void {
    for (let i = 0; i < ACCEPT_BATCH; i += 1) {
      const fd = accept(this.#sys, this.#listener);
      if (fd === -EAGAIN) return;
      if (fd < 0) {
        // Level-triggered: what cannot be accepted now would keep the loop awake.
        if (!isPassing(fd)) this.#pauseListening();
        return;
      }
      if (this.#state === "open" && this.#hasHungUp()) this.#lose("closed by the peer");
      if (this.#state === "open") this.#refuse(fd);
      else this.#open(fd);
    }
  }

  #refuse(fd: number): void {
    setLinger(this.#sys, fd, true, 0); // so that it hears of it at once
    this.#sys.close(fd);
    this.peersRefused += 1;
    this.#refusedHere += 1;
    if (this.#refusedHere === 1) this.#tell({ kind: "refused" });
  }

  /** Whether the peer has closed its end, unread octets or not. */
  #hasHungUp(): boolean {
    const { scratch } = this.#sys;
    scratch.setI32(0, this.#fd);
    scratch.setI32(4, EPOLLRDHUP); // struct pollfd: events in the lower half, results above
    const n = this.#sys.poll(scratch.address, 1, 0);
    return n > 0 && scratch.getI32(4) >>> 16 !== 0;
  }

  #pauseListening(): void {
    this.#watcher?.modify(this.#listener, 0, LISTENER);
    this.#timer?.set(ACCEPT_PAUSE_US);
  }

  // -------------------------------------------------------------- connecting

  #connect(): void {
    const endpoint = this.#endpoint;
    if (endpoint === undefined) return;
    let result: number;
    if (endpoint.kind === "unix") {
      this.#fd = connectUnix(this.#sys, endpoint.path);
      result = Math.min(this.#fd, 0);
    } else {
      this.#fd = openTcp(this.#sys);
      result =
        this.#fd < 0 ? this.#fd : connectIpv4(this.#sys, this.#fd, endpoint.address, endpoint.port);
    }
    if (result !== -EINPROGRESS) {
      this.#connected(result);
      return;
    }
    this.#state = "connecting";
    this.#token = nextToken(this.#token);
    const watched = this.#watcher?.add(this.#fd, EPOLLOUT, this.#token) ?? 0;
    if (watched < 0) this.#connected(watched);
  }

  #connected(result: number): void {
    if (result >= 0) {
      this.#open(this.#fd, this.#state === "connecting");
      return;
    }
    this.#drop();
    if (!this.#toldUnreachable) {
      this.#toldUnreachable = true;
      this.#tell({ kind: "unreachable", problem: `${errnoText(result)} (${errnoName(result)})` });
    }
    this.#retryLater();
  }

  #retryLater(): void {
    this.#timer?.set(this.#retry);
    this.#retry = Math.min(this.#retry * 2, RETRY_MAX_US);
  }

  // -------------------------------------------------------------- both

  #open(fd: number, watched = false): void {
    setOption(this.#sys, fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_SIZE);
    setNoDelay(this.#sys, fd, true); // has no meaning, and fails, for a unix socket
    this.#reader.reset();
    this.#writer.reset();
    this.#fd = fd;
    this.#state = "open";
    const watcher = this.#watcher;
    let result = 0;
    if (watched) result = watcher?.modify(fd, this.#interest(), this.#token) ?? 0;
    else {
      this.#token = nextToken(this.#token);
      result = watcher?.add(fd, this.#interest(), this.#token) ?? 0;
    }
    this.connections += 1;
    this.#refusedHere = 0;
    this.#toldUnreachable = false;
    this.#tell({ kind: "connected" });
    if (result < 0) this.#lose(`${errnoText(result)} (${errnoName(result)})`);
  }

  #interest(): number {
    return this.#wantsRoom ? EPOLLIN | EPOLLOUT : EPOLLIN;
  }

  #loseBad(length: number): void {
    this.badPeers += 1;
    const wanted = `${FRAME_SIZE_MIN} to ${FRAME_SIZE_MAX}`;
    this.#lose(`frame of ${length} octets announced, wanted ${wanted}`, true);
  }

  /** The peer is gone, or has to go; on to the next one. */
  #lose(reason: string, fault = false): void {
    this.#drop();
    this.#tell({ kind: "disconnected", reason, fault, refused: this.#refusedHere });
    if (this.#endpoint !== undefined) this.#retryLater();
  }

  #drop(): void {
    this.#watcher?.forget(this.#token);
    if (this.#fd >= 0) this.#sys.close(this.#fd);
    this.#fd = NONE;
    this.#state = "waiting";
    this.#reader.reset();
    this.#writer.reset();
  }

  /** The timer went off. */
  #resume(): void {
    if (this.#listener >= 0) this.#watcher?.modify(this.#listener, EPOLLIN, LISTENER);
    else if (this.#state === "waiting") this.#connect();
  }
}

/** Positive, so that it is none of the fixed ones. */
function nextToken(token: number): number {
  return (token + 1) & 0x3fffffff;
}

/** Errors of one connection that was on its way in (accept(2)); the next one may be fine. */
function isPassing(errno: number): boolean {
  return errno === -EINTR || errno === -ECONNABORTED;
}
