/** What came out of order or too early: held once, bounded, reported, handed on without a gap. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { pattern } from "../../support/packet.ts";
import { type Conversation, established, type SegmentFields } from "../../support/tcp-guest.ts";
import { checkProperty, segments, upload } from "../../support/tcp-transfer.ts";

/** The segment that carries the octets [from, to) of the pattern. */
function octets(from: number, to: number): SegmentFields {
  return { seq: 1 + from, payload: pattern(to - from, from) };
}

function send(conversation: Conversation, ...ranges: readonly (readonly [number, number])[]): void {
  for (const [from, to] of ranges) conversation.guest.send(octets(from, to));
}

describe("wasm/tcp/reassembly: any order", () => {
  const cases: readonly [what: string, ranges: readonly (readonly [number, number])[]][] = [
    [
      "backwards",
      [
        [20, 30],
        [10, 20],
        [0, 10],
      ],
    ],
    [
      "a hole filled from both sides",
      [
        [20, 30],
        [0, 5],
        [15, 20],
        [5, 15],
      ],
    ],
    [
      "twice the same",
      [
        [10, 30],
        [10, 30],
        [0, 10],
      ],
    ],
    [
      "over the front of what is held",
      [
        [10, 30],
        [5, 20],
        [0, 5],
      ],
    ],
    [
      "over the back of what is held",
      [
        [10, 20],
        [15, 30],
        [0, 10],
      ],
    ],
    [
      "over all of what is held",
      [
        [10, 20],
        [5, 30],
        [0, 5],
      ],
    ],
    [
      "inside what is held",
      [
        [5, 30],
        [10, 20],
        [0, 5],
      ],
    ],
    [
      "over two that are held",
      [
        [5, 10],
        [15, 20],
        [7, 30],
        [0, 5],
      ],
    ],
    [
      "in order, over the front of what is held",
      [
        [10, 30],
        [0, 20],
      ],
    ],
    [
      "in order, over all that is held",
      [
        [10, 20],
        [0, 30],
      ],
    ],
    [
      "in order, ending where something is held",
      [
        [10, 30],
        [0, 10],
      ],
    ],
    [
      "in order, over two that are held",
      [
        [5, 10],
        [15, 20],
        [0, 30],
      ],
    ],
    [
      "in order, half known, over what is held",
      [
        [0, 10],
        [20, 25],
        [5, 30],
      ],
    ],
    [
      "one octet each, then all",
      [
        [3, 4],
        [1, 2],
        [7, 8],
        [0, 30],
      ],
    ],
  ];
  for (const [what, ranges] of cases) {
    test(`T45: ${what}, one by one`, () => {
      const conversation = established();
      send(conversation, ...ranges);
      assert.deepEqual(conversation.socket.stream, pattern(30));
      conversation.world.advance(1000);
      assert.equal(conversation.guest.flow?.bytesToHost, 30);
      assert.equal(conversation.world.engine.chunkCount, 0);
    });

    test(`T45: ${what}, in one batch`, () => {
      const { guest, socket, world } = established();
      guest.sendBatch(ranges.map(([from, to]) => octets(from, to)));
      assert.deepEqual(socket.stream, pattern(30));
      guest.expect({ flags: "A", ack: 31, sack: [] });
      assert.equal(world.engine.chunkCount, 0);
    });

    test(`T45: ${what}, while the host takes nothing`, () => {
      const conversation = established();
      conversation.socket.sendRoom = 0;
      send(conversation, ...ranges);
      for (let i = 0; i < 30; i += 1) {
        conversation.socket.room(1);
        conversation.world.run();
        assert.deepEqual(conversation.socket.stream, pattern(i + 1));
      }
      assert.equal(conversation.world.engine.chunkCount, 0);
    });
  }

  test("T45: nothing goes on before its turn", () => {
    const conversation = established();
    send(conversation, [10, 20], [30, 40]);
    assert.equal(conversation.socket.stream.length, 0);
    send(conversation, [0, 10]);
    assert.deepEqual(conversation.socket.stream, pattern(20));
  });

  test("T45: held octets over several chunks", () => {
    const { guest, socket, world } = established();
    guest.sendBatch(segments(pattern(50_000, 100), 1000, 101));
    assert.equal(world.engine.chunkCount, 4);
    guest.send(octets(0, 100));
    assert.deepEqual(socket.stream, pattern(50_100));
    assert.equal(world.engine.chunkCount, 0);
  });
});

describe("wasm/tcp/reassembly: reports (RFC 2018)", () => {
  test("T20: the first block has the newest octets, the others follow", () => {
    const { guest } = established();
    const last = (seq: number, sack: readonly (readonly [number, number])[]): void => {
      guest.send({ seq, payload: "0123456789" });
      guest.expect({ flags: "A", ack: 1, sack });
    };
    last(101, [[101, 111]]);
    last(301, [
      [301, 311],
      [101, 111],
    ]);
    last(201, [
      [201, 211],
      [101, 111],
      [301, 311],
    ]);
    last(111, [
      [101, 121],
      [201, 211],
      [301, 311],
    ]);
    last(401, [
      [401, 411],
      [101, 121],
      [201, 211],
      [301, 311],
    ]);
  });

  test("T20: four blocks fit, three beside timestamps", () => {
    for (const timestamps of [false, true]) {
      const { guest } = established({ guest: { timestamps } });
      guest.sendBatch([2, 4, 6, 8, 10, 12].map((at) => ({ seq: at * 100, payload: "x" })));
      const { options } = guest.expect({ flags: "A", ack: 1 });
      assert.equal(options.sack?.length, timestamps ? 3 : 4);
    }
  });

  test("T20: the newest comes first among many, wherever it lies", () => {
    const { guest } = established();
    for (let i = 1; i <= 30; i += 1) {
      guest.send({ seq: i * 100, payload: "x" });
      const { options } = guest.expect({ flags: "A", ack: 1 });
      assert.deepEqual(options.sack?.[0], [guest.iss + i * 100, guest.iss + i * 100 + 1]);
    }
    guest.send({ seq: 1550, payload: "x" });
    const { options } = guest.expect({ flags: "A", ack: 1 });
    assert.deepEqual(options.sack?.[0], [guest.iss + 1550, guest.iss + 1551]);
  });

  test("T20: blocks end with the gaps", () => {
    const { guest } = established();
    guest.send(octets(10, 20));
    guest.expect({ sack: [[11, 21]] });
    guest.send(octets(0, 10));
    guest.expect({ ack: 21, sack: [] });
  });

  test("T19: no blocks for a guest that did not permit them", () => {
    const { guest } = established({ guest: { options: { mss: 1460 } } });
    guest.send(octets(10, 20));
    guest.expect({ flags: "A", ack: 1, sack: [] });
  });

  test("T20: blocks over the wrap of sequence numbers", () => {
    const { guest } = established({ guest: { iss: 0xfffffff0 } });
    guest.send({ seq: 11, payload: "0123456789" });
    guest.expect({ ack: 1, sack: [[11, 21]] });
    guest.send({ seq: 31, payload: "0123456789" });
    guest.expect({
      ack: 1,
      sack: [
        [31, 41],
        [11, 21],
      ],
    });
    guest.send({ seq: 1, payload: "0123456789" });
    guest.expect({ ack: 21, sack: [[31, 41]] });
  });
});

describe("wasm/tcp/reassembly: bounds", () => {
  test("CVE-2018-5390 class: scattered octets cost a bounded number of chunks, and pass", () => {
    const { guest, socket, world } = established({ world: { chunksMax: 1024 } });
    const before = world.stats;
    for (let i = 0; i < 2000; i += 50) {
      const starts = Array.from({ length: 50 }, (_, j) => 1 + 2 * (i + j));
      guest.sendBatch(starts.map((start) => octets(start, start + 1)));
      assert.ok(world.engine.chunkCount <= 256, `${world.engine.chunkCount} chunks`);
    }
    const after = world.stats;
    const dropped = after.dropTcpGaps + after.dropTcpPool - before.dropTcpGaps - before.dropTcpPool;
    assert.equal(dropped, 2000 - 256);
    guest.sendBatch(segments(pattern(4001), 1000));
    assert.deepEqual(socket.stream, pattern(4001));
    assert.equal(world.engine.chunkCount, 0);
  });

  test("CVE-2018-5390 class: at the bound the stream still goes on in order", () => {
    const { guest, socket } = established({ world: { chunksMax: 16 } });
    for (let i = 0; i < 60; i += 1) guest.send(octets(101 + 2 * i, 102 + 2 * i));
    for (let i = 0; i < 100; i += 10) guest.send(octets(i, i + 10));
    assert.deepEqual(socket.stream.subarray(0, 100), pattern(100));
    guest.send(octets(100, 300));
    assert.deepEqual(socket.stream, pattern(300));
  });

  test("T45: what finds no chunk is as good as lost, what lies behind it is kept", () => {
    const { guest, socket, world } = established({ world: { chunksMax: 16 } });
    socket.sendRoom = 0;
    const stream = pattern(65_000);
    for (const segment of segments(stream, 1000)) guest.send(segment);
    for (const segment of segments(stream, 1000)) {
      guest.send({ ...segment, seq: segment.seq + 1000 });
    }
    assert.ok(world.engine.chunkCount <= 16);
    socket.room(Number.POSITIVE_INFINITY);
    world.run();
    assert.deepEqual(socket.stream.subarray(0, 1000), stream.subarray(0, 1000));
  });
});

describe("wasm/tcp/reassembly: what the window promised", () => {
  test("octets that fill the gap find room beside those behind it", () => {
    const conversation = established({
      world: { chunksMax: 28, mtu: 65_520 },
      guest: { options: { mss: 65_480, windowScale: 7, sackPermitted: true } },
    });
    const { socket, world } = conversation;
    const size = 60_000;
    // The answer tells the window: half of what nobody has a claim to, 204,800.
    send(conversation, [0, 1]);
    send(conversation, [1 + size, 1 + 2 * size], [1 + 2 * size, 180_000]);
    socket.room(4096);
    send(conversation, [1, 1 + size]);
    socket.room(1 << 20);
    world.run();
    assert.equal(socket.stream.length, 180_000);
  });
});

describe("wasm/tcp/reassembly: any stream, segmentation, order and host", () => {
  const cases = fc.record({
    seed: fc.nat(),
    length: fc.integer({ min: 1, max: 100_000 }),
    iss: fc.oneof(fc.constant(0xffff8000), fc.integer({ min: 0, max: 0xffffffff })),
    writeMax: fc.constantFrom(1000, 20_000, 1_000_000),
    segmentMax: fc.constantFrom(100, 1460),
    timestamps: fc.boolean(),
  });

  test("T43, T45, T49: the host gets exactly the octets, none is acknowledged before", () => {
    checkProperty(
      fc.property(cases, (options) => void upload(options)),
      20,
    );
  });

  test("T43, T45, T49: the same with hardly any memory", () => {
    checkProperty(
      fc.property(cases, (options) => void upload(options, { chunksMax: 16 })),
      20,
    );
  });

  test("T43, T45, T49: the same with a short link queue", () => {
    checkProperty(
      fc.property(cases, (options) => void upload(options, { linkQueue: 8 })),
      20,
    );
  });
});
