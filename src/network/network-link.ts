/** The guest's end of the link, as an embedder has it. */
import type { FrameBatch, FrameLink, FrameReceiver, FramesReceiver } from "./frame-link.ts";

/** What the network does for it. */
interface LinkOwner {
  /** Throws `EngineError` DISPOSED. */
  readonly check: () => void;
  readonly openBatch: () => FrameBatch;
  readonly isFree: () => boolean;
  readonly onRoom: () => void;
}

export class NetworkLink {
  readonly #frames: FrameLink;
  readonly #owner: LinkOwner;
  /** There is room again after `receive` has said false. */
  onRoom: (() => void) | undefined;

  constructor(frames: FrameLink, owner: LinkOwner) {
    this.#frames = frames;
    this.#owner = owner;
  }

  /**
   * Takes a copy of a frame from the guest, from the Ethernet header on without frame check
   * sequence. What is wrong with it is the guest's fault: it is dropped and counted by reason.
   * @returns false where there is no room: offer it again after `onRoom`
   * @throws EngineError FRAME for one of no octets or more than 69632, DISPOSED
   */
  receive(frame: Uint8Array): boolean {
    this.#owner.check();
    return this.#frames.push(frame);
  }

  /**
   * Has up to 64 frames written where the engine reads them; `end` of the batch hands them over and
   * turns the network at once.
   * @throws EngineError BUSY while another batch is in work or from within a turn, DISPOSED
   */
  openBatch(): FrameBatch {
    this.#owner.check();
    return this.#owner.openBatch();
  }

  /** Whether a batch may be opened now, without a turn before it. */
  get isFree(): boolean {
    return this.#owner.isFree();
  }

  /** Gets a copy of each frame for the guest; see `FrameReceiver`. */
  set onFrame(receiver: FrameReceiver | undefined) {
    this.#frames.onFrame = receiver;
  }

  get onFrame(): FrameReceiver | undefined {
    return this.#frames.onFrame;
  }

  /** Gets frames for the guest where they are, in place of `onFrame`; see `FramesReceiver`. */
  set onFrames(receiver: FramesReceiver | undefined) {
    this.#frames.onFrames = receiver;
  }

  get onFrames(): FramesReceiver | undefined {
    return this.#frames.onFrames;
  }

  /** There is room for frames again after a receiver has not taken them all. */
  resume(): void {
    this.#owner.check();
    this.#owner.onRoom();
  }

  /** Frames that nobody was there for. */
  get refused(): number {
    return this.#frames.refused;
  }
}
