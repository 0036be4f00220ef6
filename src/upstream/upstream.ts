/**
 * The host side of all flows: what the loop needs of it, whoever provides it.
 *
 * The engine decides, an upstream carries out. Operations are records in engine memory (OP_* of
 * `wasm/abi.ts`); `execute` performs them in order and writes each result in place, zero or more as
 * the system call returned, or the negative errno. It never blocks and never throws for what a
 * guest or a peer can cause. Events of its sockets reach the engine as (handle, EVENT_* bits).
 */
export interface Executor {
  /** Carries out `count` operations starting at engine offset `base`. */
  execute(base: number, count: number): void;
  /**
   * The flow has had news that cannot be acted on while the link is full. From the second time on
   * nothing more is told of data that comes in for it, until `heed`: a peer that sends octet by
   * octet would else keep the loop awake.
   */
  quieten(handle: number): void;
  /** The link has room: tells of all news again, and of what came meanwhile. */
  heed(): void;
  /** Closes every socket. Idempotent. */
  close(): void;
}

/** What an epoll event is about: the upper word of its data; the lower one is a handle or index. */
export const EVENT_OF_FLOW = 0;
export const EVENT_OF_LINK = 1;
export const EVENT_OF_CONTROL = 2;
export const EVENT_OF_LISTENER = 3;
/** Only wakes the loop up. */
export const EVENT_OF_ALARM = 4;
/** The host's own addresses have changed. */
export const EVENT_OF_ADDRESSES = 5;
/** A guest has said something to a service of the host's own (`tftp`). */
export const EVENT_OF_SERVICE = 6;
/** A published UDP port that no flow has. */
export const EVENT_OF_PORT = 7;
