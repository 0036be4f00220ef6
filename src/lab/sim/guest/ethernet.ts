/**
 * The Ethernet layer of the modelled guest: one frame buffer in which all that is sent is built,
 * and the way out.
 *
 * Everything received is checked for what a sender must never do; such a thing is a `fault`, a
 * sentence for people. Whoever drives the guest decides what faults mean (after corruption on the
 * link they are expected).
 */
import { set16 } from "./octets.ts";

export const ETHERNET_SIZE = 14;
/** The largest packet of either family, whatever the MTU: fragments are cut from it. */
const PACKET_MAX = 65_535;
const BROADCAST = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff);

/** Takes a frame, valid during the call only; false = no room, nothing was taken. */
export type TransmitFrame = (frame: Uint8Array) => boolean;

export class Ethernet {
  readonly mac: Uint8Array;
  /** A frame under construction; nothing in it survives a `send`. */
  readonly frame: Uint8Array;
  readonly #transmit: TransmitFrame;
  readonly #onFault: (text: string) => void;
  framesSent = 0;
  /** Sends that found no room. */
  framesRefused = 0;

  constructor(mac: Uint8Array, transmit: TransmitFrame, onFault: (text: string) => void) {
    this.mac = mac;
    this.frame = new Uint8Array(ETHERNET_SIZE + PACKET_MAX);
    this.#transmit = transmit;
    this.#onFault = onFault;
  }

  /**
   * Sends what was written behind the Ethernet header.
   * @param destination undefined = everybody
   */
  send(destination: Uint8Array | undefined, type: number, payloadLength: number): boolean {
    const { frame } = this;
    frame.set(destination ?? BROADCAST, 0);
    frame.set(this.mac, 6);
    set16(frame, 12, type);
    const taken = this.#transmit(frame.subarray(0, ETHERNET_SIZE + payloadLength));
    if (taken) this.framesSent += 1;
    else this.framesRefused += 1;
    return taken;
  }

  fault(text: string): void {
    this.#onFault(text);
  }
}
