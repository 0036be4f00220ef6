/**
 * A link: whatever carries Ethernet frames between the guest and the engine.
 *
 * Frames move in batches over engine memory, so that no octet is copied in TypeScript: `receive`
 * fills RX slots and their descriptors, `transmit` takes TX records whose iovecs hold absolute
 * addresses. Framing ends inside the link: a frame is the optional virtio_net_hdr and then the
 * Ethernet header, in both directions. A link never blocks.
 */

export interface Link {
  /** For epoll: readable when `receive` may have frames, writable when `transmit` may take some. -1
   * where there is no descriptor and the owner drives the link itself. */
  readonly fd: number;
  /** Octets of virtio_net_hdr in front of every frame. */
  readonly vnetSize: 0 | 10 | 12;
  /** LINK_… of wasm/abi.ts: what frames we may write, and whether offload frames arrive. */
  readonly flags: number;
  /** Frames the guest's side queues towards us before it drops or waits. */
  readonly queueFrames: number;
  /** Largest MTU the link can carry, octets of IP packet. */
  readonly mtuMax: number;
  /** Frames that the other side would not have (malformed, no buffers) and that were skipped. */
  readonly refused: number;

  /**
   * Reads up to `max` (bounded by RX_SLOT_COUNT) frames. For each i below the result, descriptor i
   * says where the frame lies (an engine offset) and how long it is.
   * @returns how many, 0 = nothing there now; or the negative errno once the link is gone
   */
  receive(memory: LinkMemory, max: number): number;

  /**
   * Writes the frames [first, count) of the TX records.
   * @returns how many were taken, refused ones included; fewer than asked: the link is full, wait
   *   until `fd` is writable. Or the negative errno once the link is gone.
   */
  transmit(memory: LinkMemory, first: number, count: number): number;

  /** Idempotent. Closes `fd`. */
  close(): void;
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
}
