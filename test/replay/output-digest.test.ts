/** The digest of a replay: which words are in it, and that it sees what is changed. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Hash64 } from "../../src/lib/hash64.ts";
import { ENDINGS, KIND } from "../../src/replay/format.ts";
import { OutputDigest } from "../../src/replay/output-digest.ts";
import type { FrameMark, OperationMark } from "../../src/replay/outputs.ts";
import { FakeEngine } from "./fake-engine.ts";
import { assertEqual, replayOn, Script } from "./script.ts";
import { recordSeed, replay } from "./support.ts";

function hashOf(...words: readonly number[]): string {
  const hash = new Hash64();
  for (const word of words) hash.mix(word);
  return hash.text;
}

function digestOf(write: (digest: OutputDigest) => void): string {
  const digest = new OutputDigest();
  write(digest);
  return digest.text;
}

const FRAME: FrameMark = { kind: "frame", length: 60, low: -5, high: 7, head: new Uint8Array(60) };
const OPERATION: OperationMark = {
  ...{ kind: "operation", code: 1, handle: 2, a: 3, b: 4, c: 5, count: 6 },
  ...{ length: 7, low: 8, high: -9 },
};

describe("digest of outputs", () => {
  test("is the hash of the words that the head of its file lists", () => {
    assert.equal(
      digestOf((digest) => digest.word(0xffffffff)),
      hashOf(-1),
    );
    assert.equal(
      digestOf((digest) => digest.float(1.5)),
      hashOf(0, 0x3ff80000),
    );
    assert.equal(
      digestOf((digest) => digest.frame(FRAME)),
      hashOf(60, -5, 7),
    );
    assert.equal(
      digestOf((digest) => digest.operation(OPERATION)),
      hashOf(1, 2, 3, 4, 5, 6, 7, 8, -9),
    );
  });

  test("of a replay has calls, results, deadlines, numbers and the end", () => {
    const engine = new FakeEngine();
    engine.acts.init = () => 0;
    engine.acts.inbound_tcp = () => -16;
    engine.acts.next_deadline = () => 1.5;
    const octets = new Script()
      .start()
      .words(KIND.step, 24)
      .words(KIND.inboundTcp, 25, 1, 2, 3, 4, 0xfffffff0)
      .record(KIND.deadline, (writer) => writer.float(1.5))
      .words(KIND.complete, 28, 0)
      .words(KIND.txDone, undefined, 0)
      .end();
    const result = replayOn(engine, octets);
    assertEqual(result);
    const calls = [KIND.start, 0, KIND.step, KIND.inboundTcp, -16, KIND.deadline, 0, 0x3ff80000];
    assert.equal(result.digest, hashOf(...calls, KIND.complete, 0, KIND.txDone, 0, KIND.end, 0));
  });

  test("of a trap has no result, and at the limit no frames", () => {
    const engine = new FakeEngine();
    engine.acts.inbound_tcp = () => {
      throw new RangeError("unreachable");
    };
    const script = new Script().start().words(KIND.inboundTcp, 25, 1, 2, 3, 4, 0);
    const octets = script.record(KIND.trap).end(ENDINGS.indexOf("limit"));
    const result = replayOn(engine, octets);
    assertEqual(result);
    assert.equal(result.digest, hashOf(KIND.start, 0, KIND.inboundTcp, KIND.trap, KIND.end));
  });

  test("is the same for the same recording, and another one for another", () => {
    const [one, other] = [recordSeed(10).octets, recordSeed(11).octets];
    assert.equal(replay(one).digest, replay(one).digest);
    assert.notEqual(replay(one).digest, replay(other).digest);
  });
});
