/**
 * A host that carries out operations without sockets: mostly they succeed, else they fail in every
 * way the kernel may: any errno, short counts, ends of streams, errors in the queue. What it must
 * never see - an operation on a handle that is not open, pieces that do not add up - is a failure.
 */

import type { Engine } from "../../src/engine/engine.ts";
import * as abi from "../../wasm/abi.ts";
import type { Random } from "./random.ts";

const EAGAIN = 11;
/**
 * EPERM EINTR EIO EAGAIN ENOMEM EMFILE EPIPE EMSGSIZE ENETUNREACH ECONNRESET ENOBUFS ENOTCONN
 * ETIMEDOUT ECONNREFUSED EHOSTUNREACH
 */
const ERRNOS = [1, 4, 5, 11, 12, 24, 32, 90, 101, 104, 105, 107, 110, 111, 113] as const;
const EVENTS = [
  abi.EVENT_READABLE,
  abi.EVENT_READABLE,
  abi.EVENT_WRITABLE,
  abi.EVENT_READABLE | abi.EVENT_WRITABLE,
  abi.EVENT_READABLE | abi.EVENT_READ_HANGUP,
  abi.EVENT_READABLE | abi.EVENT_URGENT,
  abi.EVENT_ERROR,
  abi.EVENT_READABLE | abi.EVENT_WRITABLE | abi.EVENT_ERROR | abi.EVENT_HANGUP,
  0xffff,
  0,
] as const;
const RECENT = 256;
const OPEN = 1;
const BROKEN = 2;

export class ChaoticHost {
  /** No more chaos: connects are refused, sends succeed, nothing comes in. */
  isQuiet = false;
  /** Operations carried out. */
  operations = 0;
  readonly #engine: Engine;
  readonly #random: Random;
  readonly #handles = new Map<number, typeof OPEN | typeof BROKEN>();
  /** Sockets of IPv6. */
  readonly #sixes = new Set<number>();
  #isSix = false;
  /** Handles lately opened, closed since or not. */
  readonly #recent = new Uint32Array(RECENT);

  constructor(engine: Engine, random: Random) {
    this.#engine = engine;
    this.#random = random;
  }

  /** Sockets that are open. */
  get open(): number {
    let count = 0;
    for (const state of this.#handles.values()) if (state === OPEN) count += 1;
    return count;
  }

  /** A handle the engine gave out, perhaps closed since, or any number. */
  anyHandle(): number {
    if (this.#random.oneIn(8)) return this.#random.u32();
    return this.#recent[this.#random.below(RECENT)] ?? 0;
  }

  anyEvents(): number {
    return this.#random.pick(EVENTS);
  }

  add(handle: number): void {
    if (handle === 0) throw new Error("the engine gave out handle 0");
    if (this.#handles.get(handle) === OPEN) throw new Error(`handle ${handle} given out twice`);
    this.#handles.set(handle, OPEN);
    this.#recent[this.#random.below(RECENT)] = handle;
  }

  /** Carries out all operations that wait. */
  execute(): void {
    const { integers, opBase, opCount } = this.#engine;
    if (opCount > abi.OP_CAPACITY_COUNT) throw new Error(`${opCount} operations at once`);
    for (let i = 0; i < opCount; i += 1) {
      const op = (opBase + i * abi.OP_SIZE) >> 2;
      integers[op + (abi.OP_RESULT_OFFSET >> 2)] = this.#execute(op);
    }
    this.operations += opCount;
  }

  #execute(op: number): number {
    const { words } = this.#engine;
    const kind = words[op] ?? 0;
    const handle = words[op + (abi.OP_HANDLE_OFFSET >> 2)] ?? 0;
    const a = words[op + (abi.OP_A_OFFSET >> 2)] ?? 0;
    switch (kind) {
      case abi.OP_TCP_CONNECT:
      case abi.OP_UDP_OPEN:
      case abi.OP_PING_OPEN:
        if (words[op + (abi.OP_COUNT_OFFSET >> 2)] === abi.FAMILY_SIX) this.#sixes.add(handle);
        else this.#sixes.delete(handle);
        return this.#open(kind, handle);
      case abi.OP_CLOSE:
        if (!this.#handles.delete(handle)) throw new Error(`close of unknown handle ${handle}`);
        return 0;
    }
    // Now and then a name of the wrong version, which no kernel would give.
    this.#isSix = this.#sixes.has(handle) !== this.#random.oneIn(50);
    if (this.#handles.get(handle) !== OPEN) {
      throw new Error(`operation ${kind} on handle ${handle}, which is not open`);
    }
    const pointer = words[op + (abi.OP_POINTER_OFFSET >> 2)] ?? 0;
    const count = words[op + (abi.OP_COUNT_OFFSET >> 2)] ?? 0;
    switch (kind) {
      case abi.OP_TCP_SEND:
        return this.#send(this.#checkPieces(pointer, a));
      case abi.OP_TCP_RECV:
        return this.#receive(this.#checkPieces(pointer, a));
      case abi.OP_TCP_SHUTDOWN:
      case abi.OP_TCP_KEEPALIVE:
      case abi.OP_TCP_TOS:
      case abi.OP_TCP_ERROR:
        return this.#random.oneIn(20) ? this.#errno() : 0;
      case abi.OP_TCP_AT_MARK:
        return this.#random.below(3) - 1;
      case abi.OP_PATH_MTU:
        return this.#random.oneIn(4) ? this.#errno() : this.#random.pick([0, 600, 1280, 65_535]);
      case abi.OP_UDP_SEND:
        return this.#sendMany(pointer, count);
      case abi.OP_UDP_RECV:
        return this.#receiveMany(pointer, count);
      case abi.OP_RECV_ERROR:
        return this.#receiveError(pointer);
      default:
        throw new Error(`operation of kind ${kind}`);
    }
  }

  #errno(): number {
    return -this.#random.pick(ERRNOS);
  }

  #open(kind: number, handle: number): number {
    this.add(handle);
    if (this.isQuiet || this.#random.oneIn(12)) {
      this.#handles.set(handle, BROKEN);
      return this.isQuiet ? -111 : this.#errno();
    }
    return kind === abi.OP_TCP_CONNECT ? this.#random.below(2) : 0;
  }

  #send(length: number): number {
    if (this.isQuiet) return length;
    const kind = this.#random.below(24);
    if (kind === 0) return this.#errno();
    if (kind === 1) return -EAGAIN;
    return kind < 6 ? 1 + this.#random.below(length) : length;
  }

  #receive(length: number): number {
    if (this.isQuiet) return -EAGAIN;
    const kind = this.#random.below(24);
    if (kind === 0) return this.#errno();
    if (kind === 1) return 0;
    if (kind < 10) return -EAGAIN;
    return kind < 20 ? 1 + this.#random.skewed(length) : length;
  }

  /** Octets of a message's pieces, each of which must lie in memory. */
  #checkPieces(message: number, wanted: number): number {
    const { words, octets } = this.#engine;
    const iov = words[(message + abi.MSG_IOV_OFFSET) >> 2] ?? 0;
    const count = words[(message + abi.MSG_IOV_COUNT_OFFSET) >> 2] ?? 0;
    if (count < 1 || count > 1024) throw new Error(`message with ${count} iovecs`);
    let total = 0;
    for (let i = 0; i < count; i += 1) {
      const base = words[(iov + i * abi.IOV_SIZE) >> 2] ?? 0;
      const length = words[(iov + i * abi.IOV_SIZE + abi.IOV_LENGTH_OFFSET) >> 2] ?? 0;
      if (base === 0 || base + length > octets.length) throw new Error("iovec outside of memory");
      total += length;
    }
    if (wanted >= 0 && (total !== wanted || total === 0)) {
      throw new Error(`iovecs of ${total} octets for an operation of ${wanted}`);
    }
    return total;
  }

  // -------------------------------------------------------------- datagrams

  #sendMany(messages: number, count: number): number {
    if (count < 1) throw new Error("no message to send");
    for (let i = 0; i < count; i += 1) this.#checkPieces(messages + i * abi.MSG_SIZE, -1);
    if (this.isQuiet) return count;
    const kind = this.#random.below(16);
    if (kind === 0) return this.#errno();
    return kind < 3 ? 1 + this.#random.below(count) : count;
  }

  #receiveMany(messages: number, count: number): number {
    if (count < 1) throw new Error("no message to receive into");
    if (this.isQuiet) return -EAGAIN;
    const kind = this.#random.below(8);
    if (kind === 0) return this.#errno();
    if (kind < 4) return -EAGAIN;
    const received = 1 + this.#random.below(count);
    for (let i = 0; i < received; i += 1) {
      const message = messages + i * abi.MSG_SIZE;
      const room = this.#checkPieces(message, -1);
      const length = this.#random.oneIn(8) ? room : this.#random.skewed(room + 1);
      this.#set(message + abi.MSG_RECEIVED_OFFSET, length);
      this.#set(message + abi.MSG_FLAGS_OFFSET, this.#random.oneIn(20) ? 0x20 : 0);
      this.#setName(message);
      this.#set(message + abi.MSG_CONTROL_LENGTH_OFFSET, 0);
    }
    return received;
  }

  #receiveError(message: number): number {
    const room = this.#checkPieces(message, -1);
    if (this.isQuiet || this.#random.oneIn(2)) return -EAGAIN;
    const { view } = this.#engine;
    this.#setName(message);
    const control = this.#engine.words[(message + abi.MSG_CONTROL_OFFSET) >> 2] ?? 0;
    if (control !== 0) {
      const [size, level, type] = this.#isSix ? [60, 41, 25] : [48, 0, 11];
      view.setBigUint64(control, BigInt(size ?? 0), true);
      view.setInt32(control + 8, this.#random.oneIn(20) ? this.#random.u32() : (level ?? 0), true);
      view.setInt32(control + 12, this.#random.oneIn(20) ? 2 : (type ?? 0), true);
      view.setUint32(control + 16, this.#random.pick(ERRNOS), true);
      view.setUint8(control + 20, this.#random.below(4));
      view.setUint8(control + 21, this.#random.pick([3, 3, 1, 2, 11, 12, 4, 5]));
      view.setUint8(control + 22, this.#random.below(16));
      view.setUint32(control + 24, this.#random.skewed(70000), true);
      this.#setAddress(control + 32);
      const length = this.#random.oneIn(10) ? this.#random.below(49) : (size ?? 0);
      this.#set(message + abi.MSG_CONTROL_LENGTH_OFFSET, length);
    }
    this.#set(message + abi.MSG_FLAGS_OFFSET, 0x2000);
    return this.#random.skewed(room + 1);
  }

  #set(at: number, value: number): void {
    this.#engine.words[at >> 2] = value;
  }

  #setName(message: number): void {
    const name = this.#engine.words[(message + abi.MSG_NAME_OFFSET) >> 2] ?? 0;
    if (name === 0) return;
    this.#setAddress(name);
    this.#set(message + abi.MSG_NAME_LENGTH_OFFSET, this.#isSix ? 28 : 16);
  }

  #setAddress(at: number): void {
    const { view } = this.#engine;
    if (this.#isSix) {
      view.setUint16(at, 10, true);
      view.setUint16(at + 2, this.#random.oneIn(4) ? this.#random.below(65536) : 9);
      view.setUint32(at + 8, this.#random.oneIn(8) ? this.#random.u32() : 0x20010db8);
      view.setUint32(at + 12, 0);
      view.setUint32(at + 16, 0);
      view.setUint32(at + 20, this.#random.below(512));
      view.setUint32(at + 24, 0, true);
      return;
    }
    view.setUint16(at, 2, true);
    view.setUint16(at + 2, this.#random.oneIn(4) ? this.#random.below(65536) : 53);
    const stranger = this.#random.oneIn(8) ? this.#random.u32() : 0xc6336450;
    view.setUint32(at + 4, this.#random.oneIn(32) ? 0x7f000001 : stranger);
  }
}
