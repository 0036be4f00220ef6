/**
 * An operation of the engine as the host reads it: the fields of its record (OP_* of `wasm/abi.ts`)
 * by the names that each kind of operation gives them. One view is moved from record to record, so
 * that none is made for each.
 */
import * as abi from "../../wasm/abi.ts";

const HANDLE = abi.OP_HANDLE_OFFSET >> 2;
const RESULT = abi.OP_RESULT_OFFSET >> 2;
const A = abi.OP_A_OFFSET >> 2;
const B = abi.OP_B_OFFSET >> 2;
const C = abi.OP_C_OFFSET >> 2;
const POINTER = abi.OP_POINTER_OFFSET >> 2;
const COUNT = abi.OP_COUNT_OFFSET >> 2;

export class Operation {
  readonly #memory: Int32Array;
  /** Word of the record. */
  #at = 0;

  constructor(memory: Int32Array) {
    this.#memory = memory;
  }

  /** Looks at the record at this engine offset from now on. */
  moveTo(offset: number): void {
    this.#at = offset >> 2;
  }

  get kind(): number {
    return this.word(0);
  }

  /** Signed. */
  get handle(): number {
    return this.word(HANDLE);
  }

  set result(value: number) {
    this.#memory[this.#at + RESULT] = value;
  }

  /** Engine offset of a msghdr, an array of them or a struct sockaddr_in6; 0 = none. */
  get pointer(): number {
    return this.word(POINTER) >>> 0;
  }

  /** Version of IP, of operations that open a socket or ask for a path. */
  get family(): 4 | 6 {
    return this.word(COUNT) === abi.FAMILY_SIX ? 6 : 4;
  }

  // OP_TCP_CONNECT

  get connectAddress(): number {
    return this.word(A) >>> 0;
  }

  get connectPort(): number {
    return this.word(B);
  }

  /** Octet of TOS or traffic class. */
  get connectTos(): number {
    return this.word(C);
  }

  // OP_UDP_OPEN

  /** It asks for a socket to a service of this host's own. */
  get isLocal(): boolean {
    return this.word(COUNT) === abi.FAMILY_LOCAL;
  }

  /** Where the socket is connected to: an IPv4 address, or 0. */
  get peerAddress(): number {
    return this.word(B) >>> 0;
  }

  get peerPort(): number {
    return this.word(C);
  }

  /** Port that the socket should leave from if it can be had; 0 = any. */
  get sourcePort(): number {
    return this.word(A);
  }

  // OP_UDP_SEND, OP_UDP_RECV

  /** Of the array at `pointer`. */
  get messageCount(): number {
    return this.word(COUNT);
  }

  // others

  /** OP_TCP_KEEPALIVE: seconds, 0 = off. */
  get keepalive(): number {
    return this.word(A);
  }

  /** OP_CLOSE: the connection is reset. */
  get isAbort(): boolean {
    return this.word(A) === 1;
  }

  protected word(field: number): number {
    return this.#memory[this.#at + field] ?? 0;
  }
}

/** The same with what only a host of real sockets can carry out. */
export class HostOperation extends Operation {
  // OP_TCP_SEND

  get isUrgent(): boolean {
    return this.word(C) === 1;
  }

  /** Port of the guest whose published socket is taken where there is one. */
  get guestPort(): number {
    return this.word(C) & 0xffff;
  }

  /** Which of that port's sockets. */
  get spot(): number {
    return this.word(C) >>> 16;
  }

  /** Datagrams in those messages: one may be several, cut by the kernel. */
  get datagramCount(): number {
    return this.word(A);
  }

  /** OP_TCP_TOS: octet of TOS or traffic class. */
  get tos(): number {
    return this.word(A);
  }

  /** OP_PATH_MTU over IPv4. */
  get pathAddress(): number {
    return this.word(B) >>> 0;
  }
}
