/**
 * Engine memory as system calls see it: msghdrs, iovecs, names and control messages, all with
 * engine offsets for addresses (host base 0). What breaks the contract of `wasm/abi.ts` throws.
 */
import * as abi from "../../../../wasm/abi.ts";
import type { Engine } from "../../../engine/engine.ts";

const IOVECS_MAX = 1024;
const AF_INET = 2;
const NAME_SIZE = 16;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const UDP_GRO = 104;
const MSG_TRUNC = 0x20;
const MSG_ERRQUEUE = 0x2000;
const SOL_IP = 0;
const IP_RECVERR = 11;
const ORIGIN_ICMP = 2;

export interface Endpoint {
  readonly address: number;
  readonly port: number;
}

/** An ICMP error as the error queue tells it. */
export interface SocketError {
  readonly errno: number;
  readonly type: number;
  readonly code: number;
  readonly offender: number;
  readonly target: Endpoint;
  readonly payload: Uint8Array;
  /** Octets of the largest packet, where that is what the error is about; else 0. */
  readonly mtu: number;
}

export class Messages {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** The pieces of memory that a msghdr refers to. */
  pieces(message: number): Uint8Array[] {
    const { words, octets } = this.#engine;
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
    const pieces = this.pieces(message);
    const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const piece of pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }

  /** Where the message goes; undefined where it has no name. */
  name(message: number): Endpoint | undefined {
    const { words, view } = this.#engine;
    const name = words[(message + abi.MSG_NAME_OFFSET) >> 2] ?? 0;
    const length = words[(message + abi.MSG_NAME_LENGTH_OFFSET) >> 2] ?? 0;
    if (name === 0 || length === 0) return undefined;
    if (length !== NAME_SIZE || view.getUint16(name, true) !== AF_INET) {
      throw new Error(`name of ${length} octets`);
    }
    return { address: view.getUint32(name + 4), port: view.getUint16(name + 2) };
  }

  /** UDP_SEGMENT of a message, 0 = none. */
  segmentSize(message: number): number {
    const { words, view } = this.#engine;
    const control = words[(message + abi.MSG_CONTROL_OFFSET) >> 2] ?? 0;
    const length = words[(message + abi.MSG_CONTROL_LENGTH_OFFSET) >> 2] ?? 0;
    for (let at = control; control !== 0 && at + 16 <= control + length; ) {
      const size = view.getUint32(at, true);
      if (size < 16) throw new Error(`control message of ${size} octets`);
      const level = view.getInt32(at + 8, true);
      const type = view.getInt32(at + 12, true);
      if (level === SOL_UDP && type === UDP_SEGMENT) return view.getUint16(at + 16, true);
      at += (size + 7) & ~7;
    }
    return 0;
  }

  /** Fills in what recvmmsg would: payload, name, and the size of the datagrams of a run. */
  deliver(message: number, payload: Uint8Array, from: Endpoint, segment: number): void {
    const { view, words } = this.#engine;
    let at = 0;
    for (const piece of this.pieces(message)) {
      const part = payload.subarray(at, at + piece.length);
      piece.set(part);
      at += part.length;
    }
    words[(message + abi.MSG_RECEIVED_OFFSET) >> 2] = at;
    words[(message + abi.MSG_FLAGS_OFFSET) >> 2] = at < payload.length ? MSG_TRUNC : 0;
    this.#setName(message, from);
    const control = words[(message + abi.MSG_CONTROL_OFFSET) >> 2] ?? 0;
    let size = 0;
    if (segment > 0 && control !== 0) {
      view.setBigUint64(control, 20n, true);
      view.setInt32(control + 8, SOL_UDP, true);
      view.setInt32(control + 12, UDP_GRO, true);
      view.setInt32(control + 16, segment, true);
      size = 24;
    }
    this.#setControlLength(message, size);
  }

  /** Fills in what recvmsg(MSG_ERRQUEUE) would; returns the octets of payload. */
  deliverError(message: number, error: SocketError): number {
    const { view, words } = this.#engine;
    const [piece = new Uint8Array(0)] = this.pieces(message);
    const part = error.payload.subarray(0, piece.length);
    piece.set(part);
    this.#setName(message, error.target);
    const control = words[(message + abi.MSG_CONTROL_OFFSET) >> 2] ?? 0;
    if (control === 0) throw new Error("no room for control data");
    view.setBigUint64(control, 48n, true);
    view.setInt32(control + 8, SOL_IP, true);
    view.setInt32(control + 12, IP_RECVERR, true);
    view.setUint32(control + 16, error.errno, true);
    view.setUint8(control + 20, ORIGIN_ICMP);
    view.setUint8(control + 21, error.type);
    view.setUint8(control + 22, error.code);
    view.setUint8(control + 23, 0);
    view.setUint32(control + 24, error.mtu, true);
    view.setUint32(control + 28, 0, true);
    this.#setAddress(control + 32, { address: error.offender, port: 0 });
    this.#setControlLength(message, 48);
    words[(message + abi.MSG_FLAGS_OFFSET) >> 2] = MSG_ERRQUEUE;
    return part.length;
  }

  #setControlLength(message: number, length: number): void {
    const word = (message + abi.MSG_CONTROL_LENGTH_OFFSET) >> 2;
    this.#engine.words[word] = length;
    this.#engine.words[word + 1] = 0;
  }

  #setName(message: number, name: Endpoint): void {
    const { words } = this.#engine;
    const at = words[(message + abi.MSG_NAME_OFFSET) >> 2] ?? 0;
    if (at === 0) return;
    this.#setAddress(at, name);
    words[(message + abi.MSG_NAME_LENGTH_OFFSET) >> 2] = NAME_SIZE;
  }

  #setAddress(at: number, { address, port }: Endpoint): void {
    const { view } = this.#engine;
    view.setUint16(at, AF_INET, true);
    view.setUint16(at + 2, port);
    view.setUint32(at + 4, address);
    view.setBigUint64(at + 8, 0n);
  }
}
