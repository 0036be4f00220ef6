/**
 * A guest's memory beside an engine's, for frames whose payload is lent: it lies there in pieces,
 * and what their slots have in its place is garbage, so an engine that reads it is found out. When
 * the payload is given back the guest writes over it.
 */
import type { Engine } from "../../src/engine/engine.ts";
import { payloadStart } from "../../src/link/vhost-user/payload-start.ts";
import { LentFrames } from "../../src/upstream/lent.ts";
import * as abi from "../../wasm/abi.ts";
import type { FakeHost } from "./fake-host.ts";
import type { FakeSocket } from "./fake-socket.ts";
import { sendStream } from "./fake-stream.ts";
import { concat } from "./packet.ts";

/** Where the first of what is not engine memory lies: engine addresses are offsets. */
const BEYOND = 2 ** 40;
const SPACING = 2 ** 24;
const MEMORY_SIZE = 8 << 20;
/** VIRTIO_NET_HDR_F_DATA_VALID. */
const VALID = 2;
const [GARBAGE, REUSED] = [0xee, 0xdd];
/** Octets of the pieces, in turns. */
const PIECES = [1, 700, 16, 4096, 3];

/** Addresses of several buffers, and the calls that take them. */
class AddressSpace {
  readonly #buffers: Uint8Array[] = [];
  /** Takes what a send refers to. */
  onSend: (octets: Uint8Array, pieces: readonly number[]) => number = () => 0;

  add(buffer: Uint8Array): number {
    this.#buffers.push(buffer);
    return this.#buffers.length === 1 ? 0 : BEYOND + this.#buffers.length * SPACING;
  }

  address(buffer: ArrayBufferLike | Uint8Array): number {
    return this.add(buffer instanceof Uint8Array ? buffer : new Uint8Array(buffer));
  }

  bytes(address: number, length: number): Uint8Array {
    const isFirst = address < BEYOND;
    const buffer = this.#buffers[isFirst ? 0 : Math.floor((address - BEYOND) / SPACING) - 1];
    const at = isFirst ? address : (address - BEYOND) % SPACING;
    if (buffer === undefined || at + length > buffer.length) {
      throw new Error(`nothing is at "${address}+${length}"`);
    }
    return buffer.subarray(at, at + length);
  }

  memcpy(to: number, from: number, length: number): number {
    this.bytes(to, length).set(this.bytes(from, length));
    return 0;
  }

  sendmsg(_fd: number, message: number): number {
    const iov = this.#u64(message + abi.MSG_IOV_OFFSET);
    const count = this.#u64(message + abi.MSG_IOV_COUNT_OFFSET);
    if (count < 1 || count > 1024) throw new Error(`wanted 1 to 1024 iovecs, not "${count}"`);
    const iovecs = Array.from({ length: count }, (_, i) => {
      const at = iov + i * abi.IOV_SIZE;
      return [this.#u64(at), this.#u64(at + abi.IOV_LENGTH_OFFSET)] as const;
    });
    const octets = concat(...iovecs.map(([base, length]) => this.bytes(base, length)));
    return this.onSend(
      octets,
      iovecs.map(([base]) => base),
    );
  }

  #u64(address: number): number {
    const bytes = this.bytes(address, 8);
    return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  }
}

export class Lender {
  /** Has every third frame come without a checksum that is vouched for, so that it is copied. */
  readonly #isMixed: boolean;
  readonly frames: LentFrames;
  /** Frames that were lent, sends, and iovecs of these that lead to guest memory. */
  lent = 0;
  calls = 0;
  sent = 0;
  readonly #engine: Engine;
  readonly #guest = new Uint8Array(MEMORY_SIZE);
  readonly #base: number;
  #used = 0;
  #turns = 0;
  #headers = 0;

  constructor(engine: Engine, host: FakeHost, lends: true | "mixed") {
    this.#isMixed = lends === "mixed";
    const space = new AddressSpace();
    space.add(engine.octets);
    this.#engine = engine;
    this.#base = space.add(this.#guest);
    this.frames = new LentFrames(
      {
        address: (buffer) => space.address(buffer),
        memcpy: (to, from, length) => space.memcpy(to, from, length),
        sendmsg: (fd, message) => space.sendmsg(fd, message),
      },
      engine,
      0,
    );
    host.sendMessage = (socket: FakeSocket, message, isUrgent) => {
      space.onSend = (octets, pieces) => {
        this.calls += 1;
        this.sent += pieces.filter((address) => address >= this.#base).length;
        return sendStream(socket, octets, octets.length, isUrgent);
      };
      return this.frames.send(0, message, 0);
    };
  }

  /** Of the next frame. */
  header(): Uint8Array {
    this.#headers += 1;
    const isCopied = this.#isMixed && this.#headers % 3 === 0;
    return Uint8Array.of(isCopied ? 0 : VALID, ...new Uint8Array(11));
  }

  /** Puts the frame into its slot and guest memory; false: it is none that is lent. */
  place(slot: number, frame: Uint8Array): boolean {
    const start = payloadStart(frame, 0, frame.length);
    if (start === 0) return false;
    const { octets, view, bases } = this.#engine;
    const pointer = bases.rxBuffers + slot * abi.RX_SLOT_SIZE;
    octets.set(frame.subarray(0, start), pointer);
    octets.fill(GARBAGE, pointer + start, pointer + frame.length);
    const descriptor = bases.rxDescriptors + slot * abi.RX_DESCRIPTOR_SIZE;
    view.setUint32(descriptor + abi.RX_DESCRIPTOR_POINTER_OFFSET, pointer, true);
    const length = frame.length + start * 2 ** abi.LENT_SHIFT;
    view.setUint32(descriptor + abi.RX_DESCRIPTOR_LENGTH_OFFSET, length, true);
    this.frames.begin(slot, start);
    this.lent += 1;
    for (let at = start; at < frame.length; ) {
      this.#turns += 1;
      const part = frame.subarray(at, at + (PIECES[this.#turns % PIECES.length] ?? 1));
      this.#guest.set(part, this.#used);
      if (!this.frames.add(slot, this.#base + this.#used, part.length)) {
        this.frames.cancel(slot);
        return false;
      }
      this.#used += part.length + 1;
      at += part.length;
    }
    return true;
  }

  /** The turn is over. */
  release(): void {
    if (this.#engine.mustFlush) this.frames.settle();
    this.frames.clear();
    this.#guest.fill(REUSED, 0, this.#used);
    this.#used = 0;
  }
}
