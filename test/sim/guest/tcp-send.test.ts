/** The sending half: what goes out next after acknowledgments, reports and timeouts. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ACK, Segment } from "../../../src/lab/sim/guest/tcp-segment.ts";
import { SendSide } from "../../../src/lab/sim/guest/tcp-send.ts";
import { pattern } from "./pair.ts";

const MSS = 1000;
const ISS = 0xfffffc00; // wraps soon

class Bench {
  readonly send = new SendSide({
    ...{ size: 100_000, rtoMin: 200_000, initialSegments: 10, offloadSegments: 1 },
  });
  now = 0;

  constructor(octets: number) {
    const { send } = this;
    send.start(ISS);
    const segment = this.#segment(1, 65_000);
    send.una = (ISS + 1) >>> 0;
    send.firstWindow(segment);
    send.open(MSS);
    send.write(pattern(octets));
  }

  #segment(ack: number, window: number, sack: readonly number[] = []): Segment {
    const segment = new Segment();
    segment.flags = ACK;
    segment.ack = (ISS + ack) >>> 0;
    segment.window = window;
    segment.sackCount = sack.length / 2;
    segment.sack.set(sack.map((at) => (ISS + at) >>> 0));
    return segment;
  }

  /** Acknowledges up to `ack`, counted from the SYN. */
  ack(ack: number, sack: readonly number[] = [], window = 65_000): void {
    const segment = this.#segment(ack, window, sack);
    const before = this.send.window;
    this.send.takeWindow(segment, window);
    this.send.acked(segment, before === window, this.now);
  }

  /** Everything that may go out now: where it begins and how long it is. */
  flush(): (readonly [at: number, length: number])[] {
    const found: (readonly [number, number])[] = [];
    while (this.send.choose()) {
      found.push([(this.send.pickAt - ISS) >>> 0, this.send.pickLength]);
      this.send.sent(this.now);
    }
    return found;
  }
}

const starts = (list: readonly (readonly [number, number])[]): number[] => list.map(([at]) => at);

describe("sim/guest/tcp-send", () => {
  test("ten segments at first, then two for each that is acknowledged", () => {
    const bench = new Bench(90_000);
    assert.equal(bench.flush().length, 10);
    bench.ack(1 + MSS);
    assert.deepEqual(starts(bench.flush()), [1 + 10 * MSS, 1 + 11 * MSS]);
  });

  test("no more than the window, and no crumbs of it", () => {
    const bench = new Bench(90_000);
    bench.ack(1, [], 2500);
    assert.deepEqual(bench.flush(), [
      [1, MSS],
      [1 + MSS, MSS],
    ]);
    assert.equal(bench.send.unsent, 88_000);
  });

  test("three duplicates: the first segment again, once", () => {
    const bench = new Bench(10_000);
    bench.flush();
    for (let i = 0; i < 3; i += 1) bench.ack(1);
    assert.deepEqual(bench.flush(), [[1, MSS]]);
    bench.ack(1);
    assert.deepEqual(bench.flush(), []);
    bench.ack(10_001);
    assert.equal(bench.send.flight, 0);
    assert.equal(bench.send.cwnd, bench.send.ssthresh);
  });

  test("a partial acknowledgment names the next hole (RFC 6582)", () => {
    const bench = new Bench(10_000);
    bench.flush();
    for (let i = 0; i < 3; i += 1) bench.ack(1);
    bench.flush();
    bench.ack(1 + 4 * MSS);
    assert.deepEqual(starts(bench.flush()), [1 + 4 * MSS]);
  });

  test("with reports only the holes are filled", () => {
    const bench = new Bench(10_000);
    bench.flush();
    bench.ack(1, [1 + MSS, 1 + 4 * MSS]);
    bench.ack(1, [1 + 6 * MSS, 1 + 10 * MSS, 1 + MSS, 1 + 4 * MSS]);
    assert.deepEqual(starts(bench.flush()), [1, 1 + 4 * MSS, 1 + 5 * MSS]);
  });

  test("a timeout sends all again, slowly, and waits twice as long", () => {
    const bench = new Bench(10_000);
    bench.flush();
    const { rto } = bench.send;
    bench.send.timeout();
    assert.deepEqual(bench.flush(), [[1, MSS]]);
    assert.equal(bench.send.rto, rto * 2);
    bench.ack(1 + MSS);
    assert.deepEqual(starts(bench.flush()), [1 + MSS, 1 + 2 * MSS]);
  });

  test("round trips set the timer, retransmissions do not (Karn)", () => {
    const bench = new Bench(10_000);
    bench.flush();
    bench.now = 100_000;
    bench.ack(1 + MSS);
    assert.equal(bench.send.srtt, 100_000);
    assert.equal(bench.send.rto, 300_000);
    bench.send.timeout();
    bench.flush();
    bench.now = 5_000_000;
    bench.ack(1 + 2 * MSS);
    assert.equal(bench.send.srtt, 100_000);
  });

  test("FIN rides on the last segment and is acknowledged last", () => {
    const bench = new Bench(1500);
    bench.send.finQueued = true;
    assert.equal(bench.flush().length, 2);
    assert.equal(bench.send.pickFin, true);
    bench.ack(1501);
    assert.equal(bench.send.finAcked, false);
    bench.ack(1502);
    assert.equal(bench.send.finAcked, true);
  });

  test("a shut window is asked about with one octet that does not count as sent", () => {
    const bench = new Bench(1500);
    bench.ack(1, [], 0);
    assert.deepEqual(bench.flush(), []);
    assert.equal(bench.send.probe(), true);
    assert.equal(bench.send.pickLength, 1);
    assert.equal(bench.send.flight, 0);
    bench.ack(2, [], 65_000);
    assert.deepEqual(bench.flush()[0], [2, MSS]);
  });

  test("offload: many segments in one frame, whole ones but for the last", () => {
    const bench = new Bench(0);
    const send = new SendSide({
      ...{ size: 100_000, rtoMin: 200_000, initialSegments: 10, offloadSegments: 8 },
    });
    assert.equal(bench.send.unsent, 0);
    const segment = new Segment();
    segment.window = 65_000;
    segment.ack = (ISS + 1) >>> 0;
    send.start(ISS);
    send.una = (ISS + 1) >>> 0;
    send.firstWindow(segment);
    send.open(MSS);
    send.write(pattern(9500));
    assert.equal(send.choose(), true);
    assert.equal(send.pickLength, 8 * MSS);
    send.sent(1);
    assert.equal(send.choose(), true);
    assert.equal(send.pickLength, 1500);
  });
});
