/** Guests that forbid fragmentation hear how large packets may be, once, and are served anyway. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as abi from "../../../wasm/abi.ts";
import { DatagramWorld } from "../../support/datagram-world.ts";
import { PEER, PEER6 } from "../../support/engine-settings.ts";
import { pattern } from "../../support/packet.ts";
import { World6 } from "../../support/world6.ts";

const OTHER = "203.0.113.9";
const DF = { dontFragment: true } as const;
const MTU = 1400;
const HEADERS = 28;
const LARGE = pattern(MTU - HEADERS + 1);

function worldOf(strictDf = false): DatagramWorld {
  const world = new DatagramWorld({ mtu: 9000, strictDf });
  world.host.pathMtu = (address) => (address === PEER ? MTU : 65_535);
  return world;
}

function asked(world: DatagramWorld): number {
  return world.host.log.filter((kind) => kind === abi.OP_PATH_MTU).length;
}

describe("wasm/flow/path-mtu", () => {
  test("P18: a datagram with DF that is too large is sent, and the guest told once", () => {
    const world = worldOf();
    world.guest(world.udp(PEER, 9, LARGE, DF));
    const error = world.icmp();
    assert.deepEqual([error.type, error.code, error.rest], [3, 4, MTU]);
    for (let i = 0; i < 5; i += 1) world.guest(world.udp(PEER, 9, LARGE, DF));
    assert.equal(world.socket().sent.length, 6);
    assert.equal(world.take().length, 0);
    assert.equal(asked(world), 1);
    world.advance(601);
    world.guest(world.udp(PEER, 9, LARGE, DF));
    assert.equal(world.icmp().rest, MTU, "and again after ten minutes");
    assert.deepEqual([asked(world), world.stats.dropPathMtu], [2, 0]);
  });

  test("the same by the switch refuses, and tells each time", () => {
    const world = worldOf(true);
    for (let i = 0; i < 3; i += 1) {
      const fits = world.udp(PEER, 9, LARGE.subarray(1), DF);
      world.guest(world.udp(PEER, 9, LARGE, DF), fits, world.udp(OTHER, 9, LARGE, DF));
      assert.equal(world.icmp().rest, MTU);
    }
    assert.deepEqual(
      world.socket().sent.map(({ payload }) => payload.length - LARGE.length),
      [-1, 0, -1, 0, -1, 0],
    );
    assert.equal(world.stats.dropPathMtu, 3);
    world.guest(world.udp(PEER, 9, LARGE));
    assert.equal(world.socket().sent.length, 7, "without DF it may be fragmented");
    assert.equal(world.take().length, 0);
  });

  test("what fits, what is small and what a host knows nothing of is sent without a word", () => {
    const world = worldOf(true);
    world.guest(world.udp(PEER, 9, LARGE.subarray(1), DF));
    world.guest(world.udp(OTHER, 9, pattern(8000), DF));
    world.guest(world.udp("203.0.113.10", 9, pattern(500), DF));
    assert.equal(asked(world), 2);
    world.host.pathMtu = () => -101;
    world.guest(world.udp("203.0.113.11", 9, pattern(8000), DF));
    assert.equal(world.socket().sent.length, 4);
    assert.equal(world.take().length, 0);
  });

  test("a ping is treated alike", () => {
    const world = worldOf();
    for (let i = 0; i < 3; i += 1) world.guest(world.ping(PEER, 1, i, LARGE, DF));
    assert.equal(world.icmp().rest, MTU);
    assert.equal(world.socket().sent.length, 3);
  });

  test("a ping that is refused leaves nothing behind", () => {
    const world = worldOf(true);
    world.guest(world.ping(PEER, 1, 1, LARGE, DF));
    for (let id = 2; id < 6; id += 1) world.guest(world.ping(PEER, id, 1, LARGE, DF));
    assert.equal(world.stats.dropPathMtu, 5);
    assert.equal(world.engine.flowCount, 5);
    world.advance(61);
    assert.equal(world.engine.flowCount, 0);
  });

  test("in IPv6 it is packet too big, never below 1,280, and only for who did not fragment", () => {
    const world = new World6({ mtu: 9000 });
    world.host.pathMtu = MTU;
    const large = pattern(MTU - 48 + 1);
    for (let i = 0; i < 3; i += 1) world.guest(world.udp({ to: PEER6, port: 9 }, large));
    world.expect("icmp6", { type: 2, code: 0, rest: MTU });
    assert.equal(world.host.socket().datagrams.length, 3);
    assert.equal(world.take().length, 0);
  });

  test("what an error from further away says is known from then on", () => {
    const world = worldOf(true);
    world.guest(world.udp(OTHER, 9, LARGE, DF));
    const told = { errno: 90, origin: 2, type: 3, code: 4, info: MTU, offender: "192.0.2.9" };
    world.socket().queueError({ ...told, address: OTHER, port: 9, payload: LARGE });
    assert.equal(world.icmp().rest, MTU);
    world.guest(world.udp(OTHER, 9, LARGE, DF));
    assert.equal(world.icmp().rest, MTU);
    assert.deepEqual([world.socket().sent.length, asked(world)], [1, 1]);
  });
});
