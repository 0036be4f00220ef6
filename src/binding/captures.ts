/**
 * Captures that are asked for while a network runs: the main thread's side, which has them written
 * and ended. `capture-slots.ts` is the worker's side.
 *
 * Theory of operation
 *   CAPTURES_MOST captures may be under way in a network at once, besides that of `--pcap`. Each
 *   has a ring of shared memory, of CAPTURE_SIZE octets, which is made with the network: none can
 *   be sent to a worker that waits in the kernel. Memory that was never written to costs nothing,
 *   and what a capture has used goes back when it has ended. A pump empties the ring into a file or
 *   to a caller. Packets never wait: where the pump is slower than they are, frames are left out
 *   and counted.
 *
 *     begins   the ring is emptied and gets the file's header; the worker is asked to fill it
 *     ends     by `stop`, by a limit (the worker says so), where the outlet fails, or with the
 *              network. The worker gives its last octets and its figures, the pump has some time to
 *              write them, and when its last write is over the place is free. An engine that fails
 *              in between matters to none of this: a capture is the link's, which stays.
 */
import { parseFilter } from "../config/filter.ts";
import { ByteRing } from "../lib/byte-ring.ts";
import type { LogFields, Logger } from "../lib/log.ts";
import { type Outlet, Pump } from "../lib/pump.ts";
import { pcapngHeader } from "../link/pcapng.ts";
import { wallClock } from "../loop/clock.ts";
import type { NetworkEvent } from "./events.ts";
import { type CaptureFigures, RequestError, type RequestKind, type Requests } from "./requests.ts";

const CAPTURES_MOST = 4;
const CAPTURE_SIZE = 4 * 1024 * 1024;
/** At the end: how long without anything written, and how long in all, milliseconds. */
const CLOSE_FILE = { still_ms: 250, most_ms: 5000 };
const CLOSE_CALLER = { still_ms: 5000, most_ms: 60_000 };

/** What is to be captured; 0 = without limit. */
export interface CaptureSettings {
  readonly filter: string;
  readonly snapLength: number;
  readonly framesMax: number;
  readonly octetsMax: number;
  readonly secondsMax: number;
}

/** A capture under way, or one that has ended. */
export interface NetworkCapture {
  /** Unique in the program. */
  readonly id: number;
  readonly settings: CaptureSettings;
  /** Empty: it goes to a caller. */
  readonly file: string;
  /** Microseconds since 1970. */
  readonly started: number;
  /** Frames left out so far, as they came faster than they were taken. */
  readonly lost: number;
  /** Once it has ended, for the last time. */
  figures(): Promise<CaptureFigures>;
  /** Ends it; resolves when its outlet has all there is. Idempotent. */
  stop(reason: string): Promise<CaptureFigures>;
}

export interface CaptureNeeds {
  /** What the network is called in captures. */
  readonly interfaceName: string;
  ask<K extends RequestKind>(kind: K, asks: Requests[K]["asks"]): Promise<Requests[K]["gives"]>;
  /** Gives back the pages of octets that nobody needs. */
  readonly forget: (octets: Uint8Array) => void;
  readonly log?: Logger | undefined;
  readonly onEvent?: ((event: NetworkEvent) => void) | undefined;
}

/** Of all networks of the program. */
let latestId = 0;

export class Captures {
  /** For the worker, by slot. */
  readonly shared: readonly SharedArrayBuffer[];
  readonly #needs: CaptureNeeds;
  readonly #slots: (Capture | undefined)[];

  constructor(needs: CaptureNeeds) {
    this.#needs = needs;
    this.shared = Array.from({ length: CAPTURES_MOST }, () => ByteRing.create(CAPTURE_SIZE).buffer);
    this.#slots = this.shared.map(() => undefined);
  }

  /** Those under way. */
  get running(): readonly NetworkCapture[] {
    return this.#slots.flatMap((capture) => capture ?? []);
  }

  /**
   * Begins a capture.
   * @param open makes where it goes, once nothing else is in the way
   * @param file its name, for lists; empty: it goes to a caller
   * @throws RequestError, ConfigError (rejects): nothing has changed then
   */
  async start(
    settings: CaptureSettings,
    open: () => Outlet,
    file: string,
  ): Promise<NetworkCapture> {
    parseFilter(settings.filter);
    const slot = this.#slots.indexOf(undefined);
    const buffer = this.shared[slot];
    if (buffer === undefined) {
      const most = `${CAPTURES_MOST} captures are under way already`;
      throw new RequestError("resource-exhausted", most);
    }
    const onOver = (): void => {
      this.#slots[slot] = undefined;
    };
    const outlet = open();
    const capture = new Capture({ ...this.#needs, slot, buffer, settings, outlet, file, onOver });
    this.#slots[slot] = capture;
    await capture.begin();
    return capture;
  }

  /** The rings may have something. */
  kick(): void {
    for (const capture of this.#slots) capture?.kick();
  }

  /** The worker says that the capture of a slot has come to its limit, or cannot go on. */
  hasEnded(slot: number): void {
    this.#slots[slot]?.stop("limit reached");
  }

  /** The network has ended, and its worker. Waits no longer than for a file. */
  async close(): Promise<void> {
    const all = this.#slots.map((capture) => capture?.stop("network ended"));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, CLOSE_FILE.most_ms);
    });
    await Promise.race([Promise.all(all), late]);
    clearTimeout(timer);
  }
}

interface CaptureParts extends CaptureNeeds {
  readonly slot: number;
  readonly buffer: SharedArrayBuffer;
  readonly settings: CaptureSettings;
  readonly outlet: Outlet;
  readonly file: string;
  readonly onOver: () => void;
}

class Capture implements NetworkCapture {
  readonly id: number;
  readonly settings: CaptureSettings;
  readonly file: string;
  readonly started = wallClock();
  readonly #parts: CaptureParts;
  readonly #ring: ByteRing;
  readonly #pump: Pump;
  readonly #lostBefore: number;
  #figures: CaptureFigures = { frames: 0, octets: 0, lost: 0 };
  #end: Promise<CaptureFigures> | undefined;
  #failure = "";

  constructor(parts: CaptureParts) {
    latestId += 1;
    this.id = latestId;
    this.settings = parts.settings;
    this.file = parts.file;
    this.#parts = parts;
    this.#ring = new ByteRing(parts.buffer);
    this.#ring.reopen();
    this.#lostBefore = this.#ring.lost;
    const onError = (error: Error): "end" => {
      this.#failure = error.message;
      this.stop("cannot be written");
      return "end";
    };
    const { outlet } = parts;
    this.#pump = new Pump({
      ring: this.#ring,
      outlet: {
        write: (octets, done) => outlet.write(octets, done),
        cut: (octets) => outlet.cut(octets),
        close: () => this.#free(),
      },
      onError,
    });
  }

  get lost(): number {
    return (this.#ring.lost - this.#lostBefore) >>> 0;
  }

  /** @throws RequestError (rejects), and is over then */
  async begin(): Promise<void> {
    const { ask, slot, settings, interfaceName, file } = this.#parts;
    const { filter, snapLength } = settings;
    const head = pcapngHeader({ interfaceName, filter, snapLength: snapLength || undefined });
    this.#ring.put(head);
    try {
      await ask("captureStart", { ...settings, slot, headerSize: head.length });
    } catch (error) {
      this.#end ??= Promise.resolve(this.#figures);
      this.#pump.close();
      throw error;
    }
    this.#tell("capture_started", "capture started", { ...(file !== "" && { file }), filter });
    this.#pump.kick();
  }

  kick(): void {
    this.#pump.kick();
  }

  async figures(): Promise<CaptureFigures> {
    if (this.#end !== undefined) return this.#end;
    const { ask, slot } = this.#parts;
    return ask("captureFigures", { slot });
  }

  stop(reason: string): Promise<CaptureFigures> {
    // Not at once: it may be the pump that asks, in the middle of a write.
    this.#end ??= Promise.resolve().then(() => this.#finish(reason));
    return this.#end;
  }

  async #finish(reason: string): Promise<CaptureFigures> {
    const { ask, slot, file } = this.#parts;
    try {
      this.#figures = await ask("captureStop", { slot });
    } catch {
      // The network has ended: what the ring has is all there is.
    }
    const { still_ms, most_ms } = file === "" ? CLOSE_CALLER : CLOSE_FILE;
    await this.#pump.drain(still_ms, most_ms);
    this.#pump.close();
    const { frames, octets } = this.#figures;
    const problem = this.#failure === "" ? {} : { problem: this.#failure };
    const of = { ...(file !== "" && { file }), frames, octets, lost: this.lost, ...problem };
    this.#tell("capture_stopped", `capture stopped: ${reason}`, of);
    return { ...this.#figures, lost: this.lost };
  }

  /** No write is under way any more, so nobody looks at the ring. */
  #free(): void {
    const { outlet, forget, onOver } = this.#parts;
    outlet.close();
    forget(this.#ring.memory);
    onOver();
  }

  #tell(kind: "capture_started" | "capture_stopped", message: string, fields: LogFields): void {
    const { log, onEvent } = this.#parts;
    const all = { capture: this.id, ...fields };
    const details = Object.entries(all).map(([name, value]) => [name, String(value)] as const);
    onEvent?.({ kind, message, details: Object.fromEntries(details) });
    log?.info(all, message);
  }
}
