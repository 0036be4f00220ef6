/** Payload memory when it is short: what stands still gives way to what moves. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LINK_RX_TSO } from "../../../wasm/abi.ts";
import { crowd } from "../../support/arrivals.ts";
import { EngineWorld } from "../../support/engine-harness.ts";
import { PEER } from "../../support/engine-settings.ts";
import { pattern } from "../../support/packet.ts";
import { TcpGuest } from "../../support/tcp-guest.ts";
import { segments } from "../../support/tcp-transfer.ts";

/** Windows are not shared out by the link's queue (LINK_RX_TSO): memory alone is short. */
const CHUNKS = 64;
const MSS = 1460;
const SECOND = 1_000_000;
const SIZE = 60_000;

/** Connections of the guest whose hosts take nothing, each with `SIZE` octets on their way. */
function stuck(world: EngineWorld, count: number): TcpGuest[] {
  return Array.from({ length: count }, (_, i) => {
    const guest = new TcpGuest(world, { port: 41_000 + i, peerPort: 1000 + i }).open();
    guest.socket.sendRoom = 0;
    guest.sendBatch(segments(pattern(SIZE, i), MSS));
    world.take();
    return guest;
  });
}

/** What a download and an upload of one connection more come to, without waiting. */
function bothWays(world: EngineWorld, port: number): TcpGuest {
  world.advance(300_000); // windows are no longer shared out among the others
  const guest = new TcpGuest(world, { port }).open();
  guest.socket.push(pattern(200_000));
  assert.deepEqual(guest.receiveAll(), pattern(200_000));
  for (let at = 0; at < 200_000; at += 20 * MSS) {
    guest.sendBatch(segments(pattern(200_000).subarray(at, at + 20 * MSS), MSS, guest.next));
    world.take();
  }
  assert.deepEqual(guest.socket.stream, pattern(200_000));
  return guest;
}

describe("wasm/tcp/pressure", () => {
  test("uploads that nobody takes leave room: others go on both ways at once", () => {
    const world = new EngineWorld({ chunksMax: CHUNKS, linkFlags: LINK_RX_TSO });
    stuck(world, 100);
    assert.ok(world.engine.chunkCount <= CHUNKS - CHUNKS / 16, `${world.engine.chunkCount} chunks`);
    bothWays(world, 50_000);
    world.checkBalance();
  });

  test("what stands still for a second gives back until half is free, and still arrives", () => {
    const world = new EngineWorld({ chunksMax: CHUNKS, linkFlags: LINK_RX_TSO });
    const all = stuck(world, 20);
    const before = world.engine.chunkCount;
    assert.ok(before > CHUNKS / 2);
    world.advance(2 * SECOND);
    bothWays(world, 50_000); // turns go on
    assert.ok(world.engine.chunkCount <= CHUNKS / 2, `${world.engine.chunkCount} chunks`);
    assert.equal(world.stats.heldLetGo, before - world.engine.chunkCount);
    // It is not held again before the host takes something.
    const dropped = world.stats.dropTcpPool;
    for (const guest of all) {
      guest.sendBatch(segments(pattern(SIZE, guest.port - 41_000), MSS, 1).slice(13));
    }
    assert.ok(world.stats.dropTcpPool > dropped);
    world.take();
    for (const [i, guest] of all.entries()) {
      guest.socket.room(Number.POSITIVE_INFINITY);
      world.advance(1000);
      const acked = guest.socket.stream.length;
      // One acknowledgment is all the guest needs to go on.
      assert.ok(acked === 0 || acked >= MSS, `${acked} octets`);
      const answers = world.take().filter((frame) => {
        return frame.kind === "tcp" && frame.destinationPort === guest.port;
      });
      assert.ok(answers.length > 0, "the guest hears that there is room");
      guest.sendBatch(segments(pattern(SIZE, i).subarray(acked), MSS, 1 + acked));
      assert.deepEqual(guest.socket.stream, pattern(SIZE, i));
    }
    world.take();
    assert.equal(world.engine.chunkCount, 0);
    world.checkBalance();
  });

  test("connections from outside hold half of it at most", () => {
    const world = new EngineWorld({ chunksMax: CHUNKS, linkFlags: LINK_RX_TSO });
    for (const { guest, socket } of crowd(world, "192.0.2.66", 60)) {
      socket.sendRoom = 0;
      guest.sendBatch(segments(pattern(SIZE), MSS));
    }
    world.take();
    assert.ok(world.engine.chunkCount <= (CHUNKS - CHUNKS / 8) / 2);
    const before = world.engine.chunkCount;
    stuck(world, 1);
    assert.ok(world.engine.chunkCount - before >= 4, "the guest's own upload is held as a whole");
  });

  test("a connection from outside goes on beside others from outside that stand still", () => {
    const world = new EngineWorld({ chunksMax: 256, linkFlags: LINK_RX_TSO });
    for (const { guest, socket } of crowd(world, "192.0.2.66", 100)) {
      socket.sendRoom = 0;
      guest.sendBatch(segments(pattern(SIZE), MSS));
    }
    world.advance(2 * SECOND);
    world.take();
    const [mine] = crowd(world, "198.51.100.7", 1);
    assert.ok(mine !== undefined);
    const dropped = world.stats.dropTcpPool;
    for (let at = 0; at < 200_000; at += 20 * MSS) {
      mine.socket.room(3000); // less than comes: the rest is held
      const part = pattern(200_000).subarray(at, at + 20 * MSS);
      mine.guest.sendBatch(segments(part, MSS, mine.guest.next));
      mine.socket.room(20 * MSS);
      world.advance(1000);
      world.take();
    }
    assert.equal(world.stats.dropTcpPool, dropped);
    assert.deepEqual(mine.socket.stream, pattern(200_000));
  });

  test("who has had payload without progress for 20 s is ended while memory is short", () => {
    const world = new EngineWorld({ chunksMax: 16 });
    const guests = Array.from({ length: 15 }, (_, i) => {
      const guest = new TcpGuest(world, { port: 42_000 + i, peerPort: 1000 + i }).open();
      guest.socket.push(pattern(SIZE));
      world.run();
      world.advance(100_000);
      world.take();
      return guest;
    });
    world.advance(18 * SECOND);
    assert.equal(world.stats.tcpStuck, 0);
    world.advance(3 * SECOND);
    const [first] = guests;
    assert.equal(first?.socket.closed, "abort");
    assert.ok(world.stats.tcpStuck >= 1 && world.stats.tcpStuck < 15, `${world.stats.tcpStuck}`);
    const resets = world.take().filter((frame) => {
      return frame.kind === "tcp" && frame.flags.includes("R");
    });
    assert.equal(resets.length, world.stats.tcpStuck);
    world.checkBalance();
  });

  test("downloads that find no memory do not keep datagrams waiting", () => {
    const world = new EngineWorld({ chunksMax: 16 });
    const guests = Array.from({ length: 60 }, (_, i) => {
      return new TcpGuest(world, { port: 42_000 + i, peerPort: 1000 + i }).open();
    });
    for (const { socket } of guests) socket.push(pattern(1000));
    world.guest(world.udp({ to: PEER, port: 9, from: 5000 }, "question"));
    world.take();
    assert.equal(world.engine.chunkCount, 16);
    assert.ok(
      guests.some(({ socket }) => socket.incoming.length > 0),
      "some wait for memory",
    );
    const asked = world.host.sockets.find(({ kind }) => kind === "udp");
    asked?.receive("answer", { address: PEER, port: 9 });
    world.run();
    assert.equal(world.take().filter(({ kind }) => kind === "udp").length, 1);
  });

  test("a connection that stands still is left alone while there is memory", () => {
    const world = new EngineWorld({ chunksMax: 256 });
    const guest = new TcpGuest(world).open();
    guest.socket.push(pattern(SIZE));
    world.run();
    world.advance(60 * SECOND);
    assert.equal(guest.state, "ESTABLISHED");
    assert.equal(world.stats.tcpStuck, 0);
  });
});
