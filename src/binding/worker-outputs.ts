/**
 * The worker's side of what it writes: see `outputs.ts` for who writes it. Nothing here waits, but
 * for what `ring-sink.ts` states.
 */
import type { CaptureOptions } from "../config/capture.ts";
import { ByteRing } from "../lib/byte-ring.ts";
import { type LogFormat, type Logger, LogThreshold, openLogger } from "../lib/log.ts";
import { type LimitedLogger, limitLogger } from "../lib/log-limit.ts";
import { LossySink, PatientSink, type RingSinkOptions } from "../lib/ring-sink.ts";
import type { NativeCopy } from "../link/copy-buffer.ts";
import type { Link } from "../link/link.ts";
import { type CaptureEvent, createPcapLink, type PcapWriter } from "../link/pcap.ts";
import { monotonic, systemClock, wallClock } from "../loop/clock.ts";
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
  #capture: PcapWriter | undefined;

  /** @param say tells the main thread that there is something to write */
  constructor(shared: SharedOutputs, say: () => void) {
    this.#shared = shared;
    this.#say = say;
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

  /** The link with a capture before it, if one was asked for. */
  captured(
    link: Link,
    options: Pick<CaptureOptions, "pcap" | "pcapSnap" | "pcapLimitMib">,
    native: NativeCopy | undefined,
    log: Logger,
  ): Link {
    const { capture, isFifo } = this.#shared;
    const { pcap: file = "", pcapSnap, pcapLimitMib } = options;
    if (capture === undefined) return link;
    const capturing = createPcapLink(link, {
      sink: new LossySink(this.#ring(capture), isFifo === true ? undefined : monotonic),
      now: wallClock,
      snapLength: pcapSnap,
      ...(pcapLimitMib === undefined ? {} : { maxBytes: pcapLimitMib * OCTETS_PER_MIB }),
      ...(native === undefined ? {} : { native }),
      tell: (event) => logCaptureEvent(log, file, event),
    });
    this.#capture = capturing.capture;
    return capturing;
  }

  /** What has to be looked after while the loop turns. */
  get chores(): readonly Chore[] {
    return this.#capture === undefined ? [] : [this.#capture];
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
        log.info({ file, octets: event.octets }, "capture stopped: limit reached");
      }
  }
}
