/**
 * The machine's network card: v86's virtio device, with offloads.
 *
 * v86 offers the guest no offloads, so an emulated processor adds up the checksum of every octet,
 * which is slower than moving it. Its device does not read the header by which driver and device
 * speak of them (struct virtio_net_hdr, Virtual I/O Device 1.2 §5.1.6): with a frame of the guest
 * it lies in front in the same buffer, and for a frame to the guest v86 writes one of zeros. So
 * this offers the features before the guest looks for them, and serves both queues by itself.
 * Frames go from the guest's memory to where they are wanted, and back, without a new buffer for
 * each, which v86 makes and which takes longer than the frame. The library leaves its parts open;
 * no type has them.
 */
import type { V86 } from "v86";

/** struct virtio_net_hdr with the count of buffers. */
const HEADER_SIZE = 12;
/** How many buffers the frame takes; one, as buffers are not merged. */
const BUFFERS_OFFSET = 10;
const RECEIVE_QUEUE = 0;
const TRANSMIT_QUEUE = 1;
/** What the engine takes, the header included (`RX_SLOT_SIZE`). */
const FRAME_MAX = 69_632;

/** Bits of features, §5.1.3: the device's checksums and segmentation, and the driver's. */
const CSUM = 0;
const GUEST_CSUM = 1;
const GUEST_TSO4 = 7;
const GUEST_TSO6 = 8;
const HOST_TSO4 = 11;
const HOST_TSO6 = 12;
const OFFLOADS = [CSUM, GUEST_CSUM, GUEST_TSO4, GUEST_TSO6, HOST_TSO4, HOST_TSO6].reduce(
  (bits, bit) => bits | (1 << bit),
  0,
);

/** Buffers of the guest for one frame. */
interface Chain {
  /** Octets that the guest has written. */
  readonly length_readable: number;
  get_next_blob(target: Uint8Array): number;
  set_next_blob(octets: Uint8Array): void;
}

interface Queue {
  /** Other than 0 once the guest's driver has set it up. */
  is_configured(): number;
  has_request(): boolean;
  pop_request(): Chain;
  push_reply(chain: Chain): void;
  flush_replies(): void;
}

interface Virtio {
  readonly queues: readonly Queue[];
  /** 32 bits of features each. */
  readonly device_feature: Uint32Array;
}

interface Inside {
  readonly v86: { readonly cpu: { readonly devices: { readonly virtio_net: { virtio: Virtio } } } };
}

/** A frame of the guest, in the guest's memory. */
export interface GuestFrame {
  /** Octets, its header in front. */
  readonly length: number;
  /** Writes it to where there is as much room. */
  copy(target: Uint8Array): void;
}

export class Card {
  /** Frames of the guest that are shorter than their header, or too long for anyone. */
  refused = 0;
  /** Takes the guest's frames, within this call; what is left is dropped. */
  onSend: (frames: Iterable<GuestFrame>) => void = () => {};
  #virtio: Virtio | undefined;
  readonly #buffer = new Uint8Array(FRAME_MAX);

  /** @param v86 not started yet */
  constructor(v86: V86) {
    v86.add_listener("emulator-ready", () => {
      const { virtio } = (v86 as unknown as Inside).v86.cpu.devices.virtio_net;
      virtio.device_feature[0] = (virtio.device_feature[0] ?? 0) | OFFLOADS;
      this.#virtio = virtio;
      this.#takeOver(virtio.queues[TRANSMIT_QUEUE]);
    });
  }

  /** v86, told by the guest of frames, asks whether there are any: by then there are none. */
  #takeOver(queue: Queue | undefined): void {
    if (queue === undefined) throw new Error("v86's card has no queue to send by");
    const hasFrames = queue.has_request.bind(queue);
    let isServing = false;
    queue.has_request = () => {
      if (isServing) return hasFrames(); // `pop_request` asks as well
      isServing = true;
      if (hasFrames()) this.onSend(this.#frames(queue));
      while (hasFrames()) queue.push_reply(queue.pop_request());
      isServing = false;
      return false;
    };
  }

  *#frames(queue: Queue): Generator<GuestFrame> {
    while (queue.has_request()) {
      const chain = queue.pop_request();
      const { length_readable: length } = chain;
      if (length <= HEADER_SIZE || length > FRAME_MAX) this.refused += 1;
      else yield { length, copy: (target) => void chain.get_next_blob(target) };
      queue.push_reply(chain);
    }
  }

  /** Room for one more frame. */
  get hasRoom(): boolean {
    const queue = this.#queue;
    return queue !== undefined && queue.is_configured() !== 0 && queue.has_request();
  }

  /** Writes a frame, with its header in front, where there is room; see `flush`. */
  put(length: number, write: (target: Uint8Array) => void): void {
    const queue = this.#queue;
    if (queue === undefined) return;
    const frame = this.#buffer.subarray(0, length);
    write(frame);
    frame[BUFFERS_OFFSET] = 1;
    const chain = queue.pop_request();
    chain.set_next_blob(frame);
    queue.push_reply(chain);
  }

  /** Tells the guest of all frames that were put. */
  flush(): void {
    this.#queue?.flush_replies();
  }

  get #queue(): Queue | undefined {
    return this.#virtio?.queues[RECEIVE_QUEUE];
  }
}
