/** Segments to the guest: size, push, silly windows, offload, what they carry along. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { LINK_CSUM, LINK_TSO4 } from "../../../wasm/abi.ts";
import { concat, pattern } from "../../support/packet.ts";
import { established, reach } from "../../support/tcp-guest.ts";
import { checkProperty, download } from "../../support/tcp-transfer.ts";

const MSS = 1460;
const OFFLOAD = { vnetSize: 12, linkFlags: LINK_CSUM | LINK_TSO4 } as const;

describe("wasm/tcp/output: segments", () => {
  test("T54: nothing small waits for an acknowledgment (a proxy has no Nagle algorithm)", () => {
    const { guest, socket } = established();
    socket.push("a");
    guest.expect({ flags: "PA", seq: 1, payload: "a" });
    socket.push("b");
    guest.expect({ flags: "PA", seq: 2, payload: "b" });
  });

  test("T55: PSH is on the last segment queued and on no other", () => {
    const { guest, socket } = established();
    socket.push(pattern(3 * MSS + 5));
    for (let i = 0; i < 3; i += 1) guest.expect({ flags: "A", seq: 1 + i * MSS, length: MSS });
    guest.expect({ flags: "PA", seq: 1 + 3 * MSS, length: 5 });
    guest.expectNothing();
  });

  test("T55: a stream that ends in a full segment is pushed too", () => {
    const { guest, socket } = established();
    socket.push(pattern(2 * MSS));
    guest.expect({ flags: "A", length: MSS });
    guest.expect({ flags: "PA", length: MSS });
  });

  // Departs from MUST-49: a TCP connection ends here, so neither DSCP nor TTL is carried over it.
  test("T67: TTL 64, no DSCP, DF", () => {
    const { guest, socket } = established();
    socket.push("a");
    const { ttl, tos, dontFragment, urgent } = guest.expect();
    assert.deepEqual({ ttl, tos, dontFragment }, { ttl: 64, tos: 0, dontFragment: true });
    assert.equal(urgent, 0);
  });

  // A Linux guest merges segments on receipt (GRO) only where these are equal or count up.
  test("T67: segments of a stream have one identification, as atomic datagrams may", () => {
    const { guest, socket } = established();
    socket.push(pattern(5 * MSS));
    const ids = Array.from({ length: 5 }, () => guest.expect({ length: MSS }).id);
    assert.equal(new Set(ids).size, 1, ids.join());
  });

  test("T10: timestamps make the segment smaller by their 12 octets", () => {
    const { guest, socket } = established({ guest: { timestamps: true } });
    socket.push(pattern(2 * MSS));
    assert.equal(guest.expect().payload.length, MSS - 12);
  });

  test("T55: octets of several pushes share segments and chunks", () => {
    const { guest, socket, world } = established();
    const parts = [1, 1459, 16_000, 384, 20_000].map((size) => pattern(size));
    for (const part of parts) socket.push(part);
    assert.deepEqual(guest.receiveAll(), concat(...parts));
    assert.equal(world.engine.chunkCount, 0);
  });

  for (const mss of [0, 1, 48, 64, 88, 130, 131, 536]) {
    test(`T11: a guest with MSS ${mss} gets its data, and the engine comes to rest`, () => {
      const { guest, socket, world } = established({ guest: { options: { mss, windowScale: 7 } } });
      socket.push(pattern(100_000));
      assert.deepEqual(guest.receiveAll(), pattern(100_000));
      assert.equal(world.engine.chunkCount, 0);
    });
  }
});

describe("wasm/tcp/output: offload frames", () => {
  test("T61: what may be sent leaves as one frame", () => {
    const { guest, socket } = established({ world: OFFLOAD });
    socket.push(pattern(10 * MSS));
    const { vnet, payload } = guest.expect({ flags: "PA", seq: 1 });
    assert.equal(vnet?.gsoType, 1);
    assert.equal(vnet?.gsoSize, MSS);
    assert.deepEqual(payload, pattern(10 * MSS));
  });

  test("T61: a frame of one segment asks for its checksum only", () => {
    const { guest, socket } = established({ world: OFFLOAD });
    socket.push(pattern(MSS));
    const { vnet } = guest.expect({ length: MSS });
    assert.deepEqual([vnet?.gsoType, vnet?.gsoSize], [0, 0]);
  });

  test("T61: a long stream arrives", () => {
    const { guest, socket, world } = established({ world: { ...OFFLOAD, mtu: 65520 } });
    socket.push(pattern(1_000_000));
    assert.deepEqual(guest.receiveAll(), pattern(1_000_000));
    assert.equal(world.engine.chunkCount, 0);
  });
});

describe("wasm/tcp/output: silly windows as a sender", () => {
  const RTO = 200_000;

  test("T53: less than a segment is held back while more is out, then until the override", () => {
    const { guest, socket, world } = established();
    socket.push(pattern(MSS));
    guest.expect({ length: MSS });
    guest.send({ window: 7 }); // 896 octets
    socket.push(pattern(5000));
    guest.expectNothing();
    world.advance(RTO - 1);
    guest.expectNothing();
    world.advance(1);
    guest.expect({ seq: 1 + MSS, length: 896 });
  });

  test("T53: all that there is goes out, however little fits beside it", () => {
    const { guest, socket, world } = established();
    guest.send({ window: 20 });
    socket.push(pattern(2000));
    world.run();
    assert.equal(guest.takePayload().length, MSS); // the other 540 wait for more room or more data
    guest.send({ window: 20 });
    assert.deepEqual(guest.takePayload(), pattern(540, MSS));
  });

  test("T53: half the largest window is enough for a guest with a small one", () => {
    const { guest, socket } = established({ guest: { window: 1000, options: { mss: MSS } } });
    socket.push(pattern(3000));
    guest.expect({ seq: 1, length: 1000 });
    guest.send();
    guest.expect({ seq: 1001, length: 1000 });
  });
});

describe("wasm/tcp/output: reports beside data", () => {
  test("T48: data do not take the place of the acknowledgment that reports a gap", () => {
    const { guest, socket, world } = established();
    socket.push(pattern(4 * MSS));
    world.take();
    world.advance(1_000_000); // timed out: one segment goes again, three are queued
    world.take();
    guest.send({ seq: 101, ack: 1 + MSS, payload: "x" });
    const frames = world.take();
    assert.ok(frames.some((frame) => frame.kind === "tcp" && frame.payload.length > 0));
    assert.ok(frames.some((frame) => frame.kind === "tcp" && frame.options.sack !== undefined));
  });

  test("T36: data still flow after the guest's FIN, with its acknowledgment", () => {
    const { guest, socket } = reach("CLOSE_WAIT");
    socket.push(pattern(20_000));
    assert.deepEqual(guest.receiveAll(), pattern(20_000));
  });
});

describe("wasm/tcp/output: any stream, path and reader", () => {
  const cases = fc.record({
    seed: fc.nat(),
    length: fc.integer({ min: 1, max: 120_000 }),
    loss: fc.constantFrom(0, 3, 10),
    buffer: fc.constantFrom(2000, 20_000, 1_000_000),
    mss: fc.constantFrom(536, MSS),
    sack: fc.boolean(),
    timestamps: fc.boolean(),
  });

  test("T21, T50, T53: the guest gets exactly the octets, none beyond its window", () => {
    checkProperty(
      fc.property(cases, (options) => download(options)),
      30,
    );
  });

  test("T21, T50, T53: the same with hardly any memory", () => {
    checkProperty(
      fc.property(cases, (options) => download(options, { chunksMax: 16 })),
      15,
    );
  });
});
