/** The capturing decorator: the shared suite, and what is in the file. */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { concat } from "../../src/lib/bytes.ts";
import { openOutputFile } from "../../src/lib/output-file.ts";
import { createPcapLink, type PcapOptions } from "../../src/link/pcap.ts";
import { memoryHarness } from "./harness.ts";
import { linkSuite, testFrame } from "./suite.ts";

class Recorder {
  octets: Uint8Array = new Uint8Array(0);
  writes = 0;
  closes = 0;

  write(bytes: Uint8Array): void {
    this.octets = concat(this.octets, bytes);
    this.writes += 1;
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

  test("keeps the snap length of each frame and its true length", () => {
    const sink = new Recorder();
    const { link, memory, send } = capture({ sink, snapLength: 64 });
    send(testFrame(1000, 1));
    link.receive(memory, 1);
    memory.putFrames([[vnet, testFrame(500, 2).subarray(0, 20), testFrame(500, 2).subarray(20)]]);
    link.transmit(memory, 0, 1);
    link.capture.flush();
    const { snapLength, packets } = readPcap(sink.octets);
    assert.equal(snapLength, 64);
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
    const { link, memory, send } = capture({ sink, maxBytes: 24 + 2 * (16 + 100) });
    for (let mark = 1; mark <= 4; mark += 1) {
      send(testFrame(mark === 4 ? 20 : 100, mark));
      assert.equal(link.receive(memory, 1), 1);
    }
    assert.equal(link.capture.stopped, "limit");
    link.close();
    // The fourth frame would fit, but a capture with a hole in it would mislead.
    assert.equal(readPcap(sink.octets).packets.length, 2);
    assert.equal(sink.octets.length, 24 + 2 * 116);
  });

  test("ends at a failed write while traffic goes on", () => {
    const sink = {
      write: () => {
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
    assert.equal(sink.writes, 2);
    link.close();
    const { packets } = readPcap(sink.octets);
    assert.equal(packets.length, 40);
    assert.deepEqual(packets[39]?.data, testFrame(60_000, 39));
  });

  test("writes a file that only its owner can read", () => {
    const directory = mkdtempSync(join(tmpdir(), "slirp-test-"));
    try {
      const path = join(directory, "guest.pcap");
      const { link, memory, send } = capture({ sink: openOutputFile(path) });
      send(testFrame(60, 1));
      link.receive(memory, 1);
      link.close();
      assert.equal(statSync(path).mode & 0o777, 0o600);
      assert.deepEqual(
        readPcap(new Uint8Array(readFileSync(path))).packets[0]?.data,
        testFrame(60, 1),
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
