/**
 * What one front end and the back end have agreed on, message by message: features, guest memory
 * and the two queues. Neither the socket nor any frame is seen here.
 *
 * A message that breaks the protocol (a wrong length, a missing descriptor, a number out of range)
 * throws, and the connection is over. One that is sound but cannot be had is refused by a reply of
 * 1 where the front end asks for replies; else it ends the connection, too, because the front end
 * would go on as if it had been done.
 *
 * Source: the vhost-user protocol of QEMU's documentation (interop/vhost-user).
 */
import { errnoName, errnoText } from "../../sys/errno.ts";
import { isEventFd, setNonBlocking } from "../../sys/fd.ts";
import { ForeignMemory } from "../../sys/foreign-memory.ts";
import type { Libc } from "../../sys/libc.ts";
import { DirtyLog } from "./dirty-log.ts";
import {
  acknowledges,
  FEATURES,
  type Negotiated,
  negotiated,
  PROTOCOL_FEATURES,
} from "./features.ts";
import {
  encodeU64,
  encodeVringState,
  FLAG_NEED_REPLY,
  type Message,
  ProtocolError,
  REQUEST,
  readLogBase,
  readMemReg,
  readMemTable,
  readNothing,
  readU64,
  readVringAddress,
  readVringEvent,
  readVringState,
  replyTo,
} from "./messages.ts";
import { type EventName, Queue } from "./queue.ts";
import { GuestMemory, REGION_COUNT_MAX } from "./regions.ts";

/** Numbers of the queues, from the guest's side: it receives and it transmits. */
export const QUEUE_TO_GUEST = 0;
export const QUEUE_FROM_GUEST = 1;
const QUEUE_COUNT = 2;

/** Of RFC 791, and of the largest packet there is. */
const MTU_MIN = 68;
const MTU_MAX = 65535;
/** A bit for each page: enough for a guest of 32 TiB. */
const LOG_SIZE_MAX = 2 ** 30;

/** Where a session is at home. */
export interface SessionHost {
  /** Hears kicks of a queue. Zero, or the negative errno. */
  hear(queue: number, fd: number): number;
  /** Before the descriptor is closed, which others have as well. */
  unhear(queue: number): void;
  /** The features have changed. */
  agreed(features: Negotiated): void;
  /** A queue has been stopped for what the front end or its driver did. */
  broken(queue: number, problem: string): void;
}

/** Sound, but not to be had. */
class Refusal extends Error {}

type Handler = (message: Message) => Uint8Array | undefined;

export class Session {
  readonly memory: GuestMemory;
  readonly queues: readonly Queue[];
  readonly #sys: Libc;
  readonly #host: SessionHost;
  readonly #handlers: ReadonlyMap<number, Handler>;
  #features = negotiated(0n);
  #hasReplies = false;

  constructor(sys: Libc, host: SessionHost) {
    this.#sys = sys;
    this.#host = host;
    this.memory = new GuestMemory(sys);
    this.queues = Array.from(
      { length: QUEUE_COUNT },
      (_, i) => new Queue(sys, this.memory, i === QUEUE_TO_GUEST),
    );
    this.#handlers = new Map([
      ...this.#agreements(),
      ...this.#memories(),
      ...this.#rings(),
      ...this.#events(),
    ]);
  }

  get features(): Negotiated {
    return this.#features;
  }

  /**
   * Does what a message asks for. Its descriptors are closed, or kept.
   * @returns the reply, if there is one
   * @throws ProtocolError
   */
  handle(message: Message): Uint8Array | undefined {
    const { request, flags, fds } = message;
    const wantsReply = this.#hasReplies && (flags & FLAG_NEED_REPLY) !== 0;
    try {
      const handler = this.#handlers.get(request);
      if (handler === undefined) throw new Refusal(`unknown request ${request}`);
      const reply = handler(message);
      return reply ?? (wantsReply ? replyTo(request, encodeU64(0n)) : undefined);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (!wantsReply) throw new ProtocolError(error.message);
      return replyTo(request, encodeU64(1n));
    } finally {
      for (const fd of fds) this.#sys.close(fd);
    }
  }

  /** Stops a queue whose driver has broken a rule, and tells. */
  look(queue: number): void {
    const problem = this.queues[queue]?.takeProblem() ?? "";
    if (problem !== "") this.#host.broken(queue, problem);
  }

  /** Idempotent. Closes descriptors and unmaps the guest's memory. */
  close(): void {
    this.queues.forEach((queue, i) => {
      if (queue.fd("kick") >= 0) this.#host.unhear(i);
      queue.close();
    });
    this.memory.close();
  }

  #agreements(): [number, Handler][] {
    return [
      [REQUEST.getFeatures, (message) => answer(message, FEATURES)],
      [REQUEST.setFeatures, (message) => this.#setFeatures(readU64(message))],
      [REQUEST.getProtocolFeatures, (message) => answer(message, PROTOCOL_FEATURES)],
      [REQUEST.setProtocolFeatures, (message) => this.#setProtocolFeatures(readU64(message))],
      [REQUEST.setOwner, (message) => readNothing(message)],
      [REQUEST.resetOwner, (message) => readNothing(message)], // "no longer used": ignored
      [REQUEST.getQueueNum, (message) => answer(message, 1n)],
      [REQUEST.getMaxMemSlots, (message) => answer(message, BigInt(REGION_COUNT_MAX))],
      [REQUEST.netSetMtu, (message) => checkMtu(readU64(message))],
      [REQUEST.sendRarp, (message) => learnsNothing(readU64(message))],
    ];
  }

  #memories(): [number, Handler][] {
    return [
      [REQUEST.setMemTable, (message) => this.#setMemTable(message)],
      [REQUEST.addMemReg, (message) => this.#addMemReg(message)],
      [REQUEST.remMemReg, (message) => this.#remMemReg(message)],
      [REQUEST.setLogBase, (message) => this.#setLogBase(message)],
      [REQUEST.setLogFd, () => undefined], // who wants to hear of written pages looks himself
    ];
  }

  #rings(): [number, Handler][] {
    return [
      [
        REQUEST.setVringNum,
        (message) => {
          const { index, value } = readVringState(message);
          if (this.#queue(index).setSize(value) < 0) {
            throw new ProtocolError(`ring of ${value} entries`);
          }
          this.#update(index);
          return undefined;
        },
      ],
      [
        REQUEST.setVringAddr,
        (message) => {
          const places = readVringAddress(message);
          this.#queue(places.index).setPlaces(places);
          this.#update(places.index);
          return undefined;
        },
      ],
      [
        REQUEST.setVringBase,
        (message) => {
          const { index, value } = readVringState(message);
          this.#queue(index).setBase(value);
          this.#update(index);
          return undefined;
        },
      ],
      [REQUEST.getVringBase, (message) => this.#getVringBase(message)],
      [
        REQUEST.setVringEnable,
        (message) => {
          const { index, value } = readVringState(message);
          if (value > 1) throw new ProtocolError(`ring enabled by ${value}`);
          this.#queue(index).setEnabled(value === 1);
          this.#update(index);
          return undefined;
        },
      ],
    ];
  }

  #events(): [number, Handler][] {
    return [
      [REQUEST.setVringKick, (message) => this.#setEvent(message, "kick")],
      [REQUEST.setVringCall, (message) => this.#setEvent(message, "call")],
      [REQUEST.setVringErr, (message) => this.#setEvent(message, "err")],
    ];
  }

  // -------------------------------------------------------------- features

  #setFeatures(features: bigint): undefined {
    const unknown = features & ~FEATURES;
    if (unknown !== 0n) throw new Refusal(`features 0x${unknown.toString(16)} were not offered`);
    this.#features = negotiated(features);
    this.memory.setLogging(this.#features.isLogging);
    this.#updateAll();
    this.#host.agreed(this.#features);
  }

  #setProtocolFeatures(features: bigint): undefined {
    const unknown = features & ~PROTOCOL_FEATURES;
    if (unknown !== 0n) {
      throw new ProtocolError(`protocol features 0x${unknown.toString(16)} were not offered`);
    }
    this.#hasReplies = acknowledges(features);
  }

  // -------------------------------------------------------------- memory

  #setMemTable(message: Message): undefined {
    const table = readMemTable(message);
    this.memory.clear();
    const results = table.map((layout, i) => this.memory.add(layout, message.fds[i] ?? -1));
    const errno = results.find((result) => result < 0);
    if (errno !== undefined) this.memory.clear();
    this.#updateAll();
    checkMapped(errno ?? 0);
  }

  #addMemReg(message: Message): undefined {
    const errno = this.memory.add(readMemReg(message), message.fds[0] ?? -1);
    this.#updateAll();
    checkMapped(errno);
  }

  #remMemReg(message: Message): undefined {
    const errno = this.memory.remove(readMemReg(message));
    this.#updateAll();
    checkMapped(errno);
  }

  #setLogBase(message: Message): Uint8Array {
    const { size, offset } = readLogBase(message);
    if (size > LOG_SIZE_MAX) throw new ProtocolError(`log of ${size} octets`);
    const memory = ForeignMemory.map(this.#sys, message.fds[0] ?? -1, offset, size);
    if (typeof memory === "number") {
      throw new ProtocolError(`the log cannot be mapped: ${errnoText(memory)}`);
    }
    if (memory.canShrink) {
      memory.close();
      throw new ProtocolError("the log's memory is not sealed against shrinking");
    }
    this.memory.setLog(new DirtyLog(this.#sys, memory));
    return replyTo(REQUEST.setLogBase, new Uint8Array(0));
  }

  // -------------------------------------------------------------- queues

  #queue(index: number): Queue {
    const queue = this.queues[index];
    if (queue === undefined) {
      throw new ProtocolError(`queue ${index}, of ${QUEUE_COUNT} that there are`);
    }
    return queue;
  }

  #getVringBase(message: Message): Uint8Array {
    const { index } = readVringState(message);
    const queue = this.#queue(index);
    if (queue.fd("kick") >= 0) this.#host.unhear(index);
    const state = { index, value: queue.end() };
    return replyTo(REQUEST.getVringBase, encodeVringState(state));
  }

  #setEvent(message: Message, name: EventName): undefined {
    const { index, hasFd } = readVringEvent(message);
    const queue = this.#queue(index);
    const [fd = -1] = message.fds;
    if (hasFd && !isEventFd(fd)) throw new ProtocolError(`a ${name} that is no event descriptor`);
    if (name === "kick" && queue.fd("kick") >= 0) this.#host.unhear(index);
    if (hasFd) {
      message.fds.length = 0; // it is the queue's from now on
      setNonBlocking(this.#sys, fd);
    }
    queue.setFd(name, hasFd ? fd : -1);
    if (name !== "kick") return;
    const errno = hasFd ? this.#host.hear(index, fd) : 0;
    if (errno < 0) throw new Refusal(`a kick cannot be heard: ${errnoText(errno)}`);
    this.#update(index);
  }

  /** Has the queue run with what was said of it. */
  #update(index: number): void {
    const problem = this.#queue(index).update(this.#features);
    if (problem !== "") throw new Refusal(problem);
  }

  /** The same for all where something else was changed; a queue that cannot go on is told of. */
  #updateAll(): void {
    this.queues.forEach((queue, i) => {
      const problem = queue.update(this.#features);
      if (problem !== "") this.#host.broken(i, problem);
    });
  }
}

function answer(message: Message, value: bigint): Uint8Array {
  readNothing(message);
  return replyTo(message.request, encodeU64(value));
}

/**
 * A machine that cannot announce itself has moved here, and the switches are to be told of its MAC
 * address. There is none: this end is the only other one of the link, and learns from any frame.
 */
function learnsNothing(_mac: bigint): undefined {}

function checkMtu(mtu: bigint): undefined {
  if (mtu < MTU_MIN || mtu > MTU_MAX) throw new Refusal(`MTU ${mtu}`);
}

function checkMapped(errno: number): void {
  if (errno < 0) {
    throw new Refusal(`guest memory: ${errnoText(errno)} (${errnoName(errno)})`);
  }
}
