/** `replay` for those who call it: its command line, and its verdicts in words. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCommandLine } from "../../src/cli/options.ts";
import { describeResult } from "../../src/lab/commands/replay-report.ts";
import type { Difference, ReplayResult } from "../../src/replay/difference.ts";
import * as abi from "../../wasm/abi.ts";

const EQUAL: ReplayResult = {
  calls: 12,
  turns: 3,
  framesIn: 4,
  framesOut: 5,
  operations: 6,
  elapsed: 1_500_000,
  vnetSize: 0,
  ending: "closed",
  digest: "0123456789abcdef",
  isOtherBuild: false,
  difference: undefined,
};
const PLACE = { call: 9, name: "complete", time: 250_000, what: "operation 1 of 2" };

function differing(difference: Pick<Difference, "expected" | "actual">): string[] {
  return describeResult({ ...EQUAL, difference: { ...PLACE, ...difference } });
}

test("replay takes one file", () => {
  const parse = (...argv: string[]) => parseCommandLine(["replay", ...argv], {}, false);
  assert.deepEqual(parse("a.rec"), { kind: "replay", file: "a.rec" });
  for (const argv of [[], ["a", "b"], ["--x"]]) assert.equal(parse(...argv).kind, "error");
});

test("what is equal is told with its numbers and how it ended", () => {
  assert.deepEqual(describeResult(EQUAL), [
    "equal: 12 calls in 3 turns of 1.500000 s",
    "  4 frames from the guest, 5 to it, 6 operations",
    "  digest 0123456789abcdef",
  ]);
  const [limited] = describeResult({ ...EQUAL, ending: "limit" });
  assert.match(limited ?? "", /; the recording ended at its limit$/);
  const [, , , note] = describeResult({ ...EQUAL, isOtherBuild: true });
  assert.equal(note, "note: another build of the engine was recorded");
});

test("a difference is told with place, time and both sides", () => {
  const operation = { kind: "operation", code: abi.OP_TCP_CONNECT, handle: 0x10003 } as const;
  const words = { a: 0xc0000201, b: 80, c: 0, count: 0, length: 0, low: 1, high: 2 };
  assert.deepEqual(differing({ expected: { ...operation, ...words }, actual: undefined }), [
    "differs at call 9 (complete), 0.250000 s after the start: operation 1 of 2",
    "  recorded: connect of 10003 to 192.0.2.1:80 count 0",
    "  replayed: nothing",
  ]);
  const frame = { kind: "frame", length: 60, head: new Uint8Array(60), low: 1, high: 2 } as const;
  assert.deepEqual(differing({ expected: frame, actual: { ...frame, high: 3 } }).slice(1), [
    "  recorded: type 0x0, 60 octets",
    "  replayed: type 0x0, 60 octets",
    "  (the same in what is shown: it differs further on)",
  ]);
});
