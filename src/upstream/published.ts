/**
 * Sockets of published UDP ports, parked while no flow uses them.
 *
 * Theory of operation
 *   A range may publish all 65,535 ports, so a port that nobody uses is a bound socket and a few
 *   words here: no flow, no buffers beyond what one burst needs. It is watched edge-triggered by a
 *   token of its own (EVENT_OF_PORT). What comes in makes a flow (`Listeners.arrived`), and a flow
 *   of the guest that sends from the port takes the socket in place of a new one; when the flow
 *   ends the socket is parked again instead of closed (`HostSockets`). Modifying an epoll entry
 *   reports what is there already, so nothing that came meanwhile is overlooked.
 *
 *   Several sockets may lead to one guest port, on different addresses or ports of the host; each
 *   is a spot of it, by number. Spot 0 is where what the guest begins leaves from, so one bound to
 *   loopback, from which nobody else can be reached, never is; nor is one whose rule names an
 *   address of the guest, as it is of that one alone. A port on all addresses of both
 *   versions of IP is one socket where it is spot 0 in both.
 *
 * Limits: 256 spots to a guest port (SPOT_COUNT); sockets as the process may have descriptors.
 */
import * as abi from "../../wasm/abi.ts";
import type { PublishRule } from "../config/publish-rule.ts";
import type { Libc } from "../sys/libc.ts";
import { type Family, readyUdpPort } from "./udp.ts";

const PORT_COUNT = 65536;
const NONE = -1;
/** Beside the next number: spot 0 is taken. */
const FIRST_TAKEN = 0x8000;
const NUMBER_BITS = 0x1ff;

type GuestAddress = PublishRule["guestAddress"];

export class PublishedPorts {
  readonly #sys: Libc;
  readonly #fds: number[] = [];
  readonly #families: Family[] = [];
  readonly #spots: number[] = [];
  readonly #guestPorts: number[] = [];
  readonly #hostPorts: number[] = [];
  /** By index: the address of the guest, of those whose rule names one. */
  readonly #guests = new Map<number, GuestAddress>();
  readonly #isBusy: boolean[] = [];
  /** The next socket of the same guest port. */
  readonly #nexts: number[] = [];
  /** By guest port: its latest socket; made when the first is published. */
  #latest: Int32Array | undefined;
  /** By guest port and version: the next number, and FIRST_TAKEN. */
  readonly #numbers = { four: new Uint16Array(PORT_COUNT), six: new Uint16Array(PORT_COUNT) };

  constructor(sys: Libc) {
    this.#sys = sys;
  }

  /** Sockets of published ports. */
  get count(): number {
    return this.#fds.length;
  }

  /**
   * Number for one more socket of a guest port; -1 = it has as many as it may.
   * @param mayBeFirst the guest can reach others by it
   */
  number(guestPort: number, family: Family, mayBeFirst: boolean): number {
    const { four, six } = this.#numbers;
    const tables = family === 4 ? [four] : family === 6 ? [six] : [four, six];
    const words = tables.map((table) => table[guestPort] ?? 0);
    if (mayBeFirst && words.every((word) => (word & FIRST_TAKEN) === 0)) {
      for (const table of tables) table[guestPort] = (table[guestPort] ?? 0) | FIRST_TAKEN;
      return 0;
    }
    // Numbers are never the same in both versions, so that a socket of both can come later.
    const number =
      Math.max(...[four, six].map((table) => (table[guestPort] ?? 0) & NUMBER_BITS)) + 1;
    if (number >= abi.SPOT_COUNT) return NONE;
    for (const table of tables) {
      table[guestPort] = ((table[guestPort] ?? 0) & FIRST_TAKEN) | number;
    }
    return number;
  }

  /** Whether a socket of both versions could be spot 0 of the guest port. */
  isFree(guestPort: number): boolean {
    const { four, six } = this.#numbers;
    return (((four[guestPort] ?? 0) | (six[guestPort] ?? 0)) & FIRST_TAKEN) === 0;
  }

  /**
   * Takes up a bound socket; the token it is to be watched by.
   * @param guest the one address of the guest it leads to
   */
  add(
    fd: number,
    family: Family,
    guestPort: number,
    hostPort: number,
    spot: number,
    guest?: GuestAddress,
  ): number {
    this.#latest ??= new Int32Array(PORT_COUNT).fill(NONE);
    const index = this.#fds.length;
    this.#fds.push(fd);
    this.#families.push(family);
    this.#guestPorts.push(guestPort);
    this.#hostPorts.push(hostPort);
    if (guest !== undefined) this.#guests.set(index, guest);
    this.#spots.push(spot);
    this.#isBusy.push(false);
    this.#nexts.push(this.#latest[guestPort] ?? NONE);
    this.#latest[guestPort] = index;
    return index;
  }

  /** The parked socket of this spot of a guest port and version of IP; -1 = there is none. */
  find(guestPort: number, spot: number, family: 4 | 6): number {
    let index = this.#latest?.[guestPort] ?? NONE;
    while (index !== NONE) {
      const isOf = this.#families[index] === family || this.#families[index] === "both";
      if (isOf && this.#spots[index] === spot && this.isParked(index)) return index;
      index = this.#nexts[index] ?? NONE;
    }
    return NONE;
  }

  isParked(index: number): boolean {
    return this.#isBusy[index] === false;
  }

  /** A flow has the socket from now on; its descriptor. */
  take(index: number): number {
    const fd = this.#fds[index] ?? NONE;
    this.#isBusy[index] = true;
    readyUdpPort(this.#sys, fd, this.#families[index] ?? 4);
    return fd;
  }

  /** No flow has it any more. */
  park(index: number): void {
    this.#isBusy[index] = false;
  }

  familyOf(index: number): 4 | 6 {
    return this.#families[index] === 6 ? 6 : 4;
  }

  spotOf(index: number): number {
    return this.#spots[index] ?? 0;
  }

  guestPortOf(index: number): number {
    return this.#guestPorts[index] ?? 0;
  }

  /** Undefined = it leads to whichever address the guest uses. */
  guestAddressOf(index: number): GuestAddress {
    return this.#guests.get(index);
  }

  hostPortOf(index: number): number {
    return this.#hostPorts[index] ?? 0;
  }

  /** Forgets all, those that flows have too. They stay open, and their opener's to close. */
  leave(): void {
    this.#fds.length = 0;
    this.#isBusy.length = 0;
  }
}
