/**
 * What all modelled host sockets have in common: a handle, and the edges epoll would report.
 *
 * Edge-triggered as in the kernel: something new makes an edge, and what is reported with it is all
 * that holds at the moment of the report.
 */
import * as abi from "../../../../wasm/abi.ts";
import { EAGAIN, EINTR } from "../../../../wasm/errno.ts";
import type { VirtualClock } from "../clock.ts";
import type { HostFaults } from "../plan.ts";
import type { Random } from "../random.ts";

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
  /** It had news while the link was full; and had again, so that data is no news any more. */
  isHeard = false;
  isQuiet = false;
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
    if (this.isHaunting) return abi.EVENT_READABLE | abi.EVENT_WRITABLE;
    return this.isQuiet ? this.events & ~abi.EVENT_READABLE : this.events;
  }

  /** Closes the socket; `abort` = the peer sees a reset. */
  close(_abort: boolean): void {
    this.isClosed = true;
  }

  protected raise(): void {
    if (!this.isClosed) this.owner.edge(this);
  }

  /** Data has come: an edge, unless nobody wants to hear of it now. */
  protected raiseData(): void {
    if (!this.isQuiet) this.raise();
  }

  /** From the second time on data is no news, until `heed`. */
  quieten(): void {
    this.isQuiet = this.isHeard;
    this.isHeard = true;
  }

  /** All is news again, and what is there counts as such. */
  heed(): void {
    if (this.isQuiet) this.owner.edge(this);
    this.isQuiet = false;
    this.isHeard = false;
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
