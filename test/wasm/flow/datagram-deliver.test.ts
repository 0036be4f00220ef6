/** Frames made of what host sockets received: GRO and USO, fragments, checksums, TTL. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as abi from "../../../wasm/abi.ts";
import { DatagramWorld } from "../../support/datagram-world.ts";
import { GUEST, PEER } from "../../support/engine-settings.ts";
import type { FragmentFrame, Frame, UdpFrame } from "../../support/frame.ts";
import { pattern, u16 } from "../../support/packet.ts";
import { reassemble } from "../../support/packet-decode.ts";

const OFFLOAD = { vnetSize: 12, linkFlags: abi.LINK_CSUM | abi.LINK_USO } as const;

/** Datagrams as the guest's stack puts them together. */
function whole(frames: readonly Frame[]): UdpFrame[] {
  const found: UdpFrame[] = [];
  let parts: FragmentFrame[] = [];
  for (const frame of frames) {
    if (frame.kind === "udp") found.push(frame);
    if (frame.kind !== "fragment") continue;
    parts.push(frame);
    if (frame.moreFragments) continue;
    const datagram = reassemble(parts);
    assert.ok(datagram.kind === "udp");
    found.push(datagram);
    parts = [];
  }
  return found;
}

describe("UDP frames for the guest", () => {
  test("a GRO run is one USO frame where the link segments", () => {
    const world = new DatagramWorld(OFFLOAD);
    world.guest(world.udp(PEER, 9, "x"));
    world.socket().receive(pattern(5000), PEER, 9, { segment: 1200 });
    const [frame, ...others] = world.datagrams();
    assert.equal(others.length, 0);
    assert.deepEqual(frame?.vnet, {
      gsoType: 5,
      headerLength: 42,
      gsoSize: 1200,
      checksumStart: 34,
      checksumOffset: 6,
    });
    assert.deepEqual(frame?.payload, pattern(5000));
    assert.equal(world.stats.udpToGuest, 5);
  });

  test("a GRO run is a frame per datagram where it does not", () => {
    for (const options of [{}, { vnetSize: 12, linkFlags: abi.LINK_CSUM } as const]) {
      const world = new DatagramWorld(options);
      world.guest(world.udp(PEER, 9, "x"));
      for (let i = 0; i < 20; i += 1) {
        world.socket().receive(pattern(60_050), PEER, 9, { segment: 1000 });
      }
      const frames = world.datagrams();
      const lengths = frames.map(({ payload }) => payload.length);
      assert.equal(frames.length, 20 * 61);
      assert.deepEqual(lengths.slice(0, 61), [...Array.from({ length: 60 }, () => 1000), 50]);
      assert.equal(frames[0]?.vnet !== undefined, "vnetSize" in options);
    }
  });

  test("small datagrams carry their checksum whatever the link offers", () => {
    const world = new DatagramWorld(OFFLOAD);
    world.guest(world.udp(PEER, 9, "x"));
    world.socket().receive("tiny", PEER, 9);
    world.socket().receive(pattern(1000), PEER, 9);
    const [tiny, large] = world.datagrams();
    assert.equal(tiny?.vnet, undefined);
    assert.equal(large?.vnet?.gsoType, 0);
  });

  test("what exceeds the MTU is fragmented, up to the largest datagram", () => {
    for (const options of [{}, OFFLOAD, { ...OFFLOAD, mtu: 576 }]) {
      const world = new DatagramWorld(options);
      world.guest(world.udp(PEER, 9, "x"));
      for (const length of [1472, 1473, 9000, 65_507]) {
        world.socket().receive(pattern(length), PEER, 9);
        const [datagram, ...others] = whole(world.take());
        assert.equal(others.length, 0);
        assert.deepEqual(datagram?.payload, pattern(length));
        assert.equal(datagram?.destination, GUEST);
      }
      world.socket().receive(pattern(4000), PEER, 9, { segment: 2000 });
      assert.equal(whole(world.take()).length, 2, "a run of datagrams that are too long");
    }
  });

  test("TTL and TOS arrive, one hop less", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 9, "x"));
    world.socket().receive("a", PEER, 9, { ttl: 57, tos: 0xb8 });
    world.socket().receive("b", PEER, 9, { ttl: 1 });
    world.socket().receive("c", PEER, 9);
    assert.deepEqual(
      world.datagrams().map(({ ttl, tos }) => [ttl, tos]),
      [
        [56, 0xb8],
        [1, 0],
        [64, 0],
      ],
    );
  });

  test("P22: sources nobody can answer are dropped", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 9, "x"));
    world.socket().receive("a", "224.0.0.251", 5353);
    world.socket().receive("b", "255.255.255.255", 9);
    world.socket().receive("c", PEER, 0);
    assert.equal(world.take().length, 0);
    assert.equal(world.stats.dropUdpFiltered, 2);
    assert.equal(world.stats.dropUdpPort, 1);
  });

  test("octets of another datagram never show", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 9, "x"));
    world.socket().receive(new Uint8Array(1400).fill(0xee), PEER, 9);
    world.take();
    world.socket().receive(u16(1), PEER, 9);
    const [frame] = world.datagrams();
    assert.equal(frame?.octets.length, 60);
    assert.ok(!frame?.octets.includes(0xee));
  });
});
