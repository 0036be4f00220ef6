/**
 * A port of UDP through a relay: a stream of its own for each peer, opened by the first datagram to
 * it and closed after IDLE_US without any. Peers beyond PEERS_MAX take the place of the one that
 * was idle longest. Everything is dropped rather than kept where there is no room, and counted.
 *
 * The relay sends each peer's datagrams from a port of its own: mapping and filtering depend on the
 * peer (RFC 4787 §4.1, §5), so nobody but who was sent to can answer.
 */
import type { Host } from "../host.ts";
import type {
  Datagram,
  Endpoint,
  ErrorCode,
  UdpEvents,
  UdpOptions,
  UdpSocket,
} from "../upstream.ts";
import type { Relay } from "./relay.ts";
import type { RelayStream, StreamListener } from "./relay-stream.ts";
import { KIND_UDP, VOLUNTARY } from "./wisp-packets.ts";
import { codeOfReason } from "./wisp-tcp.ts";

const PEERS_MAX = 64;
const IDLE_US = 120_000_000;
/** Datagrams that wait for the guest, of all peers; for the relay, of one. */
const RECEIVED_MAX = 256;
/** Octets that wait for the guest, of all peers; `receive-room.ts` bounds those of all ports. */
const RECEIVED_OCTETS = 1 << 20;
/** What a datagram costs beside its octets. */
const DATAGRAM_COST = 128;
const UNSENT_MAX = 8;
const DATAGRAM_MAX = 65_507;

interface Peer {
  readonly stream: RelayStream;
  readonly unsent: Uint8Array[];
  isOpen: boolean;
  touched: number;
}

export class WispUdp implements UdpSocket {
  readonly port: number;
  readonly #relay: Relay;
  readonly #host: Host;
  readonly #events: UdpEvents;
  /** In order of their last use. */
  readonly #peers = new Map<string, Peer>();
  readonly #received: Datagram[] = [];
  #receivedSize = 0;
  #stopTimer: (() => void) | undefined;
  #isClosed = false;

  constructor(relay: Relay, host: Host, options: UdpOptions, events: UdpEvents) {
    this.#relay = relay;
    this.#host = host;
    this.#events = events;
    this.port = options.port;
  }

  send(payload: Uint8Array, to: Endpoint): boolean {
    const peer = this.#peer(to);
    if (!peer.isOpen) {
      if (peer.unsent.length === UNSENT_MAX) return this.#drop();
      peer.unsent.push(payload.slice());
      return true;
    }
    if (!peer.stream.hasRoom()) return this.#drop();
    peer.stream.send([payload]);
    return true;
  }

  #drop(): false {
    this.#relay.counts.datagramsDropped += 1;
    return false;
  }

  #peer(to: Endpoint): Peer {
    const key = `${to.address} ${to.port}`;
    const known = this.#peers.get(key);
    if (known !== undefined) {
      this.#peers.delete(key);
      this.#peers.set(key, known);
      known.touched = this.#host.now();
      return known;
    }
    const [oldest] = this.#peers.keys();
    if (this.#peers.size === PEERS_MAX && oldest !== undefined) this.#end(oldest);
    const peer: Peer = {
      stream: this.#relay.open(KIND_UDP, to, this.#listener(key, to)),
      ...{ unsent: [], isOpen: false, touched: this.#host.now() },
    };
    this.#peers.set(key, peer);
    if (!this.#isClosed) this.#sweepLater(); // whoever hears that the relay is opened may close it
    return peer;
  }

  #listener(key: string, from: Endpoint): StreamListener {
    return {
      opened: () => this.#opened(key),
      data: (payload) => this.#data(key, from, payload),
      credits: () => {},
      room: () => {},
      closed: (reason, code) => this.#closed(key, from, reason, code),
    };
  }

  #opened(key: string): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    peer.isOpen = true;
    for (const payload of peer.unsent.splice(0)) peer.stream.send([payload]);
  }

  #data(key: string, from: Endpoint, payload: Uint8Array): void {
    const peer = this.#peers.get(key);
    if (this.#isClosed) return;
    const size = payload.length + DATAGRAM_COST;
    const isFull =
      this.#received.length === RECEIVED_MAX || this.#receivedSize + size > RECEIVED_OCTETS;
    if (isFull || payload.length > DATAGRAM_MAX || !this.#relay.holdDatagram(size)) {
      this.#drop();
      return;
    }
    this.#receivedSize += size;
    if (peer !== undefined) peer.touched = this.#host.now();
    this.#received.push({ from, payload });
    this.#events.readable();
  }

  #closed(key: string, from: Endpoint, reason: number, code?: ErrorCode): void {
    this.#peers.delete(key);
    if (this.#isClosed) return;
    if (code === undefined && reason !== VOLUNTARY) {
      this.#events.refused(codeOfReason(reason, false), from);
    } else if (code === "EACCES") this.#events.refused("EACCES", from);
  }

  receive(): Datagram | undefined {
    const datagram = this.#received.shift();
    if (datagram !== undefined) this.#giveBack(datagram.payload.length + DATAGRAM_COST);
    return datagram;
  }

  #giveBack(size: number): void {
    this.#receivedSize -= size;
    this.#relay.holdDatagram(-size);
  }

  #end(key: string): void {
    this.#peers.get(key)?.stream.close();
    this.#peers.delete(key);
  }

  /** Closes what was idle for long. */
  #sweepLater(): void {
    this.#stopTimer ??= this.#host.after(IDLE_US / 2, () => {
      this.#stopTimer = undefined;
      const since = this.#host.now() - IDLE_US;
      for (const [key, { touched }] of [...this.#peers]) if (touched < since) this.#end(key);
      if (this.#peers.size > 0) this.#sweepLater();
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#stopTimer?.();
    for (const key of [...this.#peers.keys()]) this.#end(key);
    this.#received.length = 0;
    this.#giveBack(this.#receivedSize);
  }
}
