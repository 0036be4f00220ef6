/**
 * Records the life of an engine: a module whose functions note each call and then make it. Where
 * nothing is recorded the module itself stands in this place. See `format.ts`.
 */
import * as abi from "../../wasm/abi.ts";
import type { EngineFunctions, EngineModule } from "../engine/module.ts";
import { assert } from "../lib/assert.ts";
import type { OutputSink } from "../lib/output-file.ts";
import type { NativeCopy } from "../link/copy-buffer.ts";
import { rxLength, rxPointer } from "../link/frames.ts";
import { KIND, LIVE_PARTS, WATCHED_PARTS } from "./format.ts";
import { EngineMemory, OP_WORDS } from "./memory.ts";
import { Outputs } from "./outputs.ts";
import { capture } from "./receives.ts";
import { RecordWriter } from "./record-writer.ts";

export interface RecorderOptions {
  readonly sink: OutputSink;
  /** Hash of the engine's octets, 16 digits. */
  readonly build: string;
  /** Octets of the file at most. */
  readonly limit: number;
  /** Copies where there are system calls. */
  readonly native?: NativeCopy;
  /** Nothing is recorded any more, before `close`, for what the sink threw; `size` octets were. */
  readonly onStop?: (reason: "limit" | Error, size: number) => void;
}

export class Recorder {
  /** To be used in place of the module that is recorded. */
  readonly module: EngineModule;
  readonly #functions: EngineFunctions;
  readonly #memory: EngineMemory;
  readonly #outputs: Outputs;
  readonly #writer: RecordWriter;
  readonly #options: RecorderOptions;
  /** What is watched, as the recording has it, and where they are: words of engine memory. */
  readonly #live: Uint32Array;
  readonly #liveWords: readonly number[];
  #isOver = false;

  constructor(module: EngineModule, options: RecorderOptions) {
    this.#options = options;
    this.#functions = module.functions;
    this.#memory = new EngineMemory(module);
    const { sink, build, limit, native } = options;
    this.#outputs = new Outputs(this.#memory, native);
    this.#writer = new RecordWriter(sink, build, limit, native);
    this.#liveWords = watchedWordsOf(this.#memory.base(abi.REGION_CONFIG));
    this.#live = new Uint32Array(this.#liveWords.length);
    this.module = { ...module, functions: this.#wrap() };
  }

  /** Writes the end. Idempotent. */
  close(): void {
    if (this.#isOver) return;
    this.#over();
    this.#writer.close(() => this.#outputs.writeFrames(this.#writer));
    if (this.#writer.stopped !== "closed") this.#tell();
  }

  #wrap(): EngineFunctions {
    return { ...this.#inputCalls(), ...this.#outputCalls(), ...this.#otherCalls() };
  }

  /** Calls that a turn of the loop makes: written out, so that none makes an object for itself. */
  #inputCalls(): Pick<EngineFunctions, "guest_rx" | "upstream_event" | "step" | "complete"> {
    const functions = this.#functions;
    return {
      guest_rx: (count, now) => {
        this.#begin(KIND.guestRx, now);
        this.#frames(count);
        this.#commit();
        try {
          functions.guest_rx(count, now);
        } catch (error) {
          throw this.#trapped(error);
        }
      },
      upstream_event: (handle, events, now) => {
        this.#begin(KIND.event, now);
        this.#writer.word(handle);
        this.#writer.word(events);
        this.#commit();
        try {
          functions.upstream_event(handle, events, now);
        } catch (error) {
          throw this.#trapped(error);
        }
      },
      step: (now) => {
        this.#begin(KIND.step, now);
        this.#commit();
        try {
          functions.step(now);
        } catch (error) {
          throw this.#trapped(error);
        }
      },
      complete: (now) => {
        this.#begin(KIND.complete, now);
        this.#operations();
        this.#commit();
        try {
          functions.complete(now);
        } catch (error) {
          throw this.#trapped(error);
        }
      },
    };
  }

  /** Calls about what the engine gives out: as frequent, and written out for the same reason. */
  #outputCalls(): Pick<EngineFunctions, "tx_done" | "next_deadline"> {
    const functions = this.#functions;
    return {
      tx_done: () => {
        this.#begin(KIND.txDone);
        this.#outputs.writeFrames(this.#writer);
        this.#commit();
        try {
          functions.tx_done();
        } catch (error) {
          throw this.#trapped(error);
        }
      },
      next_deadline: () => {
        const deadline = functions.next_deadline();
        this.#begin(KIND.deadline);
        this.#writer.float(deadline);
        this.#commit();
        return deadline;
      },
    };
  }

  #otherCalls(): Pick<
    EngineFunctions,
    | "control"
    | "init"
    | "inbound_tcp"
    | "inbound_udp"
    | "address_six"
    | "host_address"
    | "guest_gone"
    | "farewell"
  > {
    const functions = this.#functions;
    return {
      control: functions.control,
      init: () => this.#init(),
      inbound_tcp: (guestPort, peerAddress, peerPort, guest, now) => {
        this.#begin(KIND.inboundTcp, now);
        for (const word of [guestPort, peerAddress, peerPort, guest]) this.#writer.word(word);
        return this.#answer(() =>
          functions.inbound_tcp(guestPort, peerAddress, peerPort, guest, now),
        );
      },
      inbound_udp: (guestPort, hostPort, family, guest, now) => {
        this.#begin(KIND.inboundUdp, now);
        for (const word of [guestPort, hostPort, family, guest]) this.#writer.word(word);
        return this.#answer(() => functions.inbound_udp(guestPort, hostPort, family, guest, now));
      },
      address_six: () => {
        this.#begin(KIND.addressSix);
        const at = this.#memory.base(abi.REGION_CONTROL) + abi.CONTROL_ADDRESS_OFFSET;
        for (let i = 0; i < 5; i += 1) this.#writer.word(this.#memory.words[(at >> 2) + i] ?? 0);
        return this.#answer(functions.address_six);
      },
      host_address: (kind) => {
        this.#begin(KIND.hostAddress);
        this.#writer.word(kind);
        const at = this.#memory.base(abi.REGION_CONTROL) + abi.CONTROL_ADDRESS_OFFSET;
        for (let i = 0; i < 4; i += 1) this.#writer.word(this.#memory.words[(at >> 2) + i] ?? 0);
        return this.#answer(() => functions.host_address(kind));
      },
      guest_gone: (now) => {
        this.#begin(KIND.guestGone, now);
        this.#commit();
        try {
          functions.guest_gone(now);
        } catch (error) {
          throw this.#trapped(error);
        }
      },
      farewell: () => {
        this.#begin(KIND.farewell);
        this.#commit();
        try {
          functions.farewell();
        } catch (error) {
          throw this.#trapped(error);
        }
      },
    };
  }

  #init(): number {
    const memory = this.#memory;
    memory.locate();
    this.#keepLive();
    this.#writer.begin(KIND.start);
    this.#writer.blob(memory.config);
    return this.#answer(this.#functions.init);
  }

  #parts(): Uint8Array[] {
    const { config } = this.#memory;
    return LIVE_PARTS.map(([offset, size]) => config.subarray(offset, offset + size));
  }

  #begin(kind: number, now?: number): void {
    this.#noteLive();
    this.#writer.begin(kind);
    if (now !== undefined) this.#writer.float(now);
  }

  /** They are written without a call, at any time between two. */
  #noteLive(): void {
    const { words } = this.#memory;
    let isSame = true;
    for (let i = 0; i < this.#live.length; i += 1) {
      if (words[this.#liveWords[i] ?? 0] !== this.#live[i]) isSame = false;
    }
    if (isSame) return;
    this.#keepLive();
    this.#writer.begin(KIND.live);
    for (const part of this.#parts()) this.#writer.blob(part);
    this.#commit();
  }

  #keepLive(): void {
    const { words } = this.#memory;
    this.#liveWords.forEach((word, i) => {
      this.#live[i] = words[word] ?? 0;
    });
  }

  #frames(count: number): void {
    const { link } = this.#memory;
    const frames = Math.min(count, abi.RX_SLOT_COUNT);
    this.#writer.word(frames);
    for (let i = 0; i < frames; i += 1) {
      const at = rxPointer(link, i);
      this.#writer.word(at - link.rxBuffers);
      this.#writer.part(link, at, rxLength(link, i));
    }
  }

  #operations(): void {
    const memory = this.#memory;
    const { operationCount, operations } = memory;
    this.#writer.word(operationCount);
    for (let i = 0; i < operationCount; i += 1) {
      const at = operations + i * OP_WORDS;
      this.#outputs.writeOperation(this.#writer, at);
      capture(memory, this.#writer, at);
    }
  }

  /** Makes the call, then writes the record with its result. */
  #answer(call: () => number): number {
    let result = 0;
    try {
      result = call();
    } catch (error) {
      this.#writer.word(0);
      this.#commit();
      throw this.#trapped(error);
    }
    this.#writer.word(result);
    this.#commit();
    return result;
  }

  /** A trap is part of the recording: it is what one would like to see again. */
  #trapped(error: unknown): unknown {
    this.#writer.begin(KIND.trap);
    this.#commit();
    return error;
  }

  #commit(): void {
    if (this.#isOver) return;
    this.#writer.commit();
    if (this.#writer.stopped === "") return;
    this.#over();
    this.#writer.close(() => {});
    this.#tell();
  }

  /** From now on calls go straight to the engine. */
  #over(): void {
    this.#isOver = true;
    const { functions } = this.module;
    for (const name of Object.keys(functions)) {
      Reflect.set(functions, name, Reflect.get(this.#functions, name));
    }
  }

  #tell(): void {
    const { stopped, size, failure } = this.#writer;
    const reason = stopped === "error" ? failure : stopped;
    if (reason instanceof Error || reason === "limit") this.#options.onStop?.(reason, size);
  }
}

/** The words of memory that may change, with CONFIG at `base`. */
function watchedWordsOf(base: number): number[] {
  return WATCHED_PARTS.flatMap(([offset, size]) => {
    assert(offset % 4 === 0 && size % 4 === 0, "what may change is whole words");
    return Array.from({ length: size / 4 }, (_, i) => (base + offset) / 4 + i);
  });
}
