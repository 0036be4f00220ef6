/**
 * The worker's side of what it writes: see `outputs.ts` for who writes it. Nothing here waits, but
 * for what `ring-sink.ts` states.
 */
import type { CaptureOptions } from "../config/capture.ts";
import { DROP_LABELS } from "../engine/counter-names.ts";
import { ByteRing } from "../lib/byte-ring.ts";
import { type LogFormat, type Logger, LogThreshold, openLogger } from "../lib/log.ts";
import { type LimitedLogger, limitLogger } from "../lib/log-limit.ts";
import { LossySink, PatientSink, type RingSinkOptions } from "../lib/ring-sink.ts";
import { type CaptureEvent, CaptureWriter } from "../link/capture-writer.ts";
import type { NativeCopy } from "../link/copy-buffer.ts";
import { DropSamples } from "../link/drop-samples.ts";
import type { Link } from "../link/link.ts";
import { WatchedLink } from "../link/watched-link.ts";
import { monotonic, systemClock, wallClock } from "../loop/clock.ts";
import { CaptureSlots } from "./capture-slots.ts";
import { type NetworkEvent, withEvents } from "./events.ts";
import type { SharedOutputs } from "./outputs.ts";

const OCTETS_PER_MIB = 1 << 20;

/** Work between two turns of the loop that is due at times. */
export interface Chore {
  /** Microseconds until `poll` has something to do; undefined: not before something happens. */
  wait(now: number): number | undefined;
  poll(now: number): void;
}

export class WorkerOutputs {
  readonly #shared: SharedOutputs;
  readonly #say: () => void;
  /** The latest frames of the guest that were dropped. */
  readonly drops = new DropSamples(wallClock);
  /** Captures that are asked for meanwhile. */
  readonly captures: CaptureSlots;
  #capture: CaptureWriter | undefined;

  /**
   * @param say tells the main thread that there is something to write
   * @param rings of captures that are asked for, by slot
   * @param sayEnded tells it that the one of a slot goes no further
   */
  constructor(
    shared: SharedOutputs,
    say: () => void,
    rings: readonly SharedArrayBuffer[] = [],
    sayEnded: (slot: number) => void = () => {},
  ) {
    this.#shared = shared;
    this.#say = say;
    this.captures = new CaptureSlots({ rings, say, sayEnded });
  }

  /**
   * The worker's log, limited: a peer, a guest or a stranger may cause its lines.
   * @param onEvent hears of lines that are events
   */
  async openLog(format: LogFormat, onEvent: (event: NetworkEvent) => void): Promise<LimitedLogger> {
    const { ring, tell } = this.#ring(this.#shared.log);
    const encoder = new TextEncoder();
    const sink = (line: string): void => {
      if (!ring.put(encoder.encode(line))) ring.lose(1);
      tell();
    };
    const level = new LogThreshold(this.#shared.logThreshold);
    const log = await openLogger({ format, level, now: systemClock, pos: "worker", sink });
    return limitLogger(withEvents(log, onEvent), { clock: monotonic });
  }

  /** Where a recording goes; undefined: none was asked for. */
  openRecording(): PatientSink | undefined {
    const { recording } = this.#shared;
    return recording === undefined ? undefined : new PatientSink(this.#ring(recording));
  }

  /** The link with what looks at its frames: samples of drops, a capture if one is asked for. */
  watched(
    link: Link,
    options: Pick<CaptureOptions, "pcap" | "pcapSnap" | "pcapLimitMib">,
    native: NativeCopy | undefined,
    log: Logger,
  ): WatchedLink {
    const watched = new WatchedLink(link, this.drops);
    this.captures.serve(watched, native);
    const { capture, captureHead = 0, isFifo } = this.#shared;
    const { pcap: file = "", pcapSnap, pcapLimitMib } = options;
    if (capture === undefined) return watched;
    this.#capture = new CaptureWriter({
      sink: new LossySink(this.#ring(capture), isFifo === true ? undefined : monotonic),
      now: wallClock,
      reasons: DROP_LABELS,
      headerSize: captureHead,
      snapLength: pcapSnap,
      maxBytes: pcapLimitMib === undefined ? undefined : pcapLimitMib * OCTETS_PER_MIB,
      ...(native === undefined ? {} : { native }),
      tell: (event) => logCaptureEvent(log, file, event),
    });
    return watched.add(this.#capture);
  }

  /** What has to be looked after while the loop turns. */
  get chores(): readonly Chore[] {
    return this.#capture === undefined ? [this.captures] : [this.captures, this.#capture];
  }

  #ring(buffer: SharedArrayBuffer): RingSinkOptions {
    const ring = new ByteRing(buffer);
    const tell = (): void => {
      if (ring.mustTell()) this.#say();
    };
    return { ring, tell };
  }
}

function logCaptureEvent(log: Logger, file: string, event: CaptureEvent): void {
  switch (event.kind) {
    case "losing":
      log.warn({ file }, "capture is losing frames: they come faster than they are written");
      return;
    case "lost":
      log.warn({ file, frames: event.frames }, "capture has lost frames");
      return;
    case "ended":
      // Who writes the file has told of an error.
      if (event.reason === "limit") {
        const of = { event: "capture_stopped", file, octets: event.octets };
        log.info(of, "capture stopped: limit reached");
      }
  }
}
