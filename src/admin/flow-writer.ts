/**
 * Flows into octets, fast: the message `Flow` of admin.proto as the library writes it, at a tenth
 * of its time. What has the value it has when nothing is said (0, "", false) is left out.
 */
import { WireType } from "@bufbuild/protobuf/wire";
import type { FlowValues } from "./flow-octets.ts";

const TYPE_BITS = 3;
const SIZE_FIRST = 4096;
/** Octets of a number at most, behind its tag. */
const VARINT_SIZE_MAX = 10;
const TAG_SIZE_MAX = 2;
/** Above what a bitwise operator takes for a positive number. */
const SMALL_END = 2 ** 31;
/** Texts whose octets are kept; there are few networks, states and addresses of guests. */
const TEXTS_MOST = 4096;

export class FlowWriter {
  #octets = new Uint8Array(SIZE_FIRST);
  #at = 0;
  readonly #encoder = new TextEncoder();
  readonly #texts = new Map<string, Uint8Array>();

  /** The flow's message, without a length in front; valid until the next call. */
  write(flow: FlowValues): Uint8Array {
    this.#at = 0;
    this.#text(1, flow.network);
    this.#number(2, flow.id);
    this.#number(3, flow.kind);
    this.#text(4, flow.state);
    this.#text(5, flow.guestAddress);
    this.#number(6, flow.guestPort);
    this.#text(7, flow.peerAddress);
    this.#number(8, flow.peerPort);
    this.#text(9, flow.localAddress);
    this.#number(10, flow.localPort);
    this.#text(11, flow.hostAddress);
    this.#number(12, flow.hostPort);
    this.#number(13, flow.isInbound ? 1 : 0);
    this.#number(14, flow.bytesToHost);
    this.#number(15, flow.bytesToGuest);
    this.#number(16, flow.ageUs);
    this.#number(17, flow.idleUs);
    this.#number(18, flow.rttUs);
    this.#number(19, flow.windowForGuest);
    this.#number(20, flow.windowOfGuest);
    this.#number(21, flow.congestionWindow);
    this.#number(22, flow.inFlight);
    this.#number(23, flow.retransmits);
    this.#number(24, flow.waiting);
    return this.#octets.subarray(0, this.#at);
  }

  #number(field: number, value: number): void {
    if (value === 0) return;
    this.#reserve(TAG_SIZE_MAX + VARINT_SIZE_MAX);
    this.#varint((field << TYPE_BITS) | WireType.Varint);
    this.#varint(value);
  }

  #text(field: number, text: string): void {
    if (text === "") return;
    const octets = this.#octetsOf(text);
    this.#reserve(TAG_SIZE_MAX + VARINT_SIZE_MAX + octets.length);
    this.#varint((field << TYPE_BITS) | WireType.LengthDelimited);
    this.#varint(octets.length);
    this.#octets.set(octets, this.#at);
    this.#at += octets.length;
  }

  #octetsOf(text: string): Uint8Array {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    if (this.#texts.size >= TEXTS_MOST) this.#texts.clear();
    const octets = this.#encoder.encode(text);
    this.#texts.set(text, octets);
    return octets;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= SMALL_END) {
      this.#put((rest % 128) | 128);
      rest = Math.floor(rest / 128);
    }
    while (rest > 127) {
      this.#put((rest & 127) | 128);
      rest >>>= 7;
    }
    this.#put(rest);
  }

  #put(octet: number): void {
    this.#octets[this.#at] = octet;
    this.#at += 1;
  }

  #reserve(size: number): void {
    if (this.#at + size <= this.#octets.length) return;
    const larger = new Uint8Array(2 * (this.#octets.length + size));
    larger.set(this.#octets.subarray(0, this.#at));
    this.#octets = larger;
  }
}
