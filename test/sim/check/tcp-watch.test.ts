/** Each rule about segments: broken once, and seen. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Ranges } from "../../../src/lab/sim/check/ranges.ts";
import { TcpWatch } from "../../../src/lab/sim/check/tcp-watch.ts";
import { set16, set32 } from "../../../src/lab/sim/guest/octets.ts";
import {
  ACK,
  emptyHeader,
  FIN,
  type Header,
  SYN,
  writeHeader,
} from "../../../src/lab/sim/guest/tcp-segment.ts";
import type { StreamSocket } from "../../../src/lab/sim/host/stream.ts";
import { fillPattern } from "../../../src/lab/sim/pattern.ts";
import { planFromSeed } from "../../../src/lab/sim/scenario.ts";

const PEER = 0xcb007101;
const GUEST_ISS = 1000;
const ENGINE_ISS = 5000;

function frameOf(isFromGuest: boolean, header: Partial<Header>, payload = 0, at = 0): Uint8Array {
  const frame = new Uint8Array(200 + payload);
  frame.set([8, 0, 0x45], 12);
  frame[23] = 6;
  set32(frame, isFromGuest ? 30 : 26, PEER);
  set32(frame, isFromGuest ? 26 : 30, 0x0a00020f);
  const ports = isFromGuest
    ? { sourcePort: 40_000, destinationPort: 80 }
    : { sourcePort: 80, destinationPort: 40_000 };
  const size = writeHeader(frame, 34, { ...emptyHeader(), flags: ACK, ...ports, ...header });
  fillPattern(isFromGuest ? 0 : 1, at, frame.subarray(34 + size, 34 + size + payload));
  set16(frame, 16, 20 + size + payload);
  return frame.subarray(0, 34 + size + payload);
}

/** A connection on which the guest has sent 100 octets, of which the host has taken 50. */
class Bench {
  readonly faults: string[] = [];
  readonly socket = {
    plan: undefined as unknown,
    ...{ taken: 50, isShut: false, isConnected: true, endTold: false, received: 300 },
    failureTold: false,
  };
  readonly watch: TcpWatch;

  constructor() {
    const [plan] = Array.from({ length: 50 }, (_, seed) => planFromSeed(seed).tcp[0]).filter(
      Boolean,
    );
    assert.ok(plan !== undefined);
    const own = { ...plan, id: 0, address: PEER, port: 80 };
    this.socket.plan = own;
    this.watch = new TcpWatch([own], (text) => this.faults.push(text));
    this.watch.opened(this.socket as unknown as StreamSocket);
    this.guest({ flags: SYN, seq: GUEST_ISS, mss: 200, scale: 0, window: 1000 });
    this.engine({
      flags: SYN | ACK,
      seq: ENGINE_ISS,
      ack: GUEST_ISS + 1,
      scale: 2,
      window: 65_535,
    });
    this.guest({ seq: GUEST_ISS + 1, ack: ENGINE_ISS + 1, window: 250 }, 100);
    assert.deepEqual(this.faults, []);
  }

  guest(header: Partial<Header>, payload = 0): void {
    this.watch.arrived(frameOf(true, header, payload));
  }

  engine(header: Partial<Header>, payload = 0, at = 0): void {
    const usual = { seq: ENGINE_ISS + 1, ack: GUEST_ISS + 51, window: 60_000 };
    this.watch.sent(frameOf(false, { ...usual, ...header }, payload, at));
  }
}

describe("sim/check/tcp-watch", () => {
  test("what is right is no fault", () => {
    const bench = new Bench();
    bench.engine({}, 200);
    bench.engine({ seq: ENGINE_ISS + 201 }, 100, 200);
    bench.engine({ sack: [GUEST_ISS + 60, GUEST_ISS + 101] });
    bench.socket.isShut = true;
    bench.socket.endTold = true;
    bench.engine({ ack: GUEST_ISS + 52 });
    bench.engine({ seq: ENGINE_ISS + 301, ack: GUEST_ISS + 52, flags: FIN | ACK });
    assert.deepEqual(bench.faults, []);
  });

  const broken: readonly (readonly [RegExp, (bench: Bench) => void])[] = [
    [/acknowledges 51 octets, the host has taken 50/, (b) => b.engine({ ack: GUEST_ISS + 52 })],
    [/acknowledges -1 octets/, (b) => b.engine({ ack: GUEST_ISS })],
    [
      /goes back by 1/,
      (b) => {
        b.engine({});
        b.engine({ ack: GUEST_ISS + 50 });
      },
    ],
    [/1 of 51 octets lie outside/, (b) => b.engine({ seq: ENGINE_ISS + 951 }, 51, 950)],
    [/segment of 201 octets/, (b) => b.engine({}, 201)],
    [/octet 10 is not the peer's/, (b) => b.engine({ seq: ENGINE_ISS + 11 }, 20, 11)],
    [/FIN after 0, the host had 300/, (b) => b.engine({ flags: FIN | ACK })],
    [
      /FIN after 300/, // the end of stream was not told yet
      (b) => b.engine({ seq: ENGINE_ISS + 301, flags: FIN | ACK }),
    ],
    [
      /FIN after 300, only 200 were sent/,
      (b) => {
        b.socket.endTold = true;
        b.engine({}, 200);
        b.engine({ seq: ENGINE_ISS + 301, flags: FIN | ACK });
      },
    ],
    [
      /connection broke, and no reset/,
      (b) => {
        b.socket.failureTold = true;
        b.watch.finish();
      },
    ],
    [/octets 0 to 200 left out/, (b) => b.engine({ seq: ENGINE_ISS + 201 }, 100, 200)],
    [
      /right edge moves left by 4/,
      (b) => {
        b.engine({});
        b.engine({ window: 59_999 });
      },
    ],
    [/SACK of 61-102/, (b) => b.engine({ sack: [GUEST_ISS + 61, GUEST_ISS + 102] })],
    [/SACK of 51-60/, (b) => b.engine({ sack: [GUEST_ISS + 51, GUEST_ISS + 60] })],
    [
      /no host connection/,
      (b) => {
        b.socket.isConnected = false;
        b.engine({ flags: SYN | ACK, seq: ENGINE_ISS });
      },
    ],
  ];
  for (const [pattern, act] of broken) {
    test(`seen: ${pattern.source}`, () => {
      const bench = new Bench();
      act(bench);
      assert.match(bench.faults.join("; "), pattern);
    });
  }
});

describe("sim/check/ranges", () => {
  test("a set of numbers, whatever the order", () => {
    const ranges = new Ranges();
    ranges.add(10, 20);
    ranges.add(30, 40);
    ranges.add(5, 5);
    assert.equal(ranges.count, 2);
    assert.equal(ranges.has(12, 20), true);
    assert.equal(ranges.has(12, 21), false);
    assert.equal(ranges.has(25, 31), false);
    ranges.add(20, 30);
    assert.equal(ranges.count, 1);
    assert.equal(ranges.has(10, 40), true);
    ranges.add(0, 100);
    ranges.add(200, 201);
    assert.equal(ranges.count, 2);
  });
});
