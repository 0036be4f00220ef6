/** Segments written and read again, and segments that make no sense. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  ACK,
  emptyHeader,
  PSH,
  Segment,
  SYN,
  writeHeader,
} from "../../../src/lab/sim/guest/tcp-segment.ts";

describe("sim/guest/tcp-segment", () => {
  test("what is written is read", () => {
    const octets = new Uint8Array(100);
    const header = {
      ...emptyHeader(),
      ...{ sourcePort: 1234, destinationPort: 80, seq: 0xfffffff0, ack: 77, flags: SYN | ACK },
      ...{ window: 5000, mss: 1460, scale: 7, sackPermitted: true, timestamps: true },
      ...{ timestamp: 0x80000001, timestampEcho: 42 },
    };
    const length = writeHeader(octets, 10, header);
    assert.equal(length, 44);
    const segment = new Segment();
    assert.equal(segment.read(octets, 10, length + 5), undefined);
    const { sourcePort, destinationPort, seq, ack, window, mss, scale, sackPermitted } = segment;
    assert.deepEqual(
      { sourcePort, destinationPort, seq, ack, window, mss, scale, sackPermitted },
      {
        ...{ sourcePort: 1234, destinationPort: 80, seq: 0xfffffff0, ack: 77 },
        ...{ window: 5000, mss: 1460, scale: 7, sackPermitted: true },
      },
    );
    assert.deepEqual([segment.timestamp, segment.timestampEcho], [0x80000001, 42]);
    assert.deepEqual([segment.payloadAt, segment.payloadLength, segment.span], [54, 5, 6]);
  });

  test("SACK blocks come through, four at most", () => {
    const octets = new Uint8Array(100);
    const sack = [10, 20, 30, 40, 50, 60, 70, 80];
    const length = writeHeader(octets, 0, { ...emptyHeader(), flags: ACK | PSH, sack });
    const segment = new Segment();
    assert.equal(segment.read(octets, 0, length), undefined);
    assert.equal(segment.sackCount, 4);
    assert.deepEqual([...segment.sack], sack);
    assert.equal(segment.hasTimestamps, false);
  });

  const wrong: readonly (readonly [string, (octets: Uint8Array) => number])[] = [
    ["TCP segment of 19 octets", () => 19],
    ["TCP header of 16 octets", (octets) => octets.fill(0x40, 12, 13) && 24],
    ["TCP header of 24 octets", (octets) => octets.fill(0x60, 12, 13) && 20],
    ["TCP options of wrong length", (octets) => octets.fill(2, 20, 21).fill(1, 21, 22) && 24],
    ["TCP option 2 of 3 octets", (octets) => octets.fill(2, 20, 21).fill(3, 21, 22) && 24],
    ["TCP option 9 of 4 octets", (octets) => octets.fill(9, 20, 21).fill(4, 21, 22) && 24],
  ];
  for (const [text, change] of wrong) {
    test(text, () => {
      const octets = new Uint8Array(40);
      octets[12] = 0x60;
      assert.equal(new Segment().read(octets, 0, change(octets)), text);
    });
  }
});
