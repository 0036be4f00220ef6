/**
 * A modelled TCP socket of the host, with the network and the peer behind it.
 *
 *     engine --send--> [sendBuffer] --rate, latency--> peer
 *     engine <--receive-- [receiveBuffer] <--rate, latency-- peer
 *
 * Content is a pattern (`pattern.ts`), so only counts are kept: what the engine sends is compared
 * on the spot, what the peer sends is made when it is received. A loss on the way shows as a stall,
 * as it does above the host's TCP.
 */
import * as abi from "../../../../wasm/abi.ts";
import { EAGAIN, ECONNRESET, ENOTCONN, EPIPE } from "../../../../wasm/errno.ts";
import { fillPattern, findMismatch } from "../pattern.ts";
import type { TcpPlan } from "../plan.ts";
import { HostSocket, type SocketOwner } from "./socket.ts";

const SEGMENT = 16_384;

export class StreamSocket extends HostSocket {
  readonly plan: TcpPlan;
  isConnected = false;
  /** Octets taken from the engine; those the peer has received. */
  taken = 0;
  peerReceived = 0;
  /** SHUT_WR was carried out; the peer knows. */
  isShut = false;
  peerSawEnd = false;
  /** Octets the peer has put on the way, that are here, that the engine has read. */
  #sent = 0;
  arrived = 0;
  received = 0;
  /** The peer's FIN is here; the engine was told. */
  hasEnded = false;
  endTold = false;
  #finSent = false;
  /** The connection broke with this errno; 0 = it did not, or the engine was told. */
  #errno = 0;
  isBroken = false;
  /** The engine was told that the connection, once up, broke. */
  failureTold = false;
  /** How the engine closed it. */
  closed: "no" | "orderly" | "abort" = "no";
  #wantsRoom = false;
  #upFreeAt = 0;
  #downFreeAt = 0;
  #pumping = false;

  constructor(owner: SocketOwner, handle: number, plan: TcpPlan) {
    super(owner, handle);
    this.plan = plan;
  }

  get events(): number {
    let bits = 0;
    const readable = this.arrived > this.received || this.hasEnded || this.isBroken;
    if (readable) bits |= abi.EVENT_READABLE;
    if (this.isBroken || (this.isConnected && this.#room > 0)) bits |= abi.EVENT_WRITABLE;
    if (this.#errno !== 0) bits |= abi.EVENT_ERROR;
    if (this.isBroken || (this.hasEnded && this.isShut)) bits |= abi.EVENT_HANGUP;
    if (this.hasEnded || this.isBroken) bits |= abi.EVENT_READ_HANGUP;
    return bits;
  }

  /** The engine may know that the socket takes more. */
  get isWritable(): boolean {
    return this.isConnected && this.#room > 0 && !this.#wantsRoom;
  }

  /** Octets the socket would take. */
  get #room(): number {
    return this.plan.peer.sendBuffer - (this.taken - this.peerReceived);
  }

  // -------------------------------------------------------------- connecting

  /** What connect(2) returns: 1 = connected, 0 = in progress, or the negative errno. */
  connect(): number {
    const { connect } = this.plan.peer;
    if (connect.kind === "never") return 0;
    if (connect.delay === 0) {
      if (connect.kind === "fails") return -connect.errno;
      this.connected();
      return 1;
    }
    this.owner.clock.after(connect.delay, () => {
      if (this.isClosed) return;
      if (connect.kind === "fails") this.break(connect.errno);
      else {
        this.connected();
        this.raise();
      }
    });
    return 0;
  }

  /** The connection is up: both sides may talk. */
  connected(): void {
    this.isConnected = true;
    this.#pump();
    this.#maybeReset();
  }

  /** The connection, or the attempt, ends with an error. */
  break(errno: number): void {
    if (this.isBroken || this.isClosed) return;
    this.isBroken = true;
    this.#errno = errno;
    this.raise();
  }

  /** SO_ERROR: reported once. */
  takeError(): number {
    const errno = this.#errno;
    this.#errno = 0;
    if (errno !== 0 && this.isConnected) this.failureTold = true;
    return errno;
  }

  // -------------------------------------------------------------- engine -> peer

  /** What sendmsg(2) returns for these octets. */
  send(pieces: readonly Uint8Array[], length: number): number {
    const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (total !== length || length === 0) this.owner.fault(`sends ${total} octets, says ${length}`);
    const errno = this.takeError();
    if (errno !== 0) return -errno;
    if (this.isShut) {
      this.owner.fault("sends after shutdown");
      return -EPIPE;
    }
    if (this.isBroken) return -EPIPE;
    if (!this.isConnected) return -EAGAIN;
    const upset = this.upset();
    if (upset !== 0) return upset;
    let count = Math.min(total, Math.max(this.#room, 0));
    const { random, faults } = this.owner;
    if (count > 1 && random.chance(faults.shortWrites)) {
      count = random.between(1, count - 1);
      this.raiseLater(random.between(1, 5000));
    }
    if (count < total) this.#wantsRoom = true;
    if (count === 0) return -EAGAIN;
    this.#take(pieces, count);
    return count;
  }

  #take(pieces: readonly Uint8Array[], count: number): void {
    let left = count;
    for (const piece of pieces) {
      const part = piece.subarray(0, left);
      const wrong = findMismatch(this.plan.id * 2, this.taken, part);
      if (wrong >= 0) this.owner.fault(`stream ${this.plan.id} up: octet ${this.taken + wrong}`);
      this.taken += part.length;
      left -= part.length;
      if (left === 0) break;
    }
    if (this.taken > this.plan.up) {
      this.owner.fault(`stream ${this.plan.id} up: ${this.taken} octets of ${this.plan.up}`);
    }
    this.#carryUp(count);
  }

  /** Moves octets from the socket's buffer to the peer. */
  #carryUp(count: number): void {
    const { clock } = this.owner;
    const { latency } = this.plan.peer;
    this.#upFreeAt = Math.max(this.#upFreeAt, clock.now) + this.#duration(count);
    clock.at(this.#upFreeAt + latency, () => {
      const { readsMax = Number.POSITIVE_INFINITY } = this.plan.peer;
      this.peerReceived = Math.min(this.peerReceived + count, readsMax);
      if (this.isClosed) return;
      if (this.#wantsRoom && this.#room * 3 >= this.plan.peer.sendBuffer) {
        this.#wantsRoom = false;
        this.raise();
      }
      this.#pump();
      this.#maybeReset();
    });
  }

  /** How long so many octets take, a stall included now and then. */
  #duration(count: number): number {
    const { rate, stalls, stall } = this.plan.peer;
    const { random, isCalm } = this.owner;
    const time = rate === 0 ? 0 : Math.ceil((count * 1_000_000) / rate);
    const stalled = !isCalm && random.chance(stalls);
    return time + (stalled ? random.between(1, stall) : 0);
  }

  shutdown(): number {
    if (this.isShut) this.owner.fault("shuts down twice");
    this.isShut = true;
    if (!this.isConnected || this.isBroken) return -ENOTCONN;
    const { clock } = this.owner;
    clock.at(Math.max(this.#upFreeAt, clock.now) + this.plan.peer.latency, () => {
      this.peerSawEnd = true;
      this.#pump();
    });
    return 0;
  }

  // -------------------------------------------------------------- peer -> engine

  /** The peer sends what it may. */
  #pump(): void {
    const { peer, down } = this.plan;
    if (this.#pumping || this.isBroken || !this.isConnected) return;
    if (this.peerReceived < peer.sendAfter && !this.peerSawEnd) return;
    const window = peer.receiveBuffer - (this.#sent - this.received);
    const count = Math.min(SEGMENT, down - this.#sent, window);
    const { clock } = this.owner;
    if (count > 0) {
      this.#sent += count;
      this.#downFreeAt = Math.max(this.#downFreeAt, clock.now) + this.#duration(count);
      this.#pumping = true;
      clock.at(this.#downFreeAt, () => {
        this.#pumping = false;
        this.#pump();
      });
      clock.at(this.#downFreeAt + peer.latency, () => this.#arrive(count));
    } else if (this.#sent === down && !this.#finSent) this.#maybeEnd();
  }

  #arrive(count: number): void {
    if (this.isBroken) return;
    this.arrived += count;
    this.raiseData();
    this.#maybeReset();
  }

  #maybeEnd(): void {
    const { peer } = this.plan;
    if (peer.closeWhen === "never") return;
    if (peer.closeWhen === "peer-ended" && !this.peerSawEnd) return;
    this.#finSent = true;
    const { clock } = this.owner;
    clock.at(Math.max(this.#downFreeAt, clock.now) + peer.latency, () => {
      if (this.isBroken) return;
      this.hasEnded = true;
      this.raise();
    });
  }

  #maybeReset(): void {
    const { resetAt } = this.plan.peer;
    if (resetAt === undefined || this.isBroken) return;
    if (this.arrived + this.peerReceived >= resetAt) this.break(ECONNRESET);
  }

  /** What recvmsg(2) returns. */
  receive(pieces: readonly Uint8Array[], length: number): number {
    const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (total !== length || length === 0) this.owner.fault(`asks ${total} octets, says ${length}`);
    const waiting = this.arrived - this.received;
    if (waiting === 0) {
      const errno = this.takeError();
      if (errno !== 0) return -errno;
      if (!this.hasEnded && !this.isBroken) return -EAGAIN;
      this.endTold = true;
      return 0;
    }
    const upset = this.upset();
    if (upset !== 0) return upset;
    let left = Math.min(waiting, total);
    const count = left;
    for (const piece of pieces) {
      const part = piece.subarray(0, left);
      fillPattern(this.plan.id * 2 + 1, this.received, part);
      this.received += part.length;
      left -= part.length;
      if (left === 0) break;
    }
    this.#pump();
    return count;
  }

  override close(abort: boolean): void {
    super.close(abort);
    this.closed = abort ? "abort" : "orderly";
    this.peerSawEnd = true;
  }
}
