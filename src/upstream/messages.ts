/**
 * Engine memory as system calls see it, for hosts that carry operations out without a kernel:
 * struct msghdr, iovecs, control messages. Addresses in them are offsets in engine memory: the
 * engine was told no host base. What breaks the contract of `wasm/abi.ts` throws.
 *
 * Source: sendmsg(2), recvmsg(2), cmsg(3), udp(7).
 */
import * as abi from "../../wasm/abi.ts";
import type { Engine } from "../engine/engine.ts";

const IOVECS_MAX = 1024;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const UDP_GRO = 104;
const MSG_TRUNC = 0x20;
const MSG_ERRQUEUE = 0x2000;
/** Of a struct cmsghdr: length (u64), level, type, then the data. */
const CMSG_LEVEL = 8;
const CMSG_TYPE = 12;
const CMSG_DATA = 16;

/** An ICMP error as the error queue has it, but for the addresses (struct sock_extended_err). */
export interface ErrorFields {
  readonly errno: number;
  /** SO_EE_ORIGIN_ICMP = 2 or SO_EE_ORIGIN_ICMP6 = 3. */
  readonly origin: number;
  readonly type: number;
  readonly code: number;
  /** Octets of the largest packet, where that is what the error is about; else 0. */
  readonly mtu: number;
}

export class Messages {
  protected readonly engine: Engine;

  constructor(engine: Engine) {
    this.engine = engine;
  }

  /** The pieces of memory that a msghdr refers to. */
  pieces(message: number): Uint8Array[] {
    const { words, octets } = this.engine;
    const iov = words[(message + abi.MSG_IOV_OFFSET) >> 2] ?? 0;
    const count = words[(message + abi.MSG_IOV_COUNT_OFFSET) >> 2] ?? 0;
    if (count < 1 || count > IOVECS_MAX) throw new Error(`message with ${count} iovecs`);
    const found: Uint8Array[] = [];
    for (let i = 0; i < count; i += 1) {
      const at = iov + i * abi.IOV_SIZE;
      const base = words[(at + abi.IOV_BASE_OFFSET) >> 2] ?? 0;
      const length = words[(at + abi.IOV_LENGTH_OFFSET) >> 2] ?? 0;
      if (base === 0 || base + length > octets.length) {
        throw new Error(`iovec outside of memory: ${base}+${length}`);
      }
      found.push(octets.subarray(base, base + length));
    }
    return found;
  }

  /** Copy of what a message carries. */
  gather(message: number): Uint8Array {
    return joined(this.pieces(message));
  }

  /** Place and octets of the name; undefined where the message has none. */
  namePlace(message: number): { readonly at: number; readonly size: number } | undefined {
    const { words } = this.engine;
    const at = words[(message + abi.MSG_NAME_OFFSET) >> 2] ?? 0;
    const size = words[(message + abi.MSG_NAME_LENGTH_OFFSET) >> 2] ?? 0;
    return at === 0 || size === 0 ? undefined : { at, size };
  }

  /** UDP_SEGMENT of a message, 0 = none. */
  segmentSize(message: number): number {
    const { words, view } = this.engine;
    const control = words[(message + abi.MSG_CONTROL_OFFSET) >> 2] ?? 0;
    const length = words[(message + abi.MSG_CONTROL_LENGTH_OFFSET) >> 2] ?? 0;
    for (let at = control; control !== 0 && at + CMSG_DATA <= control + length; ) {
      const size = view.getUint32(at, true);
      if (size < CMSG_DATA) throw new Error(`control message of ${size} octets`);
      const level = view.getInt32(at + CMSG_LEVEL, true);
      const type = view.getInt32(at + CMSG_TYPE, true);
      if (level === SOL_UDP && type === UDP_SEGMENT) return view.getUint16(at + CMSG_DATA, true);
      at += (size + 7) & ~7;
    }
    return 0;
  }

  /**
   * Fills in what recvmmsg would, but for the name.
   * @param segment size of the datagrams of a run, 0 = it is one
   */
  fill(message: number, payload: Uint8Array, segment = 0): void {
    const { view, words } = this.engine;
    let at = 0;
    for (const piece of this.pieces(message)) {
      const part = payload.subarray(at, at + piece.length);
      piece.set(part);
      at += part.length;
    }
    words[(message + abi.MSG_RECEIVED_OFFSET) >> 2] = at;
    words[(message + abi.MSG_FLAGS_OFFSET) >> 2] = at < payload.length ? MSG_TRUNC : 0;
    const control = words[(message + abi.MSG_CONTROL_OFFSET) >> 2] ?? 0;
    let size = 0;
    if (segment > 0 && control !== 0) {
      this.controlHead(control, 20, SOL_UDP, UDP_GRO);
      view.setInt32(control + CMSG_DATA, segment, true);
      size = 24;
    }
    this.setControlLength(message, size);
  }

  /**
   * Fills in what recvmsg(MSG_ERRQUEUE) would, but for the names.
   * @param level and type of the control message, `size` its octets with the offender's name
   * @returns octets of payload, and where the offender's name goes
   */
  fillError(
    message: number,
    payload: Uint8Array,
    fields: ErrorFields,
    [level, type, size]: readonly [level: number, type: number, size: number],
  ): { readonly length: number; readonly offender: number } {
    const { view, words } = this.engine;
    const [piece = new Uint8Array(0)] = this.pieces(message);
    const part = payload.subarray(0, piece.length);
    piece.set(part);
    const control = words[(message + abi.MSG_CONTROL_OFFSET) >> 2] ?? 0;
    if (control === 0) throw new Error("no room for control data");
    this.controlHead(control, size, level, type);
    const at = control + CMSG_DATA;
    view.setUint32(at, fields.errno, true);
    view.setUint8(at + 4, fields.origin);
    view.setUint8(at + 5, fields.type);
    view.setUint8(at + 6, fields.code);
    view.setUint8(at + 7, 0);
    view.setUint32(at + 8, fields.mtu, true);
    view.setUint32(at + 12, 0, true);
    this.setControlLength(message, (size + 7) & ~7);
    words[(message + abi.MSG_FLAGS_OFFSET) >> 2] = MSG_ERRQUEUE;
    return { length: part.length, offender: at + 16 };
  }

  protected controlHead(at: number, size: number, level: number, type: number): void {
    const { view } = this.engine;
    view.setBigUint64(at, BigInt(size), true);
    view.setInt32(at + CMSG_LEVEL, level, true);
    view.setInt32(at + CMSG_TYPE, type, true);
  }

  protected setControlLength(message: number, length: number): void {
    const word = (message + abi.MSG_CONTROL_LENGTH_OFFSET) >> 2;
    this.engine.words[word] = length;
    this.engine.words[word + 1] = 0;
  }
}

/**
 * The pieces one after the other.
 * @param room makes the memory for so many octets, all of which are written
 */
export function joined(
  pieces: readonly Uint8Array[],
  room = (size: number): Uint8Array<ArrayBuffer> => new Uint8Array(size),
): Uint8Array<ArrayBuffer> {
  const whole = room(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
