/** Limits that change while the engine runs, and a host that has no socket left. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DatagramWorld } from "../../support/datagram-world.ts";
import { EngineWorld } from "../../support/engine-harness.ts";
import { PEER } from "../../support/engine-settings.ts";
import { TcpGuest } from "../../support/tcp-guest.ts";

/** What flows of others hold: descriptors of the process, of the machine, memory. */
const SHORTAGES = [24, 23, 105, 12];

/** A world with this many idle UDP flows, from port 20000 on. */
function crowd(count: number): DatagramWorld {
  const world = new DatagramWorld({ flowsMax: 64, preservesUdpPorts: true });
  for (let i = 0; i < count; i += 1) {
    world.guest(world.udp(PEER, 9, "x", { sourcePort: 20_000 + i }));
  }
  return world;
}

function closedPorts(world: DatagramWorld): number[] {
  return world.host.sockets.filter(({ closed }) => closed).map(({ preferred }) => preferred);
}

describe("limits that change", () => {
  test("a lower one ends the flows that were idle longest, a higher one lets new ones in", () => {
    const world = crowd(40);
    world.engine.setLimits({ flowsMax: 20, chunksMax: 64 });
    world.advance(1);
    world.guest(world.udp(PEER, 9, "y", { sourcePort: 20_039 }));
    assert.equal(world.engine.flowCount, 20);
    assert.deepEqual(
      closedPorts(world),
      Array.from({ length: 20 }, (_, i) => 20_000 + i),
    );
    world.guest(world.udp(PEER, 9, "new", { sourcePort: 30_000 }));
    assert.equal(world.engine.flowCount, 20);
    world.engine.setLimits({ flowsMax: 1_000_000, chunksMax: 1_000_000 });
    for (let i = 0; i < 80; i += 1) {
      world.guest(world.udp(PEER, 9, "z", { sourcePort: 31_000 + i }));
    }
    assert.equal(world.engine.flowCount, 64 - 24, "all but what is kept for connections and DNS");
  });

  test("few flows end in one step", () => {
    const world = new DatagramWorld({ flowsMax: 1024 });
    for (let i = 0; i < 512; i += 1) {
      world.guest(world.udp(PEER, 9, "x", { sourcePort: 20_000 + i }));
    }
    world.engine.setLimits({ flowsMax: 16, chunksMax: 16 });
    world.engine.step(world.now);
    assert.equal(world.engine.flowCount, 512 - 64);
  });
});

describe("a host without a socket to give", () => {
  for (const errno of SHORTAGES) {
    test(`errno ${errno}: an idle flow ends, and the datagram goes out`, () => {
      const world = crowd(3);
      world.host.openResults.push(-errno);
      world.guest(world.udp(PEER, 9, "new", { sourcePort: 30_000 }));
      assert.deepEqual(closedPorts(world), [20_000, 30_000]);
      const socket = world.host.sockets.at(-1);
      assert.deepEqual(socket?.texts, ["new"]);
      assert.equal(world.stats.udpEvicted, 1);
      assert.equal(world.stats.dropUdpSend, 0);
    });

    test(`errno ${errno}: an idle flow ends, and the connection comes about`, () => {
      const world = new EngineWorld();
      world.guest(world.udp({ to: PEER, port: 9 }, "x"));
      const idle = world.host.socket();
      let refused = 1;
      world.host.connect = () => (refused-- > 0 ? { errno } : "ok");
      const guest = new TcpGuest(world);
      guest.send({ flags: "S" });
      guest.expect({ flags: "SA" });
      assert.notEqual(idle.closed, "no");
    });
  }

  test("it is asked once more, not for ever", () => {
    const world = crowd(8);
    world.host.openResults.push(-24, -24, -24, -24);
    world.guest(world.udp(PEER, 9, "new", { sourcePort: 30_000 }));
    assert.equal(world.stats.dropUdpSend, 1);
    assert.equal(world.stats.udpEvicted, 1);
    assert.equal(world.engine.flowCount, 7);
  });

  test("where there is nobody to end it is refused", () => {
    const world = new EngineWorld();
    world.host.connect = () => ({ errno: 24 });
    const guest = new TcpGuest(world);
    guest.send({ flags: "S" });
    guest.expect({ flags: "RA" });
    assert.equal(guest.state, "CLOSED");
    world.checkBalance();
  });
});
