/** The beginning of a connection to a relay: which version it speaks and what it can. */
import {
  CONTINUE,
  EXTENSION_CONFIRM,
  EXTENSION_UDP,
  INFO,
  infoPacket,
  type Packet,
  readCredits,
  readInfo,
} from "./wisp-packets.ts";

const MS = 1000;
const SETTLE_MIN_US = 10 * MS;
const SETTLE_MAX_US = 1000 * MS;

/** What follows from a packet. */
export interface HandshakeStep {
  readonly answer?: Uint8Array<ArrayBuffer>;
  readonly isReady: boolean;
}

export class Handshake {
  /** The WebSocket is open. */
  isOpen = false;
  /** Packets that each stream may send at first. */
  credits = 0;
  confirms = false;
  /** Version 1 has no word for it: whoever has none closes the stream. */
  hasUdp = true;
  /**
   * How long an answer of the relay takes, with some reserve: opening a WebSocket is two round
   * trips, three with TLS.
   */
  settle = SETTLE_MAX_US;
  readonly #now: () => number;
  readonly #began: number;
  #hasInfo = false;

  constructor(now: () => number) {
    this.#now = now;
    this.#began = now();
  }

  opened(): void {
    this.isOpen = true;
    const trip = (this.#now() - this.#began) / 2;
    this.settle = Math.min(Math.max(trip * 1.25, SETTLE_MIN_US), SETTLE_MAX_US);
  }

  /** undefined = this is no handshake. */
  packet(packet: Packet): HandshakeStep | undefined {
    if (packet.stream !== 0) return undefined;
    if (packet.type === CONTINUE) {
      const credits = readCredits(packet);
      if (credits === undefined || credits === 0) return undefined;
      this.credits = credits;
      return { isReady: true };
    }
    if (packet.type !== INFO || this.#hasInfo) return undefined;
    const info = readInfo(packet);
    if (info === undefined) return undefined;
    this.#hasInfo = true;
    this.hasUdp = info.extensions.has(EXTENSION_UDP);
    this.confirms = info.extensions.has(EXTENSION_CONFIRM);
    const common = [EXTENSION_UDP, EXTENSION_CONFIRM].filter((id) => info.extensions.has(id));
    return { answer: infoPacket(common), isReady: false };
  }
}
