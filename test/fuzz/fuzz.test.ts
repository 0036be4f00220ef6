/** A short run of the fuzzer that is the same every time; `npm run fuzz` is the long one. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as abi from "../../wasm/abi.ts";
import { Coverage, missing } from "./coverage.ts";
import { EPOCH_FRAMES, fuzzEpoch } from "./fuzzer.ts";

const SEED = 20250118;
const EPOCHS = 4;

/** What so short a run need not reach: full rings, tables of thousands, both FINs on their way. */
const RARE: ReadonlySet<string> = new Set([
  "dropTxFull",
  "dropLink",
  "dropNeighbor",
  "dropReplyFlood",
  "dropOpLimit",
  "dropTcpGaps",
  "dropGuestGone",
  "dropAddressTableFull",
  // Shares leave them to whole crowds, see test/wasm/flow/shares.test.ts.
  "dropTcpTableFull",
  "dropUdpTableFull",
  "dropPingTableFull",
  "outsideRefused",
  "timeWaitEvicted",
  "dropDnsRetry", // a resolver whose socket cannot be had, and a query that moves on to it
  "CLOSING",
  "arpRequests",
  "ndpRequests",
]);

function reached(counts: Readonly<Record<string, number>>): void {
  assert.deepEqual(
    missing(counts).filter((name) => !RARE.has(name)),
    [],
    "never reached: see what the corpus or the mutations lack",
  );
}

describe("fuzz", () => {
  const coverage = new Coverage();

  test(`${EPOCHS * EPOCH_FRAMES} frames from seed ${SEED}`, () => {
    for (let epoch = 0; epoch < EPOCHS; epoch += 1) coverage.add(fuzzEpoch(SEED, epoch));
    assert.equal(coverage.done, EPOCHS * EPOCH_FRAMES);
  });

  // A fuzzer that gets nowhere finds nothing: the deep parts must have been reached.
  test("every drop reason but the rare ones was reached", () => reached(coverage.drops));
  test("every state of a TCP connection was reached", () => reached(coverage.states));
  test("every counter but the rare ones has moved", () => reached(coverage.stats));

  test("the same seed gives the same run", () => {
    const frames = 2000;
    assert.deepEqual(fuzzEpoch(SEED, 7, frames), fuzzEpoch(SEED, 7, frames));
    const { counters } = fuzzEpoch(SEED + 1, 7, frames);
    assert.notDeepEqual(counters, fuzzEpoch(SEED, 7, frames).counters);
    assert.equal(counters[abi.STAT_GUEST_RX_FRAMES], frames);
  });
});
