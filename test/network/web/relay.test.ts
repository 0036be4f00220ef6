/**
 * The connection to a relay, on a WebSocket and a clock in memory: versions, back-off, what waits,
 * and relays that do not keep to the protocol.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { EngineError } from "../../../src/engine/errors.ts";
import { type RelayOptions, webUpstream } from "../../../src/network/web/index.ts";
import { fakeSockets, packet, READY, u32 } from "../../support/web/fake-socket.ts";
import { FakeHost, TcpProbe, UdpProbe } from "../../support/web/probe.ts";

const [CONNECT, DATA, CONTINUE, CLOSE, INFO] = [1, 2, 3, 4, 5] as const;
const SECOND = 1_000_000;
const PEER = { address: "192.0.2.9", port: 53 };

function setUp(options: Partial<RelayOptions> = {}) {
  const { made, webSocket } = fakeSockets();
  const host = new FakeHost();
  const upstream = webUpstream({ relay: { url: "ws://relay/", webSocket, ...options }, host });
  const socket = (index = made.length - 1) => {
    const found = made[index];
    assert.ok(found);
    return found;
  };
  const stats = () => {
    const found = upstream.relayStats();
    assert.ok(found);
    return found;
  };
  return { made, host, upstream, socket, stats };
}

/** Lets what is due run. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("relay", () => {
  test("it is opened for the first stream, which is asked for by address and port", () => {
    const { made, upstream, socket, stats } = setUp();
    assert.equal(stats().state, "idle");
    assert.equal(made.length, 0);
    new TcpProbe(upstream, { address: "192.0.2.7", port: 0x1234 });
    assert.deepEqual(socket().protocols, ["wisp-v2"]);
    socket().onopen?.();
    socket().gives(packet(INFO, 0, [2, 0, 1, 0, 0, 0, 0]));
    const [info] = socket().takes(INFO);
    assert.deepEqual([...(info ?? [])], [INFO, 0, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0]);
    assert.equal(socket().takes(CONNECT).length, 0);
    socket().gives(READY);
    const [connect] = socket().takes(CONNECT);
    const text = [..."192.0.2.7"].map((letter) => letter.charCodeAt(0));
    assert.deepEqual([...(connect ?? [])], [CONNECT, 1, 0, 0, 0, 1, 0x34, 0x12, ...text]);
    assert.equal(stats().state, "ready");
  });

  test("version 1 follows version 2 at once, then both in turns with a back-off", async () => {
    const { made, host, upstream, socket, stats } = setUp({ connectSeconds: 3600 });
    new TcpProbe(upstream, {});
    const delays: number[] = [];
    for (let i = 0; i < 12; i += 1) {
      socket().onclose?.();
      assert.equal(stats().state, "waiting");
      const [delay = 0] = host.waits;
      delays.push(delay);
      host.pass(delay);
    }
    const protocols = made.map((each) => each.protocols.length);
    assert.deepEqual(protocols.slice(0, 4), [1, 0, 1, 0]);
    assert.equal(delays[0], 1);
    assert.deepEqual(delays.slice(1, 4), [SECOND / 4, SECOND / 2, SECOND]);
    assert.equal(delays.at(-1), 30 * SECOND);
    socket().gives(READY);
    assert.equal(stats().state, "ready");
    assert.equal(socket().takes(CONNECT).length, 1);
  });

  test("what is lost with a relay is reset, and the next one serves what is new", async () => {
    const { host, upstream, socket, stats } = setUp();
    const first = new TcpProbe(upstream, {});
    socket().gives(READY, packet(DATA, 1, [1, 2, 3]));
    assert.deepEqual(first.told, ["connected", "readable"]);
    socket().onclose?.();
    assert.equal(first.code, "ECONNRESET");
    assert.equal(stats().held, 0);
    const second = new TcpProbe(upstream, {});
    host.pass(SECOND);
    socket().gives(READY);
    assert.equal(socket().takes(CONNECT).length, 1);
    socket().gives(packet(DATA, 1, [4]));
    assert.deepEqual(await second.receive(1), Uint8Array.of(4));
    assert.equal(stats().lost, 1);
    assert.equal(stats().connections, 2);
  });

  test("who waits for a relay that does not come is told so in time", () => {
    const { host, upstream } = setUp({ connectSeconds: 3 });
    const probe = new TcpProbe(upstream, {});
    host.pass(3 * SECOND - 1);
    assert.deepEqual(probe.told, []);
    host.pass(1);
    assert.equal(probe.code, "ENETUNREACH");
  });

  for (const [what, messages] of [
    ["a text", ["hello"]],
    ["too short a message", [Uint8Array.of(3, 0, 0, 0)]],
    ["a packet of a stream", [packet(DATA, 1, [1])]],
    ["a CONTINUE without a number", [packet(CONTINUE, 0, [1, 2])]],
    ["a CONTINUE of no packets", [packet(CONTINUE, 0, u32(0))]],
    [
      "an INFO whose extension is longer than it",
      [packet(INFO, 0, [2, 0, 1, ...u32(2 ** 32 - 1)])],
    ],
    ["two INFO", [packet(INFO, 0, [2, 0]), packet(INFO, 0, [2, 0])]],
  ] as const) {
    test(`${what} is no handshake: connections fail with EPROTO, and it says so`, () => {
      const { host, upstream, socket, stats } = setUp({ connectSeconds: 1 });
      const probe = new TcpProbe(upstream, {});
      const first = socket();
      first.onopen?.();
      first.gives(...messages);
      assert.equal(stats().state, "waiting");
      assert.match(stats().error ?? "", /Wisp/);
      assert.equal(stats().malformed, 1);
      assert.equal(first.isClosed, true);
      host.pass(2); // version 1
      socket().gives(...messages);
      host.pass(2 * SECOND);
      assert.equal(probe.code, "EPROTO");
    });
  }

  test("a WebSocket that says nothing is given up", () => {
    const { host, upstream, socket, stats } = setUp({ connectSeconds: 60 });
    const probe = new TcpProbe(upstream, {});
    socket().onopen?.();
    host.pass(15 * SECOND);
    assert.match(stats().error ?? "", /Wisp endpoint/);
    assert.deepEqual(probe.told, []);
  });

  test("streams and types that there are not, credits that are cut: counted", () => {
    const { upstream, socket, stats } = setUp();
    const probe = new TcpProbe(upstream, {});
    socket().gives(READY);
    socket().gives(packet(DATA, 2 ** 32 - 1, [1]), packet(CLOSE, 77, [2]), packet(DATA, 0, [1]));
    socket().gives(packet(9, 1, [1]), packet(CONTINUE, 1, [1]), packet(INFO, 1));
    assert.equal(stats().stray, 5);
    assert.equal(stats().malformed, 1);
    assert.equal(stats().state, "ready");
    assert.deepEqual(probe.told, []);
  });

  test("a message longer than any packet ends the connection", () => {
    const { upstream, socket, stats } = setUp({ streamMib: 64, totalMib: 64 });
    const probe = new TcpProbe(upstream, {});
    socket().gives(READY, packet(DATA, 1, new Uint8Array((4 << 20) + 1)));
    assert.equal(probe.code, "ECONNRESET");
    assert.equal(stats().malformed, 1);
    assert.equal(stats().state, "waiting");
  });

  test("addresses that are no relay's are refused", () => {
    for (const relay of ["https://relay/", "ws://relay", "ws://re lay/", ""]) {
      assert.throws(
        () => webUpstream({ relay }),
        (error: EngineError) => error.code === "CONFIG",
        relay,
      );
    }
  });

  test("a runtime without a WebSocket is one whose relay does not come", async () => {
    const { upstream, stats, host } = setUp({
      connectSeconds: 1,
      webSocket: class {
        constructor() {
          throw new TypeError("not from here");
        }
      } as never,
    });
    const probe = new TcpProbe(upstream, {});
    await turn();
    assert.match(stats().error ?? "", /not from here/);
    host.pass(2 * SECOND);
    assert.equal(probe.code, "ENETUNREACH");
  });

  for (const state of ["opening", "ready", "waiting"]) {
    test(`who closes it when told that it is ${state} has it closed`, () => {
      const states: string[] = [];
      const { made, host, upstream, socket } = setUp({
        onChange: (stats) => {
          states.push(stats.state);
          if (stats.state === state) upstream.close();
        },
      });
      const probe = new TcpProbe(upstream, {});
      upstream.openUdp({ family: 4, port: 0 }, new UdpProbe())?.send(new Uint8Array(1), PEER);
      if (state === "ready") socket().gives(READY);
      else socket().onclose?.();
      probe.socket.close(true);
      host.pass(200 * SECOND);
      assert.deepEqual(host.waits, []);
      assert.equal(made.length, 1);
      assert.equal(socket().isClosed, true);
      assert.deepEqual(states.slice(-2), [state, "closed"]);
    });
  }

  test("who closes it by the first datagram leaves no timer", () => {
    const { host, upstream, socket } = setUp({
      onChange: ({ state }) => {
        if (state === "opening") port?.close();
        if (state === "opening") upstream.close();
      },
    });
    const port = upstream.openUdp({ family: 4, port: 0 }, new UdpProbe());
    port?.send(new Uint8Array(1), PEER);
    assert.equal(socket().isClosed, true);
    assert.deepEqual(host.waits, []);
  });

  test("what the listener throws is told to its program, and changes nothing", () => {
    const later: (() => void)[] = [];
    const { made, host, upstream, socket, stats } = setUp({
      onChange: ({ state }) => {
        throw new Error(`no ear for ${state}`);
      },
    });
    host.soon = (run) => void later.push(run);
    const heard = () => {
      for (const run of later.splice(0))
        assert.throws(run, new Error(`no ear for ${stats().state}`));
    };
    const probe = new TcpProbe(upstream, {});
    assert.equal(later.length, 1);
    heard();
    socket().onclose?.();
    assert.equal(stats().state, "waiting");
    heard();
    host.pass(SECOND);
    assert.equal(made.length, 2);
    heard();
    socket().gives(READY, packet(DATA, 1, [1]));
    assert.equal(stats().state, "ready");
    assert.deepEqual(probe.told, ["connected", "readable"]);
    heard();
    probe.socket.close(true);
    upstream.close();
    assert.equal(socket().isClosed, true);
    heard();
    assert.deepEqual(host.waits, []);
  });

  test("after the end nothing is told, no timer is left, and connections are refused", async () => {
    const { host, upstream, socket, stats } = setUp();
    const probe = new TcpProbe(upstream, {});
    const waiting = new TcpProbe(upstream, {});
    socket().gives(READY);
    const told = [...probe.told];
    probe.socket.close(true);
    waiting.socket.close(true);
    upstream.close();
    upstream.close();
    assert.equal(socket().isClosed, true);
    assert.deepEqual(host.waits, []);
    assert.deepEqual(probe.told, told);
    assert.equal(stats().state, "closed");
    const late = new TcpProbe(upstream, {});
    await turn();
    assert.equal(late.code, "ENETUNREACH");
  });
});
