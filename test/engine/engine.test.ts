/**
 * The facade: starting, a first packet of every kind, flows, host base; both builds of the engine.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { flowsOf } from "../../src/engine/flows.ts";
import { HostEngine } from "../../src/engine/host-engine.ts";
import { instantiateEngine } from "../../src/engine/instance.ts";
import * as abi from "../../wasm/abi.ts";
import { engineModule } from "../support/engine-binary.ts";
import { EngineWorld, START } from "../support/engine-harness.ts";
import {
  DNS,
  GATEWAY,
  GATEWAY_MAC,
  GUEST,
  PEER,
  RESOLVER,
  worldConfig,
} from "../support/engine-settings.ts";
import { ECONNREFUSED } from "../support/fake-host.ts";
import { ip, pattern } from "../support/packet.ts";
import { established, reach } from "../support/tcp-guest.ts";
import { VARIANTS } from "../support/wasm.ts";

describe("engine/engine: starting", () => {
  const fresh = (): HostEngine => new HostEngine(instantiateEngine(engineModule("simd")));

  test("before, there is no configuration", () => {
    assert.throws(() => fresh().config, { code: "START", message: /start the engine first/ });
  });

  test("a second time is refused", () => {
    const engine = fresh();
    engine.start(worldConfig());
    assert.throws(() => engine.start(worldConfig()), { code: "START", message: /twice/ });
  });

  test("values that fit no field are refused before anything is written", () => {
    const engine = fresh();
    assert.throws(() => engine.start({ ...worldConfig(), flowsMax: 0 }), RangeError);
    engine.start(worldConfig());
    assert.equal(engine.config.flowsMax, worldConfig().flowsMax);
  });

  test("nothing is waiting afterwards", () => {
    const engine = fresh();
    engine.start(worldConfig());
    const { opCount, txCount, flowCount, chunkCount, ready, mustFlush } = engine;
    const idle = { opCount: 0, txCount: 0, flowCount: 0, chunkCount: 0 };
    assert.deepEqual({ opCount, txCount, flowCount, chunkCount }, idle);
    assert.ok(!ready && !mustFlush);
    assert.equal(engine.nextDeadline(), 0);
    assert.deepEqual(flowsOf(engine), []);
  });

  test("the host base is added to every address a system call sees", () => {
    const base = 0x7f12_3456_0000n;
    const engine = fresh();
    engine.setHostBase(base);
    engine.start(worldConfig());
    assert.throws(() => engine.setHostBase(base), { code: "START" });
    const frame = new EngineWorld().ping(GATEWAY, 1, 1, "x");
    engine.octets.set(frame, engine.bases.rxBuffers);
    engine.view.setUint32(engine.bases.rxDescriptors, engine.bases.rxBuffers, true);
    engine.view.setUint32(engine.bases.rxDescriptors + 4, frame.length, true);
    engine.guestRx(1, START);
    engine.step(START);
    assert.equal(engine.txCount, 1);
    const iov = engine.view.getUint32(engine.bases.txRecords + abi.TX_IOV_OFFSET, true);
    const address = engine.view.getBigUint64(iov + abi.IOV_BASE_OFFSET, true);
    assert.ok(address >= base + BigInt(engine.bases.txBuffers), address.toString(16));
    assert.ok(address < base + BigInt(engine.octets.length), address.toString(16));
  });
});

for (const variant of VARIANTS) {
  describe(`engine/engine: first packets (${variant})`, () => {
    test("ARP for gateway and DNS", () => {
      const world = new EngineWorld({ variant });
      world.guest(world.arp({ targetAddress: GATEWAY }), world.arp({ targetAddress: DNS }));
      world.expect("arp", { operation: 2, senderMac: GATEWAY_MAC, senderAddress: GATEWAY });
      world.expect("arp", { operation: 2, senderMac: GATEWAY_MAC, senderAddress: DNS });
      world.expectNothing();
      world.checkBalance();
    });

    test("ping of the gateway and of a peer", () => {
      const world = new EngineWorld({ variant });
      world.guest(world.ping(GATEWAY, 7, 1, pattern(56)));
      world.expect("icmp", { source: GATEWAY, type: 0, rest: 7 * 65536 + 1, payload: pattern(56) });
      world.guest(world.ping(PEER, 8, 2, pattern(100)));
      world.expect("icmp", { source: PEER, type: 0, rest: 8 * 65536 + 2, payload: pattern(100) });
      assert.equal(world.host.socket().kind, "ping");
      world.checkBalance();
    });

    test("UDP to a peer and back, and a second datagram by the same socket", () => {
      const world = new EngineWorld({ variant });
      world.guest(world.udp({ to: PEER, port: 9, from: 5000 }, "to"));
      world.guest(world.udp({ to: PEER, port: 9, from: 5000 }, "go"));
      const socket = world.host.socket();
      assert.equal(world.host.sockets.length, 1);
      assert.deepEqual(
        socket.datagrams.map(({ address, port, payload }) => [address, port, String(payload)]),
        [
          [PEER, 9, "116,111"],
          [PEER, 9, "103,111"],
        ],
      );
      socket.receive("back", { address: PEER, port: 9 });
      const { payload } = world.expect("udp", {
        source: PEER,
        sourcePort: 9,
        destinationPort: 5000,
      });
      assert.deepEqual(payload, new TextEncoder().encode("back"));
      world.checkBalance();
    });

    test("DNS goes to the resolver of the moment", () => {
      const world = new EngineWorld({ variant });
      world.guest(world.udp({ to: DNS, port: 53, from: 5001 }, pattern(30)));
      assert.equal(
        world.host.socket().datagrams[0]?.address ?? world.host.socket().address,
        RESOLVER,
      );
      world.engine.setResolvers([ip("198.18.0.99")]);
      world.guest(world.udp({ to: DNS, port: 53, from: 5002 }, pattern(30)));
      const socket = world.host.socket();
      assert.equal(socket.datagrams[0]?.address ?? socket.address, "198.18.0.99");
      assert.deepEqual(
        flowsOf(world.engine).map((flow) => flow.kind),
        ["dns", "dns"],
      );
    });

    test("TCP: open, both directions, close", () => {
      const { world, guest, socket } = established({ world: { variant } });
      guest.send({ payload: "hello" });
      assert.equal(socket.text, "hello");
      world.advance(1000);
      guest.expect({ flags: "A", seq: 1, ack: 6, payload: "" });
      socket.push("world");
      guest.expect({ flags: "PA", seq: 1, ack: 6, payload: "world" });
      guest.send();
      guest.send({ flags: "FA" });
      guest.expect({ flags: "A", seq: 6, ack: 7 });
      assert.ok(socket.shutDown);
      socket.end();
      guest.expect({ flags: "FA", seq: 6, ack: 7 });
      guest.send();
      guest.expectNothing();
      assert.equal(guest.state, "CLOSED");
      assert.equal(socket.closed, "orderly");
      world.checkBalance();
    });

    test("TCP refused: the guest gets a reset", () => {
      const world = new EngineWorld({ variant });
      world.host.connect = () => ({ errno: ECONNREFUSED });
      const flags = { seq: 99, flags: "S", sourcePort: 1234, destinationPort: 81 };
      world.guest(world.tcp({ destination: PEER, ...flags }));
      world.expect("tcp", { flags: "RA", ack: 100 });
      assert.equal(world.engine.flowCount, 0);
      world.checkBalance();
    });

    test("bulk both ways arrives unchanged", () => {
      const { world, guest, socket } = established({ world: { variant } });
      const data = pattern(200_000);
      socket.push(data);
      assert.deepEqual(guest.receiveAll(), data);
      for (let at = 0; at < 50_000; at += 1000) {
        guest.send({ payload: data.subarray(at, at + 1000) });
        world.advance(1000);
        world.take();
      }
      assert.deepEqual(socket.stream, data.subarray(0, 50_000));
      world.checkBalance();
    });
  });
}

describe("engine/engine: what is told", () => {
  test("what frames the link takes may change, but not what it sends", () => {
    const { engine } = new EngineWorld();
    const at = engine.bases.config + abi.CONFIG_LINK_FLAGS_OFFSET;
    const kept = engine.view.getUint32(at, true) & abi.LINK_RX_TSO;
    for (const flags of [abi.LINK_CSUM | abi.LINK_TSO4, abi.LINK_CSUM | abi.LINK_RX_TSO, 0]) {
      engine.setLinkFlags(flags);
      assert.equal(engine.view.getUint32(at, true), (flags & ~abi.LINK_RX_TSO) | kept);
    }
  });

  test("flows: addresses, ports, states, octets", () => {
    const { world, guest, socket } = established({ guest: { port: 1111, peerPort: 2222 } });
    guest.send({ payload: "12345" });
    socket.push("123");
    world.run();
    assert.deepEqual(flowsOf(world.engine), [
      {
        handle: socket.handle,
        kind: "tcp",
        state: "ESTABLISHED",
        guestAddress: ip(GUEST),
        guestPort: 1111,
        peerAddress: ip(PEER),
        peerPort: 2222,
        hostAddress: ip(PEER),
        hostPort: 2222,
        bytesToHost: 5,
        bytesToGuest: 3,
      },
    ]);
  });

  test("every TCP state can be reached", () => {
    const states = [
      "CONNECTING",
      "SYN_SENT",
      "SYN_RECEIVED",
      "ESTABLISHED",
      "FIN_WAIT_1",
      "FIN_WAIT_2",
      "CLOSE_WAIT",
      "CLOSING",
      "LAST_ACK",
      "TIME_WAIT",
    ] as const;
    for (const state of states) reach(state).world.checkBalance();
  });

  test("sockets the host opens: TCP and UDP", () => {
    const { world, guest, socket } = reach("SYN_SENT", { guest: { port: 22, peerPort: 50001 } });
    guest.send({ flags: "SA" });
    guest.expect({ flags: "A", ack: 1 });
    socket.push("x");
    guest.expect({ flags: "PA", payload: "x" });
    const udp = world.inboundUdp(53, 5353);
    udp?.receive("query", { address: PEER, port: 777 });
    world.expect("udp", { source: PEER, sourcePort: 777, destinationPort: 53 });
    world.checkBalance();
  });

  test("a stale handle is counted and does no harm", () => {
    const world = new EngineWorld();
    const before = world.stats;
    world.engine.upstreamEvent(0xffff0003, abi.EVENT_READABLE, world.now);
    world.engine.upstreamEvent(0, 0xffff, world.now);
    world.expectCounted(before, { staleEvents: 2 });
  });

  test("the same seed and input give the same output, another seed other numbers", () => {
    const run = (seed: number): readonly string[] => {
      const { world, guest, socket } = established({ world: { seed } });
      socket.push(pattern(5000));
      guest.receiveAll();
      world.advance(1e6);
      return world.trace;
    };
    assert.deepEqual(run(5), run(5));
    assert.notDeepEqual(run(5), run(6));
  });
});
