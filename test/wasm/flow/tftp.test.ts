/** Datagrams for the host's TFTP service: which flow, which ports, how it ends. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineWorld } from "../../support/engine-harness.ts";
import { GATEWAY, GATEWAY6, GUEST, GUEST6, IPV6, PEER } from "../../support/engine-settings.ts";
import { pattern } from "../../support/packet.ts";

const SECOND = 1_000_000;

function world(): EngineWorld {
  const made = new EngineWorld({ tftp: true, ipv6: IPV6, hostLoopback: true });
  made.advance(0);
  made.take(); // the router's first advertisement
  return made;
}

/** Asks from a guest's port; where the answer comes from. */
function ask(w: EngineWorld, gateway = GATEWAY, from = 2000): number {
  w.guest(w.udp({ to: gateway, port: 69, from }, "request"));
  w.host.socket().receive("answer");
  w.run();
  return w.expect("udp", { source: gateway, destinationPort: from }).sourcePort;
}

describe("wasm/flow/tftp", () => {
  test("a request opens a local socket, the answer comes from a port of its own", () => {
    for (const [gateway, guest] of [
      [GATEWAY, GUEST],
      [GATEWAY6, GUEST6],
    ] as const) {
      const w = world();
      w.guest(w.udp({ to: gateway, port: 69, from: 2000 }, "request"));
      const socket = w.host.socket();
      assert.deepEqual([socket.port, socket.address], [69, "0.0.0.0"], "no destination");
      socket.receive("answer");
      w.run();
      const frame = w.expect("udp", { source: gateway, destination: guest });
      assert.ok(frame.sourcePort >= 49152, `${frame.sourcePort}`);
      w.guest(w.udp({ to: gateway, port: frame.sourcePort, from: 2000 }, "ack"));
      const sent = socket.datagrams.map(({ payload }) => new TextDecoder().decode(payload));
      assert.deepEqual(sent, ["request", "ack"]);
      assert.equal(w.host.sockets.length, 1);
      w.checkBalance();
    }
  });

  test("each port of the guest's is a transfer of its own, and each stays apart", () => {
    const w = world();
    const ports = [2000, 2001, 2002].map((from) => ask(w, GATEWAY, from));
    assert.equal(new Set(ports).size, 3);
    assert.equal(w.host.sockets.length, 3);
    assert.notDeepEqual([ask(new EngineWorld({ tftp: true, seed: 9 }))], [ports[0]], "not known");
  });

  test("runs of datagrams are messages of their own", () => {
    const w = world();
    ask(w);
    const parts = [1, 2, 3].map(() => w.udp({ to: GATEWAY, port: 69, from: 2000 }, pattern(100)));
    w.guest(...parts);
    const sizes = w.host.socket().datagrams.map(({ payload }) => payload.length);
    assert.deepEqual(sizes, [7, 100, 100, 100]);
  });

  test("the service ends a transfer: slot and socket are free at once", () => {
    const w = world();
    const port = ask(w);
    const first = w.host.socket();
    first.receive("");
    w.run();
    w.advance(1);
    w.expectNothing();
    assert.equal(first.closed, "orderly");
    assert.equal(w.engine.flowCount, 0);
    assert.equal(ask(w), port, "the next one from that port is a new one");
    assert.equal(w.host.sockets.length, 2);
  });

  test("a request in the turn that the transfer ends in begins a new one", () => {
    const w = world();
    ask(w);
    w.host.socket().receive("");
    w.guest(w.udp({ to: GATEWAY, port: 69, from: 2000 }, "next"));
    w.advance(1);
    ask(w);
    assert.ok(w.host.sockets.length >= 2);
    assert.equal(w.host.live.length, 1);
  });

  test("a service that has no room answers nothing, and nothing is left", () => {
    const w = world();
    w.host.openResult = -16;
    w.guest(w.udp({ to: GATEWAY, port: 69 }, "request"));
    w.expectNothing();
    assert.equal(w.engine.flowCount, 0);
  });

  test("a transfer that nobody uses ends like any other UDP", () => {
    const w = world();
    ask(w);
    w.advance(301 * SECOND);
    assert.equal(w.host.socket().closed, "orderly");
  });

  test("other ports of the gateway, and port 69 elsewhere, are what they were", () => {
    const w = world();
    w.guest(w.udp({ to: GATEWAY, port: 50000 }, "x"), w.udp({ to: PEER, port: 69 }, "y"));
    const names = w.host.socket().datagrams.map(({ address, port }) => `${address}:${port}`);
    assert.deepEqual(names, ["127.0.0.1:50000", `${PEER}:69`]);
  });

  test("without the service the gateway's port 69 is the host's, or refused", () => {
    const w = new EngineWorld({ hostLoopback: true });
    w.guest(w.udp({ to: GATEWAY, port: 69 }, "x"));
    assert.equal(w.host.socket().datagrams[0]?.address, "127.0.0.1");
    const closed = new EngineWorld();
    closed.guest(closed.udp({ to: GATEWAY, port: 69 }, "x"));
    closed.expect("icmp", { type: 3, code: 3 });
    assert.equal(closed.stats.dropLoopback, 1);
  });
});
