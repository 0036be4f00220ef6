/**
 * Records the life of an engine: a module whose functions note each call and then make it. Where
 * nothing is recorded the module itself stands in this place. See `format.ts`.
 */
import * as abi from "../../wasm/abi.ts";
import type { EngineFunctions, EngineModule } from "../engine/module.ts";
import type { OutputSink } from "../lib/output-file.ts";
import { rxLength, rxPointer } from "../link/frames.ts";
import { KIND, LIVE_PARTS } from "./format.ts";
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
  /** Nothing is recorded any more, before `close`; `size` octets were. */
  readonly onStop?: (reason: "limit" | "error", size: number) => void;
}

export class Recorder {
  /** To be used in place of the module that is recorded. */
  readonly module: EngineModule;
  readonly #functions: EngineFunctions;
  readonly #memory: EngineMemory;
  readonly #outputs: Outputs;
  readonly #writer: RecordWriter;
  readonly #options: RecorderOptions;
  /** Resolvers and limits as the recording has them. */
  #live: Uint8Array[] = [];
  #isOver = false;

  constructor(module: EngineModule, options: RecorderOptions) {
    this.#options = options;
    this.#functions = module.functions;
    this.#memory = new EngineMemory(module);
    this.#outputs = new Outputs(this.#memory);
    this.#writer = new RecordWriter(options.sink, options.build, options.limit);
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
    const functions = this.#functions;
    return {
      control: functions.control,
      init: () => this.#init(),
      guest_rx: (count, now) => {
        this.#begin(KIND.guestRx, now);
        this.#frames(count);
        this.#finish(() => functions.guest_rx(count, now));
      },
      upstream_event: (handle, events, now) => {
        this.#begin(KIND.event, now);
        this.#writer.word(handle);
        this.#writer.word(events);
        this.#finish(() => functions.upstream_event(handle, events, now));
      },
      step: (now) => {
        this.#begin(KIND.step, now);
        this.#finish(() => functions.step(now));
      },
      complete: (now) => {
        this.#begin(KIND.complete, now);
        this.#operations();
        this.#finish(() => functions.complete(now));
      },
      tx_done: () => {
        this.#begin(KIND.txDone);
        this.#outputs.writeFrames(this.#writer);
        this.#finish(functions.tx_done);
      },
      inbound_tcp: (guestPort, peerAddress, peerPort, now) => {
        this.#begin(KIND.inboundTcp, now);
        for (const word of [guestPort, peerAddress, peerPort]) this.#writer.word(word);
        return this.#answer(() => functions.inbound_tcp(guestPort, peerAddress, peerPort, now));
      },
      inbound_udp: (guestPort, hostPort, family, now) => {
        this.#begin(KIND.inboundUdp, now);
        for (const word of [guestPort, hostPort, family]) this.#writer.word(word);
        return this.#answer(() => functions.inbound_udp(guestPort, hostPort, family, now));
      },
      address_six: () => {
        this.#begin(KIND.addressSix);
        const at = this.#memory.base(abi.REGION_CONTROL) + abi.CONTROL_ADDRESS_OFFSET;
        for (let i = 0; i < 5; i += 1) this.#writer.word(this.#memory.words[(at >> 2) + i] ?? 0);
        return this.#answer(functions.address_six);
      },
      farewell: () => {
        this.#begin(KIND.farewell);
        this.#finish(functions.farewell);
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

  #init(): number {
    const memory = this.#memory;
    memory.locate();
    this.#live = this.#parts().map((part) => part.slice());
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
    const parts = this.#parts();
    const isSame = parts.every((part, i) => {
      const known = this.#live[i];
      return part.every((octet, at) => known?.[at] === octet);
    });
    if (isSame) return;
    this.#live = parts.map((part) => part.slice());
    this.#writer.begin(KIND.live);
    for (const part of parts) this.#writer.blob(part);
    this.#commit();
  }

  #frames(count: number): void {
    const { link, octets } = this.#memory;
    const frames = Math.min(count, abi.RX_SLOT_COUNT);
    this.#writer.word(frames);
    for (let i = 0; i < frames; i += 1) {
      const at = rxPointer(link, i);
      this.#writer.word(at - link.rxBuffers);
      this.#writer.blob(octets.subarray(at, at + rxLength(link, i)));
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

  /** Writes the record, then makes the call. */
  #finish(call: () => void): void {
    this.#commit();
    try {
      call();
    } catch (error) {
      this.#trap();
      throw error;
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
      this.#trap();
      throw error;
    }
    this.#writer.word(result);
    this.#commit();
    return result;
  }

  /** A trap is part of the recording: it is what one would like to see again. */
  #trap(): void {
    this.#writer.begin(KIND.trap);
    this.#commit();
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
    const { stopped, size } = this.#writer;
    if (stopped === "limit" || stopped === "error") this.#options.onStop?.(stopped, size);
  }
}
