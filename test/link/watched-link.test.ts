/** The decorator whose frames are looked at: the shared suite, and what is in a writer. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { concat } from "../../src/lib/bytes.ts";
import { type CaptureEvent, CaptureWriter } from "../../src/link/capture-writer.ts";
import { pcapngHeader } from "../../src/link/pcapng.ts";
import { WatchedLink } from "../../src/link/watched-link.ts";
import { readPcapng } from "../support/pcapng.ts";
import { capture, Recorder, vnet } from "./capture-stage.ts";
import { memoryHarness } from "./harness.ts";
import { linkSuite, testFrame } from "./suite.ts";

/** Octets of a capture with two frames of 100 octets. */
const LIMIT = pcapngHeader().length + 2 * (44 + 100) + 88;

linkSuite({
  name: "captured round memory",
  skip: "",
  async with(run) {
    const sink = new Recorder();
    const writer = new CaptureWriter({ sink, now: () => 0 });
    run(memoryHarness({ vnetSize: 10 }, (link) => new WatchedLink(link).add(writer)));
  },
});

describe("captures", () => {
  test("records both directions, in order, without the virtio_net_hdr", () => {
    const sink = new Recorder();
    const { link, memory, send, receive, capture: writer } = capture({ sink });
    const [up, down, large] = [testFrame(60, 1), testFrame(1514, 2), testFrame(65_600, 3)];
    send(up);
    receive(memory, 8);
    memory.putFrames([
      [vnet, down.subarray(0, 54), down.subarray(54)],
      [concat(vnet, large.subarray(0, 1)), large.subarray(1)],
    ]);
    link.transmit(memory, 0, 2);
    assert.equal(sink.writes, 0); // buffered
    link.close();
    link.close();
    assert.equal(sink.closes, 1);
    const { snapLength, packets, statistics, application } = readPcapng(sink.octets);
    assert.equal(snapLength, 262144);
    assert.deepEqual(
      packets.map(({ data }) => data),
      [up, down, large],
    );
    assert.deepEqual(
      packets.map(({ length }) => length),
      [60, 1514, 65_600],
    );
    assert.deepEqual(
      packets.map(({ time, direction }) => [time, direction]),
      [
        [1_700_000_000_000_002_560n, "inbound"],
        [1_700_000_000_000_003_840n, "outbound"],
        [1_700_000_000_000_005_120n, "outbound"],
      ],
    );
    assert.deepEqual(statistics, { seen: 3, lost: 0, accepted: 3 });
    assert.equal(application, "slirp-binding");
    assert.equal(writer.bytes, sink.octets.length);
  });

  test("records the frames that were received and no other of the slots", () => {
    const sink = new Recorder();
    const { link, memory, send, receive } = capture({ sink });
    for (const mark of [1, 2, 3]) send(testFrame(60, mark));
    assert.equal(receive(memory, 8), 3);
    send(testFrame(61, 4));
    assert.equal(receive(memory, 8), 1);
    assert.equal(receive(memory, 8), 0);
    link.close();
    const { packets } = readPcapng(sink.octets);
    assert.deepEqual(
      packets.map(({ data }) => data),
      [testFrame(60, 1), testFrame(60, 2), testFrame(60, 3), testFrame(61, 4)],
    );
  });

  test("keeps the snap length of each frame and its true length", () => {
    const sink = new Recorder();
    const { link, memory, send, receive, capture: writer } = capture({ sink, snapLength: 64 });
    send(testFrame(1000, 1));
    receive(memory, 1);
    memory.putFrames([[vnet, testFrame(500, 2).subarray(0, 20), testFrame(500, 2).subarray(20)]]);
    link.transmit(memory, 0, 1);
    writer.flush();
    const { packets } = readPcapng(sink.octets);
    assert.equal(readPcapng(pcapngHeader({ snapLength: 64 })).snapLength, 64);
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
    const {
      link,
      memory,
      send,
      receive,
      capture: writer,
    } = capture({ sink, tell, maxBytes: LIMIT });
    for (let mark = 1; mark <= 4; mark += 1) {
      send(testFrame(mark === 4 ? 20 : 100, mark));
      assert.equal(receive(memory, 1), 1);
    }
    assert.equal(writer.stopped, "limit");
    link.close();
    // The fourth frame would fit, but a capture with a hole in it would mislead.
    assert.equal(readPcapng(sink.octets).packets.length, 2);
    assert.equal(sink.octets.length, LIMIT);
    assert.deepEqual(events, [{ kind: "ended", reason: "limit", octets: LIMIT }]);
  });

  test("ends at a failed write while traffic goes on", () => {
    const sink = {
      write: (): boolean => {
        throw new Error("no space left");
      },
      close: () => undefined,
    };
    const { link, memory, send, receive, capture: writer } = capture({ sink });
    send(testFrame(100, 1));
    assert.equal(receive(memory, 1), 1);
    writer.flush();
    assert.equal(writer.stopped, "error");
    send(testFrame(100, 2));
    assert.equal(receive(memory, 1), 1);
    link.close();
  });

  test("writes out before the buffer overflows", () => {
    const sink = new Recorder();
    const { link, memory, send, receive } = capture({ sink });
    for (let mark = 0; mark < 40; mark += 1) {
      send(testFrame(60_000, mark));
      receive(memory, 1);
    }
    assert.equal(sink.writes, 7); // five frames fill it
    link.close();
    const { packets } = readPcapng(sink.octets);
    assert.equal(packets.length, 40);
    assert.deepEqual(packets[39]?.data, testFrame(60_000, 39));
  });

  test("hands on what has waited, so that whoever reads along sees it", () => {
    const sink = new Recorder();
    const { memory, send, receive, capture: writer } = capture({ sink });
    assert.equal(writer.wait(1000), undefined);
    send(testFrame(60, 1));
    receive(memory, 1);
    const wait = writer.wait(1000) ?? 0;
    assert.ok(wait > 0);
    writer.poll(1000);
    writer.poll(1000 + wait - 1);
    assert.equal(sink.writes, 0);
    assert.equal(writer.wait(1000 + wait - 1), 1);
    writer.poll(1000 + wait);
    assert.equal(readPcapng(sink.octets).packets.length, 1);
    assert.equal(writer.wait(1000 + wait), undefined);
  });

  test("leaves out and counts what a slow sink has no room for, and tells once", () => {
    const sink = new Recorder();
    const events: CaptureEvent[] = [];
    const {
      link,
      memory,
      send,
      receive,
      capture: writer,
    } = capture({ sink, tell: (event) => void events.push(event) });
    sink.isFull = true;
    for (let mark = 0; mark < 40; mark += 1) {
      send(testFrame(60_000, mark));
      assert.equal(receive(memory, 1), 1);
    }
    const { lost } = writer;
    assert.ok(lost > 25 && lost < 36, `${lost} frames`);
    assert.deepEqual(events, [{ kind: "losing" }]);
    sink.isFull = false;
    for (const now of [0, 1e6, 2e6]) writer.poll(now);
    assert.deepEqual(events, [{ kind: "losing" }, { kind: "lost", frames: lost }]);
    link.close();
    const { packets } = readPcapng(sink.octets);
    assert.deepEqual(packets.length, 40 - lost);
    for (const [mark, { data }] of packets.entries()) {
      assert.deepEqual(data, testFrame(60_000, mark));
    }
  });

  test("counts what is left at the end of a sink that takes nothing", () => {
    const sink = new Recorder();
    const events: CaptureEvent[] = [];
    const { link, memory, send, receive } = capture({
      sink,
      tell: (event) => void events.push(event),
    });
    sink.isFull = true;
    for (let mark = 0; mark < 3; mark += 1) send(testFrame(60, mark));
    receive(memory, 3);
    link.close();
    assert.deepEqual(events, [{ kind: "lost", frames: 3 }]);
    assert.equal(sink.closes, 1);
  });

  test("records nothing while nobody reads, and then goes on", () => {
    const sink = new Recorder();
    const { link, memory, send, receive, capture: writer } = capture({ sink });
    sink.isPaused = true;
    send(testFrame(60, 1));
    receive(memory, 1);
    memory.putFrames([[vnet, testFrame(60, 2)]]);
    link.transmit(memory, 0, 1);
    sink.isPaused = false;
    send(testFrame(60, 3));
    receive(memory, 1);
    link.close();
    const { packets } = readPcapng(sink.octets);
    assert.deepEqual(
      packets.map(({ data }) => data),
      [testFrame(60, 3)],
    );
    assert.equal(writer.lost, 0);
  });
});
