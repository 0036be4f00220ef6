/**
 * The modelled guest: a small network stack of our own behind an Ethernet link, for the simulator
 * and for demonstrations without a virtual machine.
 *
 * It is sans-IO, as the engine is, and shares no code with it: frames and the time go in, frames
 * come out through a callback. Whatever reaches it that a correct peer never sends is a fault.
 *
 *   1. `input(frame, now)` for every frame that came;
 *   2. calls of the application (`openTcp`, `write`, `ping`, ...), at any time;
 *   3. `poll(now)`: sends what is due. Again at `nextDeadline`, and when a link that was full
 *      (`isBlocked`) has room.
 *
 * Times are microseconds of any clock that never goes back. Frames are without virtio_net_hdr.
 */
import { parseMac } from "../../../lib/addr.ts";
import { Arp } from "./arp.ts";
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpClient, type DhcpLease } from "./dhcp.ts";
import { type DnsAnswer, readDnsAnswer, writeDnsQuestion } from "./dns.ts";
import { ETHERNET_SIZE, Ethernet, type TransmitFrame } from "./ethernet.ts";
import { type EchoReply, Icmp } from "./icmp.ts";
import { Ipv4 } from "./ipv4.ts";
import type { ErrorReport, Packet } from "./network.ts";
import { PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP } from "./network.ts";
import { get16 } from "./octets.ts";
import { type Acceptor, type ListenSettings, Tcp } from "./tcp.ts";
import type { TcpConnection, TcpEvents } from "./tcp-connection.ts";
import type { TcpSettings } from "./tcp-options.ts";
import { Udp, type UdpEvents, type UdpSocket } from "./udp.ts";

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV6 = 0x86dd;
const DNS_PORT = 53;
const DNS_RETRY = 2_000_000;
const DNS_TRIES = 3;

export interface GuestOptions {
  readonly mac: string;
  /** Octets of an IP packet. */
  readonly mtu: number;
  /** Any number; initial sequence numbers and identifiers follow from it. */
  readonly seed: number;
  readonly transmit: TransmitFrame;
  /** Told of everything a correct peer never sends; without it, it throws. */
  readonly onFault?: (text: string) => void;
  readonly tcp?: Partial<TcpSettings>;
}

export interface StaticAddress {
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway: string;
}

interface Question {
  readonly name: string;
  readonly server: string;
  readonly socket: UdpSocket;
  readonly identifier: number;
  readonly done: (answer: DnsAnswer | undefined) => void;
  tries: number;
  retryAt: number;
}

export class Guest {
  readonly #ethernet: Ethernet;
  readonly #arp: Arp;
  readonly ipv4: Ipv4;
  readonly icmp: Icmp;
  readonly udp: Udp;
  readonly tcp: Tcp;
  readonly #dhcp: DhcpClient;
  readonly #dhcpSocket: UdpSocket;
  readonly #questions = new Set<Question>();
  #random: number;
  #now = 0;
  /** Called for each echo reply and each ICMP error about an echo request. */
  onEchoReply: (reply: EchoReply) => void = () => {};
  onEchoError: (report: ErrorReport) => void = () => {};
  /** Called when the lease is there or lost. */
  onLease: (lease: DhcpLease | undefined) => void = () => {};
  framesReceived = 0;

  constructor(options: GuestOptions) {
    const fault = options.onFault ?? failOn;
    this.#random = options.seed >>> 0;
    this.#ethernet = new Ethernet(parseMac(options.mac), options.transmit, fault);
    this.#arp = new Arp(this.#ethernet);
    this.ipv4 = new Ipv4(this.#ethernet, this.#arp, options.mtu, (packet) => this.#deliver(packet));
    this.icmp = new Icmp({
      fault,
      reply: (reply) => this.onEchoReply(reply),
      error: (report) => this.#report(report),
    });
    this.udp = new Udp({ network: this.ipv4, fault });
    this.tcp = new Tcp({ fault, sequence: () => this.#draw() }, options.tcp);
    this.#dhcp = new DhcpClient({
      mac: this.#ethernet.mac,
      fault,
      send: (message, server) => this.#sendDhcp(message, server),
      leased: (lease) => this.#takeLease(lease),
    });
    this.#dhcpSocket = this.udp.open(DHCP_CLIENT_PORT, {
      received: ({ payload }) => this.#dhcp.input(payload, this.#now),
    });
  }

  /** The link had no room for something that is due: call `poll` when it has. */
  get isBlocked(): boolean {
    return this.tcp.isBlocked;
  }

  /** What DHCP gave. */
  get lease(): DhcpLease | undefined {
    return this.#dhcp.lease;
  }

  /** Packets given up before they were sent: the next hop did not answer, or too many waited. */
  get packetsLost(): number {
    return this.#arp.failed;
  }

  get framesSent(): number {
    return this.#ethernet.framesSent;
  }

  // -------------------------------------------------------------- what applications do

  /** Gives the interface an address by hand. */
  configure(settings: StaticAddress): void {
    const number = (text: string): number => this.ipv4.parse(text).reduce((n, o) => n * 256 + o, 0);
    this.ipv4.configure({
      address: number(settings.address),
      prefixLength: settings.prefixLength,
      gateway: number(settings.gateway),
    });
  }

  /** Asks for an address; `onLease` tells when it is there. */
  dhcp(now: number): void {
    this.#dhcp.start(this.#draw(), now);
  }

  /** Begins to connect. @throws RangeError where no port is free */
  openTcp(
    address: string,
    port: number,
    events: TcpEvents,
    settings: Partial<TcpSettings> = {},
    localPort = 0,
  ): TcpConnection {
    const remote = this.ipv4.parse(address);
    return this.tcp.open(this.ipv4, remote, port, events, settings, localPort);
  }

  /** Takes connections to a port. @throws RangeError where it is in use */
  listenTcp(port: number, accept: Acceptor, settings: ListenSettings = {}): void {
    this.tcp.listen(port, accept, settings);
  }

  /** @param port 0 = any. @throws RangeError where it is in use */
  openUdp(port: number, events: UdpEvents): UdpSocket {
    return this.udp.open(port, events);
  }

  /** Sends an echo request; false where the link had no room. */
  ping(address: string, identifier: number, sequence: number, payload: Uint8Array): boolean {
    const { ipv4 } = this;
    return this.icmp.sendEcho(ipv4, ipv4.parse(address), identifier, sequence, payload);
  }

  /**
   * Asks a server for the addresses of a name, three times at most.
   * @param done gets undefined where no answer came
   */
  resolve(
    server: string,
    name: string,
    now: number,
    done: (answer: DnsAnswer | undefined) => void,
  ): void {
    const identifier = this.#draw() & 0xffff;
    const socket = this.udp.open(0, {
      received: ({ from, fromPort, payload }) => {
        if (from !== server || fromPort !== DNS_PORT) return;
        const answer = readDnsAnswer(payload, identifier);
        if (answer !== undefined) this.#answered(question, answer);
      },
    });
    const question = { name, server, socket, identifier, done, tries: 0, retryAt: now };
    this.#questions.add(question);
  }

  #answered(question: Question, answer: DnsAnswer | undefined): void {
    this.#questions.delete(question);
    question.socket.close();
    question.done(answer);
  }

  // -------------------------------------------------------------- frames and time

  /** Takes a frame, which need not outlive the call. */
  input(frame: Uint8Array, now: number): void {
    this.#setTime(now);
    this.framesReceived += 1;
    const { mac } = this.#ethernet;
    if (frame.length < ETHERNET_SIZE)
      return void this.#ethernet.fault(`frame of ${frame.length} octets`);
    if (frame.length > ETHERNET_SIZE + this.ipv4.mtu) {
      return void this.#ethernet.fault(
        `frame of ${frame.length} octets, the MTU is ${this.ipv4.mtu}`,
      );
    }
    const group = ((frame[0] ?? 0) & 1) !== 0;
    if (!group && mac.some((octet, i) => octet !== frame[i])) {
      return void this.#ethernet.fault("frame for another MAC address");
    }
    if (((frame[6] ?? 0) & 1) !== 0) return void this.#ethernet.fault("frame from a group address");
    const type = get16(frame, 12);
    const length = frame.length - ETHERNET_SIZE;
    if (type === ETHERTYPE_IPV4) this.ipv4.input(frame, ETHERNET_SIZE, length, group);
    else if (type === ETHERTYPE_ARP) this.#arp.input(frame, ETHERNET_SIZE, length);
    else if (type !== ETHERTYPE_IPV6) {
      this.#ethernet.fault(`frame of type 0x${type.toString(16)}`);
    }
  }

  #deliver(packet: Packet): void {
    if (packet.protocol === PROTOCOL_TCP) this.tcp.input(packet);
    else if (packet.protocol === PROTOCOL_UDP) this.udp.input(packet);
    else if (packet.protocol === PROTOCOL_ICMP) this.icmp.input(packet);
    else this.#ethernet.fault(`IPv4 protocol ${packet.protocol}`);
  }

  #report(report: ErrorReport): void {
    if (report.protocol === PROTOCOL_TCP) this.tcp.error(report);
    else if (report.protocol === PROTOCOL_UDP) this.udp.error(report);
    else this.onEchoError(report);
  }

  /** Does what is due and sends what is to be sent. */
  poll(now: number): void {
    this.#setTime(now);
    this.#dhcp.poll(now);
    this.#pollQuestions(now);
    this.tcp.poll(now);
    // Last: sending is what finds out that a neighbour is not known.
    this.#arp.poll(now);
  }

  #setTime(now: number): void {
    this.#now = now;
    this.ipv4.now = now;
    this.tcp.now = now;
  }

  #pollQuestions(now: number): void {
    for (const question of this.#questions) {
      if (question.retryAt > now) continue;
      if (question.tries === DNS_TRIES) {
        this.#answered(question, undefined);
        continue;
      }
      question.tries += 1;
      question.retryAt = now + DNS_RETRY;
      const message = writeDnsQuestion(question.identifier, question.name);
      question.socket.send(question.server, DNS_PORT, message);
    }
  }

  /** When `poll` is due; Infinity = never, unless something comes in. */
  nextDeadline(): number {
    let next = Math.min(
      this.tcp.nextDeadline(),
      this.#dhcp.nextDeadline(),
      this.#arp.nextDeadline(),
    );
    for (const { retryAt } of this.#questions) if (retryAt < next) next = retryAt;
    return next;
  }

  // -------------------------------------------------------------- DHCP

  #sendDhcp(message: Uint8Array, server: string | undefined): void {
    this.#dhcpSocket.send(server ?? "255.255.255.255", DHCP_SERVER_PORT, message);
  }

  #takeLease(lease: DhcpLease | undefined): void {
    const none = { address: "0.0.0.0", prefixLength: 0, gateway: "0.0.0.0" };
    const { address, prefixLength, gateway } = lease ?? none;
    this.configure({ address, prefixLength, gateway });
    if (lease?.mtu !== undefined) this.ipv4.mtu = Math.min(this.ipv4.mtu, lease.mtu);
    if (lease !== undefined) this.#arp.announce();
    this.onLease(lease);
  }

  /** xorshift32: only sequence numbers and identifiers come from it. */
  #draw(): number {
    let x = this.#random === 0 ? 0x9e3779b9 : this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x >>> 0;
    return this.#random;
  }
}

function failOn(text: string): never {
  throw new Error(`the peer sent what it must not: ${text}`);
}
