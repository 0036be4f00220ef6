/**
 * Digest of all that an engine has given out in a replay, for hosts that are written in other
 * languages: the same outputs in the same order give the same digits. Its words, in this order:
 *
 *     of each call      the kind of its record, `KIND`; then
 *       guest_rx, upstream_event, step, guest_gone, farewell   nothing more
 *       init, inbound_…, address_six, host_address             the result
 *       next_deadline                                          the result, lower half first
 *       complete        number of operations; of each kind, handle, A, B, C, COUNT, octets, hash
 *       tx_done         number of frames; of each octets, hash
 *     of a trap         its kind, `KIND.trap`
 *     of the end        `KIND.end`, and frames as above where the recording was closed
 *
 * Octets and hashes are those of `outputs.ts`. A call that has trapped has no result.
 */
import { Hash64 } from "../lib/hash64.ts";
import type { FrameMark, OperationMark } from "./outputs.ts";

export class OutputDigest {
  readonly #hash = new Hash64();
  readonly #view = new DataView(new ArrayBuffer(8));

  word(value: number): void {
    this.#hash.mix(value);
  }

  float(value: number): void {
    this.#view.setFloat64(0, value, true);
    this.#hash.mix(this.#view.getInt32(0, true));
    this.#hash.mix(this.#view.getInt32(4, true));
  }

  frame({ length, low, high }: FrameMark): void {
    for (const word of [length, low, high]) this.#hash.mix(word);
  }

  operation({ code, handle, a, b, c, count, length, low, high }: OperationMark): void {
    for (const word of [code, handle, a, b, c, count, length, low, high]) this.#hash.mix(word);
  }

  /** Sixteen hexadecimal digits. */
  get text(): string {
    return this.#hash.text;
  }
}
