/**
 * What all modelled host sockets have in common: a handle, and the edges epoll would report.
 *
 * Edge-triggered as in the kernel: something new makes an edge, and what is reported with it is all
 * that holds at the moment of the report.
 */
import * as abi from "../../../wasm/abi.ts";
import type { VirtualClock } from "../clock.ts";
import type { HostFaults } from "../plan.ts";
import type { Random } from "../random.ts";

export const EAGAIN = 11;
const EINTR = 4;
export const EPIPE = 32;
export const EMSGSIZE = 90;
export const ECONNRESET = 104;
export const ENOTCONN = 107;
export const ETIMEDOUT = 110;
export const ECONNREFUSED = 111;
export const ENETUNREACH = 101;
export const EHOSTUNREACH = 113;

/** What a socket needs of the host it belongs to. */
export interface SocketOwner {
  readonly clock: VirtualClock;
  readonly random: Random;
  /** What may go wrong now. */
  readonly faults: HostFaults;
  /** Faults are over: nothing stalls any more. */
  readonly isCalm: boolean;
  /** The host is cut off. */
  readonly isOffline: boolean;
  /** The socket has news. */
  edge(socket: HostSocket): void;
  /** Something a correct engine never does. */
  fault(text: string): void;
}

export abstract class HostSocket {
  readonly handle: number;
  protected readonly owner: SocketOwner;
  /** News wait to be reported. */
  hasEdge = false;
  isClosed = false;
  /** Closed, and yet to be heard of once more. */
  isHaunting = false;

  constructor(owner: SocketOwner, handle: number) {
    this.owner = owner;
    this.handle = handle;
  }

  /** EVENT_* that hold now. */
  abstract get events(): number;

  /** EVENT_* to report: a socket that is gone says what would do most harm to another flow. */
  get news(): number {
    return this.isHaunting ? abi.EVENT_READABLE | abi.EVENT_WRITABLE : this.events;
  }

  /** Closes the socket; `abort` = the peer sees a reset. */
  close(_abort: boolean): void {
    this.isClosed = true;
  }

  protected raise(): void {
    if (!this.isClosed) this.owner.edge(this);
  }

  /** News after a delay. */
  protected raiseLater(delay: number): void {
    this.owner.clock.after(delay, () => this.raise());
  }

  /** Whether a call fails for no reason: the negative errno, or 0. */
  protected upset(): number {
    const { random, faults } = this.owner;
    if (random.chance(faults.interrupted)) return -EINTR;
    if (!random.chance(faults.again)) return 0;
    this.raiseLater(random.between(1, 20_000));
    return -EAGAIN;
  }
}
