/** Connections to the DNS address: which resolver gets one, and who comes after it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as abi from "../../../wasm/abi.ts";
import { RESOLVERS, SECOND_RESOLVER, THIRD_RESOLVER } from "../../support/dns.ts";
import { EngineWorld } from "../../support/engine-harness.ts";
import { DNS, RESOLVER } from "../../support/engine-settings.ts";
import { ETIMEDOUT } from "../../support/fake-host.ts";
import { ip } from "../../support/packet.ts";
import { TcpGuest } from "../../support/tcp-guest.ts";

const TWO = [ip(RESOLVER), ip(SECOND_RESOLVER)];

describe("connections to the DNS address", () => {
  /** A world whose guest has sent a SYN to the DNS address. */
  function connecting(world: EngineWorld): TcpGuest {
    const guest = new TcpGuest(world, { peer: DNS, peerPort: 53 });
    guest.send({ flags: "S" });
    return guest;
  }

  test("refused by the first, taken by the second: the guest hears of the second alone", () => {
    const world = new EngineWorld({ resolvers: RESOLVERS });
    world.host.connect = (address) => (address === RESOLVER ? { errno: 111 } : "ok");
    const guest = connecting(world);
    guest.expect({ flags: "SA" });
    assert.equal(world.host.socket().address, SECOND_RESOLVER);
  });

  test("refused later, silent, then taken", () => {
    const world = new EngineWorld({ resolvers: RESOLVERS });
    world.host.connect = () => "pending";
    const guest = connecting(world);
    world.host.socket().fail(ETIMEDOUT);
    world.run();
    assert.equal(world.host.socket().address, SECOND_RESOLVER);
    world.expectNothing();
    world.advance(1_100_000);
    assert.equal(world.host.socket().address, THIRD_RESOLVER);
    assert.deepEqual(
      world.host.sockets.map(({ closed }) => closed),
      ["abort", "abort", "no"],
    );
    world.advance(20_000_000);
    world.host.socket().connected();
    guest.expect({ flags: "SA" });
  });

  test("refused by all: reset", () => {
    const world = new EngineWorld({ resolvers: RESOLVERS });
    world.host.connect = () => ({ errno: 111 });
    connecting(world).expect({ flags: "RA" });
    assert.equal(world.host.sockets.length, 3);
    assert.equal(world.engine.flowCount, 0);
  });

  test("a change of the list counts for the next connection", () => {
    const world = new EngineWorld({ resolvers: TWO });
    connecting(world);
    world.engine.setResolvers([ip(THIRD_RESOLVER)]);
    new TcpGuest(world, { port: 40_001, peer: DNS, peerPort: 53 }).send({ flags: "S" });
    assert.equal(world.host.socket().address, THIRD_RESOLVER);
    assert.ok(world.host.log.includes(abi.OP_TCP_CONNECT));
  });
});
