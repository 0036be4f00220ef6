/**
 * A pretend host: answers every operation of the engine at once, as a system call with nothing to
 * wait for would. Sockets take all that is written; what they have to read is by `serve`.
 */
import type { Engine } from "../../src/engine/engine.ts";
import * as abi from "../../wasm/abi.ts";
import { PEER_ADDRESS, PEER_PORT } from "./frames.ts";

const EAGAIN = 11;
const AF_INET = 2;
const SLOT_MASK = 2 ** abi.HANDLE_SLOT_BITS - 1;
const NOTHING = 0;
const ENDLESS = 1;
const ENDED = 2;

/** Where a struct of the kernel's has 64 bits, these are the upper ones. */
const UPPER = 4;

export class PretendHost {
  /** Octets and datagrams that sockets have taken. */
  octets = 0;
  datagrams = 0;
  /** Handles of the connections opened last, the latest at the end; emptied by whoever reads it. */
  readonly opened: number[] = [];
  /** What is there to read, by slot. */
  readonly #supply = new Uint8Array(abi.FLOW_CAPACITY_COUNT);
  readonly #engine: Engine;
  /** Octets of each datagram that is received. */
  readonly #datagram: number;

  constructor(engine: Engine, datagram: number) {
    this.#engine = engine;
    this.#datagram = datagram;
  }

  /** From now on, until `still`, the socket always has something to read. */
  serve(handle: number): void {
    this.#supply[handle & SLOT_MASK] = ENDLESS;
  }

  /** No socket has anything to read. */
  still(): void {
    this.#supply.fill(NOTHING);
  }

  /** The socket's peer has closed. */
  end(handle: number): void {
    this.#supply[handle & SLOT_MASK] = ENDED;
  }

  /** Carries out everything that waits. @throws {Error} for an operation that no load makes */
  execute(): void {
    const { view, opBase, opCount } = this.#engine;
    for (let i = 0; i < opCount; i += 1) {
      const op = opBase + i * abi.OP_SIZE;
      view.setInt32(op + abi.OP_RESULT_OFFSET, this.#result(op), true);
    }
  }

  #result(op: number): number {
    const { view } = this.#engine;
    const handle = view.getUint32(op + abi.OP_HANDLE_OFFSET, true);
    const a = view.getUint32(op + abi.OP_A_OFFSET, true);
    switch (view.getInt32(op + abi.OP_KIND_OFFSET, true)) {
      case abi.OP_TCP_SEND:
        this.octets += a;
        return a;
      case abi.OP_TCP_RECV:
        return this.#read(handle, a);
      case abi.OP_UDP_SEND:
        this.datagrams += a;
        return view.getUint32(op + abi.OP_COUNT_OFFSET, true);
      case abi.OP_UDP_RECV:
        return this.#receive(op, handle);
      case abi.OP_TCP_CONNECT:
        this.#supply[handle & SLOT_MASK] = NOTHING;
        this.opened.push(handle);
        return 1;
      case abi.OP_UDP_OPEN:
        this.#supply[handle & SLOT_MASK] = NOTHING;
        this.opened.push(handle);
        return 50_000;
      case abi.OP_CLOSE:
      case abi.OP_TCP_SHUTDOWN:
      case abi.OP_TCP_KEEPALIVE:
      case abi.OP_TCP_TOS:
      case abi.OP_TCP_ERROR:
        return 0;
      case abi.OP_PATH_MTU:
        return 0xffff;
      default:
        throw new Error("no load makes such an operation");
    }
  }

  #read(handle: number, wanted: number): number {
    const supply = this.#supply[handle & SLOT_MASK];
    if (supply === ENDLESS) return wanted;
    return supply === ENDED ? 0 : -EAGAIN;
  }

  #receive(op: number, handle: number): number {
    if (this.#supply[handle & SLOT_MASK] !== ENDLESS) return -EAGAIN;
    const { view } = this.#engine;
    const first = view.getUint32(op + abi.OP_POINTER_OFFSET, true);
    const count = view.getUint32(op + abi.OP_COUNT_OFFSET, true);
    for (let i = 0; i < count; i += 1) {
      const message = first + i * abi.MSG_SIZE;
      const name = view.getUint32(message + abi.MSG_NAME_OFFSET, true);
      view.setUint16(name, AF_INET, true);
      view.setUint16(name + 2, PEER_PORT);
      view.setUint32(name + 4, PEER_ADDRESS);
      view.setUint32(message + abi.MSG_NAME_LENGTH_OFFSET, 16, true);
      view.setUint32(message + abi.MSG_CONTROL_LENGTH_OFFSET, 0, true);
      view.setUint32(message + abi.MSG_CONTROL_LENGTH_OFFSET + UPPER, 0, true);
      view.setUint32(message + abi.MSG_FLAGS_OFFSET, 0, true);
      view.setUint32(message + abi.MSG_RECEIVED_OFFSET, this.#datagram, true);
    }
    return count;
  }
}
