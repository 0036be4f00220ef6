/** ICMP errors towards the guest: what they quote, when none is sent, how many. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import * as abi from "../../../wasm/abi.ts";
import type { IcmpFrame } from "../../support/frame.ts";
import {
  checkProperty,
  GATEWAY,
  GATEWAY_MAC,
  GUEST,
  GUEST_MAC,
  type Local,
  locals,
  mac,
  NOW,
  PEER,
  SECOND,
} from "../../support/local.ts";
import { type Ipv4Fields, icmp, icmpEcho, ip, ipv4, pattern, udp } from "../../support/packet.ts";

const UNREACHABLE = 3;
const PORT = 3;
const ENDS = { source: GUEST, destination: PEER };
const DATAGRAM = udp({ ...ENDS, sourcePort: 4000, destinationPort: 53 }, pattern(64));

interface Reply {
  readonly available?: number;
  readonly rest?: number;
  readonly mac?: bigint;
  readonly now?: bigint;
}

function reply(local: Local, packet: Uint8Array, fields: Reply = {}): void {
  const { available = packet.length, rest = 0, now = NOW } = fields;
  const p = local.wasm.writeAtEnd(packet);
  const to = fields.mac ?? mac(GUEST_MAC);
  local.wasm.run("icmpErrorReply", p, available, UNREACHABLE, PORT, rest, ip(GATEWAY), to, now);
}

function error(local: Local): IcmpFrame {
  const frame = local.frame();
  assert.ok(frame.kind === "icmp");
  return frame;
}

for (const [variant, local] of locals()) {
  const assertSilent = (packet: Uint8Array, what = ""): void => {
    local.reset();
    reply(local, packet);
    assert.deepEqual(local.frames(), [], what);
    assert.deepEqual(local.drops(), [], "the packet itself was counted by the caller");
  };
  const packetWith = (fields: Partial<Ipv4Fields>, payload = DATAGRAM): Uint8Array =>
    ipv4({ ...ENDS, protocol: 17, ...fields }, payload);

  describe(`flow/icmp-error (${variant})`, () => {
    test("an error quotes the packet from its IP header on", () => {
      local.reset();
      const packet = packetWith({});
      reply(local, packet, { rest: 1400 });
      const frame = error(local);
      assert.deepEqual([frame.sourceMac, frame.destinationMac], [GATEWAY_MAC, GUEST_MAC]);
      assert.deepEqual([frame.source, frame.destination], [GATEWAY, GUEST]);
      assert.deepEqual([frame.type, frame.code, frame.rest], [UNREACHABLE, PORT, 1400]);
      assert.deepEqual([frame.ttl, frame.tos, frame.dontFragment], [64, 0xc0, true]);
      assert.deepEqual(frame.payload, packet);
      assert.equal(local.stat(abi.STAT_ICMP_ERRORS_TO_GUEST), 1);
    });

    test("P13: the quote holds header, options and as much more as 576 octets in all allow", () => {
      checkProperty(
        fc.property(fc.integer({ min: 8, max: 2000 }), fc.nat(10), (size, words) => {
          local.reset();
          const options = new Uint8Array(4 * words).fill(1);
          const packet = packetWith({ options }, pattern(size));
          reply(local, packet);
          assert.deepEqual(error(local).payload, packet.subarray(0, 548));
        }),
      );
    });

    test("P13: octets behind the packet, or that are not there, are not quoted", () => {
      local.reset();
      const packet = packetWith({ totalLength: 40 });
      reply(local, packet);
      assert.equal(error(local).payload.length, 40);
      reply(local, packetWith({ totalLength: 1000 }), { available: 30 });
      assert.equal(error(local).payload.length, 30);
    });

    test("P13: a packet with less than 8 octets behind its header cannot be quoted", () => {
      for (const size of [0, 1, 7]) assertSilent(packetWith({}, pattern(size)));
      for (const available of [0, 19, 20, 27]) {
        local.reset();
        reply(local, packetWith({}), { available });
        assert.deepEqual(local.frames(), [], `${available} octets are there`);
      }
    });

    test("P13: no error about an ICMP error or an unknown ICMP type", () => {
      for (const type of [3, 4, 5, 11, 12, 1, 2, 6, 7, 31, 40, 255]) {
        assertSilent(packetWith({ protocol: 1 }, icmp({ type }, pattern(28))), `type ${type}`);
      }
      assertSilent(packetWith({ protocol: 1 }, new Uint8Array(0)), "no type at all");
    });

    test("P13: errors about ICMP questions are sent", () => {
      for (const type of [8, 13, 15, 17]) {
        local.reset();
        reply(local, packetWith({ protocol: 1 }, icmp({ type }, pattern(28))));
        assert.equal(error(local).type, UNREACHABLE);
      }
    });

    test("P13: no error about a broadcast or multicast destination", () => {
      for (const destination of ["255.255.255.255", "224.0.0.251", "10.0.2.255", "10.0.2.0"]) {
        assertSilent(packetWith({ destination }), destination);
      }
      assertSilent(packetWith({ destination: "240.0.0.1" }));
    });

    test("P13: no error about any fragment but the first", () => {
      assertSilent(packetWith({ fragmentOffset: 8, moreFragments: true }));
      assertSilent(packetWith({ fragmentOffset: 1480 }));
      local.reset();
      reply(local, packetWith({ moreFragments: true }));
      assert.equal(error(local).type, UNREACHABLE);
    });

    test("P13: no error to a source that is no single host", () => {
      const sources = ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "10.0.2.255"];
      for (const source of [...sources, GATEWAY]) assertSilent(packetWith({ source }), source);
    });

    test("P16: 50 at once and 100 a second go through, the rest is counted as flood", () => {
      local.reset();
      const flood = (times: number, now: bigint): number => {
        for (let i = 0; i < times; i += 1) reply(local, packetWith({}), { now });
        return local.rawFrames().length;
      };
      assert.equal(flood(60, NOW), 50);
      assert.deepEqual(local.drops(), [[abi.DROP_REPLY_FLOOD, 10]]);
      assert.equal(flood(10, NOW + SECOND / 100n), 1, "one every 10 ms");
      assert.equal(flood(300, NOW + SECOND / 2n), 49);
      assert.equal(flood(300, NOW + 100n * SECOND), 50, "no more than 50 are saved up");
      assert.equal(local.stat(abi.STAT_ICMP_ERRORS_TO_GUEST), 150);
    });

    test("what may not be sent costs nothing of the limit", () => {
      local.reset();
      for (let i = 0; i < 200; i += 1) reply(local, packetWith({ destination: "224.0.0.1" }));
      reply(local, packetWith({}));
      assert.equal(local.frames().length, 1);
    });

    test("an unknown guest MAC is counted", () => {
      local.reset();
      reply(local, packetWith({}), { mac: 0n });
      assert.deepEqual(local.drops(), [[abi.DROP_NEIGHBOR, 1]]);
    });

    test("an error about a packet that is gone quotes a header made up for it", () => {
      local.reset();
      const l4 = local.place(DATAGRAM);
      const ends = [ip(GATEWAY), ip(GUEST), ip(PEER)];
      const about = [17, l4, 8, 1008, mac(GUEST_MAC), NOW];
      local.wasm.run("icmpErrorQuote", UNREACHABLE, 4, 1400, ...ends, ...about);
      const frame = error(local);
      assert.deepEqual([frame.source, frame.destination], [GATEWAY, GUEST]);
      assert.deepEqual([frame.type, frame.code, frame.rest], [UNREACHABLE, 4, 1400]);
      const quote = frame.payload;
      assert.deepEqual(quote.subarray(20), DATAGRAM.subarray(0, 8));
      const view = new DataView(quote.buffer, quote.byteOffset);
      assert.equal(view.getUint16(2), 1028, "total length of the packet that was");
      assert.equal(view.getUint16(8), 0x4011, "TTL 64, UDP");
      assert.deepEqual([view.getUint32(12), view.getUint32(16)], [ip(GUEST), ip(PEER)]);
    });

    test("a made-up quote obeys the same rules and the same bound", () => {
      local.reset();
      const long = local.place(pattern(2000));
      const run = (protocol: number, l4: number, peer: string): void => {
        const ends = [ip(GATEWAY), ip(GUEST), ip(peer)];
        const about = [protocol, l4, 2000, 2000, mac(GUEST_MAC), NOW];
        local.wasm.run("icmpErrorQuote", UNREACHABLE, 1, 0, ...ends, ...about);
      };
      run(17, long, PEER);
      const quote = error(local).payload;
      assert.deepEqual(quote.subarray(20), pattern(528));
      run(17, long, "224.0.0.1");
      run(1, local.place(icmp({ type: 11 }, ""), 4096), PEER);
      assert.deepEqual(local.frames(), []);
      run(1, local.place(icmpEcho(1, 1, ""), 4096), PEER);
      assert.equal(local.frames().length, 1);
    });

    test("CVE-2019-9824 class: no octet of an error is left from what the slot held before", () => {
      const frames = [0x00, 0xff].map((filling) => {
        local.reset();
        const start = local.wasm.u32("txBuffers");
        local.wasm.octets.fill(filling, start, start + 2048);
        reply(local, packetWith({}, new Uint8Array(8)));
        return local.rawFrames();
      });
      assert.deepEqual(frames[0], frames[1]);
    });
  });
}
