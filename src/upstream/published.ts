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
 *   A socket may go at any time (`remove`). Its token means nothing from then on: they count up
 *   (`TokenCount`). Its number is given again after all others of the guest port, for the engine
 *   remembers who has spoken to which spot until that peer was silent for the idle time of UDP.
 *
 * Limits: 256 spots to a guest port (SPOT_COUNT); sockets as the process may have descriptors.
 */
import * as abi from "../../wasm/abi.ts";
import type { PublishRule } from "../config/publish-rule.ts";
import type { Libc } from "../sys/libc.ts";
import { TokenCount } from "./tokens.ts";
import { type Family, readyUdpPort } from "./udp.ts";

const PORT_COUNT = 65536;
const NONE = -1;

type GuestAddress = PublishRule["guestAddress"];

interface Parked {
  readonly fd: number;
  readonly family: Family;
  readonly guestPort: number;
  readonly hostPort: number;
  readonly spot: number;
  /** The one address of the guest it leads to. */
  readonly guest: GuestAddress;
  /** A flow has it. */
  isBusy: boolean;
}

/** Numbers above 0 of a guest port's sockets. */
interface Numbers {
  readonly used: Set<number>;
  /** The one that was given last. */
  last: number;
}

export class PublishedPorts {
  readonly #sys: Libc;
  readonly #tokens = new TokenCount();
  readonly #sockets = new Map<number, Parked>();
  /** By guest port: tokens of its sockets. */
  readonly #of = new Map<number, number[]>();
  /** By guest port: whether spot 0 is taken, in each version. */
  readonly #first = { four: new Uint8Array(PORT_COUNT), six: new Uint8Array(PORT_COUNT) };
  readonly #numbers = new Map<number, Numbers>();

  constructor(sys: Libc) {
    this.#sys = sys;
  }

  /** Sockets of published ports. */
  get count(): number {
    return this.#sockets.size;
  }

  #firstOf(family: Family): Uint8Array[] {
    const { four, six } = this.#first;
    return family === 4 ? [four] : family === 6 ? [six] : [four, six];
  }

  /**
   * Number for one more socket of a guest port; -1 = it has as many as it may. Above 0 it is never
   * the same in both versions, so that a socket of both can come later.
   * @param mayBeFirst the guest can reach others by it
   */
  number(guestPort: number, family: Family, mayBeFirst: boolean): number {
    const tables = this.#firstOf(family);
    if (mayBeFirst && tables.every((table) => table[guestPort] === 0)) {
      for (const table of tables) table[guestPort] = 1;
      return 0;
    }
    const numbers = this.#numbers.get(guestPort) ?? { used: new Set<number>(), last: 0 };
    if (numbers.used.size >= abi.SPOT_COUNT - 1) return NONE;
    do numbers.last = (numbers.last % (abi.SPOT_COUNT - 1)) + 1;
    while (numbers.used.has(numbers.last));
    numbers.used.add(numbers.last);
    this.#numbers.set(guestPort, numbers);
    return numbers.last;
  }

  /** The number may be another socket's. */
  #freeNumber({ guestPort, family, spot }: Parked): void {
    if (spot === 0) for (const table of this.#firstOf(family)) table[guestPort] = 0;
    else this.#numbers.get(guestPort)?.used.delete(spot);
  }

  /** Whether a socket of both versions could be spot 0 of the guest port. */
  isFree(guestPort: number): boolean {
    return this.#firstOf("both").every((table) => table[guestPort] === 0);
  }

  /**
   * Takes up a bound socket; the token it is to be watched by.
   * @param spot of `number`
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
    const token = this.#tokens.next((known) => this.#sockets.has(known));
    this.#sockets.set(token, { fd, family, guestPort, hostPort, spot, guest, isBusy: false });
    const others = this.#of.get(guestPort);
    if (others === undefined) this.#of.set(guestPort, [token]);
    else others.push(token);
    return token;
  }

  /** Forgets a socket, one that a flow has too; it stays open, and its opener's to close. */
  remove(token: number): void {
    const socket = this.#sockets.get(token);
    if (socket === undefined) return;
    this.#sockets.delete(token);
    const others = this.#of.get(socket.guestPort) ?? [];
    if (others.length > 1) others.splice(others.indexOf(token), 1);
    else this.#of.delete(socket.guestPort);
    this.#freeNumber(socket);
  }

  /** The parked socket of this spot of a guest port and version of IP; -1 = there is none. */
  find(guestPort: number, spot: number, family: 4 | 6): number {
    for (const token of this.#of.get(guestPort) ?? []) {
      const socket = this.#sockets.get(token);
      if (socket?.spot !== spot || socket.isBusy) continue;
      if (socket.family === family || socket.family === "both") return token;
    }
    return NONE;
  }

  isParked(token: number): boolean {
    return this.#sockets.get(token)?.isBusy === false;
  }

  /** A flow has the socket from now on; its descriptor. */
  take(token: number): number {
    const socket = this.#sockets.get(token);
    if (socket === undefined) return NONE;
    socket.isBusy = true;
    readyUdpPort(this.#sys, socket.fd, socket.family);
    return socket.fd;
  }

  /** No flow has it any more. */
  park(token: number): void {
    const socket = this.#sockets.get(token);
    if (socket !== undefined) socket.isBusy = false;
  }

  familyOf(token: number): 4 | 6 {
    return this.#sockets.get(token)?.family === 6 ? 6 : 4;
  }

  spotOf(token: number): number {
    return this.#sockets.get(token)?.spot ?? 0;
  }

  guestPortOf(token: number): number {
    return this.#sockets.get(token)?.guestPort ?? 0;
  }

  /** Undefined = it leads to whichever address the guest uses. */
  guestAddressOf(token: number): GuestAddress {
    return this.#sockets.get(token)?.guest;
  }

  hostPortOf(token: number): number {
    return this.#sockets.get(token)?.hostPort ?? 0;
  }

  /** Forgets all, those that flows have too. They stay open, and their opener's to close. */
  leave(): void {
    this.#sockets.clear();
    this.#of.clear();
    this.#numbers.clear();
    for (const table of this.#firstOf("both")) table.fill(0);
  }
}
