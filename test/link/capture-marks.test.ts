/** Captures: why frames were dropped, which flow they are of, filters and limits. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseFilter } from "../../src/config/filter.ts";
import { concat } from "../../src/lib/bytes.ts";
import { type CaptureEvent, CaptureWriter } from "../../src/link/capture-writer.ts";
import { WatchedLink } from "../../src/link/watched-link.ts";
import { arp, ETHERTYPE_ARP, ethernet, MAC_BROADCAST } from "../support/packet.ts";
import { readPcapng } from "../support/pcapng.ts";
import { capture, Recorder, vnet } from "./capture-stage.ts";
import { testFrame } from "./suite.ts";

describe("captures: what became of frames", () => {
  const REASONS = ["none", "runt", "tcp_checksum"];

  test("the reason of a drop and the flow are comments, of both directions", () => {
    const sink = new Recorder();
    const { link, memory, send } = capture({ sink, reasons: REASONS });
    for (const mark of [1, 2, 3, 4]) send(testFrame(61, mark));
    assert.equal(link.receive(memory, 8), 4);
    for (const [i, reason, flow] of [
      [0, 0, 0],
      [1, 2, 0],
      [2, 1, 4_294_967_295],
      [3, 9, 65_537], // a reason without a name
    ] as const) {
      memory.mark(i, reason, flow);
    }
    link.handled?.(memory, 4);
    memory.putFrames([[concat(vnet, testFrame(62, 5))], [concat(vnet, testFrame(63, 6))]]);
    memory.setFlow(0, 7);
    link.transmit(memory, 0, 2);
    link.close();
    assert.deepEqual(
      readPcapng(sink.octets).packets.map(({ comments }) => comments),
      [
        [],
        ["dropped: tcp_checksum"],
        ["dropped: runt", "flow 4294967295"],
        ["flow 65537"],
        ["flow 7"],
        [],
      ],
    );
  });

  test("frames that the engine never got through are in it when it is replaced", () => {
    const sink = new Recorder();
    const { link, memory, send } = capture({ sink, reasons: REASONS });
    send(testFrame(60, 1));
    assert.equal(link.receive(memory, 8), 1);
    memory.mark(0, 2, 3); // of an earlier batch
    link.handOver?.();
    send(testFrame(60, 2));
    assert.equal(link.receive(memory, 8), 1);
    memory.mark(0, 0, 0);
    link.handled?.(memory, 1);
    link.close();
    assert.deepEqual(
      readPcapng(sink.octets).packets.map(({ data, comments }) => [data, comments]),
      [
        [testFrame(60, 1), []],
        [testFrame(60, 2), []],
      ],
    );
  });

  test("a filter leaves out the rest, by headers, direction and drops", () => {
    const sinks = ["dropped", "to guest", "host 10.0.2.99", "not host 10.0.2.99"].map(
      (filter) => [filter, new Recorder()] as const,
    );
    for (const [text, sink] of sinks) {
      const filter = parseFilter(text);
      const { link, memory, send } = capture({ sink, reasons: REASONS, filter });
      for (const mark of [1, 2]) send(testFrame(60, mark));
      link.receive(memory, 8);
      memory.mark(1, 1, 0);
      link.handled?.(memory, 2);
      // Frames of several pieces, the first of which is the virtio_net_hdr.
      memory.putFrames([[vnet, arpFrame.subarray(0, 20), arpFrame.subarray(20)]]);
      link.transmit(memory, 0, 1);
      link.close();
    }
    const found = sinks.map(([, { octets }]) => {
      const { packets, statistics } = readPcapng(octets);
      return [packets.map(({ data }) => data), statistics];
    });
    const [first, second] = [testFrame(60, 1), testFrame(60, 2)];
    assert.deepEqual(found, [
      [[second], { seen: 3, lost: 0, accepted: 1 }],
      [[arpFrame], { seen: 3, lost: 0, accepted: 1 }],
      [[arpFrame], { seen: 3, lost: 0, accepted: 1 }],
      [[first, second], { seen: 3, lost: 0, accepted: 2 }],
    ]);
  });

  test("frames and seconds are limits, too, and end it while traffic goes on", () => {
    const sink = new Recorder();
    const events: CaptureEvent[] = [];
    const tell = (event: CaptureEvent): void => void events.push(event);
    const { memory, send, receive, capture: writer } = capture({ sink, tell, framesMax: 2 });
    for (const mark of [1, 2, 3]) {
      send(testFrame(60, mark));
      receive(memory, 1);
    }
    assert.deepEqual([writer.stopped, writer.frames], ["limit", 2]);
    assert.equal(readPcapng(sink.octets).packets.length, 2);
    const timed = capture({ sink: new Recorder(), tell, secondsMax: 3 });
    assert.equal(timed.capture.wait(5_000_000), 3_000_000);
    timed.capture.poll(7_999_999);
    assert.deepEqual([timed.capture.stopped, timed.capture.wait(7_999_999)], ["", 1]);
    timed.capture.poll(8_000_000);
    assert.equal(timed.capture.stopped, "limit");
    assert.equal(timed.capture.wait(8_000_000), undefined);
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ["ended", "ended"],
    );
  });

  test("several are made at once, each with its own bounds, and one can be taken away", () => {
    const [whole, short] = [new Recorder(), new Recorder()];
    const { link, memory, send, receive } = capture({ sink: whole });
    assert.ok(link instanceof WatchedLink);
    const other = new CaptureWriter({ sink: short, now: () => 0, snapLength: 20 });
    link.add(other);
    send(testFrame(60, 1));
    receive(memory, 1);
    link.remove(other);
    other.close();
    send(testFrame(60, 2));
    receive(memory, 1);
    link.close();
    assert.deepEqual([whole.closes, short.closes], [1, 1]);
    assert.equal(readPcapng(whole.octets).packets.length, 2);
    const [packet] = readPcapng(short.octets).packets;
    assert.deepEqual([packet?.data, packet?.length], [testFrame(60, 1).subarray(0, 20), 60]);
  });
});

/** ARP for 10.0.2.99. */
const arpFrame = ethernet(
  { destination: MAC_BROADCAST, source: "52:54:00:12:34:56", type: ETHERTYPE_ARP },
  arp({
    operation: 1,
    senderMac: "52:54:00:12:34:56",
    senderAddress: "10.0.2.15",
    targetAddress: "10.0.2.99",
  }),
);
