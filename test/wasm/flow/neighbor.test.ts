/** The neighbour table: learning, asking, ageing, its bound. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as abi from "../../../wasm/abi.ts";
import {
  GATEWAY,
  GATEWAY_MAC,
  GUEST,
  GUEST_MAC,
  type Local,
  locals,
  mac,
  NOW,
  SECOND,
} from "../../support/local.ts";
import { ip, MAC_BROADCAST, MAC_ZERO } from "../../support/packet.ts";

const OTHER = "10.0.2.77";
const OTHER_MAC = "52:54:00:00:00:77";

const find = (local: Local, address: string): bigint => local.wasm.u64("neighborFind", ip(address));

const learn = (local: Local, address: string, from: string, now: bigint): void =>
  local.wasm.run("neighborLearn", ip(address), mac(from), now);

const request = (local: Local, address: string, now: bigint): void =>
  local.wasm.run("neighborRequest", ip(address), now);

/** Lets time pass as the engine does: a look at the table every 200 ms. */
function pass(local: Local, from: bigint, to: bigint): void {
  for (let now = from; now <= to; now += SECOND / 5n) local.wasm.run("neighborExpire", now);
}

for (const [variant, local] of locals()) {
  describe(`flow/neighbor (${variant})`, () => {
    test("what is learnt is found, the latest of it; the rest is unknown", () => {
      local.reset();
      assert.equal(find(local, OTHER), 0n);
      learn(local, OTHER, OTHER_MAC, NOW);
      assert.equal(find(local, OTHER), mac(OTHER_MAC));
      learn(local, OTHER, GUEST_MAC, NOW);
      assert.equal(find(local, OTHER), mac(GUEST_MAC));
      assert.equal(find(local, "0.0.0.0"), 0n);
    });

    test("the guest's address falls back to the configured MAC, no other does", () => {
      local.reset({ guestMac: GUEST_MAC });
      assert.equal(find(local, GUEST), mac(GUEST_MAC));
      assert.equal(find(local, OTHER), 0n);
      learn(local, GUEST, OTHER_MAC, NOW);
      assert.equal(find(local, GUEST), mac(OTHER_MAC), "what the guest says counts more");
      request(local, "10.0.2.9", NOW);
      assert.equal(find(local, "10.0.2.9"), 0n, "asked for is not known");
    });

    test("a request goes to everybody, from the gateway", () => {
      local.reset();
      request(local, OTHER, NOW);
      const frame = local.frame();
      assert.ok(frame.kind === "arp");
      assert.equal(frame.octets.length, 60);
      assert.equal(frame.operation, 1);
      assert.deepEqual([frame.sourceMac, frame.destinationMac], [GATEWAY_MAC, MAC_BROADCAST]);
      assert.deepEqual([frame.senderMac, frame.senderAddress], [GATEWAY_MAC, GATEWAY]);
      assert.deepEqual([frame.targetMac, frame.targetAddress], [MAC_ZERO, OTHER]);
      assert.equal(local.stat(abi.STAT_ARP_REQUESTS), 1);
    });

    test("P12: at most one request a second for each address", () => {
      local.reset();
      for (let i = 0n; i < 50n; i += 1n) {
        request(local, OTHER, NOW + (i * SECOND) / 20n);
        request(local, "10.0.2.78", NOW + (i * SECOND) / 20n);
      }
      assert.equal(local.frames().length, 6, "two addresses at 0, 1 and 2 seconds");
      assert.equal(local.stat(abi.STAT_ARP_REQUESTS), 6);
    });

    test("P12: an entry nobody uses is not asked about and goes in the end", () => {
      local.reset();
      learn(local, OTHER, OTHER_MAC, NOW);
      pass(local, NOW, NOW + 1201n * SECOND);
      assert.deepEqual(local.frames(), []);
      pass(local, NOW + 1201n * SECOND, NOW + 1203n * SECOND);
      assert.equal(find(local, OTHER), 0n);
    });

    test("P12: a stale entry in use is asked about by unicast and goes when nobody answers", () => {
      local.reset();
      learn(local, OTHER, OTHER_MAC, NOW);
      let now = NOW + 61n * SECOND;
      pass(local, NOW, now);
      assert.equal(find(local, OTHER), mac(OTHER_MAC), "still in use while it is asked about");
      pass(local, now, now + 5n * SECOND);
      const frames = local.frames();
      assert.equal(frames.length, 3, "three questions");
      for (const frame of frames) {
        assert.ok(frame.kind === "arp" && frame.operation === 1);
        assert.deepEqual([frame.destinationMac, frame.targetAddress], [OTHER_MAC, OTHER]);
      }
      now += 5n * SECOND;
      assert.equal(find(local, OTHER), 0n);
    });

    test("P12: an answer makes a stale entry fresh again", () => {
      local.reset();
      learn(local, OTHER, OTHER_MAC, NOW);
      const late = NOW + 61n * SECOND;
      local.wasm.run("neighborExpire", late);
      find(local, OTHER);
      local.wasm.run("neighborExpire", late + SECOND);
      assert.equal(local.frames().length, 1);
      learn(local, OTHER, OTHER_MAC, late + SECOND);
      find(local, OTHER);
      pass(local, late + SECOND, late + 50n * SECOND);
      assert.deepEqual(local.frames(), []);
      assert.equal(find(local, OTHER), mac(OTHER_MAC));
    });

    test("the table is bounded: of 17 neighbours the one heard of longest ago is forgotten", () => {
      local.reset();
      const address = (i: number): string => `10.0.2.${100 + i}`;
      for (let i = 0; i < 16; i += 1) learn(local, address(i), OTHER_MAC, NOW + BigInt(i));
      learn(local, address(0), OTHER_MAC, NOW + 20n);
      learn(local, address(16), OTHER_MAC, NOW + 21n);
      assert.equal(find(local, address(1)), 0n);
      for (const i of [0, 2, 15, 16]) assert.equal(find(local, address(i)), mac(OTHER_MAC));
    });

    test("without room for a frame nothing counts as asked", () => {
      local.reset();
      for (let i = 0; i < abi.TX_CAPACITY_COUNT; i += 1) {
        local.wasm.run("neighborRequest", ip(OTHER), NOW + BigInt(i) * SECOND);
      }
      const later = NOW + BigInt(abi.TX_CAPACITY_COUNT) * SECOND;
      request(local, OTHER, later);
      assert.deepEqual(local.drops(), [[abi.DROP_TX_FULL, 1]]);
      assert.equal(local.frames().length, abi.TX_CAPACITY_COUNT);
      request(local, OTHER, later);
      assert.equal(local.frames().length, 1);
    });
  });
}
