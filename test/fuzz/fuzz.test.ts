/** A short run of the fuzzer that is the same every time; `npm run fuzz` is the long one. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { STAT_NAMES } from "../../src/engine/stats.ts";
import * as abi from "../../wasm/abi.ts";
import { EPOCH_FRAMES, fuzzEpoch } from "./fuzzer.ts";

const SEED = 20250117;
const EPOCHS = 4;

describe("fuzz", () => {
  test(`${EPOCHS * EPOCH_FRAMES} frames from seed ${SEED}`, () => {
    const totals = new Map<string, number>();
    for (let epoch = 0; epoch < EPOCHS; epoch += 1) {
      const { counters } = fuzzEpoch(SEED, epoch);
      STAT_NAMES.forEach((name, i) => {
        totals.set(name, (totals.get(name) ?? 0) + (counters[i] ?? 0));
      });
    }
    // A fuzzer that gets nowhere finds nothing: the deep parts must have been reached.
    for (const name of [
      "ndpReplies",
      "ndpRouter",
      "dhcp6Replies",
      "dhcp6Advertised",
      "addressSweeps",
      "tcpOpened",
      "tcpBytesToHost",
      "tcpBytesToGuest",
      "tcpOutOfOrder",
      "tcpRetransmits",
      "tcpFastRetransmits",
      "udpToHost",
      "udpToGuest",
      "pingToHost",
      "dhcpAcks",
      "datagramsReassembled",
      "staleEvents",
      "icmpErrorsToGuest",
    ]) {
      assert.ok((totals.get(name) ?? 0) > 0, `${name} stayed 0`);
    }
  });

  test("the same seed gives the same run", () => {
    const frames = 2000;
    assert.deepEqual(fuzzEpoch(SEED, 7, frames), fuzzEpoch(SEED, 7, frames));
    const { counters } = fuzzEpoch(SEED + 1, 7, frames);
    assert.notDeepEqual(counters, fuzzEpoch(SEED, 7, frames).counters);
    assert.equal(counters[abi.STAT_GUEST_RX_FRAMES], frames);
  });
});
