/**
 * Link over a stream socket, as QEMU's `-netdev stream` and `-netdev socket` have at their other
 * end: each frame behind its length in four octets, big-endian; no virtio_net_hdr, no offloads.
 *
 * Theory of operation
 *   A link outlives its peers. It listens, or connects again and again; there is one peer at a
 *   time. While there is none, frames to the guest are dropped and counted, as by a tap that is
 *   down. What becomes of the flows is the engine's to say (`wasm/guest.ts`), which is told that
 *   the peer has gone: the next one may be the same guest or another one.
 *
 *        listen:   waiting ──accept──▶ open ──end, error, bad length──▶ waiting
 *        connect:  waiting ──timer──▶ connecting ──▶ open ──…──▶ waiting (timer set anew)
 *
 *   Who gets in where it listens, and how fast, is the door's to say (stream-door). Only users that
 *   were named may be at the other end, in both roles (stream-users).
 *
 *   Nothing that a peer does ends the link or makes it hold more than a frame that has come in
 *   part. A peer that does not read makes the link full; the loop then waits for room, and goes on
 *   reading: QEMU does not read while its own write waits.
 *
 * Source: net/stream.c and net/socket.c of QEMU are what it has to talk to; SOCK_STREAM framing is
 * described with -netdev in QEMU's manual.
 */

import type { StreamEndpoint } from "../config/endpoint.ts";
import { EAGAIN, EBADF, EINPROGRESS, EINTR, errnoName, errnoText } from "../sys/errno.ts";
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
import { hasHungUp, isReadable } from "../sys/poll.ts";
import {
  connectIpv4,
  connectUnix,
  openTcp,
  setNoDelay,
  setOption,
  takeError,
} from "../sys/socket.ts";
import type { Link, LinkMemory, LinkWatcher } from "./link.ts";
import { Door } from "./stream-door.ts";
import type { PeerCounters, PeerEvent } from "./stream-peer.ts";
import { FRAME_SIZE_MAX, FRAME_SIZE_MIN, FrameReader } from "./stream-read.ts";
import type { Users } from "./stream-users.ts";
import { FrameWriter } from "./stream-write.ts";

export interface StreamLinkOptions {
  /** A listening socket, which stays the caller's, or where to connect to. */
  readonly at: { readonly listener: number } | { readonly endpoint: StreamEndpoint };
  /** Says who may be at the other end; the link closes it. */
  readonly users: Users;
  /** Microseconds, never backwards. */
  readonly clock: () => number;
  readonly onPeer?: (event: PeerEvent) => void;
}

/** A link that counts its peers. */
export interface StreamLink extends Link, PeerCounters {}

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
const RETRY_MIN_US = 100_000;
const RETRY_MAX_US = 5_000_000;

type State = "waiting" | "connecting" | "open" | "closed";

class SocketLink implements StreamLink {
  readonly vnetSize = 0;
  readonly flags = 0;
  readonly queueFrames = QUEUE_FRAMES;
  readonly mtuMax = MTU_MAX;
  connections = 0;
  badPeers = 0;
  readonly #sys: Libc;
  readonly #at: StreamLinkOptions["at"];
  readonly #endpoint: StreamEndpoint | undefined;
  readonly #users: Users;
  readonly #clock: () => number;
  #door: Door | undefined;
  #foreign = 0;
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
  /** The peer has sent something. */
  #hasSpoken = false;
  #opened_us = 0;
  /** Frames dropped because nobody was there. */
  #dropped = 0;
  #retry = RETRY_MIN_US;
  #toldUnreachable = false;

  constructor(sys: Libc, options: StreamLinkOptions) {
    const { at, users, clock } = options;
    this.#sys = sys;
    this.#at = at;
    this.#endpoint = "endpoint" in at ? at.endpoint : undefined;
    this.#users = users;
    this.#clock = clock;
    this.#tell = options.onPeer ?? (() => {});
    this.#writer = new FrameWriter(sys);
  }

  get peersRefused(): number {
    return this.#door?.refused ?? 0;
  }

  get peersForeign(): number {
    return this.#foreign + (this.#door?.foreign ?? 0);
  }

  get peersFleeting(): number {
    return this.#door?.fleeting ?? 0;
  }

  get peerCrowds(): number {
    return this.#door?.crowds ?? 0;
  }

  get silentPeers(): number {
    return this.#door?.silent ?? 0;
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
    if ("listener" in this.#at) {
      this.#door = this.#openDoor(this.#at.listener, this.#timer);
      return this.#door.watch(watcher, LISTENER);
    }
    this.#connect();
    return 0;
  }

  event(token: number, events: number): boolean {
    if (token === LISTENER) this.#door?.knock();
    else if (token === TIMER) this.#timed();
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
    this.#door?.close();
    this.#users.close();
    this.#timer?.close();
    this.#state = "closed";
  }

  /** True when something came. */
  #fill(memory: LinkMemory): boolean {
    for (;;) {
      const n = this.#reader.fill(this.#sys, this.#fd, memory);
      if (n > 0) {
        if (!this.#hasSpoken) this.#speak();
        return true;
      }
      if (n === -EINTR) continue;
      if (n === 0) {
        const where = this.#reader.inFrame ? " in the middle of a frame" : "";
        this.#lose(`closed by the peer${where}`);
      } else if (n !== -EAGAIN) this.#lose(`${errnoText(n)} (${errnoName(n)})`);
      return false;
    }
  }

  // -------------------------------------------------------------- listening

  #openDoor(listener: number, timer: TimerFd): Door {
    return new Door(this.#sys, {
      listener,
      timer,
      users: this.#users,
      clock: this.#clock,
      tell: this.#tell,
      holder: {
        state: () => this.#placeState(),
        take: (fd) => this.#open(fd),
        vacate: (reason) => this.#lose(reason),
      },
    });
  }

  #placeState(): "free" | "silent" | "spoken" {
    // The next one may have hung up as well; the door keeps few that wait.
    while (this.#state === "open" && hasHungUp(this.#sys, this.#fd)) {
      this.#lose("closed by the peer");
    }
    if (this.#state !== "open") return "free";
    if (!this.#hasSpoken && isReadable(this.#sys, this.#fd)) this.#speak();
    return this.#hasSpoken ? "spoken" : "silent";
  }

  #speak(): void {
    this.#hasSpoken = true;
    this.#door?.spoke();
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
      if (this.#isForeign()) {
        this.#drop();
        this.#retryLater();
      } else this.#open(this.#fd, this.#state === "connecting");
      return;
    }
    this.#drop();
    if (!this.#toldUnreachable) {
      this.#toldUnreachable = true;
      this.#tell({ kind: "unreachable", problem: `${errnoText(result)} (${errnoName(result)})` });
    }
    this.#retryLater();
  }

  /** Whether whoever listens there is a user that may not; told of once for a row of attempts. */
  #isForeign(): boolean {
    if (this.#endpoint === undefined) return false;
    const uid = this.#users.ofListener(this.#fd, this.#endpoint);
    if (uid >= 0 && this.#users.allows(uid)) return false;
    this.#foreign += 1;
    if (!this.#toldUnreachable) this.#tell({ kind: "foreign", uid });
    this.#toldUnreachable = true;
    return true;
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
    this.#hasSpoken = false;
    this.#opened_us = this.#clock();
    this.#door?.came();
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
    const refused = this.#door?.refusedHere ?? 0;
    this.#tell({ kind: "disconnected", reason, fault, refused });
    if (this.#endpoint !== undefined) this.#retryLater();
    this.#door?.left(this.#clock() - this.#opened_us);
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
  #timed(): void {
    if (this.#door !== undefined) this.#door.tick();
    else if (this.#state === "waiting") this.#connect();
  }
}

/** Positive, so that it is none of the fixed ones. */
function nextToken(token: number): number {
  return (token + 1) & 0x3fffffff;
}
