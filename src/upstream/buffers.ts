/**
 * How large the kernel's buffers of host sockets are: large for the few that move data, small for
 * the many that do not.
 *
 * Theory of operation
 *   What a host socket holds is the kernel's memory, counted against our control group (always in
 *   version 2), and a peer or a guest that does not read fills it. Left alone a TCP socket takes
 *   what tcp_rmem and tcp_wmem allow, 6 and 4 MiB as a rule, and a UDP socket what it is given. So
 *   the sum is bounded by a budget B of octets, in three sizes:
 *
 *     free    the kernel adjusts the size itself (TCP only): FREE_COST of B each, while there are
 *             few; where B is the largest there is, that is every flow but in a flood
 *     large   fixed at LARGE, as far as net.core.rmem_max and wmem_max allow
 *     small   fixed; a quarter of B divided by all sockets, from SMALL_MIN to SMALL_MAX
 *
 *   Half of B is for free ones, a quarter for large ones; at least one may be free and four large.
 *   A new socket gets the best size that has a place. A small one that moves PROMOTE octets is busy
 *   and gets a place if there is one; if there is none, sockets that moved less than that since the
 *   last look, SWEEP_us ago at least, give theirs up and become small. So the first that is busy
 *   beside thousands that only say a word has a place at once. When the number of sockets has
 *   doubled, small ones are made smaller. `tighten` makes every one small that is not busy, for
 *   when memory runs short.
 *
 *   Cost: nothing but a look at one octet for an operation; two calls of setsockopt for a socket
 *   that is not free. Making a buffer smaller loses nothing that is in it.
 *
 *   SO_RCVBUF ends the kernel's own adjustment; SO_BUF_LOCK gives it back, where the kernel has it
 *   (5.14), else a socket that was small once stays at LARGE. The offered window has a clamp beside
 *   the buffer, which does not grow with it by itself (TCP_WINDOW_CLAMP). The scale of the window
 *   follows from the system's settings, not from the buffer, so it is large enough for later.
 *
 * Source: socket(7), tcp(7), udp(7); tcp_rcv_space_adjust in net/ipv4/tcp_input.c and
 * net/core/sock.c of Linux 6.1.
 */
import * as abi from "../../wasm/abi.ts";
import type { Libc } from "../sys/libc.ts";
import {
  SO_BUF_LOCK,
  SO_RCVBUF,
  SO_SNDBUF,
  SOL_SOCKET,
  SOL_TCP,
  TCP_WINDOW_CLAMP,
} from "../sys/linux.ts";
import { setOption } from "../sys/socket.ts";

/** No socket, or one that is none of this file's business. */
const NONE = 0;
const SMALL = 1;
const LARGE = 2;
const FREE = 3;
/** Bit beside the size: a datagram socket. */
const DATAGRAM = 4;
const SIZE_BITS = 3;

/** What a socket of this size takes of the budget, octets; free ones rarely need all they may. */
const FREE_COST = 2 << 20;
const LARGE_COST = 1 << 20;
/**
 * Asked for, a burst of full-size datagrams; the kernel doubles it for its own needs and caps it at
 * rmem_max and wmem_max.
 */
const LARGE_ASKED = 1 << 20;
const SMALL_MIN = 4096;
const SMALL_MAX = 65_536;
const FREE_PLACES_MIN = 1;
const LARGE_PLACES_MIN = 4;
/** Octets after which a small socket counts as busy. */
const PROMOTE = 16_384;
const SWEEP_us = 1_000_000;

export class SocketBuffers {
  readonly #sys: Libc;
  readonly #clock: () => number;
  readonly #budget: number;
  readonly #places: readonly number[];
  /** By slot: size and kind. */
  readonly #sizes = new Uint8Array(abi.FLOW_CAPACITY_COUNT);
  /** By slot: octets moved since it was opened, changed or looked at, up to PROMOTE. */
  readonly #moved = new Int32Array(abi.FLOW_CAPACITY_COUNT);
  /** Sockets of each size. */
  readonly #counts = [0, 0, 0, 0];
  #open = 0;
  /** Number of sockets that small ones have been made for, at least one. */
  #madeFor = 1;
  #lookedAt = Number.NEGATIVE_INFINITY;

  /**
   * @param budget octets
   * @param clock microseconds
   */
  constructor(sys: Libc, budget: number, clock: () => number) {
    this.#sys = sys;
    this.#clock = clock;
    this.#budget = budget;
    this.#places = [
      0,
      Number.POSITIVE_INFINITY,
      Math.max(LARGE_PLACES_MIN, Math.floor(budget / 4 / LARGE_COST)),
      Math.max(FREE_PLACES_MIN, Math.floor(budget / 2 / FREE_COST)),
    ];
  }

  /** Octets a small socket may hold each way, as the kernel counts them. */
  get smallSize(): number {
    const share = this.#budget / 4 / this.#madeFor / 2;
    return Math.floor(Math.min(SMALL_MAX, Math.max(SMALL_MIN, share)));
  }

  /** Sockets of each size, for tests and counters. */
  get counts(): { readonly small: number; readonly large: number; readonly free: number } {
    const [, small = 0, large = 0, free = 0] = this.#counts;
    return { small, large, free };
  }

  /** A socket has been opened for a flow. */
  opened(fds: Int32Array, slot: number, fd: number, isDatagram: boolean): void {
    this.#open += 1;
    if (this.#open >= 2 * this.#madeFor) {
      this.#madeFor = this.#open;
      this.#shrink(fds, SMALL);
    }
    this.#moved[slot] = 0;
    const kind = isDatagram ? DATAGRAM : 0;
    const size = this.#best(isDatagram);
    this.#sizes[slot] = kind | size;
    this.#count(size, 1);
    if (size !== FREE) this.#apply(fd, size, isDatagram);
  }

  /** Its socket is about to be closed. */
  closed(slot: number): void {
    const size = (this.#sizes[slot] ?? NONE) & SIZE_BITS;
    if (size === NONE) return;
    this.#sizes[slot] = NONE;
    this.#count(size, -1);
    this.#open -= 1;
    if (this.#open * 4 < this.#madeFor) this.#madeFor = Math.max(1, this.#open * 2);
  }

  /** A flow has moved octets, more than none. */
  moved(fds: Int32Array, slot: number, octets: number): void {
    const sum = Math.min(PROMOTE, (this.#moved[slot] ?? 0) + octets);
    this.#moved[slot] = sum;
    const isSmall = ((this.#sizes[slot] ?? NONE) & SIZE_BITS) === SMALL;
    if (isSmall && sum === PROMOTE) this.#promote(fds, slot);
  }

  /** Memory is short: whoever has not been busy since the last look keeps a small buffer. */
  tighten(fds: Int32Array): void {
    this.#lookedAt = this.#clock();
    this.#shrink(fds, FREE);
  }

  #count(size: number, by: number): void {
    this.#counts[size] = (this.#counts[size] ?? 0) + by;
  }

  /** The best size that has a place. */
  #best(isDatagram: boolean): number {
    for (let size = isDatagram ? LARGE : FREE; size > SMALL; size -= 1) {
      if ((this.#counts[size] ?? 0) < (this.#places[size] ?? 0)) return size;
    }
    return SMALL;
  }

  #promote(fds: Int32Array, slot: number): void {
    this.#moved[slot] = 0;
    const isDatagram = ((this.#sizes[slot] ?? 0) & DATAGRAM) !== 0;
    let size = this.#best(isDatagram);
    if (size === SMALL) {
      const now = this.#clock();
      if (now - this.#lookedAt < SWEEP_us) return;
      this.#lookedAt = now;
      this.#shrink(fds, FREE);
      size = this.#best(isDatagram);
      if (size === SMALL) return;
    }
    this.#change(fds, slot, size);
    this.#moved[slot] = PROMOTE; // busy, until the next look but one
  }

  #change(fds: Int32Array, slot: number, size: number): void {
    const before = this.#sizes[slot] ?? NONE;
    this.#count(before & SIZE_BITS, -1);
    this.#count(size, 1);
    this.#sizes[slot] = (before & DATAGRAM) | size;
    this.#apply(fds[slot] ?? -1, size, (before & DATAGRAM) !== 0);
  }

  /**
   * Goes through the sockets of at most the size `most`: small ones get what is small now, larger
   * ones that were not busy since the last look become small.
   */
  #shrink(fds: Int32Array, most: number): void {
    let left = this.#open;
    for (let slot = 0; slot < this.#sizes.length && left > 0; slot += 1) {
      const size = (this.#sizes[slot] ?? NONE) & SIZE_BITS;
      if (size === NONE) continue;
      left -= 1;
      if (size > most) continue;
      if (size === SMALL) {
        const isDue = most === SMALL;
        if (isDue) this.#change(fds, slot, SMALL);
      } else if ((this.#moved[slot] ?? 0) < PROMOTE) this.#change(fds, slot, SMALL);
      else this.#moved[slot] = 0;
    }
  }

  #apply(fd: number, size: number, isDatagram: boolean): void {
    const sys = this.#sys;
    const asked = size === SMALL ? this.smallSize / 2 : LARGE_ASKED;
    setOption(sys, fd, SOL_SOCKET, SO_RCVBUF, asked);
    setOption(sys, fd, SOL_SOCKET, SO_SNDBUF, asked);
    if (isDatagram || size === SMALL) return;
    setOption(sys, fd, SOL_TCP, TCP_WINDOW_CLAMP, LARGE_ASKED);
    if (size === FREE) setOption(sys, fd, SOL_SOCKET, SO_BUF_LOCK, 0);
  }
}
