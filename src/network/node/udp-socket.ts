/**
 * A port of UDP of Node's as a socket of an upstream.
 *
 * It has the guest's own port where that can be had, so that mapping stays the same (RFC 4787 §4.2,
 * port preservation); one that somebody else of this machine has, or that takes rights, is not
 * worth a flow: then it has any.
 *
 * Each way holds at most QUEUE_DATAGRAMS and QUEUE_OCTETS; what comes beyond is dropped and
 * counted. A port without a peer hears of no ICMP errors: only the kernel's error queue tells of
 * them, which Node does not read.
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { messageOf } from "../../lib/message.ts";
import { codeOf } from "../error-numbers.ts";
import type { Datagram, Endpoint, UdpEvents, UdpOptions, UdpSocket } from "../upstream.ts";
import type { OwnAddresses } from "./own-addresses.ts";

const QUEUE_DATAGRAMS = 512;
const QUEUE_OCTETS = 1 << 20;
/** Lower ones take rights, and answers at them are other programs'. */
const PORT_UNPRIVILEGED = 1024;

/** What is counted, of all ports together. */
export interface DatagramCounts {
  droppedToGuest: number;
  droppedToFar: number;
}

/** What all ports have together. */
export interface DatagramSurroundings {
  readonly counts: DatagramCounts;
  /** Where a guest may not go; absent: nowhere. */
  readonly near: OwnAddresses | undefined;
}

export class NodeUdpSocket implements UdpSocket {
  readonly #family: 4 | 6;
  #socket: Socket;
  readonly #peer: Endpoint | undefined;
  readonly #counts: DatagramCounts;
  readonly #near: OwnAddresses | undefined;
  readonly #onClose: () => void;
  #events: UdpEvents | undefined;
  readonly #arrived: Datagram[] = [];
  #arrivedOctets = 0;
  /** What waits for the port, and for its peer to be set. */
  #early: (() => void)[] | undefined = [];
  #unsent = 0;
  #unsentOctets = 0;
  #port = 0;

  /**
   * @param onClose it takes no room any more, once: told by `close`, since a system has a port back
   *   by then, while the runtime's event comes when whoever wanted that room has long gone without
   */
  constructor(
    { family, port, peer }: UdpOptions,
    events: UdpEvents,
    { counts, near }: DatagramSurroundings,
    onClose: () => void,
  ) {
    this.#events = events;
    this.#peer = peer;
    this.#counts = counts;
    this.#near = near;
    this.#family = family;
    this.#onClose = onClose;
    this.#socket = this.#make();
    this.#bind(port < PORT_UNPRIVILEGED ? 0 : port);
  }

  #make(): Socket {
    const family = this.#family;
    // Addresses are numbers: no name is to be looked up, and no turn of the loop spent on it.
    const lookup: SocketLookup = (address, _options, done) => done(null, address, family);
    const socket = createSocket({
      ...(family === 6 ? { type: "udp6", ipv6Only: true } : { type: "udp4" }),
      lookup,
    });
    socket.on("message", (payload, from) => this.#message(payload, from));
    return socket;
  }

  /** Binds to that port, 0 = any; where it cannot be had, a new socket to any. */
  #bind(port: number): void {
    const socket = this.#socket;
    let isBound = false;
    socket.on("error", (error) => {
      if (isBound || port === 0 || this.#events === undefined) {
        this.#events?.refused(codeOf(error));
        return;
      }
      socket.removeAllListeners("error").on("error", () => {});
      this.#socket = this.#make();
      this.#bind(0);
      socket.close();
    });
    socket.bind({ port, exclusive: true }, () => {
      isBound = true;
      this.#port = socket.address().port;
      const peer = this.#peer;
      if (peer === undefined) this.#flush();
      else socket.connect(peer.port, peer.address, () => this.#flush());
    });
  }

  get port(): number {
    return this.#port;
  }

  /** Octets that wait, both ways. */
  get held(): number {
    return this.#unsentOctets + this.#arrivedOctets;
  }

  send(payload: Uint8Array, to: Endpoint): boolean {
    const { length } = payload;
    const isFull = this.#unsent === QUEUE_DATAGRAMS || this.#unsentOctets + length > QUEUE_OCTETS;
    if (isFull || this.#events === undefined) {
      this.#counts.droppedToFar += 1;
      return false;
    }
    if (this.#near?.has(to.address)) {
      this.#counts.droppedToFar += 1;
      this.#events.refused("EACCES", to, payload);
      return true;
    }
    this.#unsent += 1;
    this.#unsentOctets += length;
    const copy = payload.slice();
    const sent = (error: Error | null): void =>
      this.#sent(length, to, error ? copy : undefined, error);
    const run = (): void => {
      try {
        if (this.#peer === undefined) this.#socket.send(copy, to.port, to.address, sent);
        else this.#socket.send(copy, sent);
      } catch (error) {
        // Port 0, as Node sees it: what a guest asks for is no reason to end its network.
        sent(error instanceof Error ? error : new Error(messageOf(error)));
      }
    };
    if (this.#early === undefined) run();
    else this.#early.push(run);
    return true;
  }

  #sent(length: number, to: Endpoint, payload: Uint8Array | undefined, error: Error | null): void {
    this.#unsent -= 1;
    this.#unsentOctets -= length;
    if (error === null || error === undefined) return;
    this.#counts.droppedToFar += 1;
    this.#events?.refused(codeOf(error), to, payload);
  }

  #flush(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    if (this.#events !== undefined) for (const run of early) run();
  }

  #message(payload: Uint8Array, { address, port }: RemoteInfo): void {
    const isFull =
      this.#arrived.length === QUEUE_DATAGRAMS ||
      this.#arrivedOctets + payload.length > QUEUE_OCTETS;
    if (isFull || this.#events === undefined) {
      this.#counts.droppedToGuest += 1;
      return;
    }
    this.#arrived.push({ from: { address, port }, payload });
    this.#arrivedOctets += payload.length;
    this.#events.readable();
  }

  receive(): Datagram | undefined {
    const datagram = this.#arrived.shift();
    if (datagram !== undefined) this.#arrivedOctets -= datagram.payload.length;
    return datagram;
  }

  close(): void {
    if (this.#events === undefined) return;
    this.#events = undefined;
    this.#arrived.length = 0;
    this.#arrivedOctets = 0;
    this.#socket.close();
    this.#onClose();
  }
}

type SocketLookup = (
  address: string,
  options: unknown,
  done: (error: null, address: string, family: number) => void,
) => void;
