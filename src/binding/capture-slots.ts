/**
 * Captures that are asked for while the network runs: the worker's side. Slots have a ring each,
 * which the main thread empties (`captures.ts`). They are the link's and not the engine's: one that
 * fails ends none of them.
 */
import { parseFilter } from "../config/filter.ts";
import { DROP_LABELS } from "../engine/counter-names.ts";
import { ByteRing } from "../lib/byte-ring.ts";
import { LossySink } from "../lib/ring-sink.ts";
import { CaptureWriter } from "../link/capture-writer.ts";
import type { NativeCopy } from "../link/copy-buffer.ts";
import type { WatchedLink } from "../link/watched-link.ts";
import { wallClock } from "../loop/clock.ts";
import { type CaptureFigures, RequestError, type Requests } from "./requests.ts";

export interface CaptureSlotsNeeds {
  /** By slot. */
  readonly rings: readonly SharedArrayBuffer[];
  /** Tells the main thread that there is something to write. */
  readonly say: () => void;
  /** Tells it that the capture of a slot goes no further. */
  readonly sayEnded: (slot: number) => void;
}

interface Running {
  readonly writer: CaptureWriter;
  readonly ring: ByteRing;
  /** Lost frames that the ring knows of. */
  lost: number;
}

export class CaptureSlots {
  readonly #needs: CaptureSlotsNeeds;
  #link: Pick<WatchedLink, "add" | "remove"> | undefined;
  #native: NativeCopy | undefined;
  readonly #slots: (Running | undefined)[];

  constructor(needs: CaptureSlotsNeeds) {
    this.#needs = needs;
    this.#slots = needs.rings.map(() => undefined);
  }

  /** Takes the frames of this link from now on. */
  serve(link: Pick<WatchedLink, "add" | "remove">, native: NativeCopy | undefined): void {
    this.#link = link;
    this.#native = native;
  }

  /** @throws RequestError, ConfigError: nothing has changed then */
  start({ slot, headerSize, filter, ...limits }: Requests["captureStart"]["asks"]): void {
    const { rings, say, sayEnded } = this.#needs;
    const native = this.#native;
    const buffer = rings[slot];
    if (buffer === undefined || this.#slots[slot] !== undefined) {
      throw new RequestError("internal", `slot ${slot} is not free`);
    }
    const ring = new ByteRing(buffer);
    const tell = (): void => {
      if (ring.mustTell()) say();
    };
    const writer = new CaptureWriter({
      sink: new LossySink({ ring, tell }),
      now: wallClock,
      reasons: DROP_LABELS,
      headerSize,
      filter: parseFilter(filter),
      snapLength: limits.snapLength,
      framesMax: limits.framesMax,
      maxBytes: limits.octetsMax,
      secondsMax: limits.secondsMax,
      ...(native === undefined ? {} : { native }),
      tell: ({ kind }) => {
        if (kind === "ended") sayEnded(slot);
      },
    });
    this.#slots[slot] = { writer, ring, lost: 0 };
    this.#link?.add(writer);
  }

  /** @throws RequestError where nothing is under way */
  figures(slot: number): CaptureFigures {
    const { writer } = this.#at(slot);
    return { frames: writer.frames, octets: writer.bytes, lost: writer.lost };
  }

  /** Ends it, with what it still has given to the ring. @throws RequestError as above */
  stop(slot: number): CaptureFigures {
    const running = this.#at(slot);
    this.#link?.remove(running.writer);
    running.writer.close();
    this.#count(running);
    this.#slots[slot] = undefined;
    const { frames, bytes: octets, lost } = running.writer;
    return { frames, octets, lost };
  }

  wait(now: number): number | undefined {
    let soonest: number | undefined;
    for (const running of this.#slots) {
      const wait = running?.writer.wait(now);
      if (wait !== undefined && (soonest === undefined || wait < soonest)) soonest = wait;
    }
    return soonest;
  }

  poll(now: number): void {
    for (const running of this.#slots) {
      if (running === undefined) continue;
      running.writer.poll(now);
      this.#count(running);
    }
  }

  /** Has the ring tell what was lost. */
  #count(running: Running): void {
    const { writer, ring } = running;
    if (writer.lost === running.lost) return;
    ring.lose(writer.lost - running.lost);
    running.lost = writer.lost;
  }

  #at(slot: number): Running {
    const running = this.#slots[slot];
    if (running === undefined) throw new RequestError("not-found", "the capture has ended");
    return running;
  }
}
