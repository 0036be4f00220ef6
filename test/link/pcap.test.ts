/** The capturing decorator: the shared suite, and what is in the file. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { concat } from "../../src/lib/bytes.ts";
import {
  type CaptureEvent,
  createPcapLink,
  type PcapOptions,
  pcapHeader,
} from "../../src/link/pcap.ts";
import { memoryHarness } from "./harness.ts";
import { linkSuite, testFrame } from "./suite.ts";

class Recorder {
  octets = pcapHeader();
  writes = 0;
  closes = 0;
  isFull = false;
  isPaused = false;

  write(bytes: Uint8Array): boolean {
    if (this.isFull) return false;
    this.octets = concat(this.octets, bytes);
    this.writes += 1;
    return true;
  }

  close(): void {
    this.closes += 1;
  }
}

interface Packet {
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly length: number;
  readonly data: Uint8Array;
}

/** An independent reader of the format. */
function readPcap(file: Uint8Array): { snapLength: number; packets: Packet[] } {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const u32 = (at: number) => view.getUint32(at, true);
  assert.equal(u32(0), 0xa1b23c4d);
  assert.deepEqual([view.getUint16(4, true), view.getUint16(6, true)], [2, 4]);
  assert.deepEqual([u32(8), u32(12), u32(20)], [0, 0, 1]);
  const packets: Packet[] = [];
  for (let at = 24; at < file.length; ) {
    const data = file.slice(at + 16, at + 16 + u32(at + 8));
    packets.push({ seconds: u32(at), nanoseconds: u32(at + 4), length: u32(at + 12), data });
    at += 16 + data.length;
  }
  return { snapLength: u32(16), packets };
}

function capture(options: Partial<PcapOptions> & { sink: PcapOptions["sink"] }) {
  let now = 1_700_000_000_000_000;
  const tick = () => {
    now += 1.25;
    return now;
  };
  let link: ReturnType<typeof createPcapLink> | undefined;
  const harness = memoryHarness({ vnetSize: 10 }, (inner) => {
    link = createPcapLink(inner, { now: tick, ...options });
    return link;
  });
  assert.ok(link !== undefined);
  return { ...harness, link };
}

const vnet = new Uint8Array(10);

linkSuite({
  name: "pcap round memory",
  skip: "",
  async with(run) {
    const sink = new Recorder();
    run(memoryHarness({ vnetSize: 10 }, (link) => createPcapLink(link, { sink, now: () => 0 })));
  },
});

describe("pcap", () => {
  test("records both directions, in order, without the virtio_net_hdr", () => {
    const sink = new Recorder();
    const { link, memory, send } = capture({ sink });
    const [up, down, large] = [testFrame(60, 1), testFrame(1514, 2), testFrame(65_600, 3)];
    send(up);
    link.receive(memory, 8);
    memory.putFrames([
      [vnet, down.subarray(0, 54), down.subarray(54)],
      [concat(vnet, large.subarray(0, 1)), large.subarray(1)],
    ]);
    link.transmit(memory, 0, 2);
    assert.equal(sink.writes, 0); // buffered
    link.close();
    link.close();
    assert.equal(sink.closes, 1);
    const { snapLength, packets } = readPcap(sink.octets);
    assert.equal(snapLength, 262144);
    assert.deepEqual(
      packets.map(({ data }) => data),
      [up, down, large],
    );
    assert.deepEqual(
      packets.map(({ length }) => length),
      [60, 1514, 65_600],
    );
    const times = packets.map(({ seconds, nanoseconds }) => [seconds, nanoseconds]);
    assert.deepEqual(times, [
      [1_700_000_000, 1250],
      [1_700_000_000, 2500],
      [1_700_000_000, 3750],
    ]);
    assert.equal(link.capture.bytes, sink.octets.length);
  });

  test("records the frames that were received and no other of the slots", () => {
    const sink = new Recorder();
    const { link, memory, send } = capture({ sink });
    for (const mark of [1, 2, 3]) send(testFrame(60, mark));
    assert.equal(link.receive(memory, 8), 3);
    send(testFrame(61, 4));
    assert.equal(link.receive(memory, 8), 1);
    assert.equal(link.receive(memory, 8), 0);
    link.close();
    const { packets } = readPcap(sink.octets);
    assert.deepEqual(
      packets.map(({ data }) => data),
      [testFrame(60, 1), testFrame(60, 2), testFrame(60, 3), testFrame(61, 4)],
    );
  });

  test("keeps the snap length of each frame and its true length", () => {
    const sink = new Recorder();
    const { link, memory, send } = capture({ sink, snapLength: 64 });
    send(testFrame(1000, 1));
    link.receive(memory, 1);
    memory.putFrames([[vnet, testFrame(500, 2).subarray(0, 20), testFrame(500, 2).subarray(20)]]);
    link.transmit(memory, 0, 1);
    link.capture.flush();
    const { packets } = readPcap(sink.octets);
    assert.equal(readPcap(pcapHeader(64)).snapLength, 64);
    assert.deepEqual(
      packets.map(({ length, data }) => [length, data]),
      [
        [1000, testFrame(1000, 1).subarray(0, 64)],
        [500, testFrame(500, 2).subarray(0, 64)],
      ],
    );
  });

  test("ends at the size limit while traffic goes on", () => {
    const sink = new Recorder();
    const events: CaptureEvent[] = [];
    const tell = (event: CaptureEvent): void => void events.push(event);
    const { link, memory, send } = capture({ sink, tell, maxBytes: 24 + 2 * (16 + 100) });
    for (let mark = 1; mark <= 4; mark += 1) {
      send(testFrame(mark === 4 ? 20 : 100, mark));
      assert.equal(link.receive(memory, 1), 1);
    }
    assert.equal(link.capture.stopped, "limit");
    link.close();
    // The fourth frame would fit, but a capture with a hole in it would mislead.
    assert.equal(readPcap(sink.octets).packets.length, 2);
    assert.equal(sink.octets.length, 24 + 2 * 116);
    assert.deepEqual(events, [{ kind: "ended", reason: "limit", octets: 24 + 2 * 116 }]);
  });

  test("ends at a failed write while traffic goes on", () => {
    const sink = {
      write: (): boolean => {
        throw new Error("no space left");
      },
      close: () => undefined,
    };
    const { link, memory, send } = capture({ sink });
    send(testFrame(100, 1));
    assert.equal(link.receive(memory, 1), 1);
    link.capture.flush();
    assert.equal(link.capture.stopped, "error");
    send(testFrame(100, 2));
    assert.equal(link.receive(memory, 1), 1);
    link.close();
  });

  test("writes out before the buffer overflows", () => {
    const sink = new Recorder();
    const { link, memory, send } = capture({ sink });
    for (let mark = 0; mark < 40; mark += 1) {
      send(testFrame(60_000, mark));
      link.receive(memory, 1);
    }
    assert.equal(sink.writes, 7); // five frames fill it
    link.close();
    const { packets } = readPcap(sink.octets);
    assert.equal(packets.length, 40);
    assert.deepEqual(packets[39]?.data, testFrame(60_000, 39));
  });

  test("hands on what has waited, so that whoever reads along sees it", () => {
    const sink = new Recorder();
    const { link, memory, send } = capture({ sink });
    assert.equal(link.capture.wait(1000), undefined);
    send(testFrame(60, 1));
    link.receive(memory, 1);
    const wait = link.capture.wait(1000) ?? 0;
    assert.ok(wait > 0);
    link.capture.poll(1000);
    link.capture.poll(1000 + wait - 1);
    assert.equal(sink.writes, 0);
    assert.equal(link.capture.wait(1000 + wait - 1), 1);
    link.capture.poll(1000 + wait);
    assert.equal(readPcap(sink.octets).packets.length, 1);
    assert.equal(link.capture.wait(1000 + wait), undefined);
  });

  test("leaves out and counts what a slow sink has no room for, and tells once", () => {
    const sink = new Recorder();
    const events: CaptureEvent[] = [];
    const { link, memory, send } = capture({ sink, tell: (event) => void events.push(event) });
    sink.isFull = true;
    for (let mark = 0; mark < 40; mark += 1) {
      send(testFrame(60_000, mark));
      assert.equal(link.receive(memory, 1), 1);
    }
    const { lost } = link.capture;
    assert.ok(lost > 25 && lost < 36, `${lost} frames`);
    assert.deepEqual(events, [{ kind: "losing" }]);
    sink.isFull = false;
    for (const now of [0, 1e6, 2e6]) link.capture.poll(now);
    assert.deepEqual(events, [{ kind: "losing" }, { kind: "lost", frames: lost }]);
    link.close();
    const { packets } = readPcap(sink.octets);
    assert.deepEqual(packets.length, 40 - lost);
    for (const [mark, { data }] of packets.entries()) {
      assert.deepEqual(data, testFrame(60_000, mark));
    }
  });

  test("counts what is left at the end of a sink that takes nothing", () => {
    const sink = new Recorder();
    const events: CaptureEvent[] = [];
    const { link, memory, send } = capture({ sink, tell: (event) => void events.push(event) });
    sink.isFull = true;
    for (let mark = 0; mark < 3; mark += 1) send(testFrame(60, mark));
    link.receive(memory, 3);
    link.close();
    assert.deepEqual(events, [{ kind: "lost", frames: 3 }]);
    assert.equal(sink.closes, 1);
  });

  test("records nothing while nobody reads, and then goes on", () => {
    const sink = new Recorder();
    const { link, memory, send } = capture({ sink });
    sink.isPaused = true;
    send(testFrame(60, 1));
    link.receive(memory, 1);
    memory.putFrames([[vnet, testFrame(60, 2)]]);
    link.transmit(memory, 0, 1);
    sink.isPaused = false;
    send(testFrame(60, 3));
    link.receive(memory, 1);
    link.close();
    const { packets } = readPcap(sink.octets);
    assert.deepEqual(
      packets.map(({ data }) => data),
      [testFrame(60, 3)],
    );
    assert.equal(link.capture.lost, 0);
  });
});
