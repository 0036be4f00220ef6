/** A WebSocket in memory: what the client of a relay is given, and what a test sees of it. */
import type { WebSocketConstructor, WebSocketLike } from "../../../src/network/web/index.ts";

export class FakeSocket implements WebSocketLike {
  binaryType = "";
  bufferedAmount = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  /** Whether what is sent counts as not having left. */
  keeps = false;
  isPaused = false;
  isClosed = false;
  readonly sent: Uint8Array[] = [];
  readonly protocols: readonly string[];

  constructor(protocols: readonly string[]) {
    this.protocols = protocols;
  }
  send(octets: Uint8Array<ArrayBuffer>): void {
    this.sent.push(octets.slice());
    if (this.keeps) this.bufferedAmount += octets.length;
  }
  close(): void {
    this.isClosed = true;
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }

  /** The relay sends this. */
  gives(...messages: readonly (Uint8Array | string)[]): void {
    for (const message of messages) {
      const data = typeof message === "string" ? message : new Uint8Array(message).buffer;
      this.onmessage?.({ data });
    }
  }

  /** Packets of a type that were sent, without those that were asked for before. */
  takes(type: number): Uint8Array[] {
    const found = this.sent.filter((packet) => packet[0] === type);
    const rest = this.sent.filter((packet) => packet[0] !== type);
    this.sent.splice(0, this.sent.length, ...rest);
    return found;
  }
}

/** A constructor, and the sockets that were made with it. */
export function fakeSockets(): {
  readonly made: FakeSocket[];
  readonly webSocket: WebSocketConstructor;
} {
  const made: FakeSocket[] = [];
  function Made(_url: string, protocols: string[]): FakeSocket {
    const socket = new FakeSocket(protocols);
    made.push(socket);
    return socket;
  }
  return { made, webSocket: Made as unknown as WebSocketConstructor };
}

/** Octets of a packet with numbers as Wisp has them. */
export function packet(
  type: number,
  stream: number,
  payload: Uint8Array | readonly number[] = [],
): Uint8Array {
  const whole = new Uint8Array(5 + payload.length);
  whole.set([type, ...u32(stream)]);
  whole.set(payload, 5);
  return whole;
}

/** A number of 32 bits as payload. */
export function u32(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24];
}

export const READY = packet(3, 0, u32(128));
