/** One connection through a relay in memory: opening, credits, ends, codes. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { webUpstream } from "../../../src/network/web/index.ts";
import { FakeSocket, packet, READY, u32 } from "../../support/web/fake-socket.ts";
import { FakeHost, TcpProbe } from "../../support/web/probe.ts";

const [DATA, CONTINUE, CLOSE, INFO] = [2, 3, 4, 5] as const;
const KIB = 1024;
const SECOND = 1_000_000;

function setUp({ confirms = false } = {}) {
  const host = new FakeHost();
  const socket = new FakeSocket([]);
  function Given(): FakeSocket {
    return socket;
  }
  const upstream = webUpstream({ relay: { url: "ws://relay/", webSocket: Given as never }, host });
  const probe = new TcpProbe(upstream, {});
  host.pass(40_000);
  socket.onopen?.(); // two round trips of 20 ms
  if (confirms) socket.gives(packet(INFO, 0, [2, 0, 5, 0, 0, 0, 0]));
  socket.gives(READY);
  return { host, socket, probe, upstream };
}

/** Sizes of the payloads that were sent. */
function sizes(socket: FakeSocket): number[] {
  return socket.takes(DATA).map(({ length }) => length - 5);
}

describe("opening", () => {
  test("a relay that confirms says when the far side has accepted", () => {
    const { host, socket, probe } = setUp({ confirms: true });
    host.pass(60 * SECOND);
    assert.deepEqual(probe.told, []);
    socket.gives(packet(CONTINUE, 1, u32(128)));
    assert.deepEqual(probe.told, ["connected"]);
  });

  test("with another, a round trip without a refusal is one, with some reserve", () => {
    const { host, probe } = setUp();
    host.pass(24_000);
    assert.deepEqual(probe.told, []);
    assert.equal(probe.socket.send([new Uint8Array(1)]), 0);
    host.pass(1_000);
    assert.deepEqual(probe.told, ["connected"]);
  });

  for (const type of [DATA, CONTINUE]) {
    test(`so is a packet of type ${type}`, () => {
      const { socket, probe } = setUp();
      socket.gives(packet(type, 1, u32(1)));
      assert.equal(probe.told[0], "connected");
    });
  }

  for (const [reason, code] of [
    [0x01, "ECONNREFUSED"],
    [0x03, "ECONNREFUSED"],
    [0x41, "EHOSTUNREACH"],
    [0x42, "EHOSTUNREACH"],
    [0x43, "ETIMEDOUT"],
    [0x44, "ECONNREFUSED"],
    [0x48, "EACCES"],
    [0x49, "ECONNREFUSED"],
  ] as const) {
    test(`a stream closed for reason ${reason.toString(16)} fails with ${code}`, () => {
      const { host, socket, probe } = setUp();
      socket.gives(packet(CLOSE, 1, [reason]));
      host.pass(SECOND);
      assert.deepEqual(probe.told, ["failed"]);
      assert.equal(probe.code, code);
    });
  }

  test("a CLOSE without a reason is one of an unknown reason", () => {
    const { host, socket, probe } = setUp();
    host.pass(SECOND);
    socket.gives(packet(CLOSE, 1));
    assert.equal(probe.code, "ECONNRESET");
  });
});

describe("sending", () => {
  test("what comes in a turn is two packets: the first at once, the rest at its end", async () => {
    const { host, socket, probe } = setUp();
    host.pass(SECOND);
    for (let i = 0; i < 5; i += 1) probe.socket.send([Uint8Array.of(i)]);
    assert.deepEqual(sizes(socket), [1]);
    await Promise.resolve();
    const [packet] = socket.takes(DATA);
    assert.deepEqual([...(packet ?? [])].slice(5), [1, 2, 3, 4]);
    // What is large is worth a packet, and takes along what waits.
    for (const size of [1, 1, 16 * KIB, 1]) probe.socket.send([new Uint8Array(size)]);
    assert.deepEqual(sizes(socket), [1, 16 * KIB + 1]);
    await Promise.resolve();
    assert.deepEqual(sizes(socket), [1]);
  });

  test("while there are credits each turn has a packet; the last quarter is for more", async () => {
    const { host, socket, probe } = setUp();
    host.pass(SECOND);
    for (let i = 0; i < 96; i += 1) {
      assert.equal(probe.socket.send([Uint8Array.of(i)]), 1);
      await Promise.resolve();
    }
    assert.deepEqual(sizes(socket), Array(96).fill(1));
    for (let i = 0; i < 100; i += 1) {
      probe.socket.send([Uint8Array.of(i)]);
      await Promise.resolve();
    }
    assert.deepEqual(sizes(socket), []);
    host.pass(4_000);
    assert.deepEqual(sizes(socket), [100]);
  });

  test("what waits for the end of a turn leaves with the guest's end", () => {
    const { host, socket, probe } = setUp();
    host.pass(SECOND);
    for (let i = 0; i < 3; i += 1) probe.socket.send([Uint8Array.of(i)]);
    probe.socket.shutdown();
    assert.deepEqual(sizes(socket), [1, 2]);
  });

  test("without credits 512 KiB are gathered, and leave in packets of 256 KiB", () => {
    const { host, socket, probe } = setUp();
    host.pass(SECOND);
    socket.gives(packet(CONTINUE, 1, u32(0)));
    const piece = Uint8Array.from({ length: 48 * KIB }, (_, index) => index % 251);
    let taken = 0;
    for (let got = 1; got > 0; taken += got) got = probe.socket.send([piece]);
    assert.equal(taken, 528 * KIB);
    piece.fill(0); // it was the engine's memory, and is something else by now
    host.pass(SECOND);
    assert.equal(socket.takes(DATA).length, 0);
    assert.equal(probe.told.includes("writable"), false);
    socket.gives(packet(CONTINUE, 1, u32(2)));
    const packets = socket.takes(DATA);
    assert.deepEqual(
      packets.map(({ length }) => length),
      Array(2).fill(256 * KIB + 5),
    );
    const octets = Buffer.concat(packets.map((each) => each.subarray(5)));
    assert.ok(octets.every((octet, index) => octet === (index % (48 * KIB)) % 251));
    assert.equal(probe.told.includes("writable"), true);
    socket.gives(packet(CONTINUE, 1, u32(128)));
    assert.deepEqual(sizes(socket), [16 * KIB]);
  });

  test("what is large leaves in packets of 256 KiB", () => {
    const { host, socket, probe } = setUp();
    host.pass(SECOND);
    const pieces = [new Uint8Array(300 * KIB), new Uint8Array(300 * KIB)];
    assert.equal(probe.socket.send(pieces), 600 * KIB);
    assert.deepEqual(sizes(socket), [256 * KIB, 256 * KIB, 88 * KIB]);
  });

  test("a WebSocket that does not drain has the engine wait", () => {
    const { host, socket, probe } = setUp();
    host.pass(SECOND);
    socket.bufferedAmount = 4 << 20;
    assert.equal(probe.socket.send([new Uint8Array(10)]), 0);
    host.pass(SECOND);
    assert.equal(probe.told.includes("writable"), false);
    socket.bufferedAmount = 0;
    host.pass(4_000);
    assert.equal(probe.told.includes("writable"), true);
    assert.equal(probe.socket.send([new Uint8Array(10)]), 10);
  });
});

test("what the WebSocket has no room for is kept as it was", () => {
  const { host, socket, probe } = setUp();
  host.pass(SECOND);
  socket.bufferedAmount = (4 << 20) - 1;
  socket.keeps = true;
  const piece = new Uint8Array(200 * KIB).fill(1);
  assert.equal(probe.socket.send([piece, piece]), 400 * KIB);
  piece.fill(2); // it was the engine's memory
  assert.deepEqual(sizes(socket), [256 * KIB]);
  socket.bufferedAmount = 0;
  host.pass(4_000);
  const rest = Buffer.concat(socket.takes(DATA).map((each) => each.subarray(5)));
  assert.equal(rest.length, 144 * KIB);
  assert.ok(rest.every((octet) => octet === 1));
});

describe("ends", () => {
  test("the far side's end comes after what it sent; then nothing can be sent", async () => {
    const { host, socket, probe } = setUp();
    socket.gives(packet(DATA, 1, [1, 2, 3]), packet(CLOSE, 1, [2]));
    assert.equal(probe.socket.send([new Uint8Array(1)]), 0);
    assert.deepEqual(await probe.receive(3), Uint8Array.of(1, 2, 3));
    assert.equal(await probe.receive(1), "end");
    assert.equal(probe.told.at(-1), "writable"); // it is told by the next attempt
    probe.socket.send([new Uint8Array(1)]);
    assert.equal(probe.code, "EPIPE");
    probe.socket.close(false);
    assert.deepEqual(socket.takes(CLOSE), []);
    assert.deepEqual(host.waits, []);
  });

  test("the guest's end is not told while answers come, but after 10 s without any", async () => {
    const { host, socket, probe } = setUp();
    host.pass(SECOND);
    probe.socket.send([Uint8Array.of(1)]);
    probe.socket.shutdown();
    for (let i = 0; i < 5; i += 1) {
      host.pass(9 * SECOND);
      socket.gives(packet(DATA, 1, [i]));
      await probe.receive(1);
    }
    assert.deepEqual(socket.takes(CLOSE), []);
    host.pass(10 * SECOND);
    assert.equal(probe.code, "ETIMEDOUT");
    assert.deepEqual([...(socket.takes(CLOSE)[0] ?? [])], [CLOSE, 1, 0, 0, 0, 2]);
  });

  test("a connection given up tells nobody, but what it took still leaves", () => {
    const { host, socket, probe } = setUp();
    host.pass(SECOND);
    socket.gives(packet(CONTINUE, 1, u32(0)));
    probe.socket.send([new Uint8Array(10)]);
    probe.socket.close(false);
    const told = probe.told.length;
    socket.gives(packet(DATA, 1, [1]), packet(CONTINUE, 1, u32(5)));
    assert.deepEqual(sizes(socket), [10]);
    host.pass(10 * SECOND);
    assert.equal(socket.takes(CLOSE).length, 1);
    assert.equal(probe.told.length, told);
    assert.deepEqual(host.waits, []);
  });

  test("one that is aborted is closed at once", () => {
    const { host, socket, probe } = setUp();
    probe.socket.close(true);
    assert.equal(socket.takes(CLOSE).length, 1);
    assert.deepEqual(host.waits, []);
    socket.gives(packet(DATA, 1, [1]));
    assert.deepEqual(probe.told, []);
  });
});

test("octets come in the order and the pieces that are asked for", () => {
  const { socket, probe } = setUp();
  const whole = Uint8Array.from({ length: 1000 }, (_, index) => index % 256);
  for (let at = 0; at < whole.length; at += 90) {
    socket.gives(packet(DATA, 1, whole.subarray(at, at + 90)));
  }
  const got: number[] = [];
  for (let size = 1; ; size += 1) {
    const pieces = [new Uint8Array(size), new Uint8Array(size * 2), new Uint8Array(0)];
    const filled = probe.socket.receive(pieces);
    got.push(...Buffer.concat(pieces).subarray(0, filled));
    if (filled < size * 3) break;
  }
  assert.deepEqual(Uint8Array.from(got), whole);
});
