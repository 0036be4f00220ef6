/**
 * Every frame ends in exactly one place: dropped with one reason, consumed here, or handed to the
 * host; the frames are the fuzzer's, whole and damaged. TCP segments that a connection takes are
 * counted by octets instead, so for TCP it is at most one; fragments end with their datagram.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { corpus } from "../fuzz/corpus.ts";
import { fixChecksums, mutate } from "../fuzz/mutate.ts";
import { Random } from "../fuzz/random.ts";
import { EngineWorld } from "../support/engine-harness.ts";
import type { WorldOptions } from "../support/engine-settings.ts";
import { toHex } from "../support/hex.ts";
import { PROTOCOL_TCP } from "../support/packet.ts";

const SEED = 20250117;
const ROOM = 4096;

function isIpv4(frame: Uint8Array): boolean {
  return frame[12] === 8 && frame[13] === 0;
}

function isTcp(frame: Uint8Array): boolean {
  return isIpv4(frame) && frame[23] === PROTOCOL_TCP;
}

function isFragment(frame: Uint8Array): boolean {
  return isIpv4(frame) && (((frame[20] ?? 0) & 0x3f) | (frame[21] ?? 0)) !== 0;
}

/** Feeds one frame and compares what the counters say about it. */
function assertAccounted(world: EngineWorld, frame: Uint8Array): void {
  const before = world.accounted;
  world.guest(frame);
  world.take();
  const places = world.accounted - before;
  if (places === 1 || (places === 0 && isTcp(frame)) || isFragment(frame)) return;
  const what = `${frame.length} octets: ${toHex(frame.subarray(0, 100))}`;
  assert.fail(`${places} places for ${what}\n${world.trace.slice(-5).join("\n")}`);
}

describe("engine: every frame is accounted for once", () => {
  const cases: readonly (readonly [string, WorldOptions])[] = [
    ["as usual", {}],
    ["nothing is served", { dhcp: false, dns: false, resolvers: [] }],
    ["host loopback", { hostLoopback: true, mtu: 65520 }],
  ];
  for (const [name, options] of cases) {
    test(`the corpus: ${name}`, () => {
      for (const frame of corpus()) assertAccounted(new EngineWorld(options), frame);
    });
  }

  test("mutations of the corpus", () => {
    const random = new Random(SEED);
    const frames = corpus();
    const buffer = new Uint8Array(ROOM);
    const anyFrame = (): Uint8Array => frames[random.below(frames.length)] ?? new Uint8Array(0);
    let world = new EngineWorld();
    for (let i = 0; i < 5000; i += 1) {
      // A new one now and then: the table is small, and ICMP answers are rationed.
      if (i % 200 === 0) world = new EngineWorld();
      const template = anyFrame();
      buffer.set(template);
      const length = mutate(random, buffer, 0, template.length, ROOM, anyFrame());
      fixChecksums(buffer, 0, length);
      assertAccounted(world, buffer.slice(0, length));
    }
    world.checkBalance();
  });
});
