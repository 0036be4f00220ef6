/**
 * One TCP connection of the modelled guest: the state machine of RFC 9293 §3.10 between a sending
 * and a receiving half.
 *
 * Theory of operation
 *   Segments, timers and calls of the application change the connection and leave it dirty; `flush`
 *   sends what is due, for as long as the link has room (`tcp-output.ts`). Events reach the
 *   application in the middle of `input` or `timers`; it may call anything from there.
 *   A fault is something that no correct peer sends, whatever was lost on the way.
 */
import type { Address, Network } from "./network.ts";
import { seqDiff } from "./octets.ts";
import { Dialect } from "./tcp-dialect.ts";
import type { CloseReason, EventsOf, HandlersOf, TcpSettings, TcpState } from "./tcp-options.ts";
import { TcpOutput } from "./tcp-output.ts";
import { ReceiveSide } from "./tcp-receive.ts";
import { ACK, FIN, RST, type Segment, SYN } from "./tcp-segment.ts";
import { SendSide } from "./tcp-send.ts";
import { NEVER } from "./tcp-timers.ts";

export type TcpEvents = EventsOf<TcpConnection>;
export type TcpHandlers = HandlersOf<TcpConnection>;

export class TcpConnection {
  readonly network: Network;
  readonly localPort: number;
  readonly remotePort: number;
  readonly remote: Address;
  readonly settings: TcpSettings;
  events: TcpEvents;
  readonly send: SendSide;
  readonly receive: ReceiveSide;
  /** Initial sequence numbers: ours, and the peer's once known. */
  readonly iss: number;
  irs = 0;
  readonly #dialect: Dialect;
  readonly #output: TcpOutput;
  #finSeq = -1;
  #ended = false;
  #writeBlocked = false;
  /** What the owner's list of deadlines holds for this connection. */
  listedAt = NEVER;
  reason: CloseReason | undefined;
  /** Octets of payload. */
  octetsIn = 0;
  octetsOut = 0;
  readonly #handlers: TcpHandlers;

  constructor(
    handlers: TcpHandlers,
    ends: { network: Network; localPort: number; remote: Address; remotePort: number },
    iss: number,
    settings: TcpSettings,
    events: TcpEvents,
  ) {
    this.#handlers = handlers;
    this.network = ends.network;
    this.localPort = ends.localPort;
    this.remote = ends.remote;
    this.remotePort = ends.remotePort;
    this.settings = settings;
    this.events = events;
    this.iss = iss;
    this.#dialect = new Dialect(settings, iss);
    this.send = new SendSide({
      size: settings.sendBuffer,
      rtoMin: settings.rtoMin,
      initialSegments: settings.initialSegments,
      offloadSegments: settings.offload ? this.#offloadSegments : 1,
    });
    this.receive = new ReceiveSide(settings.receiveBuffer);
    this.#output = new TcpOutput(this, this.#dialect, {
      time: handlers,
      dirty: () => handlers.dirty(this),
      deadline: (at) => handlers.deadline(this, at),
      finish: (reason) => this.#finish(reason),
      transmit: (header, sequence, length) => handlers.transmit(this, header, sequence, length),
    });
    this.send.start(iss);
  }

  /** Whole segments, headers and the longest options allowed for. */
  get #offloadSegments(): number {
    const room = 65_535 - this.network.headerSize - 60;
    return Math.max(Math.floor(room / (this.network.mtu - this.network.headerSize - 20)), 1);
  }

  get state(): TcpState {
    return this.#output.state;
  }

  /** Largest payload we take in a segment. */
  get ownMss(): number {
    return Math.min(this.settings.mss, this.network.mtu - this.network.headerSize - 20);
  }

  // -------------------------------------------------------------- the application's side

  /** Begins to connect. */
  open(): void {
    this.#output.sendSyn("syn-sent");
  }

  /** Answers the SYN of a peer. */
  openPassive(segment: Segment): void {
    this.#takeSyn(segment);
    this.#output.sendSyn("syn-received");
  }

  /** Takes what there is room for, and says how much; `writable` follows where it was less. */
  write(octets: Uint8Array): number {
    if (this.send.finQueued || this.#isOver) return 0;
    const taken = this.send.write(octets);
    this.octetsOut += taken;
    if (taken < octets.length) this.#writeBlocked = true;
    if (taken > 0) this.#output.mark();
    return taken;
  }

  /** Copies received octets; returns how many. */
  read(target: Uint8Array): number {
    const count = this.receive.read(target);
    if (count > 0 && !this.#isOver) this.#maybeUpdateWindow();
    return count;
  }

  /** Octets that `read` would give. */
  get available(): number {
    return this.receive.available;
  }

  /** The peer sends no more, and all that it sent was read. */
  get isDrained(): boolean {
    return this.#ended && this.receive.available === 0;
  }

  /** No more to send: FIN follows the last octet. Reading goes on. */
  close(): void {
    if (this.send.finQueued || this.#isOver) return;
    this.send.finQueued = true;
    if (this.state === "syn-sent") return void this.#finish("aborted");
    this.#output.mark();
  }

  /** Breaks the connection off. */
  reset(): void {
    if (this.#isOver) return;
    const synchronized = this.state !== "syn-sent" && this.state !== "time-wait";
    if (synchronized) this.#output.emit(RST | ACK, this.send.max, 0);
    this.#finish("aborted");
  }

  get #isOver(): boolean {
    return this.state === "closed" || this.state === "time-wait";
  }

  #maybeUpdateWindow(): void {
    const growth = this.receive.growth(this.#dialect.windowMax);
    const shut = seqDiff(this.receive.edge, this.receive.next) < this.ownMss;
    const worth = Math.min(2 * this.ownMss, this.settings.receiveBuffer >> 1);
    if (growth >= (shut ? Math.min(this.ownMss, worth) : Math.max(worth, 1))) {
      if (growth >= this.settings.receiveBuffer >> 2 || shut) this.#updateWindow();
    }
  }

  #updateWindow(): void {
    const { windowUpdates } = this.settings;
    if (windowUpdates === "told") this.#output.ackSoon();
    // The edge has moved, though nobody will hear of it.
    if (windowUpdates === "lost") this.receive.advertise(this.ownMss, this.#dialect.windowMax);
  }

  // -------------------------------------------------------------- segments

  /** Takes a segment whose checksum was right. `octets` holds its payload. */
  input(segment: Segment, octets: Uint8Array, now: number): void {
    if (this.state === "syn-sent") return void this.#inputSynSent(segment, now);
    if (this.state === "closed") return;
    if (segment.payloadLength > this.ownMss) {
      this.#handlers.fault(`segment of ${segment.payloadLength} octets, MSS is ${this.ownMss}`);
    }
    if (!this.#isAcceptable(segment)) {
      if ((segment.flags & RST) === 0) this.#output.ackSoon();
      return;
    }
    if ((segment.flags & RST) !== 0) {
      if (segment.seq === this.expected) this.#finish("reset");
      else this.#output.ackSoon();
      return;
    }
    if ((segment.flags & SYN) !== 0) return void this.#output.ackSoon();
    if ((segment.flags & ACK) === 0) return;
    if (!this.#inputAck(segment, now)) return;
    this.#inputData(segment, octets, now);
  }

  #inputSynSent(segment: Segment, now: number): void {
    const { flags } = segment;
    const acks = (flags & ACK) !== 0;
    if (acks && segment.ack !== this.send.next) {
      this.#handlers.fault(`SYN-SENT: acknowledges ${seqDiff(segment.ack, this.iss)}`);
      if ((flags & RST) === 0) this.#output.emit(RST, segment.ack, 0);
      return;
    }
    if ((flags & RST) !== 0) {
      if (acks) this.#finish("refused");
      return;
    }
    if ((flags & SYN) === 0) return;
    this.#takeSyn(segment);
    if (!acks) {
      return void this.#output.sendSyn("syn-received");
    }
    this.send.una = segment.ack;
    this.#output.isAckDue = true;
    this.#establish(now);
  }

  /** Takes what the peer's SYN says (RFC 9293 §3.7.1, RFC 7323 §2.2). */
  #takeSyn(segment: Segment): void {
    this.irs = segment.seq;
    this.receive.start((segment.seq + 1) >>> 0);
    this.#output.lastAck = this.receive.next;
    this.#dialect.takeSyn(segment);
    this.send.firstWindow(segment);
    const most = this.network.mtu - this.network.headerSize - 20;
    this.send.open(this.#dialect.mss(segment, most));
  }

  #establish(now: number): void {
    this.send.backoffs = 0;
    this.send.rto = 1_000_000;
    this.#output.establish(now);
    this.events.opened?.(this);
  }

  /** What the peer sends next, FIN allowed for. */
  get expected(): number {
    return this.#ended ? (this.#finSeq + 1) >>> 0 : this.receive.next;
  }

  /** RFC 9293 §3.10.7.4, first step, and PAWS. */
  #isAcceptable(segment: Segment): boolean {
    const next = this.expected;
    if (!this.receive.admits(next, segment.seq, segment.span)) return false;
    if (!this.#dialect.timestamps || (segment.flags & RST) !== 0) return true;
    if (!segment.hasTimestamps) {
      this.#handlers.fault("timestamps were agreed and are missing");
      return false;
    }
    if (seqDiff(segment.timestamp, this.#dialect.recent) < 0) return false;
    if (seqDiff(segment.seq, this.#output.lastAck) <= 0) this.#dialect.recent = segment.timestamp;
    return true;
  }

  #inputAck(segment: Segment, now: number): boolean {
    const { send } = this;
    if (seqDiff(segment.ack, send.max) > 0) {
      this.#handlers.fault(
        `acknowledges ${seqDiff(segment.ack, this.iss)}, sent ${seqDiff(send.max, this.iss)}`,
      );
      this.#output.ackSoon();
      return false;
    }
    if (this.state === "syn-received") {
      if (seqDiff(segment.ack, this.send.una) <= 0) return false;
      send.una = segment.ack;
      send.takeWindow(segment, this.#dialect.windowOf(segment));
      this.#establish(now);
      return true;
    }
    if (seqDiff(segment.ack, send.una) < 0) return true;
    const window = this.#dialect.windowOf(segment);
    const before = send.window;
    const opened = send.takeWindow(segment, window);
    const count = send.acked(
      segment,
      before === window,
      now,
      this.#dialect.roundTrip(segment, now),
    );
    if (count > 0) this.#output.timers.answered();
    if (count > 0 || opened || before !== window) this.#output.timers.windowTold();
    this.#output.mark();
    if (count > 0) this.#afterAck(now);
    return this.state !== "closed";
  }

  #afterAck(now: number): void {
    if (this.send.finAcked) {
      if (this.state === "fin-wait-1") this.#output.state = "fin-wait-2";
      else if (this.state === "closing") this.#timeWait(now);
      else if (this.state === "last-ack") this.#finish("finished");
    }
    if (this.#writeBlocked && this.send.room >= this.settings.sendBuffer >> 1) {
      this.#writeBlocked = false;
      this.events.writable?.(this);
    }
  }

  #inputData(segment: Segment, octets: Uint8Array, now: number): void {
    const { receive } = this;
    const output = this.#output;
    const { payloadLength, seq } = segment;
    if (payloadLength > 0 && !this.#ended) {
      const hadGaps = receive.hasGaps;
      const fresh = receive.accept(seq, octets, segment.payloadAt, payloadLength);
      this.octetsIn += fresh;
      if (fresh < payloadLength || hadGaps || receive.hasGaps) output.isAckDue = true;
      else output.delayAck(payloadLength, now);
      this.#output.mark();
      if (fresh > 0) this.events.readable?.(this);
    } else if (payloadLength > 0) this.#output.ackSoon();
    if ((segment.flags & FIN) !== 0 && !this.#isOver) {
      const at = (seq + payloadLength) >>> 0;
      if (this.#finSeq >= 0 && this.#finSeq !== at) this.#handlers.fault("FIN moved");
      if (seqDiff(at, receive.edge) <= 0) this.#finSeq = at;
      this.#output.ackSoon();
    }
    if (this.#finSeq === receive.next && !this.#ended && !this.#isOver) this.#takeFin(now);
  }

  #takeFin(now: number): void {
    this.#ended = true;
    if (this.state === "established") this.#output.state = "close-wait";
    else if (this.state === "fin-wait-1") this.#output.state = "closing";
    else if (this.state === "fin-wait-2") this.#timeWait(now);
    this.events.ended?.(this);
  }

  #timeWait(now: number): void {
    this.#output.state = "time-wait";
    this.#output.timers.stop();
    this.#output.timers.waitUntil = now + this.settings.timeWait;
    this.#tellClosed("finished");
  }

  #finish(reason: CloseReason): void {
    this.#output.state = "closed";
    this.#output.timers.clear();
    this.#handlers.gone(this);
    this.#tellClosed(reason);
  }

  #tellClosed(reason: CloseReason): void {
    if (this.reason !== undefined) return;
    this.reason = reason;
    this.events.closed?.(reason, this);
  }

  /** An ICMP error about this connection: only fatal while connecting (RFC 9293 §3.9.2.2). */
  unreachable(): void {
    if (this.state === "syn-sent") this.#finish("unreachable");
  }

  // -------------------------------------------------------------- what its owner drives

  /** Sends what is due; false = the link has no room and something stays due. */
  flush(now: number): boolean {
    return this.#output.flush(now);
  }

  /** When `timers` is due. */
  nextDeadline(): number {
    return this.#output.timers.next;
  }

  /** Does what is due by now. */
  timers(now: number): void {
    this.#output.expire(now);
  }
}
