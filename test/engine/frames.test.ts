/**
 * What the engine makes of frames before any flow sees them: runts, foreign ethertypes, tags, pads,
 * addresses that cannot be; and fragments on their way to the host.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { EngineStats } from "../../src/engine/stats.ts";
import { EngineWorld } from "../support/engine-harness.ts";
import {
  DNS,
  GATEWAY,
  GATEWAY_MAC,
  GUEST,
  GUEST_MAC,
  IPV6,
  PEER,
  PEER6,
} from "../support/engine-settings.ts";
import {
  concat,
  ethernet,
  fragments,
  icmp,
  MAC_BROADCAST,
  PROTOCOL_ICMP,
  PROTOCOL_UDP,
  pattern,
  u16,
  udp,
} from "../support/packet.ts";

const LINK = { destination: GATEWAY_MAC, source: GUEST_MAC };
const TAG = concat(u16(0x8100), u16(5));

function assertDropped(frame: Uint8Array, reason: keyof EngineStats, world = new EngineWorld()) {
  const before = world.stats[reason];
  world.guest(frame);
  world.expectNothing();
  assert.equal(Number(world.stats[reason]) - Number(before), 1, reason);
  assert.equal(world.host.sockets.length, 0);
  world.checkBalance();
}

describe("engine: frames", () => {
  const packet = (world: EngineWorld): Uint8Array => world.udp({ to: PEER, port: 9 }, "data");

  test("P23: frames without a whole Ethernet header are dropped", () => {
    for (const length of [0, 1, 13]) {
      assertDropped(packet(new EngineWorld()).subarray(0, length), "dropRunt");
    }
  });

  test("P23: foreign ethertypes and 802.1Q tags are dropped", () => {
    for (const type of [0, 46, 0x88cc, 0x8847, 0xffff]) {
      assertDropped(ethernet({ ...LINK, type }, pattern(46)), "dropEthertype");
    }
    const frame = packet(new EngineWorld());
    const tagged = concat(frame.subarray(0, 12), TAG, frame.subarray(12));
    assertDropped(tagged, "dropEthertype");
  });

  test("P23: what pads a frame behind its packet is ignored", () => {
    for (const pad of [1, 14, 1000]) {
      const world = new EngineWorld();
      world.guest(concat(packet(world), new Uint8Array(pad).fill(0xaa)));
      const [datagram] = world.host.socket().datagrams;
      assert.deepEqual(datagram?.payload, new TextEncoder().encode("data"));
    }
  });

  test("P23: padding beyond the MTU is ignored, a packet beyond it is dropped", () => {
    for (const to of [PEER, PEER6]) {
      const options = { mtu: 1500, ipv6: IPV6 };
      const world = new EngineWorld(options);
      const padded = concat(world.udp({ to, port: 9 }, "data"), new Uint8Array(2600).fill(0xaa));
      world.guest(padded);
      const [datagram] = world.host.socket().datagrams;
      assert.deepEqual(datagram?.payload, new TextEncoder().encode("data"), to);
      const large = new EngineWorld(options);
      large.advance(0);
      large.take(); // the router's first advertisement
      assertDropped(large.udp({ to, port: 9 }, pattern(1500)), "dropOversized", large);
    }
  });

  test("P23: frames for others, from us or from a group are dropped", () => {
    const world = new EngineWorld();
    const body = packet(world).subarray(14);
    const others = { ...LINK, destination: "52:54:00:99:99:99" };
    assertDropped(ethernet(others, body), "dropNotForUs");
    for (const source of [GATEWAY_MAC, MAC_BROADCAST, "00:00:00:00:00:00"]) {
      assertDropped(ethernet({ ...LINK, source }, body), "dropSourceMac");
    }
  });
});

describe("engine: packets", () => {
  const SOURCES = ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"];

  for (const source of [...SOURCES, GATEWAY, DNS, "10.0.2.0", "10.0.2.255", "192.0.2.1"]) {
    test(`P02: a packet from ${source} is dropped`, () => {
      const world = new EngineWorld();
      const ports = { sourcePort: 40000, destinationPort: 9 };
      const datagram = udp({ source, destination: PEER, ...ports }, "data");
      const fields = { source, destination: PEER, protocol: PROTOCOL_UDP };
      assertDropped(world.ip(fields, datagram), "dropIpSource", world);
    });
  }

  test("P15: unknown types of ICMP are dropped", () => {
    for (const type of [0, 1, 5, 9, 10, 13, 15, 17, 42, 255]) {
      const world = new EngineWorld();
      const message = icmp({ type }, pattern(28));
      const fields = { destination: GATEWAY, protocol: PROTOCOL_ICMP };
      assertDropped(world.ip(fields, message), "dropIcmpType", world);
    }
  });

  test("what cannot be carried is refused: SCTP, GRE, ESP and others", () => {
    for (const protocol of [2, 4, 41, 47, 50, 51, 132, 253]) {
      const world = new EngineWorld();
      world.guest(world.ip({ destination: PEER, protocol }, pattern(40)));
      const { type, code } = world.expect("icmp", { destination: GUEST });
      assert.deepEqual([type, code], [3, 2], `protocol ${protocol}`);
      world.expectNothing();
      assert.equal(Number(world.stats.dropIpProtocol), 1);
    }
  });

  test("N09: fragments are forwarded in any order, as one datagram", () => {
    const payload = pattern(4000);
    const addresses = { source: GUEST, destination: PEER };
    const datagram = udp({ ...addresses, sourcePort: 40000, destinationPort: 9 }, payload);
    const fields = { ...addresses, protocol: PROTOCOL_UDP, id: 7 };
    const packets = fragments(fields, datagram, 1480);
    for (const order of [packets, packets.toReversed()]) {
      const world = new EngineWorld();
      world.guest(...order.map((each) => ethernet(LINK, each)));
      const datagrams = world.host.socket().datagrams;
      assert.deepEqual(
        datagrams.map((each) => each.payload),
        [payload],
      );
      world.checkBalance();
    }
  });
});
