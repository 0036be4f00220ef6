/** Recordings written by hand and replayed on an engine that notes its calls, and on a real one. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { instantiateEngine } from "../../src/engine/instance.ts";
import { simulatedEngine } from "../../src/lab/sim/simulated-engine.ts";
import { ENDINGS, KIND, LIVE_PARTS } from "../../src/replay/format.ts";
import { Outputs } from "../../src/replay/outputs.ts";
import { replayRecording } from "../../src/replay/replayer.ts";
import * as abi from "../../wasm/abi.ts";
import { FakeEngine, pattern } from "./fake-engine.ts";
import { recordingOf } from "./recording-of.ts";
import { assertEqual, CONFIG, replayOn, Script } from "./script.ts";
import { BUILD, replay } from "./support.ts";

function vnetSizeOf(config: Uint8Array): number {
  return new DataView(config.buffer).getUint32(abi.CONFIG_VNET_SIZE_OFFSET, true);
}

describe("replayer: calls", () => {
  test("each is made again, with what was recorded", () => {
    const engine = new FakeEngine();
    engine.acts.init = () => 0;
    engine.acts.inbound_tcp = () => -16;
    engine.acts.inbound_udp = () => 13;
    engine.acts.next_deadline = () => 16.5;
    const octets = new Script()
      .start()
      .words(KIND.event, 3.5, 0xfedc0001, 22)
      .words(KIND.step, 24)
      .words(KIND.inboundTcp, 25, 1, 2, 3, 4, 0xfffffff0)
      .words(KIND.inboundUdp, 26, 6, 7, 8, 9, 13)
      .record(KIND.deadline, (writer) => writer.float(16.5))
      .words(KIND.guestGone, 27)
      .words(KIND.complete, 28, 0)
      .words(KIND.txDone, undefined, 0)
      .record(KIND.farewell)
      .end();
    const result = replayOn(engine, octets);
    assertEqual(result);
    assert.deepEqual(engine.calls, [
      ["init"],
      ["upstream_event", 0xfedc0001, 22, 3.5],
      ["step", 24],
      ["inbound_tcp", 1, 2, 3, 4, 25],
      ["inbound_udp", 6, 7, 8, 9, 26],
      ["next_deadline"],
      ["guest_gone", 27],
      ["complete", 28],
      ["tx_done"],
      ["farewell"],
    ]);
    const { digest, ...others } = result;
    assert.match(digest, /^[0-9a-f]{16}$/);
    assert.deepEqual(others, {
      ...{ calls: 10, turns: 1, framesIn: 0, framesOut: 0, operations: 0 },
      ...{ elapsed: 24.5, vnetSize: vnetSizeOf(CONFIG), ending: "closed" },
      ...{ isOtherBuild: false, difference: undefined },
    });
  });

  test("the configuration is there when the engine is started", () => {
    const engine = new FakeEngine();
    let config = new Uint8Array(0);
    engine.acts.init = () => {
      config = engine.memory.config.slice();
      return 0;
    };
    replayOn(engine, new Script().start().end());
    assert.deepEqual(config, CONFIG);
  });

  test("addresses are in the control block at the call, word by word", () => {
    const engine = new FakeEngine();
    const seen: number[][] = [];
    const look = (): number => {
      seen.push(engine.address);
      return 7;
    };
    engine.acts.address_six = look;
    engine.acts.host_address = look;
    const script = new Script().start();
    script.words(KIND.addressSix, undefined, 1, 2, 3, 4, 5, 7);
    script.words(KIND.hostAddress, undefined, 99, 6, 7, 8, 9, 7);
    assertEqual(replayOn(engine, script.end()));
    assert.deepEqual(seen, [
      [1, 2, 3, 4, 5],
      [6, 7, 8, 9, 5],
    ]);
    assert.deepEqual(engine.calls.at(-1), ["host_address", 99]);
  });

  test("frames of the guest lie where they lay, and are counted", () => {
    const engine = new FakeEngine();
    const slots = engine.memory.base(abi.REGION_RX_BUFFERS);
    const descriptors = engine.memory.base(abi.REGION_RX_DESCRIPTORS) >> 2;
    const seen: number[][] = [];
    engine.acts.guest_rx = () => {
      seen.push([...engine.memory.words.subarray(descriptors, descriptors + 4)]);
      return 0;
    };
    const octets = new Script()
      .start()
      .record(KIND.guestRx, (writer) => {
        writer.float(5);
        writer.word(2);
        writer.word(4);
        writer.blob(pattern(60));
        writer.word(abi.RX_SLOT_SIZE);
        writer.blob(pattern(61, 2));
      })
      .end();
    const result = replayOn(engine, octets);
    assert.equal(result.framesIn, 2);
    assert.deepEqual(seen, [[slots + 4, 60, slots + abi.RX_SLOT_SIZE, 61]]);
    const { octets: memory } = engine.memory;
    assert.deepEqual(memory.slice(slots + 4, slots + 64), pattern(60));
    const second = slots + abi.RX_SLOT_SIZE;
    assert.deepEqual(memory.slice(second, second + 61), pattern(61, 2));
    assert.deepEqual(engine.calls.at(-1), ["guest_rx", 2, 5]);
  });

  test("what changed between calls is changed again, part by part", () => {
    const engine = new FakeEngine();
    const parts = LIVE_PARTS.map(([, size], i) => pattern(size, 100 + i));
    const octets = new Script()
      .start()
      .record(KIND.live, (writer) => {
        for (const part of parts) writer.blob(part);
      })
      .words(KIND.step, 7)
      .end();
    const result = replayOn(engine, octets);
    assert.equal(result.calls, 2, "it is no call");
    const wanted = CONFIG.slice();
    LIVE_PARTS.forEach(([offset], i) => {
      wanted.set(parts[i] ?? [], offset);
    });
    assert.deepEqual(engine.memory.config, wanted);
  });

  test("flags of the link are left as they are by a recording that has none", () => {
    const engine = new FakeEngine();
    const parts = LIVE_PARTS.slice(0, -1).map(([, size], i) => pattern(size, 100 + i));
    const octets = new Script()
      .start()
      .record(KIND.live, (writer) => {
        for (const part of parts) writer.blob(part);
      })
      .words(KIND.step, 7)
      .end();
    replayOn(engine, octets);
    const wanted = CONFIG.slice();
    parts.forEach((part, i) => {
      wanted.set(part, LIVE_PARTS[i]?.[0] ?? 0);
    });
    assert.deepEqual(engine.memory.config, wanted);
  });

  test("the results of operations are there when they are completed", () => {
    const engine = new FakeEngine();
    const results: number[] = [];
    const [first = 0, second = 0] = engine.setOperations([
      { kind: abi.OP_CLOSE, handle: 3 },
      { kind: abi.OP_TCP_SHUTDOWN, handle: 4 },
    ]);
    engine.acts.complete = () => {
      for (const at of [first, second]) {
        results.push((engine.memory.words[at + (abi.OP_RESULT_OFFSET >> 2)] ?? 0) | 0);
      }
      return 0;
    };
    const outputs = new Outputs(engine.memory);
    const octets = new Script()
      .start()
      .record(KIND.complete, (writer) => {
        writer.float(8);
        writer.word(2);
        outputs.writeOperation(writer, first);
        writer.word(5);
        outputs.writeOperation(writer, second);
        writer.word(-9);
      })
      .end();
    const result = replayOn(engine, octets);
    assertEqual(result);
    assert.equal(result.operations, 2);
    assert.deepEqual(results, [5, -9]);
  });

  test("frames for the guest are compared and counted, at the end too", () => {
    const engine = new FakeEngine();
    engine.setFrames([[pattern(60)], [pattern(61)]]);
    const outputs = new Outputs(engine.memory);
    const script = new Script().start();
    script.record(KIND.txDone, (writer) => outputs.writeFrames(writer));
    script.record(KIND.end, (writer) => {
      writer.word(0);
      outputs.writeFrames(writer);
    });
    const result = replayOn(engine, script.octets);
    assertEqual(result);
    assert.equal(result.framesOut, 4);
  });

  test("frames that wait at the limit are not compared: nobody has noted them", () => {
    const engine = new FakeEngine();
    engine.setFrames([[pattern(60)]]);
    const result = replayOn(engine, new Script().start().end(ENDINGS.indexOf("limit")));
    assertEqual(result);
    assert.equal(result.ending, "limit");
  });

  test("the engine is found by the hash of its octets, another one is noted", () => {
    const octets = new Script().start().end();
    const asked: string[] = [];
    const result = replayRecording(recordingOf(octets), (build) => {
      asked.push(build);
      return { module: new FakeEngine().module, build: "fedcba9876543210" };
    });
    assert.deepEqual(asked, [BUILD]);
    assert.equal(result.isOtherBuild, true);
    assertEqual(result);
  });
});

describe("replayer: traps", () => {
  const trapping = (name: "step" | "farewell" | "inbound_tcp" | "init"): FakeEngine => {
    const engine = new FakeEngine();
    engine.acts[name] = () => {
      throw new RangeError("unreachable");
    };
    return engine;
  };

  test("one that was recorded and comes again is equal, and ends it", () => {
    const octets = new Script().start().words(KIND.step, 5).record(KIND.trap).end();
    const result = replayOn(trapping("step"), octets);
    assertEqual(result);
    assert.deepEqual([result.ending, result.calls], ["trap", 2]);
    const limited = new Script().start().words(KIND.step, 5).record(KIND.trap);
    assert.equal(replayOn(trapping("step"), limited.end(1)).ending, "trap");
  });

  test("one in a call with a result is equal, whatever the result", () => {
    const script = new Script().start().words(KIND.inboundTcp, 5, 1, 2, 3, 4, 0);
    assertEqual(replayOn(trapping("inbound_tcp"), script.record(KIND.trap).end()));
    const other = new Script().start().words(KIND.inboundTcp, 5, 1, 2, 3, 4, 9);
    assertEqual(replayOn(trapping("inbound_tcp"), other.record(KIND.trap).end()));
  });

  test("one that does not come", () => {
    const octets = new Script().start().words(KIND.step, 5).record(KIND.trap).end();
    const { difference } = replayOn(new FakeEngine(), octets);
    assert.deepEqual(
      [difference?.what, difference?.call, difference?.expected, difference?.actual],
      ["trap", 2, { kind: "value", text: "a trap" }, { kind: "value", text: "no trap" }],
    );
  });

  test("one that was not recorded, before another call or the end", () => {
    const more = new Script().start().words(KIND.step, 5).words(KIND.step, 6).end();
    const last = new Script().start().words(KIND.step, 5).end();
    for (const octets of [more, last]) {
      const { difference } = replayOn(trapping("step"), octets);
      assert.deepEqual(
        [difference?.what, difference?.expected, difference?.actual],
        ["trap", { kind: "value", text: "no trap" }, { kind: "value", text: "unreachable" }],
      );
    }
  });

  test("what throws for another reason than the engine's is passed on", () => {
    const engine = new FakeEngine();
    engine.acts.next_deadline = () => {
      throw new Error("a fault of ours");
    };
    const script = new Script().start().record(KIND.deadline, (writer) => writer.float(1));
    assert.throws(() => replayOn(engine, script.end()), /^Error: a fault of ours$/);
  });
});

test("replayer: an engine that refuses a configuration another took differs", () => {
  const octets = new Script().start(new Uint8Array(abi.CONFIG_SIZE)).end();
  const { difference } = replay(octets);
  const { functions } = instantiateEngine(simulatedEngine());
  assert.equal(difference?.name, "init");
  assert.deepEqual(difference?.actual, { kind: "value", text: String(functions.init() >>> 0) });
});
