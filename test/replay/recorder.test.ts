/** Each call of an engine as the recorder notes it, and how it stands aside when it has ended. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { EngineFunctions } from "../../src/engine/module.ts";
import type { OutputSink } from "../../src/lib/output-file.ts";
import { KIND, LIVE_PARTS } from "../../src/replay/format.ts";
import { readFrame, readOperation } from "../../src/replay/outputs.ts";
import { RecordReader } from "../../src/replay/record-reader.ts";
import { Recorder, type RecorderOptions } from "../../src/replay/recorder.ts";
import * as abi from "../../wasm/abi.ts";
import { FakeEngine, pattern } from "./fake-engine.ts";
import { recordingOf } from "./recording-of.ts";
import { BUILD, MemorySink } from "./support.ts";

const BASE = 2 ** 33 + 4096;

class Recording {
  readonly engine = new FakeEngine(BASE);
  readonly sink = new MemorySink();
  readonly stops: (readonly [reason: string, size: number])[] = [];
  readonly recorder: Recorder;
  readonly functions: EngineFunctions;
  /** CONFIG at the start. */
  readonly #config: Uint8Array;

  constructor(options: Partial<RecorderOptions> = {}) {
    this.recorder = new Recorder(this.engine.module, {
      sink: this.sink,
      build: BUILD,
      limit: Number.POSITIVE_INFINITY,
      onStop: (reason, size) => this.stops.push([String(reason), size]),
      ...options,
    });
    this.functions = this.recorder.module.functions;
    this.functions.init();
    this.#config = this.engine.memory.config.slice();
  }

  /** Closes it, and gives a reader that has passed the start. */
  reader(): RecordReader {
    this.recorder.close();
    const reader = new RecordReader(recordingOf(this.sink.octets));
    assert.equal(reader.next(), KIND.start);
    assert.deepEqual(reader.blob(abi.CONFIG_SIZE), this.#config);
    assert.equal(reader.word(), 0);
    return reader;
  }
}

/** Nothing but the end follows. */
function assertEnd(reader: RecordReader): void {
  assert.equal(reader.next(), KIND.end);
  assert.deepEqual([reader.word(), reader.word(), reader.left], [0, 0, 0]);
  reader.finish();
}

describe("recorder: calls", () => {
  test("the engine is called as if nobody stood between, and its answers come back", () => {
    const { engine, functions } = new Recording();
    engine.acts.control = () => 11;
    engine.acts.inbound_tcp = () => 12;
    engine.acts.inbound_udp = () => 13;
    engine.acts.address_six = () => 14;
    engine.acts.host_address = () => 15;
    engine.acts.next_deadline = () => 16.5;
    engine.acts.init = () => 17;
    assert.deepEqual(
      [
        functions.control(),
        functions.inbound_tcp(1, 2, 3, 4, 5),
        functions.inbound_udp(6, 7, 8, 9, 10),
        functions.address_six(),
        functions.host_address(3),
        functions.next_deadline(),
        functions.init(),
      ],
      [11, 12, 13, 14, 15, 16.5, 17],
    );
    functions.guest_rx(0, 20);
    functions.upstream_event(21, 22, 23);
    functions.step(24);
    functions.complete(25);
    functions.tx_done();
    functions.guest_gone(26);
    functions.farewell();
    assert.deepEqual(engine.calls.slice(1), [
      ["control"],
      ["inbound_tcp", 1, 2, 3, 4, 5],
      ["inbound_udp", 6, 7, 8, 9, 10],
      ["address_six"],
      ["host_address", 3],
      ["next_deadline"],
      ["init"],
      ["guest_rx", 0, 20],
      ["upstream_event", 21, 22, 23],
      ["step", 24],
      ["complete", 25],
      ["tx_done"],
      ["guest_gone", 26],
      ["farewell"],
    ]);
  });

  test("times, arguments and results are noted", () => {
    const recording = new Recording();
    const { engine, functions } = recording;
    engine.acts.inbound_tcp = () => 0xfffffff0;
    engine.acts.inbound_udp = () => 13;
    engine.acts.next_deadline = () => 16.5;
    functions.upstream_event(0xfedc0001, 22, 23.25);
    functions.step(24);
    functions.inbound_tcp(1, 2, 3, 4, 5);
    functions.inbound_udp(6, 7, 8, 9, 10);
    functions.next_deadline();
    functions.guest_gone(26);
    functions.farewell();
    const reader = recording.reader();
    const words = (count: number): number[] => Array.from({ length: count }, () => reader.word());
    assert.equal(reader.next(), KIND.event);
    assert.deepEqual([reader.float(), ...words(2), reader.left], [23.25, 0xfedc0001, 22, 0]);
    assert.equal(reader.next(), KIND.step);
    assert.deepEqual([reader.float(), reader.left], [24, 0]);
    assert.equal(reader.next(), KIND.inboundTcp);
    assert.deepEqual([reader.float(), ...words(5), reader.left], [5, 1, 2, 3, 4, 0xfffffff0, 0]);
    assert.equal(reader.next(), KIND.inboundUdp);
    assert.deepEqual([reader.float(), ...words(5), reader.left], [10, 6, 7, 8, 9, 13, 0]);
    assert.equal(reader.next(), KIND.deadline);
    assert.deepEqual([reader.float(), reader.left], [16.5, 0]);
    assert.equal(reader.next(), KIND.guestGone);
    assert.deepEqual([reader.float(), reader.left], [26, 0]);
    assert.equal(reader.next(), KIND.farewell);
    assert.equal(reader.left, 0);
    assertEnd(reader);
  });

  test("addresses are noted as the control block has them, before the call", () => {
    const recording = new Recording();
    const { engine, functions } = recording;
    const spoil = (): number => {
      engine.setAddress([0, 0, 0, 0, 0]);
      return 7;
    };
    engine.acts.address_six = spoil;
    engine.acts.host_address = spoil;
    engine.setAddress([1, 2, 3, 4, 5]);
    functions.address_six();
    engine.setAddress([6, 7, 8, 9, 10]);
    functions.host_address(99);
    const reader = recording.reader();
    const rest = (): number[] => Array.from({ length: reader.left / 4 }, () => reader.word());
    assert.equal(reader.next(), KIND.addressSix);
    assert.deepEqual(rest(), [1, 2, 3, 4, 5, 7]);
    assert.equal(reader.next(), KIND.hostAddress);
    assert.deepEqual(rest(), [99, 6, 7, 8, 9, 7]);
    assertEnd(reader);
  });

  test("frames of the guest are noted with their places", () => {
    const recording = new Recording();
    const { engine, functions } = recording;
    engine.setReceived([pattern(60), pattern(61, 2), pattern(9, 3)]);
    functions.guest_rx(2, 5);
    const reader = recording.reader();
    assert.equal(reader.next(), KIND.guestRx);
    assert.deepEqual([reader.float(), reader.word()], [5, 2]);
    assert.equal(reader.word(), 0);
    assert.deepEqual(reader.blob(100), pattern(60));
    assert.equal(reader.word(), abi.RX_SLOT_SIZE);
    assert.deepEqual(reader.blob(100), pattern(61, 2));
    assert.equal(reader.left, 0);
    assertEnd(reader);
  });

  test("no more frames are noted than there are slots", () => {
    const recording = new Recording();
    recording.functions.guest_rx(abi.RX_SLOT_COUNT + 1, 5);
    const reader = recording.reader();
    reader.next();
    assert.deepEqual([reader.float(), reader.word()], [5, abi.RX_SLOT_COUNT]);
    assert.deepEqual(recording.engine.calls.at(-1), ["guest_rx", abi.RX_SLOT_COUNT + 1, 5]);
  });

  test("operations are noted with what they have brought, each", () => {
    const recording = new Recording();
    const { engine, functions } = recording;
    const pointer = engine.messages([{ pieces: [pattern(8)] }]);
    engine.setOperations([
      { kind: abi.OP_TCP_RECV, handle: 3, result: 5, pointer },
      { kind: abi.OP_CLOSE, handle: 4, result: -9, a: 1 },
    ]);
    functions.complete(6);
    const reader = recording.reader();
    assert.equal(reader.next(), KIND.complete);
    assert.deepEqual([reader.float(), reader.word()], [6, 2]);
    const first = readOperation(reader);
    assert.deepEqual([first.code, first.handle], [abi.OP_TCP_RECV, 3]);
    assert.deepEqual([reader.integer(), reader.word()], [5, 5]);
    assert.deepEqual(reader.blob(8), pattern(5));
    const second = readOperation(reader);
    assert.deepEqual([second.code, second.handle, second.a], [abi.OP_CLOSE, 4, 1]);
    assert.deepEqual([reader.integer(), reader.left], [-9, 0]);
    assertEnd(reader);
  });

  test("frames for the guest are noted when they have been taken, and when it ends", () => {
    const recording = new Recording();
    recording.engine.setFrames([[pattern(60)]]);
    recording.functions.tx_done();
    recording.engine.setFrames([[pattern(61)], [pattern(62)]]);
    const reader = recording.reader();
    assert.equal(reader.next(), KIND.txDone);
    assert.deepEqual([reader.word(), readFrame(reader).length, reader.left], [1, 60, 0]);
    assert.equal(reader.next(), KIND.end);
    assert.deepEqual([reader.word(), reader.word()], [0, 2]);
    assert.deepEqual([readFrame(reader).length, readFrame(reader).length], [61, 62]);
    assert.equal(reader.left, 0);
  });
});

describe("recorder: what changes between calls", () => {
  test("is noted before the next call, once, with all its parts", () => {
    const recording = new Recording();
    const { engine, functions } = recording;
    functions.step(1);
    engine.setConfig(abi.CONFIG_FLAGS_OFFSET, 0x1234);
    functions.step(2);
    functions.step(3);
    const reader = recording.reader();
    assert.equal(reader.next(), KIND.step);
    assert.equal(reader.next(), KIND.live);
    for (const [offset, size] of LIVE_PARTS) {
      assert.deepEqual(reader.blob(size), engine.memory.config.subarray(offset, offset + size));
    }
    assert.equal(reader.left, 0);
    assert.equal(reader.next(), KIND.step);
    assert.equal(reader.next(), KIND.step);
    assertEnd(reader);
  });

  test("each part that is watched is looked at, down to its last word", () => {
    for (const offset of [
      ...[abi.CONFIG_FLAGS_OFFSET, abi.CONFIG_FLOWS_MAX_OFFSET, abi.CONFIG_CHUNKS_MAX_OFFSET],
      ...[abi.CONFIG_RESOLVERS_COUNT_OFFSET, abi.CONFIG_OPTIONS_SERIAL_OFFSET],
      abi.CONFIG_LINK_FLAGS_OFFSET,
      abi.CONFIG_RESOLVERS_COUNT_OFFSET + 4 * abi.RESOLVER_COUNT,
      abi.CONFIG_RESOLVERS6_OFFSET,
      abi.CONFIG_RESOLVERS6_OFFSET + abi.RESOLVER_COUNT * abi.CONFIG_RESOLVER6_SIZE - 4,
    ]) {
      const recording = new Recording();
      recording.engine.setConfig(offset, 0x99);
      recording.functions.farewell();
      const reader = recording.reader();
      assert.equal(reader.next(), KIND.live, `offset ${offset}`);
    }
  });

  test("options alone are not looked at: their number changes with them", () => {
    const recording = new Recording();
    recording.engine.setConfig(abi.CONFIG_DHCP_OPTIONS_OFFSET, 0x99);
    recording.functions.farewell();
    assert.equal(recording.reader().next(), KIND.farewell);
  });
});

describe("recorder: traps", () => {
  const calls: readonly [keyof EngineFunctions, (functions: EngineFunctions) => unknown][] = [
    ["guest_rx", (functions) => functions.guest_rx(0, 1)],
    ["upstream_event", (functions) => functions.upstream_event(1, 2, 3)],
    ["step", (functions) => functions.step(1)],
    ["complete", (functions) => functions.complete(1)],
    ["tx_done", (functions) => functions.tx_done()],
    ["guest_gone", (functions) => functions.guest_gone(1)],
    ["farewell", (functions) => functions.farewell()],
    ["inbound_tcp", (functions) => functions.inbound_tcp(1, 2, 3, 4, 5)],
    ["inbound_udp", (functions) => functions.inbound_udp(1, 2, 3, 4, 5)],
    ["address_six", (functions) => functions.address_six()],
    ["host_address", (functions) => functions.host_address(1)],
  ];
  for (const [name, call] of calls) {
    test(`one in ${name} is noted behind the call, and thrown on`, () => {
      const recording = new Recording();
      const trap = new WebAssembly.RuntimeError("unreachable");
      recording.engine.acts[name] = () => {
        throw trap;
      };
      assert.throws(
        () => call(recording.functions),
        (error) => error === trap,
      );
      const reader = recording.reader();
      assert.ok(reader.next() !== KIND.trap);
      assert.equal(reader.next(), KIND.trap);
      assert.equal(reader.left, 0);
      assertEnd(reader);
    });
  }
});

describe("recorder: ends", () => {
  test("closed, it stands aside and writes nothing more", () => {
    const recording = new Recording();
    const { recorder, engine, functions, sink, stops } = recording;
    recorder.close();
    recorder.close();
    const size = sink.octets.length;
    functions.step(5);
    functions.next_deadline();
    assert.equal(functions.step, engine.module.functions.step);
    assert.deepEqual(engine.names, ["init", "step", "next_deadline"]);
    assert.deepEqual([sink.octets.length, sink.closes, stops.length], [size, 1, 0]);
  });

  test("at the limit it stands aside, says so once, and the engine goes on", () => {
    const recording = new Recording({ limit: 48 + 8 + 4 + abi.CONFIG_SIZE + 4 + 3 * 16 });
    const { recorder, engine, functions, sink, stops } = recording;
    for (let now = 1; now <= 5; now += 1) functions.step(now);
    recorder.close();
    assert.deepEqual(engine.names, ["init", "step", "step", "step", "step", "step"]);
    assert.deepEqual(stops, [["limit", sink.octets.length]]);
    assert.equal(functions.step, engine.module.functions.step);
    const reader = recording.reader();
    assert.deepEqual([reader.next(), reader.next(), reader.next()], [4, 4, KIND.end]);
    assert.deepEqual([reader.word(), reader.word()], [1, 0]);
  });

  test("a sink that fails is told of, at the call or when it is closed", () => {
    const broken: OutputSink = {
      write: () => {
        throw new Error("disk full");
      },
      close: () => {},
    };
    const early = new Recording({ sink: broken });
    early.engine.setReceived([pattern(abi.RX_SLOT_SIZE)]);
    for (let now = 1; now <= 5; now += 1) early.functions.guest_rx(1, now);
    assert.equal(early.stops.length, 1);
    assert.match(early.stops[0]?.[0] ?? "", /disk full/);
    assert.equal(early.engine.names.length, 6);
    early.recorder.close();
    assert.equal(early.stops.length, 1);

    const late = new Recording({ sink: broken });
    late.recorder.close();
    assert.match(late.stops[0]?.[0] ?? "", /disk full/);
    assert.equal(late.stops.length, 1);
  });

  test("nobody needs to listen for the end", () => {
    const recorder = new Recorder(new FakeEngine().module, {
      ...{ sink: new MemorySink(), build: BUILD, limit: 100 },
    });
    recorder.module.functions.init();
    recorder.close();
  });
});
