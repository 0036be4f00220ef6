/**
 * Replays a recording on another instance of the engine and compares what comes out, call by call.
 * It stops at the first difference: what comes after one follows from it. See `format.ts`.
 */
import * as abi from "../../wasm/abi.ts";
import type { EngineModule } from "../engine/module.ts";
import { messageOf } from "../lib/message.ts";
import { rxSlot, writeRxDescriptor } from "../link/frames.ts";
import {
  copyOf,
  type Difference,
  Differs,
  functionName,
  type Output,
  type ReplayResult,
  type ValueMark,
  value,
} from "./difference.ts";
import { ENDINGS, KIND, LIVE_PARTS, type RecordingEnding, RecordingError } from "./format.ts";
import { EngineMemory, OP_WORDS } from "./memory.ts";
import { OutputDigest } from "./output-digest.ts";
import { isSameFrame, isSameOperation, Outputs, readFrame, readOperation } from "./outputs.ts";
import { restore } from "./receives.ts";
import { type RecordingSource, RecordReader } from "./record-reader.ts";

/** An engine to replay on. */
export interface ReplayEngine {
  readonly module: EngineModule;
  /** Hash of its octets. */
  readonly build: string;
}

/** An address of 16 octets and its scope. */
const ADDRESS_WORDS = 5;

/**
 * Replays a whole recording.
 *
 * @param engineFor finds the engine whose octets have that hash, or another one
 * @throws RecordingError for what is no recording, damaged or cut short
 */
export function replayRecording(
  source: RecordingSource,
  engineFor: (build: string) => ReplayEngine,
): ReplayResult {
  const reader = new RecordReader(source);
  const engine = engineFor(reader.build);
  return new Replayer(reader, engine.module).run(engine.build !== reader.build);
}

class Replayer {
  readonly #reader: RecordReader;
  readonly #module: EngineModule;
  readonly #memory: EngineMemory;
  readonly #outputs: Outputs;
  readonly #digest = new OutputDigest();
  #calls = 0;
  #turns = 0;
  #framesIn = 0;
  #framesOut = 0;
  #operations = 0;
  #first = 0;
  #now = 0;
  #kind = 0;
  #ending: RecordingEnding | "trap" | undefined;
  #isOver = false;
  /** What the engine has thrown in the last call. */
  #trap: string | undefined;

  constructor(reader: RecordReader, module: EngineModule) {
    this.#reader = reader;
    this.#module = module;
    this.#memory = new EngineMemory(module);
    this.#outputs = new Outputs(this.#memory);
  }

  run(isOtherBuild: boolean): ReplayResult {
    let difference: Difference | undefined;
    try {
      while (!this.#isOver) {
        this.#next();
        if (this.#reader.left > 0) throw this.#reader.wrong("a record is longer than it holds");
      }
      this.#reader.finish();
    } catch (error) {
      if (error instanceof RecordingError) throw this.#located(error);
      if (!(error instanceof Differs)) throw error;
      difference = error.difference;
    }
    return {
      calls: this.#calls,
      turns: this.#turns,
      framesIn: this.#framesIn,
      framesOut: this.#framesOut,
      operations: this.#operations,
      elapsed: this.#elapsed,
      vnetSize: this.#memory.view.getUint32(
        this.#memory.base(abi.REGION_CONFIG) + abi.CONFIG_VNET_SIZE_OFFSET,
        true,
      ),
      ending: this.#ending ?? "closed",
      digest: this.#digest.text,
      isOtherBuild,
      difference,
    };
  }

  get #elapsed(): number {
    return this.#now - this.#first;
  }

  #located(error: RecordingError): RecordingError {
    const equal = `${this.#calls} calls before it are equal`;
    return new RecordingError(`${error.message} at octet ${error.offset}; ${equal}`, error.offset);
  }

  #next(): void {
    const kind = this.#reader.next();
    if (kind === KIND.end) this.#end();
    else if (this.#ending === "trap") throw this.#reader.wrong("a call after a trap");
    else if (kind === KIND.trap) this.#trapped();
    else this.#act(kind);
  }

  #act(kind: number): void {
    if (this.#trap !== undefined) this.#differ("trap", value("no trap"), value(this.#trap));
    if ((this.#calls === 0) !== (kind === KIND.start)) {
      throw this.#reader.wrong("the engine is not started once, and first");
    }
    if (kind === KIND.live) {
      this.#live();
      return;
    }
    const action = this.#actions.get(kind);
    if (action === undefined) throw this.#reader.wrong(`a record of kind ${kind}`);
    this.#kind = kind;
    this.#calls += 1;
    this.#digest.word(kind);
    action();
  }

  readonly #actions = new Map<number, () => void>([
    [KIND.start, () => this.#start()],
    [KIND.guestRx, () => this.#guestRx()],
    [KIND.event, () => this.#event()],
    [KIND.step, () => this.#step()],
    [KIND.complete, () => this.#complete()],
    [KIND.txDone, () => this.#txDone()],
    [KIND.inboundTcp, () => this.#inboundTcp()],
    [KIND.inboundUdp, () => this.#inboundUdp()],
    [KIND.addressSix, () => this.#addressSix()],
    [KIND.hostAddress, () => this.#hostAddress()],
    [KIND.guestGone, () => this.#guestGone()],
    [KIND.farewell, () => this.#call(this.#module.functions.farewell)],
    [KIND.deadline, () => this.#deadline()],
  ]);

  #event(): void {
    const now = this.#time();
    const handle = this.#reader.word();
    const events = this.#reader.word();
    this.#call(() => this.#module.functions.upstream_event(handle, events, now));
  }

  #guestGone(): void {
    const now = this.#time();
    this.#call(() => this.#module.functions.guest_gone(now));
  }

  #step(): void {
    const now = this.#time();
    this.#turns += 1;
    this.#call(() => this.#module.functions.step(now));
  }

  #txDone(): void {
    this.#frames();
    this.#call(this.#module.functions.tx_done);
  }

  #addressSix(): void {
    this.#address(ADDRESS_WORDS);
    this.#answer(this.#module.functions.address_six);
  }

  #hostAddress(): void {
    const kind = this.#reader.word();
    this.#address(ADDRESS_WORDS - 1);
    this.#answer(() => this.#module.functions.host_address(kind));
  }

  /** Writes words of an address into the control block. */
  #address(words: number): void {
    const at = (this.#memory.base(abi.REGION_CONTROL) + abi.CONTROL_ADDRESS_OFFSET) >> 2;
    for (let i = 0; i < words; i += 1) this.#memory.words[at + i] = this.#reader.word();
  }

  #deadline(): void {
    const wanted = this.#reader.float();
    const deadline = this.#module.functions.next_deadline();
    this.#digest.float(deadline);
    if (deadline === wanted) return;
    this.#differ("deadline", this.#moment(wanted), this.#moment(deadline));
  }

  #moment(time: number): ValueMark {
    return value(time === 0 ? "none" : `${((time - this.#first) / 1e6).toFixed(6)} s`);
  }

  /** Time of a call; it never goes back. */
  #time(): number {
    const now = this.#reader.float();
    if (!(now > 0 && now >= this.#now && now < Number.MAX_SAFE_INTEGER)) {
      throw this.#reader.wrong(`time ${now} after ${this.#now}`);
    }
    if (this.#now === 0) this.#first = now;
    this.#now = now;
    return now;
  }

  #call(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#trap = messageOf(error);
    }
  }

  #answer(call: () => number): void {
    const wanted = this.#reader.word();
    let actual = 0;
    this.#call(() => {
      actual = call() >>> 0;
    });
    // After a trap there is no result; the next record says whether it was meant to be.
    if (this.#trap !== undefined) return;
    this.#digest.word(actual);
    if (actual === wanted) return;
    this.#differ("result", value(String(wanted)), value(String(actual)));
  }

  #start(): void {
    const config = this.#reader.blob(abi.CONFIG_SIZE);
    if (config.length !== abi.CONFIG_SIZE) throw this.#reader.wrong("a configuration cut short");
    this.#memory.config.set(config);
    this.#memory.locate();
    this.#answer(this.#module.functions.init);
  }

  #live(): void {
    for (const [offset, size] of LIVE_PARTS) {
      if (offset === abi.CONFIG_LINK_FLAGS_OFFSET && this.#reader.left === 0) return; // an old one
      const part = this.#reader.blob(size);
      if (part.length !== size) throw this.#reader.wrong("resolvers, limits or options cut short");
      this.#memory.config.set(part, offset);
    }
  }

  #guestRx(): void {
    const now = this.#time();
    const { link, octets } = this.#memory;
    const end = abi.RX_SLOT_COUNT * abi.RX_SLOT_SIZE;
    const count = this.#reader.word();
    if (count > abi.RX_SLOT_COUNT) throw this.#reader.wrong(`${count} frames at once`);
    for (let i = 0; i < count; i += 1) {
      const place = this.#reader.word();
      const frame = this.#reader.blob(abi.RX_SLOT_SIZE);
      if (place + frame.length > end) throw this.#reader.wrong("a frame outside of its buffers");
      octets.set(frame, rxSlot(link, 0) + place);
      writeRxDescriptor(link, i, rxSlot(link, 0) + place, frame.length);
    }
    this.#framesIn += count;
    this.#call(() => this.#module.functions.guest_rx(count, now));
  }

  #inboundTcp(): void {
    const now = this.#time();
    const guestPort = this.#reader.word();
    const address = this.#reader.word();
    const port = this.#reader.word();
    const guest = this.#reader.word();
    this.#answer(() => this.#module.functions.inbound_tcp(guestPort, address, port, guest, now));
  }

  #inboundUdp(): void {
    const now = this.#time();
    const guestPort = this.#reader.word();
    const hostPort = this.#reader.word();
    const family = this.#reader.word();
    const guest = this.#reader.word();
    this.#answer(() => this.#module.functions.inbound_udp(guestPort, hostPort, family, guest, now));
  }

  #complete(): void {
    const now = this.#time();
    const memory = this.#memory;
    const count = this.#reader.word();
    const { operations, operationCount } = memory;
    this.#digest.word(operationCount);
    for (let i = 0; i < Math.max(count, operationCount); i += 1) {
      const at = operations + i * OP_WORDS;
      const wanted = i < count ? readOperation(this.#reader) : undefined;
      const actual = i < operationCount ? this.#outputs.operation(at) : undefined;
      if (wanted === undefined || actual === undefined || !isSameOperation(wanted, actual)) {
        this.#differ(`operation ${i + 1} of ${count}`, wanted, actual);
      }
      this.#digest.operation(actual);
      restore(memory, this.#reader, at);
    }
    this.#operations += count;
    this.#call(() => this.#module.functions.complete(now));
  }

  /** Compares the frames that wait. */
  #frames(): void {
    const count = this.#reader.word();
    const waiting = this.#memory.frameCount;
    this.#digest.word(waiting);
    for (let i = 0; i < Math.max(count, waiting); i += 1) {
      const wanted = i < count ? readFrame(this.#reader) : undefined;
      const actual = i < waiting ? this.#outputs.frame(i) : undefined;
      if (wanted === undefined || actual === undefined || !isSameFrame(wanted, actual)) {
        this.#differ(`frame ${i + 1} of ${count}`, copyOf(wanted), copyOf(actual));
      }
      this.#digest.frame(actual);
    }
    this.#framesOut += count;
  }

  #trapped(): void {
    if (this.#trap === undefined) this.#differ("trap", value("a trap"), value("no trap"));
    this.#trap = undefined;
    this.#ending = "trap";
    this.#digest.word(KIND.trap);
  }

  #end(): void {
    if (this.#trap !== undefined) this.#differ("trap", value("no trap"), value(this.#trap));
    const reason = ENDINGS[this.#reader.word()];
    if (reason === undefined) throw this.#reader.wrong("an end without a reason");
    this.#digest.word(KIND.end);
    // At the limit the last call may have frames that nobody has noted.
    if (reason === "limit") this.#reader.word();
    else this.#frames();
    this.#isOver = true;
    this.#ending = this.#ending === "trap" ? "trap" : reason;
  }

  #differ(what: string, expected: Output, actual: Output): never {
    throw new Differs({
      call: this.#calls,
      name: functionName(this.#kind),
      time: this.#elapsed,
      what,
      expected,
      actual,
    });
  }
}
