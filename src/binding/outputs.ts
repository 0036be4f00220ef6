/**
 * What a worker has to write, written by the main thread: log lines, a capture, a recording.
 *
 * Theory of operation
 *   The worker's thread carries packets and must not wait for a disk, a pipe or a terminal. It puts
 *   what is to be written into rings of shared memory and says so, at most once until the ring was
 *   found empty. The main thread empties them, lines into standard error's queue, captures and
 *   recordings by pumps into files that another thread of the runtime writes; so it does not wait
 *   either, and signals and hooks are answered.
 *
 *     limits       rings of LOG_SIZE, CAPTURE_SIZE, RECORDING_SIZE octets; what finds no room is
 *                  lost and counted (lines, frames) or ends it (a recording)
 *     a full disk  ends a capture or recording, with one line in the log; half a batch is cut off,
 *                  so the last record in the file is whole
 *     a FIFO       (captures only) is paused without a reader, looked after every LOOK_ms; each
 *                  reader gets a file header and whole records from then on
 *     the end      waits for files as long as something moves, not longer than CLOSE_MOST_ms
 */
import type { CaptureOptions } from "../config/capture.ts";
import { ByteRing } from "../lib/byte-ring.ts";
import { concat } from "../lib/bytes.ts";
import { type LevelledLogger, type Logger, type LogLevel, LogThreshold } from "../lib/log.ts";
import { keepOlder, type OpenOutput, openFreshOutput, openOutput } from "../lib/output-file.ts";
import { type AfterError, Pump } from "../lib/pump.ts";
import { standardError } from "../lib/standard-error.ts";
import { pcapngHeader } from "../link/pcapng.ts";

const LOG_SIZE = 32 * 1024;
const CAPTURE_SIZE = 4 * 1024 * 1024;
const RECORDING_SIZE = 2 * 1024 * 1024;
/** Pause between two looks for a reader of a FIFO, milliseconds. */
const LOOK_ms = 200;
/** At the end: how long without anything written, and how long in all, milliseconds. */
const CLOSE_STILL_ms = 250;
const CLOSE_MOST_ms = 5000;

/** The rings, for the worker. */
export interface SharedOutputs {
  readonly log: SharedArrayBuffer;
  /** Of the `LogThreshold` that holds for its lines. */
  readonly logThreshold: SharedArrayBuffer;
  readonly capture?: SharedArrayBuffer;
  /** Octets that the capture's file begins with. */
  readonly captureHead?: number;
  /** The capture is a FIFO, for which nobody waits. */
  readonly isFifo?: boolean;
  readonly recording?: SharedArrayBuffer;
}

interface OutputOptions {
  readonly capture: Pick<CaptureOptions, "pcap" | "pcapSnap" | "record">;
  readonly link: { readonly kind: string; readonly name?: string };
  readonly log: { readonly level: LogLevel };
}

export class Outputs {
  readonly shared: SharedOutputs;
  readonly #log: Logger | undefined;
  readonly #lines: ByteRing;
  #linesLost = 0;
  readonly #pumps: Pump[] = [];
  /** Of a capture into a FIFO. */
  #readers: FifoReaders | undefined;

  /**
   * Opens the files.
   * @param log where it is told what becomes of files; its level is that of the worker's lines
   * @throws {Error} when one cannot be written, and none is open then
   */
  constructor({ capture, link, log: { level } }: OutputOptions, log?: LevelledLogger) {
    const { pcap, pcapSnap, record } = capture;
    this.#log = log;
    this.#lines = ByteRing.create(LOG_SIZE);
    const threshold = log?.threshold ?? LogThreshold.at(level);
    let shared: SharedOutputs = { log: this.#lines.buffer, logThreshold: threshold.memory };
    if (record !== undefined) {
      keepOlder(record);
      const output = openOutput(record);
      if (output.kind === "fifo") throw new Error(`Record into a file: "${record}" is a FIFO`);
      const ring = ByteRing.create(RECORDING_SIZE);
      this.#add(output, ring, "recording", record);
      shared = { ...shared, recording: ring.buffer };
    }
    if (pcap !== undefined) {
      const head = pcapngHeader({ interfaceName: link.name ?? "guest", snapLength: pcapSnap });
      const output = this.#orClose(() => openFreshOutput(pcap));
      const ring = ByteRing.create(CAPTURE_SIZE);
      const isFifo = output.kind === "fifo";
      if (isFifo) this.#addFifo(output, ring, pcap, head);
      else {
        ring.put(head); // the worker, who is to fill it, does not know of it yet
        this.#add(output, ring, "capture", pcap);
      }
      shared = { ...shared, capture: ring.buffer, captureHead: head.length, isFifo };
    }
    this.shared = shared;
  }

  /** The worker says that there is something. */
  kick(): void {
    this.#takeLines();
    for (const pump of this.#pumps) pump.kick();
  }

  /** The worker has ended: takes what is left, as long as it can be written. */
  async close(): Promise<void> {
    this.#takeLines();
    this.#readers?.stop();
    await Promise.all(this.#pumps.map((pump) => pump.drain(CLOSE_STILL_ms, CLOSE_MOST_ms)));
    this.abandon();
  }

  /** Ends it without waiting. */
  abandon(): void {
    this.#readers?.stop();
    for (const pump of this.#pumps) pump.close();
  }

  #orClose<T>(open: () => T): T {
    try {
      return open();
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  #add(output: OpenOutput, ring: ByteRing, what: "capture" | "recording", file: string): void {
    const onError = (error: Error): AfterError => {
      this.#log?.warn({ file, err: error }, `${what} stopped: cannot write its file`);
      return "end";
    };
    const pump = new Pump({ ring, outlet: output.outlet, onError });
    this.#pumps.push(pump);
    pump.kick();
  }

  #addFifo(output: OpenOutput, ring: ByteRing, file: string, head: Uint8Array): void {
    const onError = (error: Error): AfterError => {
      readers.gone(error);
      return "pause";
    };
    const pump = new Pump({ ring, outlet: output.outlet, onError });
    const readers = new FifoReaders({ ring, output, pump, file, head, log: this.#log });
    this.#pumps.push(pump);
    this.#readers = readers;
    readers.look();
  }

  #takeLines(): void {
    const ring = this.#lines;
    ring.ask(); // first: a line that comes from here on is told of, or taken now
    for (let piece = ring.next(); piece.length > 0; piece = ring.next()) {
      let line: Uint8Array = piece.slice();
      ring.take(piece.length);
      if (!ring.isBetween) {
        const rest = ring.next(); // it goes on at the start of the ring
        line = concat(line, rest);
        ring.take(rest.length);
      }
      standardError().writeOctets(line);
    }
    const lost = (ring.lost - this.#linesLost) >>> 0;
    this.#linesLost = ring.lost;
    if (lost > 0) standardError().lose(lost);
  }
}

interface FifoParts {
  readonly ring: ByteRing;
  readonly output: OpenOutput;
  readonly pump: Pump;
  readonly file: string;
  readonly head: Uint8Array;
  readonly log: Logger | undefined;
}

/** Whoever reads a FIFO, one after the other. */
class FifoReaders {
  readonly #parts: FifoParts;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  constructor(parts: FifoParts) {
    this.#parts = parts;
    parts.ring.isPaused = true;
  }

  /** The reader has gone. */
  gone(error: Error): void {
    const { ring, file, log } = this.#parts;
    ring.isPaused = true;
    log?.info({ file, err: error }, "capture stopped: the reader of its FIFO has gone");
    this.#lookLater();
  }

  /** Looks for one: a header can be written only if somebody reads. */
  look(): void {
    const { ring, output, pump, file, head, log } = this.#parts;
    output.outlet.write(head, (result) => {
      if (result !== head.length) {
        this.#lookLater();
        return;
      }
      log?.info({ file }, "capture begins: its FIFO has a reader");
      ring.isPaused = false;
      pump.resume();
    });
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #lookLater(): void {
    if (!this.#isStopped) this.#timer = setTimeout(() => this.look(), LOOK_ms);
  }
}
