/**
 * Watches every segment between guest and engine for what must never happen, whatever is lost:
 *
 *   - an octet acknowledged that the host socket did not take, a FIN before shutdown was done
 *   - SYN-ACK before the host is connected
 *   - data outside the window the guest gave, larger than its MSS, other than the peer sent
 *   - FIN before the host's end of stream, before the last octet was sent, or not right behind it
 *   - an acknowledgment that goes back, a window whose right edge does
 *   - no reset for a guest whose connection broke on the host's side
 *   - SACK of octets that never arrived, or that are acknowledged already
 *
 * It looks at frames as the engine sends them, before the link damages any, and at those that reach
 * the engine whole. Source: RFC 9293 §3.8, RFC 2018, RFC 7323; the engine's own promises
 * (`wasm/tcp/conn.ts`).
 */
import { get32, seqDiff } from "../guest/octets.ts";
import { ACK, FIN, RST, Segment, SYN } from "../guest/tcp-segment.ts";
import { endpointKey } from "../host/host.ts";
import type { StreamSocket } from "../host/stream.ts";
import { findMismatch } from "../pattern.ts";
import type { TcpPlan } from "../plan.ts";
import { Ranges } from "./ranges.ts";

const ETHERNET = 14;

interface Watch {
  readonly plan: TcpPlan;
  /** The host's latest socket for this connection. */
  socket: StreamSocket | undefined;
  /** Initial sequence numbers, once seen. */
  guestIss: number | undefined;
  engineIss: number | undefined;
  guestScale: number;
  engineScale: number;
  guestMss: number;
  /** Window of a SYN whose edge is not known yet. */
  synWindow: number;
  /** The furthest right edge the guest gave, and the engine. */
  guestEdge: number | undefined;
  engineEdge: number | undefined;
  lastAck: number | undefined;
  /** Octets of the peer's stream that the engine has sent at least once, from its first on. */
  sentEnd: number;
  /** Resets sent to the guest. */
  resets: number;
  /** Octets of the guest's stream that reached the engine, counted from its SYN. */
  readonly arrived: Ranges;
}

export class TcpWatch {
  readonly #watches = new Map<number, Watch>();
  readonly #fault: (text: string) => void;
  readonly #segment = new Segment();
  readonly #hasDeaf: boolean;
  segments = 0;

  constructor(plans: readonly TcpPlan[], fault: (text: string) => void) {
    this.#fault = fault;
    this.#hasDeaf = plans.some(({ isDeaf }) => isDeaf === true);
    for (const plan of plans) {
      this.#watches.set(endpointKey(plan.address, plan.port), {
        plan,
        socket: undefined,
        guestIss: undefined,
        engineIss: undefined,
        guestScale: -1,
        engineScale: -1,
        guestMss: 536,
        synWindow: 0,
        guestEdge: undefined,
        engineEdge: undefined,
        lastAck: undefined,
        sentEnd: 0,
        resets: 0,
        arrived: new Ranges(),
      });
    }
  }

  /** The host has a new socket for a plan. */
  opened(socket: StreamSocket): void {
    const watch = this.#watches.get(endpointKey(socket.plan.address, socket.plan.port));
    if (watch !== undefined) watch.socket = socket;
  }

  /** Payload for a connection whose guest's stack is deaf. */
  isForDeaf(frame: Uint8Array): boolean {
    if (!this.#hasDeaf || this.#read(frame, false)?.plan.isDeaf !== true) return false;
    return this.#segment.payloadLength > 0;
  }

  /** Reads the frame if it is a TCP segment; the endpoint outside is its source or destination. */
  #read(frame: Uint8Array, isFromGuest: boolean): Watch | undefined {
    if (frame[12] !== 8 || frame[13] !== 0 || frame[ETHERNET + 9] !== 6) return undefined;
    const header = ((frame[ETHERNET] ?? 0) & 15) * 4;
    const total = ((frame[ETHERNET + 2] ?? 0) << 8) | (frame[ETHERNET + 3] ?? 0);
    const segment = this.#segment;
    if (segment.read(frame, ETHERNET + header, total - header) !== undefined) return undefined;
    const address = get32(frame, ETHERNET + (isFromGuest ? 16 : 12));
    const port = isFromGuest ? segment.destinationPort : segment.sourcePort;
    return this.#watches.get(endpointKey(address, port));
  }

  // -------------------------------------------------------------- guest -> engine

  /** A frame reaches the engine as the guest sent it. */
  arrived(frame: Uint8Array): void {
    const watch = this.#read(frame, true);
    if (watch === undefined) return;
    const segment = this.#segment;
    if ((segment.flags & RST) !== 0) return;
    if ((segment.flags & SYN) !== 0) {
      watch.guestIss = segment.seq;
      watch.guestScale = segment.scale;
      watch.guestMss = segment.mss || 536;
      watch.synWindow = segment.window;
    } else if (segment.payloadLength > 0 && watch.guestIss !== undefined) {
      const from = seqDiff(segment.seq, watch.guestIss);
      watch.arrived.add(from, from + segment.payloadLength);
    }
    if ((segment.flags & ACK) === 0) return;
    const scaled = watch.guestScale >= 0 && watch.engineScale >= 0 && (segment.flags & SYN) === 0;
    const window = segment.window * 2 ** (scaled ? Math.min(watch.guestScale, 14) : 0);
    this.#openGuestEdge(watch, (segment.ack + window) >>> 0);
  }

  #openGuestEdge(watch: Watch, edge: number): void {
    const { guestEdge } = watch;
    if (guestEdge === undefined || seqDiff(edge, guestEdge) > 0) watch.guestEdge = edge;
  }

  // -------------------------------------------------------------- engine -> guest

  /** The engine sends a frame. */
  sent(frame: Uint8Array): void {
    const watch = this.#read(frame, false);
    if (watch === undefined) return;
    const segment = this.#segment;
    this.segments += 1;
    if ((segment.flags & RST) !== 0) {
      watch.resets += 1;
      return;
    }
    if ((segment.flags & SYN) !== 0) this.#sentSyn(watch);
    if ((segment.flags & ACK) !== 0) this.#checkAck(watch);
    if ((segment.flags & SYN) === 0) {
      this.#checkData(watch, frame);
      this.#checkWindow(watch);
    }
  }

  /** The run is over, and no frame was dropped for want of room towards the guest. */
  finish(): void {
    for (const watch of this.#watches.values()) {
      const { socket, guestIss, resets } = watch;
      const wanted = socket?.failureTold === true && guestIss !== undefined;
      if (wanted && resets === 0) this.#fail(watch, "the host's connection broke, and no reset");
    }
  }

  #fail(watch: Watch, text: string): void {
    this.#fault(`TCP ${watch.plan.id}: ${text}`);
  }

  #sentSyn(watch: Watch): void {
    const segment = this.#segment;
    if (watch.engineIss !== undefined && watch.engineIss !== segment.seq) {
      // The flow was refused or evicted and the guest has tried again.
      watch.engineEdge = undefined;
      watch.guestEdge = undefined;
      watch.lastAck = undefined;
      watch.sentEnd = 0;
    }
    watch.engineIss = segment.seq;
    watch.engineScale = segment.scale;
    if ((segment.flags & ACK) === 0) return;
    if (watch.socket?.isConnected !== true) this.#fail(watch, "SYN-ACK, but no host connection");
    this.#openGuestEdge(watch, (segment.seq + 1 + watch.synWindow) >>> 0);
  }

  #checkAck(watch: Watch): void {
    const { guestIss, socket, lastAck } = watch;
    const { ack } = this.#segment;
    if (guestIss === undefined || socket === undefined) {
      return void this.#fail(watch, "acknowledges what it cannot know");
    }
    const offset = seqDiff(ack, (guestIss + 1) >>> 0);
    const most = socket.taken + (socket.isShut ? 1 : 0);
    if (offset < 0 || offset > most) {
      this.#fail(watch, `acknowledges ${offset} octets, the host has taken ${most}`);
    }
    if (lastAck !== undefined && seqDiff(ack, lastAck) < 0) {
      this.#fail(watch, `acknowledgment goes back by ${seqDiff(lastAck, ack)}`);
    }
    watch.lastAck = ack;
    this.#checkSack(watch, guestIss);
  }

  #checkSack(watch: Watch, guestIss: number): void {
    const { sack, sackCount, ack } = this.#segment;
    for (let i = 0; i < sackCount; i += 1) {
      const left = sack[i * 2] ?? 0;
      const right = sack[i * 2 + 1] ?? 0;
      const sound = seqDiff(right, left) > 0 && seqDiff(left, ack) > 0;
      if (!sound || !watch.arrived.has(seqDiff(left, guestIss), seqDiff(right, guestIss))) {
        const range = `${seqDiff(left, guestIss)}-${seqDiff(right, guestIss)}`;
        this.#fail(watch, `SACK of ${range}, acknowledged ${seqDiff(ack, guestIss)}`);
      }
    }
  }

  #checkData(watch: Watch, frame: Uint8Array): void {
    const { seq, payloadAt, payloadLength, flags } = this.#segment;
    const { engineIss, guestEdge, socket } = watch;
    if (engineIss === undefined || socket === undefined) return;
    const offset = seqDiff(seq, (engineIss + 1) >>> 0);
    if (payloadLength > 0) {
      if (payloadLength > watch.guestMss) this.#fail(watch, `segment of ${payloadLength} octets`);
      const end = (seq + payloadLength) >>> 0;
      if (guestEdge === undefined || seqDiff(end, guestEdge) > 0) {
        const beyond = guestEdge === undefined ? "all" : seqDiff(end, guestEdge);
        this.#fail(watch, `${beyond} of ${payloadLength} octets lie outside the window`);
      }
      const payload = frame.subarray(payloadAt, payloadAt + payloadLength);
      const wrong = findMismatch(watch.plan.id * 2 + 1, Math.max(offset, 0), payload);
      if (wrong >= 0 || offset < 0) this.#fail(watch, `octet ${offset + wrong} is not the peer's`);
      if (offset > watch.sentEnd)
        this.#fail(watch, `octets ${watch.sentEnd} to ${offset} left out`);
      watch.sentEnd = Math.max(watch.sentEnd, offset + payloadLength);
    }
    if ((flags & FIN) === 0) return;
    if (!socket.endTold || offset + payloadLength !== socket.received) {
      this.#fail(watch, `FIN after ${offset + payloadLength}, the host had ${socket.received}`);
    }
    if (offset + payloadLength > watch.sentEnd) {
      this.#fail(watch, `FIN after ${offset + payloadLength}, only ${watch.sentEnd} were sent`);
    }
  }

  #checkWindow(watch: Watch): void {
    const { ack, window } = this.#segment;
    const scaled = watch.guestScale >= 0 && watch.engineScale >= 0;
    const edge = (ack + window * 2 ** (scaled ? watch.engineScale : 0)) >>> 0;
    const { engineEdge } = watch;
    if (engineEdge === undefined || seqDiff(edge, engineEdge) > 0) watch.engineEdge = edge;
    else if (window > 0 && seqDiff(edge, engineEdge) < 0) {
      this.#fail(watch, `right edge moves left by ${seqDiff(engineEdge, edge)}`);
    }
  }
}
