/**
 * The socket of a link whose guest is at its other end: listens, or connects again and again, and
 * has one peer at a time.
 *
 *        listen:   waiting ──accept──▶ open ──end, error, broken rule──▶ waiting
 *        connect:  waiting ──timer──▶ connecting ──▶ open ──…──▶ waiting (timer set anew)
 *
 * Who gets in where it listens, and how fast, is the door's to say (stream-door). Only users that
 * were named may be at the other end, in both roles (stream-users). What is said over the socket is
 * the link's own (`PeerUse`).
 */
import type { StreamEndpoint } from "../config/endpoint.ts";
import { EINPROGRESS, errnoName, errnoText } from "../sys/errno.ts";
import { TimerFd } from "../sys/fd.ts";
import type { Libc } from "../sys/libc.ts";
import { EPOLLET, EPOLLIN, EPOLLOUT } from "../sys/linux.ts";
import { hasHungUp, isReadable } from "../sys/poll.ts";
import { connectIpv4, connectUnix, openTcp, takeError } from "../sys/socket.ts";
import type { Link, LinkWatcher } from "./link.ts";
import { Door } from "./stream-door.ts";
import type { PeerCounters, PeerEvent } from "./stream-peer.ts";
import type { Users } from "./stream-users.ts";

export interface PeerSocketOptions {
  /** A listening socket, which stays the caller's, or where to connect to. */
  readonly at: { readonly listener: number } | { readonly endpoint: StreamEndpoint };
  /** Says who may be at the other end; the link closes it. */
  readonly users: Users;
  /** Microseconds, never backwards. */
  readonly clock: () => number;
  readonly onPeer?: (event: PeerEvent) => void;
}

/** What a link does with a connection. */
export interface PeerUse {
  /** A connection has been made, and is not watched or told of yet. */
  opened(fd: number): void;
  /** It is about to be closed. */
  closed(): void;
  /** EPOLL… bits to watch it for. */
  interest(): number;
}

const LISTENER = -1;
const TIMER = -2;
const NONE = -1;
const RETRY_MIN_US = 100_000;
const RETRY_MAX_US = 5_000_000;

type State = "waiting" | "connecting" | "open" | "closed";

/** A link that counts its peers. */
export interface PeerLink extends Link {
  readonly peers: PeerCounters;
}

export class PeerSocket implements PeerCounters {
  connections = 0;
  badPeers = 0;
  brokenQueues = 0;
  readonly #sys: Libc;
  readonly #at: PeerSocketOptions["at"];
  readonly #endpoint: StreamEndpoint | undefined;
  readonly #users: Users;
  readonly #clock: () => number;
  readonly #tell: (event: PeerEvent) => void;
  readonly #use: PeerUse;
  #door: Door | undefined;
  #foreign = 0;
  #watcher: LinkWatcher | undefined;
  #timer: TimerFd | undefined;
  #state: State = "waiting";
  #fd = NONE;
  /** Of the connection: events of an earlier one that are still in a batch do not count. */
  #token = 0;
  /** The peer has sent something. */
  #hasSpoken = false;
  #opened_us = 0;
  #retry = RETRY_MIN_US;
  #toldUnreachable = false;

  constructor(sys: Libc, options: PeerSocketOptions, use: PeerUse) {
    const { at, users, clock } = options;
    this.#sys = sys;
    this.#at = at;
    this.#endpoint = "endpoint" in at ? at.endpoint : undefined;
    this.#users = users;
    this.#clock = clock;
    this.#tell = options.onPeer ?? (() => {});
    this.#use = use;
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

  get hasPeer(): boolean {
    return this.#state === "open";
  }

  get isClosed(): boolean {
    return this.#state === "closed";
  }

  /** The connection; -1 while there is none. */
  get fd(): number {
    return this.#fd;
  }

  watch(watcher: LinkWatcher): number {
    const isFirst = this.#timer === undefined;
    this.#watcher = watcher;
    this.#timer ??= new TimerFd(this.#sys);
    // Edge-triggered, and never read: setting it anew is what makes it readable once more. One that
    // went off and was not heard of any more is told of when it is added, as all edges are.
    const result = watcher.add(this.#timer.number, EPOLLIN | EPOLLET, TIMER);
    if (result < 0) return result;
    if ("listener" in this.#at) {
      this.#door ??= this.#openDoor(this.#at.listener, this.#timer);
      const watched = this.#door.watch(watcher, LISTENER);
      if (watched < 0) return watched;
    } else if (isFirst) this.#connect();
    return isFirst ? 0 : this.#watchAgain(watcher);
  }

  /** For another loop: the connection that there is, or that is being made. */
  #watchAgain(watcher: LinkWatcher): number {
    if (this.#fd < 0) return 0;
    const bits = this.#state === "open" ? this.#use.interest() : EPOLLOUT;
    return watcher.add(this.#fd, bits, this.#token);
  }

  /**
   * Something happened to a descriptor that was registered here.
   * @returns whether it is news of the connection, for the link to look at
   */
  event(token: number): boolean {
    if (token === LISTENER) this.#door?.knock();
    else if (token === TIMER) this.#timed();
    else if (token !== this.#token) return false;
    else if (this.#state === "connecting") this.#connected(takeError(this.#sys, this.#fd));
    else return this.#state === "open";
    return false;
  }

  /** What the connection is watched for has changed. */
  heed(): void {
    if (this.#state === "open") {
      this.#watcher?.modify(this.#fd, this.#use.interest(), this.#token);
    }
  }

  /** The peer has sent something: it holds its place from now on. */
  speak(): void {
    if (this.#hasSpoken) return;
    this.#hasSpoken = true;
    this.#door?.spoke();
  }

  /** The peer has kept to the rules: after it, connecting is tried again soon. */
  trust(): void {
    this.#retry = RETRY_MIN_US;
  }

  /** The peer is gone, or has to go; on to the next one. */
  lose(reason: string): void {
    this.#lose(reason, false);
  }

  /** The same for one that has broken the rules. */
  loseBad(reason: string): void {
    this.badPeers += 1;
    this.#lose(reason, true);
  }

  /** Idempotent. Closes the descriptors. */
  close(): void {
    if (this.#state === "closed") return;
    this.#drop();
    this.#door?.close();
    this.#users.close();
    this.#timer?.close();
    this.#state = "closed";
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
        vacate: (reason) => this.#lose(reason, false),
      },
    });
  }

  #placeState(): "free" | "silent" | "spoken" {
    // The next one may have hung up as well; the door keeps few that wait.
    while (this.#state === "open" && hasHungUp(this.#sys, this.#fd)) {
      this.#lose("closed by the peer", false);
    }
    if (this.#state !== "open") return "free";
    if (!this.#hasSpoken && isReadable(this.#sys, this.#fd)) this.speak();
    return this.#hasSpoken ? "spoken" : "silent";
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
    this.#use.opened(fd);
    this.#fd = fd;
    this.#state = "open";
    const watcher = this.#watcher;
    let result = 0;
    if (watched) result = watcher?.modify(fd, this.#use.interest(), this.#token) ?? 0;
    else {
      this.#token = nextToken(this.#token);
      result = watcher?.add(fd, this.#use.interest(), this.#token) ?? 0;
    }
    this.connections += 1;
    this.#hasSpoken = false;
    this.#opened_us = this.#clock();
    this.#door?.came();
    this.#toldUnreachable = false;
    this.#tell({ kind: "connected" });
    if (result < 0) this.lose(`${errnoText(result)} (${errnoName(result)})`);
  }

  #lose(reason: string, fault: boolean): void {
    this.#drop();
    const refused = this.#door?.refusedHere ?? 0;
    this.#tell({ kind: "disconnected", reason, fault, refused });
    if (this.#endpoint !== undefined) this.#retryLater();
    this.#door?.left(this.#clock() - this.#opened_us);
  }

  #drop(): void {
    if (this.#state === "open") this.#use.closed();
    this.#watcher?.forget(this.#token);
    if (this.#fd >= 0) this.#sys.close(this.#fd);
    this.#fd = NONE;
    this.#state = "waiting";
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
