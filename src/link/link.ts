/**
 * A link: whatever carries Ethernet frames between the guest and the engine.
 *
 * Frames move in batches over engine memory, so that no octet is copied in TypeScript: `receive`
 * fills RX slots and their descriptors, `transmit` takes TX records whose iovecs hold absolute
 * addresses. Framing ends inside the link: a frame is the optional virtio_net_hdr and then the
 * Ethernet header, in both directions. A link never blocks.
 *
 * A link has no, one or many descriptors, and they may change while it lives: it registers them
 * itself, gets their events, and says what they mean. Registering costs nothing while frames flow.
 *
 * A link outlives the engine it works for (`handOver`): descriptors, and what its other end has
 * been told, are its own.
 */

/**
 * Where a link registers descriptors: the loop's epoll. `events` are EPOLL… bits, `token` comes
 * back with each event. Zero, or the negative errno. Closing a descriptor takes it off.
 * Level-triggered ones are to be served, or watched for nothing, when they have an event.
 */
export interface LinkWatcher {
  add(fd: number, events: number, token: number): number;
  modify(fd: number, events: number, token: number): number;
  /** Before the descriptor is closed. */
  forget(token: number): void;
  /** The same where others have the descriptor too, so that closing it does not take it off. */
  remove(token: number): void;
}

export interface Link {
  /** Octets of virtio_net_hdr in front of every frame. */
  readonly vnetSize: 0 | 10 | 12;
  /**
   * LINK_… of wasm/abi.ts: what frames we may write, and whether offload frames arrive. A link
   * whose peer says what it takes begins with none, and tells of changes (`onFlags`).
   */
  readonly flags: number;
  /** Frames the guest's side queues towards us before it drops or waits. */
  readonly queueFrames: number;
  /** Frames that `receive` is best asked for next, up to RX_SLOT_COUNT; absent: any number. */
  readonly batchFrames?: number | undefined;
  /** Largest MTU the link can carry, octets of IP packet. */
  readonly mtuMax: number;
  /** Frames that the other side would not have (malformed, no buffers, nobody there) and that were
   * skipped. */
  readonly refused: number;

  /**
   * Called once by each loop, before frames flow: registers what there is to be watched. Links that
   * the owner drives himself have nothing.
   * @returns zero or the negative errno
   * @throws SystemError where a descriptor of its own cannot be had
   */
  watch(watcher: LinkWatcher): number;

  /**
   * Something happened to a descriptor registered with `token`.
   * @returns whether `receive` may have frames now; "served": no, but something came of it
   */
  event(token: number, events: number): boolean | "served";

  /**
   * While `on`, the loop is woken up when `transmit` may take more, too; otherwise only by frames.
   * Frames are taken from the guest in both cases.
   */
  wantRoom(on: boolean): void;

  /**
   * Reads up to `max` (bounded by RX_SLOT_COUNT) frames. For each i below the result, descriptor i
   * says where the frame lies (an engine offset) and how long it is.
   * @returns how many, 0 = nothing there now; or the negative errno once the link is gone
   */
  receive(memory: LinkMemory, max: number): number;

  /**
   * The engine has looked at the first `count` frames of the last `receive`: what it has noted of
   * them can be read. Absent: of no interest.
   */
  handled?(memory: LinkMemory, count: number): void;

  /**
   * Writes the frames [first, count) of the TX records.
   * @returns how many were taken, refused ones included; fewer than asked: the link is full, and
   *   wants the rest, unchanged and from the first on, when it has room. Or the negative errno once
   *   the link is gone.
   */
  transmit(memory: LinkMemory, first: number, count: number): number;

  /**
   * The engine has failed, and another one with another loop takes its place: forgets, while the
   * memory is still there, what of it the link refers to. Frames that were handed on count as dealt
   * with, whatever became of them; one that was transmitted in part is still sent as a whole.
   * Absent: nothing is kept from one call to the next.
   */
  handOver?(): void;

  /**
   * All that the frames of the last `receive` led to has been done: what of them is lent goes back.
   * Links that lend have it. It is called between two calls of `receive`, and before any `event`.
   */
  release?(memory: LinkMemory): void;

  /** Idempotent. Closes the descriptors. */
  close(): void;
}

/**
 * Takes the places of payload that stays where the guest has it until `release`, in place of the
 * octets in a receive slot: frame i is in slot i, and its descriptor says from which octet on it is
 * lent (`writeRxDescriptor`).
 */
export interface LinkLoans {
  /** Frame `i` is lent from octet `from` on; its pieces follow, in order. */
  begin(i: number, from: number): void;
  /** @returns false where there is no room for more: the frame has to be copied */
  add(i: number, address: number, length: number): boolean;
  /**
   * Copies the first `length` octets of what is lent of frame `i` to an address of this process.
   * @returns octets copied
   */
  read(i: number, to: number, length: number): number;
  /** Frame `i`, begun last, is not lent after all. */
  cancel(i: number): void;
  /** Nothing is lent any more. */
  clear(): void;
  /** A system call has found that memory was not there. */
  readonly hasFaulted: boolean;
}

/** Where in engine memory a link works. Offsets are octets from the start of `buffer`. */
export interface LinkMemory {
  readonly buffer: ArrayBuffer;
  /** Address of `buffer` in this process; 0 where iovecs hold offsets. */
  readonly base: number;
  /** The whole `buffer` as words. */
  readonly u32: Uint32Array;
  readonly rxDescriptors: number;
  readonly rxBuffers: number;
  readonly txRecords: number;
  /** Where there is none every frame is copied as a whole. */
  readonly loans?: LinkLoans | undefined;
}
