/**
 * A guest at the other end of a stream socket, as QEMU's `-netdev stream` and `-netdev socket` have
 * it: each frame behind its length in four octets, big-endian.
 *
 * Theory of operation
 *   Frames of the guest are put together from chunks and given to the link; one that it has no room
 *   for stays, and the socket is paused until there is. Frames for the guest are written in one
 *   piece for each turn; with ROOM octets that the kernel has not taken the link is told so, and
 *   goes on when they are gone. A length that no frame has ends the connection: what follows it
 *   cannot be told apart any more.
 */
import type { Duplex } from "node:stream";
import { RX_SLOT_SIZE } from "../../../wasm/abi.ts";
import { EngineError } from "../../engine/errors.ts";
import { deferred } from "../../lib/deferred.ts";
import { messageOf } from "../../lib/message.ts";
import { ChunkQueue } from "../chunk-queue.ts";
import type { SentFrames } from "../frame-link.ts";
import type { Network } from "../network.ts";

const LENGTH_SIZE = 4;
/** An Ethernet header. */
const FRAME_MIN = 14;
/** Octets for the guest that the kernel has not taken, beyond which the link waits. */
const ROOM = 1 << 20;

/**
 * Plugs the guest at this socket into the network, until one of both ends; the socket is closed in
 * any case.
 * @returns fulfilled when it has closed; rejects with its error, or `EngineError`: FRAME, or BUSY
 *   where the link has a guest
 */
export async function serveStream(network: Network, socket: Duplex): Promise<void> {
  const { link } = network;
  if (link.onFrame !== undefined || link.onFrames !== undefined) {
    socket.on("error", () => {}); // of one that nobody serves
    socket.destroy();
    throw new EngineError("BUSY", "the link has a guest: one at a time");
  }
  await new StreamGuest(network, socket).closed;
}

class StreamGuest {
  readonly #network: Network;
  readonly #socket: Duplex;
  readonly #end = deferred();
  readonly #chunks = new ChunkQueue();
  readonly #prefix = new Uint8Array(LENGTH_SIZE);
  /** Octets of the frame that is coming in; 0 = its length is not there yet. */
  #size = 0;
  /** A frame that the link has no room for. */
  #frame: Uint8Array | undefined;
  #unsent = 0;
  #linkWaits = false;
  #isOver = false;

  constructor(network: Network, socket: Duplex) {
    this.#network = network;
    this.#socket = socket;
    network.link.onFrames = (frames) => this.#send(frames);
    network.link.onRoom = () => this.#goOn();
    socket.on("data", (chunk: Uint8Array) => this.#data(chunk));
    socket.on("end", () => this.#over());
    socket.on("error", (error) => this.#over(error));
    socket.on("close", () => this.#over());
    const ended = (): void => this.#over();
    network.closed.then(ended, ended);
    // One that is over already, as while the engine was compiled, tells nothing of it again.
    if (socket.destroyed || socket.readableEnded) this.#over(socket.errored ?? undefined);
  }

  get closed(): Promise<void> {
    return this.#end.promise;
  }

  // -------------------------------------------------------------- from the guest

  #data(chunk: Uint8Array): void {
    if (this.#isOver) return;
    this.#chunks.push(chunk);
    this.#goOn();
  }

  #goOn(): void {
    if (this.#isOver) return;
    try {
      if (this.#deliver()) this.#socket.resume();
      else this.#socket.pause();
    } catch (error) {
      this.#over(error);
    }
  }

  /** Gives the link what is there as a whole; false: it has no room. */
  #deliver(): boolean {
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) {
      if (!this.#network.link.receive(frame)) return false;
      this.#frame = undefined;
    }
    return true;
  }

  /** The frame that had no room, else the next one, once it is whole. */
  #next(): Uint8Array | undefined {
    if (this.#frame !== undefined) return this.#frame;
    if (this.#size === 0) {
      if (this.#chunks.length < LENGTH_SIZE) return undefined;
      this.#chunks.read([this.#prefix]);
      this.#size = this.#length();
    }
    if (this.#chunks.length < this.#size) return undefined;
    this.#frame = new Uint8Array(this.#size);
    this.#chunks.read([this.#frame]);
    this.#size = 0;
    return this.#frame;
  }

  #length(): number {
    const [a = 0, b = 0, c = 0, d = 0] = this.#prefix;
    const length = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
    if (length >= FRAME_MIN && length <= RX_SLOT_SIZE) return length;
    const wanted = `${FRAME_MIN} to ${RX_SLOT_SIZE}`;
    throw new EngineError("FRAME", `the guest announces ${length} octets, not ${wanted}`);
  }

  // -------------------------------------------------------------- to the guest

  #send(frames: SentFrames): number {
    if (this.#unsent >= ROOM) {
      this.#linkWaits = true;
      return 0;
    }
    let size = 0;
    for (let i = 0; i < frames.count; i += 1) size += LENGTH_SIZE + frames.length(i);
    const octets = new Uint8Array(size);
    const view = new DataView(octets.buffer);
    let at = 0;
    for (let i = 0; i < frames.count; i += 1) {
      const length = frames.length(i);
      view.setUint32(at, length);
      frames.copy(i, octets, at + LENGTH_SIZE);
      at += LENGTH_SIZE + length;
    }
    this.#unsent += size;
    this.#socket.write(octets, () => this.#sent(size));
    return frames.count;
  }

  #sent(size: number): void {
    this.#unsent -= size;
    if (!this.#linkWaits || this.#unsent >= ROOM || this.#isOver) return;
    this.#linkWaits = false;
    this.#network.link.resume();
  }

  #over(error?: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { link } = this.#network;
    link.onFrames = undefined;
    link.onRoom = undefined;
    if (this.#linkWaits) this.#release();
    this.#chunks.clear();
    this.#socket.destroy();
    if (error === undefined) this.#end.resolve();
    else this.#end.reject(error instanceof Error ? error : new Error(messageOf(error)));
  }

  /** What waits for this guest is nobody's any more. */
  #release(): void {
    try {
      this.#network.link.resume();
    } catch {
      // The network is over as well.
    }
  }
}
