/** A short run of the vhost-user link's fuzzer; `npm run fuzz -- --vhost` is the long one. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { guarded } from "../../fuzz/vhost/guarded.ts";
import { holdings } from "../../fuzz/vhost/leftovers.ts";
import { fuzzSequences } from "../../fuzz/vhost/sequences.ts";
import { fuzzStates } from "../../fuzz/vhost/states.ts";
import { systemTest } from "../../sys/support.ts";

const SEED = 20261130;
const STAGES = 4;
const SEQUENCES = 60;

describe("fuzz: vhost-user", () => {
  systemTest("any state of the rings, between pages that nobody may touch", [], (sys) => {
    const own = guarded(sys);
    const seen = { states: 0, broken: 0, fromGuest: 0, toGuest: 0 };
    const before = holdings();
    for (let i = 0; i < STAGES; i += 1) fuzzStates(own, SEED + i, seen, undefined);
    assert.deepEqual(holdings(), before);
    // A fuzzer that gets nowhere finds nothing.
    assert.ok(seen.broken > 100, `${seen.broken} queues broken`);
    assert.ok(seen.fromGuest > 100, `${seen.fromGuest} frames from the guest`);
    assert.ok(seen.toGuest > 20, `${seen.toGuest} frames to the guest`);
  });

  systemTest("any control messages, with descriptors of any kind", [], (sys) => {
    const seen = { sequences: 0, messages: 0, lost: 0 };
    fuzzSequences(guarded(sys), SEED, SEQUENCES, seen);
    assert.equal(seen.sequences, SEQUENCES);
    assert.ok(seen.messages > 3 * SEQUENCES, `${seen.messages} messages`);
    assert.ok(seen.lost < SEQUENCES, `${seen.lost} front ends lost`);
  });
});
