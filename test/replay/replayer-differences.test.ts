/** Each way in which a replay differs, and each in which a recording contradicts itself. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { KIND, LIVE_PARTS, RecordingError } from "../../src/replay/format.ts";
import { Outputs } from "../../src/replay/outputs.ts";
import * as abi from "../../wasm/abi.ts";
import { FakeEngine, pattern } from "./fake-engine.ts";
import { assertEqual, CONFIG, replayOn, Script } from "./script.ts";

/** What is wrong with a recording, and where. */
function problemOf(octets: Uint8Array, engine = new FakeEngine()): RecordingError {
  try {
    replayOn(engine, octets);
  } catch (error) {
    assert.ok(error instanceof RecordingError, String(error));
    return error;
  }
  assert.fail("it was taken");
}

function contradiction(script: Script, problem: string, engine = new FakeEngine()): void {
  const wanted = `the recording contradicts itself: ${problem} at octet `;
  const { message } = problemOf(script.end(), engine);
  assert.equal(message.slice(0, wanted.length), wanted);
}

/** Marks as a recording has them, of frames and of operations that are closings. */
function writeFrames(script: Script, frames: readonly Uint8Array[]): Script {
  const engine = new FakeEngine();
  engine.setFrames(frames.map((frame) => [frame]));
  return script.record(KIND.txDone, (writer) => new Outputs(engine.memory).writeFrames(writer));
}

function writeClosings(script: Script, handles: readonly number[]): Script {
  const engine = new FakeEngine();
  const places = engine.setOperations(handles.map((handle) => ({ kind: abi.OP_CLOSE, handle })));
  return script.record(KIND.complete, (writer) => {
    writer.float(9);
    writer.word(handles.length);
    for (const at of places) {
      new Outputs(engine.memory).writeOperation(writer, at);
      writer.word(0);
    }
  });
}

describe("replayer: differences", () => {
  test("a frame that is another one is named with both sides, which stay", () => {
    const engine = new FakeEngine();
    engine.setFrames([[pattern(60)], [pattern(61, 2)], [pattern(9)]]);
    const script = new Script().start().words(KIND.step, 1000).words(KIND.step, 4000);
    const recorded = writeFrames(script, [pattern(60), pattern(61, 3), pattern(9)]).end();
    const { difference } = replayOn(engine, recorded);
    assert.ok(difference?.expected?.kind === "frame" && difference.actual?.kind === "frame");
    assert.deepEqual([difference.call, difference.name, difference.time], [4, "tx_done", 3000]);
    assert.equal(difference.what, "frame 2 of 3");
    assert.deepEqual(difference.expected.head, pattern(61, 3));
    assert.deepEqual(difference.actual.head, pattern(61, 2));
    assert.deepEqual(engine.names.at(-1), "step", "it stops before the call");
  });

  test("a frame too few, and one too many", () => {
    const both = [pattern(60), pattern(61)];
    const of = (there: readonly Uint8Array[], recorded: readonly Uint8Array[]) => {
      const engine = new FakeEngine();
      engine.setFrames(there.map((frame) => [frame]));
      const { difference } = replayOn(engine, writeFrames(new Script().start(), recorded).end());
      return [difference?.what, difference?.expected?.kind, difference?.actual?.kind];
    };
    assert.deepEqual(of(both.slice(1), both), ["frame 1 of 2", "frame", "frame"]);
    assert.deepEqual(of(both.slice(0, 1), both), ["frame 2 of 2", "frame", undefined]);
    assert.deepEqual(of(both, both.slice(0, 1)), ["frame 2 of 1", undefined, "frame"]);
  });

  test("an operation that is another one, one too few, and one too many", () => {
    const of = (there: readonly number[], recorded: readonly number[]) => {
      const engine = new FakeEngine();
      engine.setOperations(there.map((handle) => ({ kind: abi.OP_CLOSE, handle })));
      const { difference } = replayOn(engine, writeClosings(new Script().start(), recorded).end());
      assert.equal(engine.names.at(-1), "init", "it stops before the call");
      const { what, name, expected, actual } = difference ?? {};
      return [name, what, expected?.kind, actual?.kind];
    };
    const [name, is] = ["complete", "operation"];
    assert.deepEqual(of([3, 5], [3, 4]), [name, "operation 2 of 2", is, is]);
    assert.deepEqual(of([3], [3, 4]), [name, "operation 2 of 2", is, undefined]);
    assert.deepEqual(of([3, 4], [3]), [name, "operation 2 of 1", undefined, is]);
  });

  test("a result that is another one", () => {
    const engine = new FakeEngine();
    engine.acts.inbound_tcp = () => -1;
    const octets = new Script().start().words(KIND.inboundTcp, 5, 1, 2, 3, 4, 77).end();
    const { difference } = replayOn(engine, octets);
    assert.deepEqual([difference?.name, difference?.what], ["inbound_tcp", "result"]);
    assert.deepEqual(difference?.expected, { kind: "value", text: "77" });
    assert.deepEqual(difference?.actual, { kind: "value", text: "4294967295" });
  });

  test("a start that fails otherwise than it did", () => {
    const engine = new FakeEngine();
    engine.acts.init = () => 3;
    const { difference } = replayOn(engine, new Script().start().end());
    assert.deepEqual([difference?.name, difference?.call], ["init", 1]);
  });

  test("a deadline that is another one, in seconds from the first call, or none", () => {
    const of = (recorded: number, comes: number) => {
      const engine = new FakeEngine();
      engine.acts.next_deadline = () => comes;
      const script = new Script().start().words(KIND.step, 1_000_000);
      script.record(KIND.deadline, (writer) => writer.float(recorded));
      const { difference } = replayOn(engine, script.end());
      const { what, name, expected, actual } = difference ?? {};
      assert.deepEqual([what, name], ["deadline", "next_deadline"]);
      return [expected, actual].map((mark) => (mark?.kind === "value" ? mark.text : mark));
    };
    assert.deepEqual(of(2_500_000, 0), ["1.500000 s", "none"]);
    assert.deepEqual(of(0, 1_000_001), ["none", "0.000001 s"]);
  });
});

describe("replayer: recordings that contradict themselves", () => {
  test("the problem is told with its place, and how far it was equal", () => {
    const script = new Script().start().words(KIND.step, 5).words(99, undefined);
    const at = 48 + (8 + 4 + abi.CONFIG_SIZE + 4) + 16;
    const { message, offset } = problemOf(script.end());
    const text = `a record of kind 99 at octet ${at}; 2 calls before it are equal`;
    assert.equal(message, `the recording contradicts itself: ${text}`);
    assert.equal(offset, at);
  });

  test("it is not started first, or twice", () => {
    const problem = "the engine is not started once, and first";
    contradiction(new Script().words(KIND.step, 5), problem);
    contradiction(new Script().record(KIND.live), problem);
    contradiction(new Script().start().start(), problem);
  });

  test("a configuration or a part of it that is cut short", () => {
    const config = CONFIG.subarray(0, abi.CONFIG_SIZE - 4);
    contradiction(new Script().start(config), "a configuration cut short");
    const parts = LIVE_PARTS.map(([, size]) => new Uint8Array(size));
    const live = (change: number): Script =>
      new Script().start().record(KIND.live, (writer) => {
        for (const [i, part] of parts.entries()) {
          writer.blob(i === 2 ? new Uint8Array(part.length + change) : part);
        }
      });
    contradiction(live(-4), "resolvers, limits or options cut short");
    const size = parts[2]?.length ?? 0;
    contradiction(live(4), `${size + 4} octets, at most ${size} can be`);
  });

  test("a record that is longer than what it holds", () => {
    const script = new Script().start().words(KIND.step, 5, 0);
    contradiction(script, "a record is longer than it holds");
  });

  test("a call after a trap", () => {
    const engine = new FakeEngine();
    engine.acts.step = () => {
      throw new Error("unreachable");
    };
    const script = new Script().start().words(KIND.step, 5).record(KIND.trap);
    contradiction(script.words(KIND.step, 6), "a call after a trap", engine);
  });

  test("times that go back, are none, or are beyond what counts", () => {
    const after = (time: number): Script =>
      new Script().start().words(KIND.step, 500).words(KIND.step, time);
    contradiction(after(499.5), "time 499.5 after 500");
    contradiction(after(Number.NaN), "time NaN after 500");
    contradiction(after(Number.POSITIVE_INFINITY), "time Infinity after 500");
    contradiction(after(2 ** 53), `time ${2 ** 53} after 500`);
    contradiction(new Script().start().words(KIND.step, 0), "time 0 after 0");
    contradiction(new Script().start().words(KIND.step, -1), "time -1 after 0");
    assertEqual(replayOn(new FakeEngine(), after(500).end()));
    assertEqual(replayOn(new FakeEngine(), after(2 ** 53 - 2).end()));
  });

  test("more frames than there are slots, and one outside of them", () => {
    const frames = (count: number, place: number, length: number): Script =>
      new Script().start().record(KIND.guestRx, (writer) => {
        writer.float(5);
        writer.word(count);
        writer.word(place);
        writer.blob(new Uint8Array(length));
      });
    contradiction(frames(65, 0, 4), "65 frames at once");
    const end = abi.RX_SLOT_COUNT * abi.RX_SLOT_SIZE;
    contradiction(frames(1, end - 60, 64), "a frame outside of its buffers");
    contradiction(frames(1, 0, abi.RX_SLOT_SIZE + 4), "69636 octets, at most 69632 can be");
    assertEqual(replayOn(new FakeEngine(), frames(1, end - 64, 64).end()));
    const full = new Script().start().record(KIND.guestRx, (writer) => {
      writer.float(5);
      writer.word(64);
      for (let i = 0; i < 64; i += 1) {
        writer.word(0);
        writer.blob(new Uint8Array(4));
      }
    });
    assertEqual(replayOn(new FakeEngine(), full.end()));
  });

  test("an end without a reason that is known", () => {
    const { message } = problemOf(new Script().start().end(9));
    assert.match(message, /an end without a reason/);
  });

  test("octets behind its end, and a cut", () => {
    const octets = new Script().start().end();
    const longer = new Uint8Array(octets.length + 1);
    longer.set(octets);
    assert.match(problemOf(longer).message, /^octets follow the end of the recording at octet/);
    const { message } = problemOf(octets.subarray(0, -1));
    const cut = `the recording is cut short at octet ${octets.length - 1}`;
    assert.equal(message, `${cut}; 1 calls before it are equal`);
  });
});
