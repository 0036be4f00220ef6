/**
 * All TCP connections of the modelled guest: finds the one a segment is for, listens, refuses.
 */
import { TimeHeap } from "../time-heap.ts";
import type { Address, ErrorReport, Network, Packet } from "./network.ts";
import { PROTOCOL_TCP } from "./network.ts";
import { addSum, checksumOf, foldSum, sameOctets, set16 } from "./octets.ts";
import { TcpConnection, type TcpEvents, type TcpHandlers } from "./tcp-connection.ts";
import { TCP_SETTINGS, type TcpSettings } from "./tcp-options.ts";
import { ACK, emptyHeader, type Header, RST, Segment, SYN, writeHeader } from "./tcp-segment.ts";

const PORT_FIRST = 1024;
const PORT_LAST = 65_535;
const NEVER = Number.POSITIVE_INFINITY;

/** Takes a connection that a peer opens: returns what listens to it, undefined = refused. */
export type Acceptor = (connection: TcpConnection) => TcpEvents | undefined;

export interface TcpOwner {
  fault(text: string): void;
  /** 32 bits for an initial sequence number. */
  sequence(): number;
}

/** Settings of accepted connections, perhaps by peer. */
export type ListenSettings =
  | Partial<TcpSettings>
  | ((remote: Address, remotePort: number) => Partial<TcpSettings>);

interface Listener {
  readonly accept: Acceptor;
  readonly settings: ListenSettings;
}

export class Tcp implements TcpHandlers {
  readonly #owner: TcpOwner;
  /** By local port * 65536 + remote port. */
  readonly #connections = new Map<number, TcpConnection[]>();
  readonly #listeners = new Map<number, Listener>();
  readonly #dirty = new Set<TcpConnection>();
  readonly #deadlines = new TimeHeap<TcpConnection>();
  readonly #segment = new Segment();
  readonly #reply = emptyHeader();
  #nextPort = PORT_FIRST;
  #count = 0;
  now = 0;
  /** Segments for nobody; each was answered with RST unless it was one. */
  strays = 0;
  settings: TcpSettings;
  /** The last flush found the link full. */
  isBlocked = false;

  constructor(owner: TcpOwner, settings: Partial<TcpSettings> = {}) {
    this.#owner = owner;
    this.settings = { ...TCP_SETTINGS, ...settings };
  }

  /** Connections that are not closed, TIME-WAIT included. */
  get count(): number {
    return this.#count;
  }

  /** The connection between two ports; undefined = there is none. */
  connectionAt(localPort: number, remotePort: number): TcpConnection | undefined {
    return this.#connections.get(localPort * 65_536 + remotePort)?.[0];
  }

  /** @throws RangeError where no port is free */
  open(
    network: Network,
    remote: Address,
    remotePort: number,
    events: TcpEvents,
    settings: Partial<TcpSettings> = {},
    localPort = 0,
  ): TcpConnection {
    const port = localPort === 0 ? this.#choosePort(remote, remotePort) : localPort;
    if (this.#find(port, remotePort, remote) !== undefined) {
      throw new RangeError(`Close the connection of port "${port}" first`);
    }
    const ends = { network, localPort: port, remote: remote.slice(), remotePort };
    const merged = { ...this.settings, ...settings };
    const connection = new TcpConnection(this, ends, this.#sequence(merged), merged, events);
    this.#add(connection);
    connection.open();
    return connection;
  }

  /** @throws RangeError where the port is in use */
  listen(port: number, accept: Acceptor, settings: ListenSettings = {}): void {
    if (this.#listeners.has(port)) throw new RangeError(`Close the TCP port first: "${port}"`);
    this.#listeners.set(port, { accept, settings });
  }

  unlisten(port: number): void {
    this.#listeners.delete(port);
  }

  #choosePort(remote: Address, remotePort: number): number {
    for (let tries = PORT_FIRST; tries <= PORT_LAST; tries += 1) {
      const port = this.#nextPort;
      this.#nextPort = port === PORT_LAST ? PORT_FIRST : port + 1;
      const used = this.#listeners.has(port) || this.#find(port, remotePort, remote) !== undefined;
      if (!used) return port;
    }
    throw new RangeError("Close a connection first: no port is free");
  }

  #sequence({ initialSequence }: TcpSettings): number {
    const drawn = this.#owner.sequence();
    return initialSequence ?? drawn;
  }

  #add(connection: TcpConnection): void {
    const key = connection.localPort * 65_536 + connection.remotePort;
    const list = this.#connections.get(key);
    if (list === undefined) this.#connections.set(key, [connection]);
    else list.push(connection);
    this.#count += 1;
  }

  #find(localPort: number, remotePort: number, remote: Address): TcpConnection | undefined {
    const list = this.#connections.get(localPort * 65_536 + remotePort);
    if (list === undefined) return undefined;
    for (const connection of list) {
      if (sameOctets(connection.remote, remote, remote.length)) return connection;
    }
    return undefined;
  }

  // -------------------------------------------------------------- in

  input(packet: Packet): void {
    const { network, octets, at, length, source, destination } = packet;
    const segment = this.#segment;
    const pseudo = network.pseudoSum(source, destination, PROTOCOL_TCP, length);
    if (foldSum(addSum(octets, at, length, pseudo)) !== 0xffff) {
      return void this.fault("wrong TCP checksum");
    }
    const wrong = segment.read(octets, at, length);
    if (wrong !== undefined) return void this.fault(wrong);
    if (packet.broadcast) return void this.fault("TCP segment for everybody");
    const connection = this.#find(segment.destinationPort, segment.sourcePort, source);
    if (connection !== undefined) {
      connection.input(segment, octets, this.now);
      return;
    }
    const listener = this.#listeners.get(segment.destinationPort);
    const opens = (segment.flags & (SYN | ACK | RST)) === SYN;
    if (listener !== undefined && opens && this.#accept(listener, packet, segment)) return;
    this.strays += 1;
    if ((segment.flags & RST) === 0) this.#refuse(packet, segment);
  }

  #accept(listener: Listener, packet: Packet, segment: Segment): boolean {
    const { network } = packet;
    const remote = packet.source.slice();
    const localPort = segment.destinationPort;
    const ends = { network, localPort, remote, remotePort: segment.sourcePort };
    const { settings } = listener;
    const own = typeof settings === "function" ? settings(remote, ends.remotePort) : settings;
    const merged = { ...this.settings, ...own };
    const connection = new TcpConnection(this, ends, this.#sequence(merged), merged, {});
    const events = listener.accept(connection);
    if (events === undefined) return false;
    connection.events = events;
    this.#add(connection);
    connection.openPassive(segment);
    return true;
  }

  /** RFC 9293 §3.10.7.1. */
  #refuse(packet: Packet, segment: Segment): void {
    const { network } = packet;
    const reply = this.#reply;
    const acks = (segment.flags & ACK) !== 0;
    reply.sourcePort = segment.destinationPort;
    reply.destinationPort = segment.sourcePort;
    reply.seq = acks ? segment.ack : 0;
    reply.ack = (segment.seq + segment.span) >>> 0;
    reply.flags = acks ? RST : RST | ACK;
    const remote = packet.source.slice();
    this.#send(network, remote, writeHeader(network.frame, network.payloadAt, reply));
  }

  error(report: ErrorReport): void {
    this.#find(report.localPort, report.remotePort, report.remote)?.unreachable();
  }

  // -------------------------------------------------------------- out

  fault(text: string): void {
    this.#owner.fault(text);
  }

  dirty(connection: TcpConnection): void {
    this.#dirty.add(connection);
  }

  deadline(connection: TcpConnection, at: number): void {
    // One entry per connection is enough as long as it is not too late: it is looked at again.
    if (at >= connection.listedAt) return;
    connection.listedAt = at;
    this.#deadlines.push(at, connection);
  }

  gone(connection: TcpConnection): void {
    this.#dirty.delete(connection);
    const key = connection.localPort * 65_536 + connection.remotePort;
    const list = this.#connections.get(key);
    const index = list?.indexOf(connection) ?? -1;
    if (list === undefined || index < 0) return;
    this.#count -= 1;
    if (list.length === 1) this.#connections.delete(key);
    else list.splice(index, 1);
  }

  transmit(connection: TcpConnection, header: Header, sequence: number, length: number): boolean {
    const { network } = connection;
    const { frame, payloadAt } = network;
    const size = writeHeader(frame, payloadAt, header);
    if (length > 0) connection.send.copy(sequence, length, frame, payloadAt + size);
    return this.#send(network, connection.remote, size + length);
  }

  #send(network: Network, remote: Address, length: number): boolean {
    const { frame, payloadAt, address } = network;
    const pseudo = network.pseudoSum(address, remote, PROTOCOL_TCP, length);
    set16(frame, payloadAt + 16, checksumOf(addSum(frame, payloadAt, length, pseudo)));
    return network.send(address, remote, PROTOCOL_TCP, length);
  }

  /** Does what is due and sends what is to be sent. */
  poll(now: number): void {
    this.now = now;
    while (this.#deadlines.next <= now) {
      const connection = this.#deadlines.pop();
      if (connection === undefined) break;
      connection.listedAt = NEVER;
      const due = connection.nextDeadline();
      if (due <= now) connection.timers(now);
      const next = connection.nextDeadline();
      if (next !== NEVER) this.deadline(connection, Math.max(next, now + 1));
    }
    this.isBlocked = false;
    for (const connection of this.#dirty) {
      this.#dirty.delete(connection);
      if (connection.flush(now)) continue;
      this.#dirty.add(connection);
      this.isBlocked = true;
      return;
    }
  }

  /** When `poll` is due; what waits for room on the link does not count. */
  nextDeadline(): number {
    return this.#dirty.size > 0 && !this.isBlocked ? 0 : this.#deadlines.next;
  }
}
