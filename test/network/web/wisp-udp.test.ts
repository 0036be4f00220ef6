/** Datagrams through a relay in memory, and through the real one. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { describe, test } from "node:test";
import { WebSocket } from "ws";
import { webUpstream } from "../../../src/network/web/index.ts";
import { FakeSocket, packet, READY } from "../../support/web/fake-socket.ts";
import { FakeHost, UdpProbe } from "../../support/web/probe.ts";
import { startWispRelay } from "../../support/web/wisp-relay.ts";

const [CONNECT, DATA, CLOSE, INFO] = [1, 2, 4, 5] as const;
const SECOND = 1_000_000;
const MIB = 1 << 20;

function setUp() {
  const host = new FakeHost();
  const socket = new FakeSocket([]);
  function Given(): FakeSocket {
    return socket;
  }
  const upstream = webUpstream({ relay: { url: "ws://relay/", webSocket: Given as never }, host });
  const probe = new UdpProbe();
  const port = upstream.openUdp({ family: 4, port: 5000 }, probe);
  assert.ok(port);
  return { host, socket, upstream, probe, port };
}

const peer = (index: number) => ({ address: `192.0.2.${index}`, port: 53 });

describe("datagrams", () => {
  test("each peer has a stream, and answers come from it", async () => {
    const { host, socket, port } = setUp();
    assert.equal(port.send(Uint8Array.of(1), peer(1)), true);
    assert.equal(port.send(Uint8Array.of(2), peer(2)), true);
    socket.gives(READY);
    port.send(Uint8Array.of(3), peer(1));
    assert.equal(socket.takes(CONNECT).length, 1 + 1);
    const sent = socket.takes(DATA).map((each) => [each[1], each[5]]);
    assert.deepEqual(sent, [
      [1, 1],
      [2, 2],
      [1, 3],
    ]);
    socket.gives(packet(DATA, 2, [7, 8]));
    assert.deepEqual(port.receive(), { from: peer(2), payload: Uint8Array.of(7, 8) });
    assert.equal(port.receive(), undefined);
    port.close();
    assert.equal(socket.takes(CLOSE).length, 2);
    assert.deepEqual(host.waits, []);
  });

  test("without a relay eight wait for each peer, others are dropped and counted", () => {
    const { socket, upstream, port } = setUp();
    const went = Array.from({ length: 10 }, () => port.send(new Uint8Array(1), peer(1)));
    assert.equal(went.filter((each) => each).length, 8);
    assert.equal(upstream.relayStats()?.datagramsDropped, 2);
    socket.gives(READY);
    assert.equal(socket.takes(DATA).length, 8);
  });

  test("64 peers at a time: the one that was idle longest gives way", async () => {
    const { socket, port } = setUp();
    port.send(new Uint8Array(1), peer(0));
    socket.gives(READY);
    for (let i = 1; i < 64; i += 1) port.send(new Uint8Array(1), peer(i));
    await Promise.resolve(); // for the streams
    port.send(new Uint8Array(1), peer(0));
    port.send(new Uint8Array(1), peer(64));
    assert.deepEqual(
      socket.takes(CLOSE).map((each) => each[1]),
      [2],
    );
  });

  test("a peer that is idle for two minutes has no stream any more", () => {
    const { host, socket, port } = setUp();
    port.send(new Uint8Array(1), peer(1));
    socket.gives(READY);
    host.pass(100 * SECOND);
    port.send(new Uint8Array(1), peer(1));
    host.pass(100 * SECOND);
    assert.equal(socket.takes(CLOSE).length, 0);
    host.pass(100 * SECOND);
    assert.equal(socket.takes(CLOSE).length, 1);
    assert.deepEqual(host.waits, []);
  });

  test("256 wait for the guest, others are dropped and counted", () => {
    const { socket, upstream, port } = setUp();
    port.send(new Uint8Array(1), peer(1));
    socket.gives(READY);
    for (let i = 0; i < 300; i += 1) socket.gives(packet(DATA, 1, [i]));
    socket.gives(packet(DATA, 1, new Uint8Array(65_508)));
    assert.equal(upstream.relayStats()?.datagramsDropped, 45);
    let count = 0;
    while (port.receive() !== undefined) count += 1;
    assert.equal(count, 256);
  });

  test("what a guest does not take is bounded in octets, of a port and of all", () => {
    const { socket, upstream, port: first } = setUp();
    const others = Array.from({ length: 19 }, (_, i) =>
      upstream.openUdp({ family: 4, port: 5001 + i }, new UdpProbe()),
    );
    const ports = [first, ...others];
    for (const port of ports) port?.send(new Uint8Array(1), peer(1));
    socket.gives(READY);
    const stats = () => upstream.relayStats();
    const large = new Uint8Array(65_507);
    for (let i = 0; i < 100; i += 1) socket.gives(packet(DATA, 1, large));
    const count = Math.floor(MIB / (large.length + 128));
    assert.equal(stats()?.held, count * (large.length + 128));
    assert.equal(stats()?.datagramsDropped, 100 - count);
    for (let id = 2; id <= 20; id += 1) {
      for (let i = 0; i < 100; i += 1) socket.gives(packet(DATA, id, large));
    }
    const held = stats()?.held ?? 0;
    assert.ok(held > 15 * MIB && held <= 16 * MIB, `${held} octets are held`);
    assert.equal(socket.isPaused, false, "no connection waits for who does not read datagrams");
    assert.ok(first.receive(), "the oldest are there");
    assert.equal(stats()?.held, held - large.length - 128);
    socket.gives(packet(DATA, 20, [1]));
    for (const port of ports) port?.close();
    for (const port of ports) port?.close();
    assert.equal(stats()?.held, 0);
    assert.equal(stats()?.overflowed, 0);
  });

  test("a relay that refuses a peer has the guest told", () => {
    const { socket, probe, port } = setUp();
    port.send(new Uint8Array(1), peer(1));
    socket.gives(READY, packet(CLOSE, 1, [0x48]));
    assert.equal(probe.code, "EACCES");
  });

  test("so has one without UDP", () => {
    const { socket, probe, port } = setUp();
    port.send(new Uint8Array(1), peer(1));
    socket.gives(packet(INFO, 0, [2, 0]), READY);
    assert.equal(probe.code, "EACCES");
    assert.equal(socket.takes(CONNECT).length, 0);
  });

  test("a WebSocket that does not drain has them dropped", () => {
    const { socket, port } = setUp();
    port.send(new Uint8Array(1), peer(1));
    socket.gives(READY);
    socket.bufferedAmount = 4 << 20;
    assert.equal(port.send(new Uint8Array(1), peer(1)), false);
  });

  test("the real relay carries them both ways", async () => {
    const relay = await startWispRelay();
    const echo = createSocket("udp4");
    await new Promise<void>((resolve) => echo.bind(0, "127.0.0.1", resolve));
    echo.on("message", (payload, { port, address }) => echo.send(payload, port, address));
    const upstream = webUpstream({
      relay: { url: relay.url, webSocket: WebSocket },
    });
    const probe = new UdpProbe();
    const port = upstream.openUdp({ family: 4, port: 0 }, probe);
    const to = { address: "127.0.0.1", port: echo.address().port };
    const payload = Uint8Array.from({ length: 1400 }, (_, index) => index % 256);
    assert.equal(port?.send(payload, to), true);
    const got: unknown[] = [];
    await probe.until(() => {
      const datagram = port?.receive();
      if (datagram !== undefined) got.push(datagram);
      return got.length > 0;
    });
    assert.deepEqual(got, [{ from: to, payload }]);
    port?.close();
    upstream.close();
    echo.close();
    await relay.kill();
  });
});
