/**
 * The vhost-user link: a guest's virtio network card whose queues are served here, in memory that
 * the guest's QEMU (the front end) shares with this process.
 *
 * Theory of operation
 *   Two channels. Over a unix socket the front end says what the guest's driver has agreed to,
 *   sends its memory by descriptors and the places of two rings, and stops and starts them
 *   (`session`). Frames never pass there: the driver puts buffers into the rings, kicks by an event
 *   descriptor, and is called by another one (`queue`, `ring`).
 *
 *        socket ──messages──▶ channel ──▶ session ──▶ features, regions, queues
 *        kick ──▶ ring ──▶ from-guest ──copy──▶ receive slots of the engine
 *                                   └─places of large payload──▶ sockets (`LinkLoans`)
 *        records of the engine ──copy──▶ to-guest ──▶ ring ──▶ call
 *
 *   Trust. The front end and the guest are strangers. Messages are checked in `messages` and
 *   `session`; a bad one ends the connection. Rings are checked in `ring` and `regions`; a bad one
 *   stops its queue until the front end begins anew with it. Neither can make this process touch
 *   what is not guest memory, turn without end, or die of memory that is taken away.
 *
 *   Kicks are edge-triggered and never read: each write to an event descriptor is an edge. While
 *   frames are taken the driver is told not to kick; it is asked for kicks again when the ring was
 *   found empty, and the ring is then looked at once more.
 *
 *   A full link. Without buffers of the guest the frames wait in the engine, and its driver is
 *   asked for a kick when it has made more available. Without a queue that runs they are dropped
 *   and counted, as by a tap that is down.
 *
 *   The end. The front end may go and come back at any time (peer-socket). What was taken is given
 *   back within the same turn, so between turns the used ring says where to go on.
 *
 *   An engine that fails takes nothing along: connection, features, regions and rings are all here.
 *   What it had taken is given back unread, so a frame that has ended one engine never meets the
 *   next one (`handOver`).
 *
 * docs/vhost-user.md tells it at length: who maps what, the fences, limits, what is left out.
 * Source: the vhost-user protocol of QEMU's documentation; virtio 1.2 §2.7 and §5.1.
 */
import { RX_SLOT_COUNT } from "../../../wasm/abi.ts";
import { assert } from "../../lib/assert.ts";
import { EAGAIN, EBADF, errnoName, errnoText } from "../../sys/errno.ts";
import type { Libc } from "../../sys/libc.ts";
import { EPOLLET, EPOLLIN } from "../../sys/linux.ts";
import type { LinkMemory, LinkWatcher } from "../link.ts";
import { type PeerLink, PeerSocket, type PeerSocketOptions, type PeerUse } from "../peer-socket.ts";
import type { PeerCounters, PeerEvent } from "../stream-peer.ts";
import { Channel } from "./channel.ts";
import { LINK_FLAGS_NONE, VNET_SIZE } from "./features.ts";
import { FromGuest } from "./from-guest.ts";
import { type Message, ProtocolError } from "./messages.ts";
import type { Ring } from "./ring.ts";
import { QUEUE_FROM_GUEST, QUEUE_TO_GUEST, Session, type SessionHost } from "./session.ts";
import { ToGuest } from "./to-guest.ts";

export interface VhostUserOptions extends PeerSocketOptions {
  /** Hears, within `event`, what frames the guest takes from now on: LINK_… of wasm/abi.ts. */
  readonly onFlags?: (flags: number) => void;
}

/** A link that waits for a front end, or looks for one. */
export function openVhostUserLink(sys: Libc, options: VhostUserOptions): PeerLink {
  return new BackEnd(sys, options);
}

const MTU_MAX = 65520;
/** What a driver's ring holds at most in practice; frames wait there and are never dropped. */
const QUEUE_FRAMES = 1024;
/** Messages that one event is answered with: beside them frames move on. */
const MESSAGES_PER_EVENT = 32;
/** Tokens of the queues' kicks. Those of the socket are its own, and above. */
const KICK_TOKENS: readonly number[] = [-3, -4];

/** What is there while there is a front end. */
interface Connection {
  readonly channel: Channel;
  readonly session: Session;
  readonly fromGuest: FromGuest;
  readonly toGuest: ToGuest;
  hasToldShrinkable: boolean;
}

class BackEnd implements PeerLink, PeerUse, SessionHost {
  readonly vnetSize = VNET_SIZE;
  readonly queueFrames = QUEUE_FRAMES;
  readonly mtuMax = MTU_MAX;
  flags = LINK_FLAGS_NONE;
  readonly #sys: Libc;
  readonly #socket: PeerSocket;
  readonly #onFlags: (flags: number) => void;
  readonly #tell: (event: PeerEvent) => void;
  #watcher: LinkWatcher | undefined;
  #connection: Connection | undefined;
  /** Frames dropped because nobody was there, and those of earlier connections. */
  #dropped = 0;

  constructor(sys: Libc, options: VhostUserOptions) {
    this.#sys = sys;
    this.#socket = new PeerSocket(sys, options, this);
    this.#onFlags = options.onFlags ?? (() => {});
    this.#tell = options.onPeer ?? (() => {});
  }

  get peers(): PeerCounters {
    return this.#socket;
  }

  get batchFrames(): number {
    return this.#connection?.fromGuest.batchFrames ?? RX_SLOT_COUNT;
  }

  get refused(): number {
    const { fromGuest, toGuest } = this.#connection ?? {};
    return this.#dropped + (fromGuest?.skipped ?? 0) + (toGuest?.skipped ?? 0);
  }

  watch(watcher: LinkWatcher): number {
    this.#watcher = watcher;
    const result = this.#socket.watch(watcher);
    return result < 0 ? result : (this.#connection?.session.hearAgain() ?? 0);
  }

  handOver(): void {
    const { session, fromGuest } = this.#connection ?? {};
    fromGuest?.handOver();
    session?.queues.forEach((queue, i) => {
      this.#dropped += queue.release();
      session.look(i);
    });
  }

  event(token: number, _events: number): boolean | "served" {
    assert(this.#connection?.fromGuest.isHolding !== true, "nothing is lent between turns");
    if (KICK_TOKENS.includes(token)) return token === KICK_TOKENS[QUEUE_FROM_GUEST];
    if (!this.#socket.event(token)) return false;
    const before = this.#ringOf(QUEUE_FROM_GUEST);
    this.#converse();
    const ring = this.#ringOf(QUEUE_FROM_GUEST);
    // A ring that begins may hold frames whose kick somebody else has heard.
    return ring !== undefined && ring !== before ? true : "served";
  }

  /** The guest is asked for a kick where its buffers are found to be too few. */
  wantRoom(_on: boolean): void {}

  receive(memory: LinkMemory, max: number): number {
    const connection = this.#connection;
    if (connection === undefined) return this.#socket.isClosed ? -EBADF : 0;
    const { session, fromGuest } = connection;
    const queue = session.queues[QUEUE_FROM_GUEST];
    if (queue === undefined) return 0;
    const n = fromGuest.receive(queue, session.features.headerSize, memory, max);
    if (!fromGuest.isHolding) session.look(QUEUE_FROM_GUEST);
    return n;
  }

  release(memory: LinkMemory): void {
    const { session, fromGuest } = this.#connection ?? {};
    const queue = session?.queues[QUEUE_FROM_GUEST];
    if (fromGuest?.isHolding !== true || queue === undefined) return;
    fromGuest.release(queue, memory);
    session?.look(QUEUE_FROM_GUEST);
  }

  transmit(memory: LinkMemory, first: number, count: number): number {
    if (this.#socket.isClosed) return -EBADF;
    const { session, toGuest } = this.#connection ?? {};
    const queue = session?.queues[QUEUE_TO_GUEST];
    let taken = 0;
    if (session !== undefined && toGuest !== undefined && queue?.ring !== undefined) {
      taken = toGuest.transmit(queue, session.features, memory, first, count);
      session.look(QUEUE_TO_GUEST);
      if (queue.ring !== undefined) return taken;
    }
    this.#dropped += count - first - taken;
    return count - first;
  }

  close(): void {
    this.#socket.close();
  }

  // -------------------------------------------------------------- the front end

  opened(fd: number): void {
    const session = new Session(this.#sys, this);
    this.#connection = {
      channel: new Channel(this.#sys, fd),
      session,
      fromGuest: new FromGuest(session.memory),
      toGuest: new ToGuest(this.#sys, session.memory),
      hasToldShrinkable: false,
    };
  }

  closed(): void {
    this.#dropped = this.refused;
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.channel.close();
    connection?.session.close();
  }

  interest(): number {
    return EPOLLIN;
  }

  #ringOf(queue: number): Ring | undefined {
    return this.#connection?.session.queues[queue]?.ring;
  }

  /** Answers messages, some at a time. */
  #converse(): void {
    for (let i = 0; i < MESSAGES_PER_EVENT; i += 1) {
      const connection = this.#connection;
      if (connection === undefined) return;
      try {
        const message = connection.channel.next();
        if (typeof message !== "number") this.#answer(connection, message);
        else {
          if (message !== -EAGAIN) this.#ended(connection, message);
          return;
        }
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        this.#socket.loseBad(error.message);
        return;
      }
    }
  }

  #answer(connection: Connection, message: Message): void {
    const { channel, session } = connection;
    this.#socket.speak();
    const reply = session.handle(message);
    const result = reply === undefined ? 0 : channel.send(reply);
    if (result < 0) {
      this.#ended(connection, result);
      return;
    }
    this.#socket.trust();
    if (session.memory.canShrink && !connection.hasToldShrinkable) {
      connection.hasToldShrinkable = true;
      this.#tell({ kind: "shrinkable" });
    }
  }

  #ended({ channel }: Connection, result: number): void {
    const where = channel.inMessage ? " in the middle of a message" : "";
    if (result === 0) this.#socket.lose(`closed by the peer${where}`);
    else this.#socket.lose(`${errnoText(result)} (${errnoName(result)})`);
  }

  // -------------------------------------------------------------- its session

  hear(queue: number, fd: number): number {
    return this.#watcher?.add(fd, EPOLLIN | EPOLLET, KICK_TOKENS[queue] ?? 0) ?? 0;
  }

  unhear(queue: number): void {
    this.#watcher?.remove(KICK_TOKENS[queue] ?? 0);
  }

  agreed({ linkFlags }: { readonly linkFlags: number }): void {
    this.flags = linkFlags;
    this.#onFlags(linkFlags);
  }

  broken(queue: number, problem: string): void {
    this.#socket.brokenQueues += 1;
    const name = queue === QUEUE_TO_GUEST ? "receive" : "transmit";
    this.#tell({ kind: "broken", queue: name, problem });
  }
}
