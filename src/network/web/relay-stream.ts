/** A stream of a relay's connection, and what its owner is told. */
import type { Endpoint, ErrorCode } from "../upstream.ts";
import { dataPacket, type StreamKind, VOLUNTARY } from "./wisp-packets.ts";

/** What a stream is told. */
export interface StreamListener {
  /** CONNECT is on its way; so many packets may be sent. */
  opened(credits: number): void;
  data(octets: Uint8Array): void;
  credits(count: number): void;
  /**
   * It has ended, for a reason of the protocol. Where there is a `code` it is this side that ends
   * it, or it never was: what waits is to be dropped.
   */
  closed(reason: number, code?: ErrorCode): void;
  /** There is room in the WebSocket again. */
  room(): void;
}

/** What a stream asks of its relay. */
export interface StreamOwner {
  /** Room for a packet of so many octets, to be filled and sent. */
  room(size: number): Uint8Array<ArrayBuffer>;
  send(packet: Uint8Array<ArrayBuffer>): void;
  hasRoom(stream: RelayStream): boolean;
  hold(stream: RelayStream, octets: number): void;
  end(stream: RelayStream, reason: number): void;
}

/** One stream; after its end, calls other than `hold` do nothing. */
export class RelayStream {
  /** 0 = not opened yet. */
  id = 0;
  isOver = false;
  /** Octets that wait for the guest, and since when it has read none of them. */
  held = 0;
  touched = 0;
  readonly kind: StreamKind;
  readonly target: Endpoint;
  readonly listener: StreamListener;
  readonly #owner: StreamOwner;

  constructor(owner: StreamOwner, kind: StreamKind, target: Endpoint, listener: StreamListener) {
    this.#owner = owner;
    this.kind = kind;
    this.target = target;
    this.listener = listener;
  }

  /** Whether the relay's WebSocket has room; false: `room` follows. */
  hasRoom(): boolean {
    return this.#owner.hasRoom(this);
  }

  send(pieces: readonly Uint8Array[]): void {
    if (this.isOver) return;
    const owner = this.#owner;
    owner.send(dataPacket(this.id, pieces, (size) => owner.room(size)));
  }

  /** So much more, or less, waits for the guest. May end the stream. */
  hold(octets: number): void {
    this.#owner.hold(this, octets);
  }

  close(reason: number = VOLUNTARY): void {
    this.#owner.end(this, reason);
  }
}
