/** Samples of dropped frames: the latest ones, headers only, bounded work. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { DropSamples } from "../../src/link/drop-samples.ts";
import { rxSlot, writeRxDescriptor } from "../../src/link/frames.ts";
import {
  arp,
  ETHERTYPE_ARP,
  ethernet,
  icmpEcho,
  ipv4,
  type Octets,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  tcp,
  udp,
} from "../support/packet.ts";
import { TestMemory } from "./test-memory.ts";

const MACS = { destination: "52:55:0a:00:02:02", source: "52:54:00:12:34:56" };
const ENDS = { source: "10.0.2.15", destination: "192.0.2.1" };
const PORTS = { ...ENDS, sourcePort: 40000, destinationPort: 53 };
const SECRET = "secret payload, whose octets nobody needs";

function packet(protocol: number, payload: Octets, fields = {}): Uint8Array {
  return ethernet(MACS, ipv4({ ...ENDS, protocol, ...fields }, payload));
}

/** Samples of frames that were dropped for reasons 1, 2, …, a batch each. */
function samples(frames: readonly Uint8Array[], skip = 0) {
  const memory = new TestMemory();
  let now = 0;
  const drops = new DropSamples(() => ++now);
  frames.forEach((frame, i) => {
    place(memory, 0, frame, skip);
    memory.mark(0, 1 + (i % 70), 0);
    drops.handled(memory, 1, skip);
  });
  return { memory, drops };
}

function place(memory: TestMemory, i: number, frame: Uint8Array, skip = 0): void {
  new Uint8Array(memory.buffer).set(frame, rxSlot(memory, i) + skip);
  writeRxDescriptor(memory, i, rxSlot(memory, i), frame.length + skip);
}

describe("samples of drops", () => {
  test("have time, reason, length and headers, and no payload", () => {
    const frames = [
      [packet(PROTOCOL_TCP, tcp({ ...PORTS, seq: 1, flags: "S" }, SECRET)), 54],
      [packet(PROTOCOL_UDP, udp(PORTS, SECRET)), 42],
      [packet(PROTOCOL_ICMP, icmpEcho(1, 2, SECRET)), 42],
      [packet(99, SECRET), 34],
      [packet(PROTOCOL_UDP, SECRET, { fragmentOffset: 8 }), 34],
      [ethernet({ ...MACS, type: 0x88cc }, SECRET), 14],
      [ethernet(MACS, Uint8Array.from(Buffer.from(SECRET))), 34],
      [
        ethernet(
          { ...MACS, type: ETHERTYPE_ARP },
          arp({ senderMac: MACS.source, senderAddress: ENDS.source, targetAddress: "10.0.2.99" }),
        ),
        42,
      ],
      [Uint8Array.of(1, 2, 3), 3],
    ] as const;
    for (const skip of [0, 12]) {
      const { drops } = samples(
        frames.map(([frame]) => frame),
        skip,
      );
      assert.deepEqual(
        drops.list(),
        frames.map(([frame, size], i) => ({
          time: 1 + i,
          reason: 1 + i,
          length: frame.length,
          headers: frame.slice(0, size),
        })),
      );
    }
  });

  test("are the latest 64", () => {
    const { drops } = samples(Array.from({ length: 1000 }, () => packet(99, "a")));
    const list = drops.list();
    assert.deepEqual(
      list.map(({ time }) => time),
      Array.from({ length: 64 }, (_, i) => 937 + i),
    );
  });

  test("are few of a batch in a flood, and none of what was not dropped", () => {
    const memory = new TestMemory();
    const drops = new DropSamples(() => 1);
    for (let i = 0; i < 64; i += 1) {
      place(memory, i, packet(99, "a"));
      memory.mark(i, i % 2, 0);
    }
    drops.handled(memory, 64, 0);
    assert.equal(drops.list().length, 8);
    drops.handled(memory, 1, 0);
    assert.equal(drops.list().length, 8);
  });

  test("of a frame whose payload is lent look at what is in the slot", () => {
    const memory = new TestMemory();
    const frame = packet(PROTOCOL_TCP, tcp({ ...PORTS, seq: 1, flags: "A" }, SECRET));
    place(memory, 0, frame);
    writeRxDescriptor(memory, 0, rxSlot(memory, 0), 60_000, 54);
    memory.mark(0, 1, 0);
    const drops = new DropSamples(() => 1);
    drops.handled(memory, 1, 0);
    assert.deepEqual(drops.list(), [
      { time: 1, reason: 1, length: 60_000, headers: frame.slice(0, 54) },
    ]);
  });

  test("of any octets are octets of the frame, 160 at most", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom(0x0800, 0x86dd),
        (body, type) => {
          const frame = ethernet({ ...MACS, type }, body);
          const [sample] = samples([frame]).drops.list();
          assert.ok(sample !== undefined && sample.headers.length <= 160);
          assert.deepEqual(sample.headers, frame.slice(0, sample.headers.length));
        },
      ),
      { seed: 20261130 },
    );
  });
});
