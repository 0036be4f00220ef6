/**
 * Comments of a frame in a capture: "dropped: tcp_checksum", "flow 65537". They are written for
 * every frame, so nothing is made for one.
 */
import { OPTION_COMMENT, OPTION_HEADER_SIZE } from "./pcapng.ts";

const FLOW = "flow ";

/** Octets of all comments of one frame, at most: reasons are short words. */
export const COMMENTS_SIZE_MAX = 256;

export class PacketComments {
  /** By DROP_*. */
  readonly #reasons: readonly Uint8Array[];
  /** Of the flow whose frame came last. */
  readonly #text = new TextEncoder().encode(`${FLOW}4294967295`);
  #length = 0;
  #flow = 0;

  /** @param reasons what reasons of drops are called, by DROP_* */
  constructor(reasons: readonly string[]) {
    const encoder = new TextEncoder();
    this.#reasons = reasons.map((reason) => encoder.encode(`dropped: ${reason}`));
  }

  /** Octets that the comments of such a frame take; 0 = it has no reason, no flow. */
  size(reason: number, flow: number): number {
    const comment = reason > 0 ? this.#reasons[reason] : undefined;
    let size = comment === undefined ? 0 : optionSize(comment.length);
    if (flow !== 0) {
      this.#name(flow);
      size += optionSize(this.#length);
    }
    return size;
  }

  /** Writes them at `at`; returns where they end. */
  write(view: DataView, at: number, reason: number, flow: number): number {
    const comment = reason > 0 ? this.#reasons[reason] : undefined;
    let end = at;
    if (comment !== undefined) end = writeComment(view, end, comment, comment.length);
    if (flow === 0) return end;
    this.#name(flow);
    return writeComment(view, end, this.#text, this.#length);
  }

  #name(flow: number): void {
    if (flow === this.#flow) return;
    let digits = 1;
    for (let rest = flow; rest >= 10; rest = Math.floor(rest / 10)) digits += 1;
    this.#flow = flow;
    this.#length = FLOW.length + digits;
    let rest = flow;
    for (let at = this.#length - 1; at >= FLOW.length; at -= 1) {
      this.#text[at] = 0x30 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
  }
}

function optionSize(length: number): number {
  return OPTION_HEADER_SIZE + ((length + 3) & ~3);
}

function writeComment(view: DataView, at: number, text: Uint8Array, length: number): number {
  const end = at + optionSize(length);
  view.setUint32(end - 4, 0, true);
  view.setUint32(at, OPTION_COMMENT | (length << 16), true);
  for (let i = 0; i < length; i += 1) view.setUint8(at + OPTION_HEADER_SIZE + i, text[i] ?? 0);
  return end;
}
