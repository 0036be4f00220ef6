/**
 * QEMU's framing on a stream socket, the guest's side of it: each frame has its length in front, in
 * 32 bits, big-endian.
 */

const LENGTH_SIZE = 4;
/** The longest frame there can be on a link with the largest MTU, and some room. */
const FRAME_SIZE_MAX = 68_000;

/** Puts frames together from what comes out of a socket, cut anywhere. */
export class FrameReader {
  #rest: Uint8Array = new Uint8Array(0);

  /**
   * Hands on each frame that is whole; valid during the call only.
   * @throws RangeError for a length that no frame has
   */
  push(octets: Uint8Array, onFrame: (frame: Uint8Array) => void): void {
    const whole = this.#rest.length === 0 ? octets : joined(this.#rest, octets);
    const view = new DataView(whole.buffer, whole.byteOffset, whole.length);
    let at = 0;
    while (at + LENGTH_SIZE <= whole.length) {
      const length = view.getUint32(at);
      if (length === 0 || length > FRAME_SIZE_MAX) {
        throw new RangeError(`The link sent a frame of "${length}" octets`);
      }
      if (at + LENGTH_SIZE + length > whole.length) break;
      onFrame(whole.subarray(at + LENGTH_SIZE, at + LENGTH_SIZE + length));
      at += LENGTH_SIZE + length;
    }
    this.#rest = whole.slice(at);
  }
}

/** A copy of a frame as it goes onto the socket. */
export function framed(frame: Uint8Array): Uint8Array {
  const octets = new Uint8Array(LENGTH_SIZE + frame.length);
  new DataView(octets.buffer).setUint32(0, frame.length);
  octets.set(frame, LENGTH_SIZE);
  return octets;
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
