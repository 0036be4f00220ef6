/** Payload that is lent is sent on or kept, and never read where it is not. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import * as abi from "../../wasm/abi.ts";
import type { WorldOptions } from "../support/engine-settings.ts";
import { concat, pattern } from "../support/packet.ts";
import { established, TcpGuest } from "../support/tcp-guest.ts";
import { checkProperty, upload } from "../support/tcp-transfer.ts";

const LARGE = { mtu: 65_520, vnetSize: 12 } as const;
const LENT = { ...LARGE, chunksMax: 4096, lends: true } as const;
const GUEST = { options: { mss: 65_480, windowScale: 7, sackPermitted: true } } as const;

/** A guest that lends, whose first octet has told it how wide the window is. */
function opened(length: number) {
  const conversation = established({ world: LENT, guest: GUEST });
  const { guest, world } = conversation;
  const content = pattern(length);
  const send = (...ranges: readonly (readonly [number, number])[]): void => {
    guest.sendBatch(
      ranges.map(([from, to]) => ({ seq: 1 + from, payload: content.subarray(from, to) })),
    );
    world.run();
  };
  send([0, 1]);
  return { ...conversation, send };
}

describe("wasm/lent", () => {
  const cases = fc.record({
    seed: fc.nat(),
    length: fc.integer({ min: 1, max: 100_000 }),
    iss: fc.oneof(fc.constant(0xffff8000), fc.integer({ min: 0, max: 0xffffffff })),
    writeMax: fc.constantFrom(1000, 20_000, 1_000_000),
    segmentMax: fc.constantFrom(100, 9000, 60_000),
    timestamps: fc.boolean(),
  });
  const worlds: readonly (readonly [what: string, options: WorldOptions])[] = [
    ["any order, any host", {}],
    ["hardly any memory", { chunksMax: 16 }],
    ["a short link queue", { linkQueue: 8 }],
    ["some are copied", { chunksMax: 16, lends: "mixed" }],
  ];
  for (const [what, options] of worlds) {
    test(`does the same as with frames that were copied: ${what}`, () => {
      checkProperty(
        fc.property(cases, (transfer) => {
          const copied = upload(transfer, { ...LARGE, ...options, lends: false });
          const lent = upload(transfer, { ...LARGE, lends: true, ...options });
          assert.ok((lent.lender?.lent ?? 0) > 0, "frames were lent");
          assert.equal(lent.trace.join("\n"), copied.trace.join("\n"));
        }),
        8,
      );
    });
  }

  test("is sent out of the guest's memory where nothing is in the way", () => {
    const { world, socket, send } = opened(150_001);
    send([1, 50_001], [50_001, 100_001], [100_001, 150_001]);
    assert.deepEqual(socket.stream, pattern(150_001));
    assert.equal(world.engine.chunkCount, 0);
    assert.ok((world.lender?.sent ?? 0) >= 100, "iovecs lead to guest memory");
  });

  test("of more pieces than one call takes goes by several calls", () => {
    const size = 60_000;
    const { world, socket, send } = opened(1 + 30 * size);
    const calls = world.lender?.calls ?? 0;
    send(...Array.from({ length: 30 }, (_, i) => [1 + i * size, 1 + (i + 1) * size] as const));
    assert.deepEqual(socket.stream, pattern(1 + 30 * size));
    assert.equal(socket.ops.get(abi.OP_TCP_SEND), 2);
    assert.equal((world.lender?.calls ?? 0) - calls, 2, "of 1024 pieces, and of the rest");
  });

  test("is kept by the host's copies where the socket does not take it, in their order", () => {
    const { socket, world, send } = opened(100_001);
    socket.sendRoom = 0;
    send([30_001, 60_001], [1, 20_001], [70_001, 100_001]);
    send([1, 60_001], [20_001, 40_001], [50_001, 70_001]);
    socket.room(1 << 20);
    world.run();
    assert.deepEqual(socket.stream, pattern(100_001));
  });

  test("that finds the list of copies full is dropped and comes again", () => {
    const { world } = opened(1);
    world.take();
    const content = pattern(500);
    const guests = Array.from({ length: 5 }, (_, i) => {
      const guest = new TcpGuest(world, { port: 41_000 + i, ...GUEST }).open();
      guest.socket.sendRoom = 0;
      return { guest, socket: guest.socket };
    });
    // Every other octet is there, so that each of the others is a copy of its own.
    for (let at = 1; at < content.length; at += 2) {
      const payload = content.subarray(at, at + 1);
      world.guest(...guests.map(({ guest }) => guest.frame({ seq: 1 + at, payload })));
    }
    const all = guests.map(({ guest }) => guest.frame({ seq: 1, payload: content }));
    const before = world.stats;
    world.guest(...all);
    assert.ok(world.stats.dropTcpPool > before.dropTcpPool);
    for (const { socket } of guests) socket.room(1000);
    world.guest(...all);
    for (const { socket } of guests) assert.deepEqual(socket.stream, content);
  });

  test("that was copied and has a chunk in a lent one's place stays there", () => {
    const { world, guest, socket } = established({
      world: { ...LENT, chunksMax: 28 },
      guest: GUEST,
    });
    const content = pattern(80_000);
    const frame = (from: number, to: number, isLent: boolean): Uint8Array => {
      const header = Uint8Array.of(isLent ? 2 : 0, ...new Uint8Array(11));
      return concat(header, guest.frame({ seq: 1 + from, payload: content.subarray(from, to) }));
    };
    world.guestRaw(frame(0, 1, true));
    socket.sendRoom = 0;
    world.guestRaw(frame(1, 16_385, true)); // finds the socket full, and fills a chunk
    // What is scattered ahead takes all the chunks there are; one is given up for what is missing.
    const before = world.stats;
    world.guestRaw(
      ...Array.from({ length: 16 }, (_, i) => frame(40_001 + i * 2000, 40_501 + i * 2000, true)),
      frame(16_385, 25_001, false),
    );
    assert.ok(world.stats.dropTcpPool > before.dropTcpPool);
    socket.room(1 << 20);
    world.run();
    assert.deepEqual(socket.stream, content.subarray(0, 25_001));
  });

  test("a descriptor that makes no sense is a frame that is dropped", () => {
    const { world } = established({ world: LENT });
    const { engine } = world;
    const { bases, view } = engine;
    const slot = bases.rxBuffers;
    const lent = (i: number, pointer: number, length: number, from: number): void => {
      const at = bases.rxDescriptors + i * abi.RX_DESCRIPTOR_SIZE;
      view.setUint32(at + abi.RX_DESCRIPTOR_POINTER_OFFSET, pointer, true);
      const word = length + from * 2 ** abi.LENT_SHIFT;
      view.setUint32(at + abi.RX_DESCRIPTOR_LENGTH_OFFSET, word, true);
    };
    lent(0, slot + 4, 5000, 80); // not where a slot begins
    lent(1, slot, 5000, 80); // in another one
    lent(2, slot + 2 * abi.RX_SLOT_SIZE, 100, 101); // more of it than there is
    const before = world.stats;
    engine.guestRx(3, world.now);
    engine.step(world.now);
    assert.equal(world.stats.dropRunt - before.dropRunt, 3);
  });
});
