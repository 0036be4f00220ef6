/** Buffers of large packets come back, and nothing else does. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PacketPool } from "../../../src/network/web/packet-pool.ts";
import { openRelaySocket, type RelaySocket } from "../../../src/network/web/relay-socket.ts";

const KIB = 1024;
const FULL = 64 * KIB + 5;

describe("pool", () => {
  test("a buffer that was given back is used again, by a packet of any large size", () => {
    const pool = new PacketPool();
    const first = pool.take(FULL);
    assert.equal(first.length, FULL);
    assert.notEqual(pool.take(FULL).buffer, first.buffer);
    pool.give(first);
    const second = pool.take(20 * KIB);
    assert.equal(second.length, 20 * KIB);
    assert.equal(second.buffer, first.buffer);
  });

  test("what is small, or larger than a packet, is not kept", () => {
    const pool = new PacketPool();
    for (const size of [0, 1, 8 * KIB - 1, FULL + 1, 256 * KIB]) {
      const packet = pool.take(size);
      assert.equal(packet.length, size);
      pool.give(packet);
      assert.notEqual(pool.take(size).buffer, packet.buffer);
      assert.notEqual(pool.take(FULL).buffer, packet.buffer);
    }
  });

  test("16 are kept, whatever is given back", () => {
    const pool = new PacketPool();
    const given = Array.from({ length: 40 }, () => pool.take(FULL));
    for (const packet of given) pool.give(packet);
    const buffers = new Set(given.map(({ buffer }) => buffer));
    const again = Array.from({ length: 40 }, () => pool.take(FULL));
    assert.equal(again.filter(({ buffer }) => buffers.has(buffer)).length, 16);
    assert.equal(new Set(again.map(({ buffer }) => buffer)).size, 40);
  });
});

describe("a socket that is a stream", () => {
  interface Write {
    readonly chunk: Uint8Array<ArrayBuffer>;
    readonly settle: (isDone: boolean) => void;
  }

  /** Opens one whose writes are done when the test says so. */
  async function opened(): Promise<{ socket: RelaySocket; writes: Write[] }> {
    const writes: Write[] = [];
    const write = (chunk: Uint8Array<ArrayBuffer>): Promise<void> =>
      new Promise((resolve, reject) => {
        writes.push({
          chunk,
          settle: (isDone) => (isDone ? resolve() : reject(new Error("lost"))),
        });
      });
    const never = new Promise<never>(() => {});
    const streams = {
      readable: { getReader: () => ({ read: () => never }) },
      writable: { getWriter: () => ({ write, closed: never }) },
    };
    const scope = globalThis as { WebSocketStream?: unknown };
    const before = Object.getOwnPropertyDescriptor(scope, "WebSocketStream");
    const Fake = class {
      readonly opened = Promise.resolve(streams);
      readonly closed = never;
      close(): void {}
    };
    Object.defineProperty(scope, "WebSocketStream", { value: Fake, configurable: true });
    try {
      const socket = await new Promise<RelaySocket>((resolve) => {
        const events = { opened: () => resolve(made), message: () => {}, closed: () => {} };
        const made = openRelaySocket("ws://relay.test/", [], events);
      });
      return { socket, writes };
    } finally {
      delete scope.WebSocketStream;
      if (before !== undefined) Object.defineProperty(scope, "WebSocketStream", before);
    }
  }

  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  test("uses a packet's buffer again once its write is done, and not before", async () => {
    const { socket, writes } = await opened();
    const first = socket.room(FULL);
    socket.send(first);
    assert.equal(socket.buffered, FULL);
    assert.notEqual(socket.room(FULL).buffer, first.buffer);
    await turn();
    assert.notEqual(socket.room(FULL).buffer, first.buffer);
    writes[0]?.settle(true);
    await turn();
    assert.equal(socket.buffered, 0);
    assert.equal(socket.room(FULL).buffer, first.buffer);
  });

  test("leaves a buffer alone whose write has failed", async () => {
    const { socket, writes } = await opened();
    const first = socket.room(FULL);
    socket.send(first);
    writes[0]?.settle(false);
    await turn();
    assert.equal(socket.buffered, 0);
    assert.notEqual(socket.room(FULL).buffer, first.buffer);
  });
});
