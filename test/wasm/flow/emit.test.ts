/** IPv4 packets towards the guest: one frame or fragments, identifiers, bounds. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import * as abi from "../../../wasm/abi.ts";
import type { FragmentFrame, Frame } from "../../support/frame.ts";
import {
  checkProperty,
  GATEWAY_MAC,
  GUEST,
  GUEST_MAC,
  type Local,
  locals,
  mac,
  PEER,
} from "../../support/local.ts";
import { concat, ip, pattern, udp } from "../../support/packet.ts";
import { reassemble } from "../../support/packet-decode.ts";

const PORTS = { source: PEER, destination: GUEST, sourcePort: 53, destinationPort: 4000 };

/** Sends a UDP datagram: its header from one place, its payload from another. */
function send(local: Local, payload: Uint8Array): boolean {
  const datagram = udp(PORTS, payload);
  const header = local.place(datagram.subarray(0, 8));
  const body = local.place(datagram.subarray(8), 4096);
  const ends = [ip(PEER), ip(GUEST), mac(GUEST_MAC), 17];
  return local.wasm.bool("ipv4Send", ...ends, 61, 0x28, header, 8, body, payload.length, 0);
}

function fragmentsOf(frames: readonly Frame[]): FragmentFrame[] {
  return frames.map((frame) => {
    assert.ok(frame.kind === "fragment");
    return frame;
  });
}

for (const [variant, local] of locals()) {
  describe(`flow/emit (${variant})`, () => {
    test("what fits the MTU is one frame with all fields as asked", () => {
      for (const size of [0, 1, 17, 18, 19, 500, 1472]) {
        local.reset();
        assert.ok(send(local, pattern(size)));
        const frame = local.frame();
        assert.ok(frame.kind === "udp");
        assert.deepEqual([frame.sourceMac, frame.destinationMac], [GATEWAY_MAC, GUEST_MAC]);
        assert.deepEqual([frame.source, frame.destination], [PEER, GUEST]);
        assert.deepEqual([frame.ttl, frame.tos], [61, 0x28]);
        assert.deepEqual(frame.payload, pattern(size));
        assert.ok(frame.octets.length >= 60 || size > 18, "small frames are padded");
        assert.equal(local.stat(abi.STAT_FRAGMENTS_SENT), 0);
      }
    });

    test("what does not fit is cut into fragments that any host puts together again", () => {
      checkProperty(
        fc.property(fc.integer({ min: 576, max: 65520 }), fc.nat(65507), (mtu, size) => {
          local.reset({ mtu });
          assert.ok(send(local, pattern(size)));
          const frames = local.frames();
          const cut = frames.length > 1;
          assert.equal(cut, 28 + size > mtu);
          const whole = cut ? reassemble(fragmentsOf(frames)) : frames[0];
          assert.ok(whole?.kind === "udp");
          assert.deepEqual(whole.payload, pattern(size));
          assert.equal(local.stat(abi.STAT_FRAGMENTS_SENT), cut ? frames.length : 0);
          assert.ok(frames.every((frame) => frame.octets.length <= mtu + 14));
        }),
        60,
      );
    });

    test("P07: packets of up to 1500 octets are atomic, with identifiers that tell nothing", () => {
      local.reset();
      const ids = new Set<number>();
      for (let i = 0; i < 200; i += 1) {
        send(local, pattern(100));
        const frame = local.frame();
        assert.ok(frame.kind === "udp" && frame.dontFragment);
        ids.add(frame.id);
      }
      assert.ok(ids.size > 190, `${ids.size} of 200 differ`);
    });

    test("P07: a large packet that goes in one frame may still be fragmented further on", () => {
      local.reset({ mtu: 65520 });
      send(local, pattern(1473));
      const frame = local.frame();
      assert.ok(frame.kind === "udp" && !frame.dontFragment);
    });

    test("P07: all fragments of a packet share an identifier; no two packets do", () => {
      local.reset();
      const ids = new Set<number>();
      for (let i = 0; i < 100; i += 1) {
        send(local, pattern(3000));
        const frames = fragmentsOf(local.frames());
        assert.equal(new Set(frames.map((frame) => frame.id)).size, 1);
        assert.ok(frames.every((frame) => !frame.dontFragment));
        ids.add(frames[0]?.id ?? -1);
      }
      assert.equal(ids.size, 100);
    });

    test("P07: no identifier comes back within 65,536; neighbours are not near", () => {
      local.reset();
      const seen = new Uint8Array(65536);
      let last = -1;
      let near = 0;
      for (let i = 0; i < 65536; i += 1) {
        const id = local.wasm.u32("nextIdent");
        assert.equal(seen[id], 0, `identifier ${id} twice`);
        seen[id] = 1;
        if (Math.abs(id - last) <= 16) near += 1;
        last = id;
      }
      assert.ok(near < 200, `${near} of 65536 follow within 16 of the one before`);
    });

    test("a packet larger than IPv4 can carry is refused", () => {
      local.reset();
      assert.ok(send(local, pattern(65507)));
      local.frames();
      assert.ok(!local.wasm.bool("ipv4Send", 1, 2, 3n, 17, 64, 0, 0, 8, 0, 65508, 0));
      assert.ok(!local.wasm.bool("ipv4Send", 1, 2, 3n, 17, 64, 0, 0, 8, 0, 0xffffffff, 0));
      assert.deepEqual(local.drops(), [[abi.DROP_DATAGRAM_TOO_BIG, 2]]);
      assert.deepEqual(local.frames(), []);
    });

    test("without room for all fragments none is sent", () => {
      local.reset();
      const payload = pattern(60_000); // 41 fragments; 512 frames hold 12 such packets
      const sent = Array.from({ length: 14 }, () => send(local, payload));
      assert.deepEqual(sent, [...Array(12).fill(true), false, false]);
      assert.deepEqual(local.drops(), [[abi.DROP_TX_FULL, 2]]);
      assert.equal(local.stat(abi.STAT_FRAGMENTS_SENT), 12 * 41);
      assert.equal(local.frames().length, 12 * 41);
    });

    test("the payload is not copied: it is sent as it is when the link takes it", () => {
      local.reset();
      send(local, concat("before", pattern(100)));
      local.place(concat("behind"), 4096);
      const [frame] = local.rawFrames();
      assert.deepEqual(frame?.subarray(42, 48), concat("behind"));
    });

    test("own addresses, mask and broadcast address follow the configuration", () => {
      for (const [prefixLength, mask, broadcast] of [
        [0, 0, 0xffffffff],
        [8, 0xff000000, 0x0affffff],
        [24, 0xffffff00, 0x0a0002ff],
        [30, 0xfffffffc, 0x0a000203],
        [32, 0xffffffff, 0x0a000202],
      ] as const) {
        local.reset({ prefixLength, dns: "0.0.0.0" });
        assert.equal(local.wasm.u32("networkMask"), mask);
        assert.equal(local.wasm.u32("networkBroadcast"), broadcast);
        assert.ok(local.wasm.bool("isOwnAddress", 0x0a000202));
        assert.ok(!local.wasm.bool("isOwnAddress", 0), "no DNS server is not an address");
      }
    });
  });
}
