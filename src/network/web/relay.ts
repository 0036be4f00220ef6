/**
 * The connection to a Wisp relay: a WebSocket with streams in it.
 *
 * Theory of operation
 *   It is opened when the first stream is asked for. Version 2 of the protocol is asked for; where
 *   that cannot be had, the next attempt asks for version 1, and so in turns. A connection is ready
 *   with the CONTINUE of stream 0, HANDSHAKE_MAX_US after the attempt at most. When it is lost, its
 *   streams are told so and it is opened again: at once after one that was ready, else with a
 *   back-off. Streams that are asked for meanwhile wait.
 *
 *   What a relay sends has no flow control in Wisp. Streams say how much of it they keep (`hold`),
 *   and `receive-room.ts` bounds that.
 *
 *   What it is sent is bounded by the credits of each stream, and by BUFFERED_MAX: a WebSocket
 *   tells nobody that it has drained, so it is looked at every POLL_US while somebody waits.
 *
 *   A relay is not trusted: what is no packet ends the connection, what belongs to no stream is
 *   counted and dropped.
 */
import { EngineError } from "../../engine/errors.ts";
import type { Host } from "../host.ts";
import type { Endpoint, ErrorCode } from "../upstream.ts";
import { ReceiveRoom } from "./receive-room.ts";
import { openRelaySocket, type RelaySocket, type WebSocketConstructor } from "./relay-socket.ts";
import { RelayStream, type StreamListener, type StreamOwner } from "./relay-stream.ts";
import { Handshake } from "./wisp-handshake.ts";
import {
  CLOSE,
  CONTINUE,
  closePacket,
  connectPacket,
  DATA,
  KIND_UDP,
  LOST,
  type Packet,
  readCredits,
  readPacket,
  readReason,
  type StreamKind,
  VOLUNTARY,
} from "./wisp-packets.ts";

const MS = 1000;
const SECOND = 1000 * MS;
const HANDSHAKE_MAX_US = 15 * SECOND;
const BACK_OFF_US = 250 * MS;
const BACK_OFF_MAX_US = 30 * SECOND;
const POLL_US = 4 * MS;
/** Octets that wait in the WebSocket before streams are told to wait. */
const BUFFERED_MAX = 4 << 20;
const WAITING_MAX = 1024;
const STREAM_MAX = 0xffff_ffff;
const MIB = 1 << 20;
const NO_HANDSHAKE = "the relay does not begin as Wisp does: is this a Wisp endpoint?";

/** What a relay has done, for whoever looks at it. */
export interface RelayStats {
  readonly state: "idle" | "opening" | "ready" | "waiting" | "closed";
  /** Why the last connection or attempt ended. */
  readonly error?: string;
  readonly streams: number;
  /** Octets that wait for guests to read them. */
  readonly held: number;
  readonly connections: number;
  readonly lost: number;
  /** Streams that were reset as too much waited, or as nobody read it. */
  readonly overflowed: number;
  readonly stalled: number;
  /** Messages that are no packet, packets of no stream, datagrams without room. */
  readonly malformed: number;
  readonly stray: number;
  readonly datagramsDropped: number;
}

export interface RelayOptions {
  /** `wss://` or `ws://`, ends with a slash. */
  readonly url: string;
  /** Of a package, where the runtime has no `WebSocket`. */
  readonly webSocket?: WebSocketConstructor | undefined;
  /** How long a connection waits for the relay, seconds. Default 10. */
  readonly connectSeconds?: number | undefined;
  /** What waits for the guest at most, MiB: of one stream, of all. Default 16, 64. */
  readonly streamMib?: number | undefined;
  readonly totalMib?: number | undefined;
  /** The state has changed. */
  readonly onChange?: ((stats: RelayStats) => void) | undefined;
}

/** A stream that waits for the relay, and how its patience is ended. */
interface Waiting {
  readonly stream: RelayStream;
  cancel: () => void;
}

export class Relay implements StreamOwner {
  readonly #options: RelayOptions;
  readonly #host: Host;
  #state: RelayStats["state"] = "idle";
  #error: string | undefined;
  #socket: RelaySocket | undefined;
  #handshake: Handshake | undefined;
  #cancel: (() => void) | undefined;
  #nextId = 1;
  #failures = 0;
  #version: 1 | 2 = 2;
  /** Whoever answered last does not speak Wisp. */
  #isForeign = false;
  readonly #streams = new Map<number, RelayStream>();
  readonly #waiting = new Set<Waiting>();
  readonly #roomless = new Set<RelayStream>();
  readonly #room: ReceiveRoom;
  #stopPolling: (() => void) | undefined;
  readonly counts = { connections: 0, lost: 0, malformed: 0, stray: 0, datagramsDropped: 0 };

  /** Throws `EngineError` CONFIG. */
  constructor(options: RelayOptions, host: Host) {
    if (!/^wss?:\/\/[^\s]+\/$/.test(options.url)) {
      throw new EngineError(
        "CONFIG",
        `set relay to ws://… or wss://… with a slash at its end, not "${options.url}"`,
      );
    }
    this.#options = options;
    this.#host = host;
    this.#room = new ReceiveRoom({
      host,
      streamMax: (options.streamMib ?? 16) * MIB,
      totalMax: (options.totalMib ?? 64) * MIB,
      pause: (isPaused) => {
        if (isPaused) this.#socket?.pause();
        else this.#socket?.resume();
        return isPaused && this.#socket?.canPause === true;
      },
      evict: (stream) => this.#evict(stream),
    });
  }

  get stats(): RelayStats {
    return {
      state: this.#state,
      ...(this.#error === undefined ? {} : { error: this.#error }),
      streams: this.#streams.size,
      held: this.#room.held + this.#room.heldDatagrams,
      overflowed: this.#room.overflowed,
      stalled: this.#room.stalled,
      ...this.counts,
    };
  }

  /** Microseconds after which a stream that nobody has closed counts as accepted. */
  get settle(): number {
    return this.#handshake?.settle ?? 0;
  }

  /** Whether the relay tells that a stream's far side has accepted. */
  get confirms(): boolean {
    return this.#handshake?.confirms ?? false;
  }

  /** Asks for a stream; `opened` or `closed` follows, not within this call. */
  open(kind: StreamKind, target: Endpoint, listener: StreamListener): RelayStream {
    const stream = new RelayStream(this, kind, target, listener);
    if (this.#state === "closed" || this.#waiting.size >= WAITING_MAX) {
      this.#host.soon(() => this.#refuse(stream, "ENETUNREACH"));
      return stream;
    }
    const patience = (this.#options.connectSeconds ?? 10) * SECOND;
    const waiting = { stream, cancel: this.#host.after(patience, () => this.#giveUp(waiting)) };
    this.#waiting.add(waiting);
    if (this.#state === "ready") this.#host.soon(() => this.#admit());
    if (this.#state === "idle") this.#attempt();
    return stream;
  }

  #giveUp(waiting: Waiting): void {
    if (!this.#waiting.delete(waiting)) return;
    this.#refuse(waiting.stream, this.#isForeign ? "EPROTO" : "ENETUNREACH");
  }

  #refuse(stream: RelayStream, code: ErrorCode): void {
    if (stream.isOver) return;
    stream.isOver = true;
    stream.listener.closed(LOST, code);
  }

  // -------------------------------------------------------------- the connection

  #become(state: RelayStats["state"], error?: string): void {
    this.#state = state;
    if (error !== undefined || state === "ready") this.#error = error;
  }

  /**
   * Tells of a state, unless it is past already. It is the last that is done, since who is told may
   * close all of this at once; what he throws is his program's to hear of, not whoever made the
   * state change.
   */
  #tell(state: RelayStats["state"]): void {
    if (this.#state !== state) return;
    try {
      this.#options.onChange?.(this.stats);
    } catch (error) {
      this.#host.soon(() => {
        throw error;
      });
    }
  }

  #attempt(): void {
    this.#become("opening");
    const handshake = new Handshake(() => this.#host.now());
    this.#handshake = handshake;
    this.#cancel = this.#host.after(HANDSHAKE_MAX_US, () => {
      if (handshake.isOpen) this.#lose(NO_HANDSHAKE, true);
      else this.#lose("the relay does not answer");
    });
    const protocols = this.#version === 2 ? ["wisp-v2"] : [];
    try {
      this.#socket = openRelaySocket(
        this.#options.url,
        protocols,
        {
          opened: () => handshake.opened(),
          message: (octets) => this.#message(octets),
          closed: () => this.#lose("the WebSocket to the relay was closed, or could not be opened"),
        },
        this.#options.webSocket,
      );
    } catch (error) {
      this.#host.soon(() => this.#lose(String(error)));
    }
    this.#tell("opening");
  }

  #lose(reason: string, isForeign = false): void {
    if (this.#state !== "opening" && this.#state !== "ready") return;
    this.#isForeign = isForeign;
    const wasReady = this.#state === "ready";
    this.#cancel?.();
    this.#socket?.close();
    this.#socket = undefined;
    if (wasReady) this.counts.lost += 1;
    else this.#version = this.#version === 2 ? 1 : 2;
    this.#failures = wasReady ? 0 : this.#failures + 1;
    this.#become("waiting", reason);
    // The first of version 1 follows the one of version 2 at once.
    const steps = Math.max(0, this.#failures - 2);
    const delay = Math.min(BACK_OFF_US * 2 ** steps, BACK_OFF_MAX_US);
    this.#cancel = this.#host.after(this.#failures === 1 ? 1 : delay, () => this.#attempt());
    for (const stream of [...this.#streams.values()]) this.#over(stream, LOST, "ECONNRESET");
    this.#tell("waiting");
  }

  #message(octets: Uint8Array | undefined): void {
    const packet = octets && readPacket(octets);
    if (packet === undefined) {
      this.counts.malformed += 1;
      this.#lose("the relay sends what is not Wisp", true);
    } else if (this.#state === "ready") this.#packet(packet);
    else this.#greet(packet);
  }

  #greet(packet: Packet): void {
    const step = this.#handshake?.packet(packet);
    if (step === undefined) {
      this.counts.malformed += 1;
      this.#lose(NO_HANDSHAKE, true);
      return;
    }
    if (step.answer !== undefined) this.#socket?.send(step.answer);
    if (!step.isReady) return;
    this.#cancel?.();
    this.#failures = 0;
    this.#nextId = 1;
    this.counts.connections += 1;
    this.#become("ready");
    this.#admit();
    this.#tell("ready");
  }

  /** Opens what waits. */
  #admit(): void {
    if (this.#state !== "ready") return;
    const all = [...this.#waiting];
    this.#waiting.clear();
    for (const { stream, cancel } of all) {
      cancel();
      if (stream.isOver) continue;
      if (stream.kind === KIND_UDP && this.#handshake?.hasUdp !== true) {
        this.#refuse(stream, "EACCES");
        continue;
      }
      stream.id = this.#nextId;
      this.#nextId = this.#nextId === STREAM_MAX ? 1 : this.#nextId + 1;
      this.#streams.set(stream.id, stream);
      const { address, port } = stream.target;
      this.send(connectPacket(stream.id, stream.kind, address, port));
      stream.listener.opened(this.#handshake?.credits ?? 0);
    }
  }

  #packet(packet: Packet): void {
    const stream = this.#streams.get(packet.stream);
    if (stream === undefined) {
      this.counts.stray += 1; // as those that were on their way when we closed
      return;
    }
    if (packet.type === DATA) {
      if (packet.payload.length > 0) stream.listener.data(packet.payload);
    } else if (packet.type === CLOSE) this.#over(stream, readReason(packet));
    else if (packet.type === CONTINUE) {
      const credits = readCredits(packet);
      if (credits !== undefined) stream.listener.credits(credits);
      else this.counts.malformed += 1;
    } else this.counts.stray += 1;
  }

  // -------------------------------------------------------------- streams

  room(size: number): Uint8Array<ArrayBuffer> {
    return this.#socket?.room(size) ?? new Uint8Array(size);
  }

  send(packet: Uint8Array<ArrayBuffer>): void {
    if (this.#state === "ready") this.#socket?.send(packet);
  }

  hasRoom(stream: RelayStream): boolean {
    if ((this.#socket?.buffered ?? 0) < BUFFERED_MAX) return true;
    this.#roomless.add(stream);
    this.#poll();
    return false;
  }

  #poll(): void {
    this.#stopPolling ??= this.#host.after(POLL_US, () => {
      this.#stopPolling = undefined;
      if (this.#roomless.size === 0) return;
      if ((this.#socket?.buffered ?? 0) > BUFFERED_MAX / 2) {
        this.#poll();
        return;
      }
      const all = [...this.#roomless];
      this.#roomless.clear();
      for (const stream of all) if (!stream.isOver) stream.listener.room();
    });
  }

  hold(stream: RelayStream, octets: number): void {
    this.#room.hold(stream, octets);
  }

  /** The same for datagrams; false = it has no room. */
  holdDatagram(octets: number): boolean {
    return this.#room.holdDatagram(octets);
  }

  /** Ends a stream from this side; its listener is not told. */
  end(stream: RelayStream, reason: number): void {
    if (stream.isOver) return;
    if (stream.id !== 0) this.send(closePacket(stream.id, reason));
    this.#forget(stream);
  }

  /** The same, for want of room: what waits is dropped, even of one that has ended already. */
  #evict(stream: RelayStream): void {
    this.end(stream, VOLUNTARY);
    stream.listener.closed(VOLUNTARY, "ENOBUFS");
  }

  #forget(stream: RelayStream): void {
    stream.isOver = true;
    this.#streams.delete(stream.id);
    this.#roomless.delete(stream);
  }

  /** The other side has ended it; what has come in before still waits, and counts. */
  #over(stream: RelayStream, reason: number, code?: ErrorCode): void {
    this.#forget(stream);
    stream.listener.closed(reason, code);
  }

  close(): void {
    if (this.#state === "closed") return;
    for (const stream of [...this.#streams.values()]) this.end(stream, VOLUNTARY);
    for (const { stream, cancel } of this.#waiting) {
      stream.isOver = true;
      cancel();
    }
    this.#waiting.clear();
    this.#room.close();
    this.#stopPolling?.();
    this.#cancel?.();
    this.#socket?.close();
    this.#socket = undefined;
    this.#become("closed");
    this.#tell("closed");
  }
}
