/**
 * The buffer of a capture, octet by octet and microsecond by microsecond: what fits, when it is
 * handed on, what is told; and the link behind it, which hears all that it is asked.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type CaptureEvent,
  CaptureWriter,
  type CaptureWriterOptions,
} from "../../src/link/capture-writer.ts";
import { rxSlot, writeRxDescriptor } from "../../src/link/frames.ts";
import type { Link } from "../../src/link/link.ts";
import { pcapngHeader } from "../../src/link/pcapng.ts";
import { WatchedLink } from "../../src/link/watched-link.ts";
import { testFrame } from "./suite.ts";
import { TestMemory } from "./test-memory.ts";

/** Of the file, of each record without comments, and of what comes last. */
const FILE_HEADER = pcapngHeader().length;
const RECORD = 44;
const STATISTICS = 88;
/** Octets after which the buffer is handed on, and what it holds of records. */
const FLUSH = 262_144;
const BUFFER = FLUSH + RECORD + 256 + 262_144;
const WAIT = 50_000;

interface Sink {
  /** Sizes of what was written. */
  readonly writes: number[];
  octets: Uint8Array;
  /** Sizes that `isReady` was asked for. */
  readonly asked: number[];
  isReady: ((octets: number) => boolean) | undefined;
  takes: boolean;
  fails: boolean;
}

/** A writer whose sink does as the test says. */
function stage(options: Partial<CaptureWriterOptions> = {}) {
  const memory = new TestMemory();
  const events: CaptureEvent[] = [];
  const sink: Sink = {
    writes: [],
    octets: new Uint8Array(0),
    asked: [],
    isReady: undefined,
    takes: true,
    fails: false,
  };
  const made = {
    write: (octets: Uint8Array) => {
      if (sink.fails) throw new Error("no space left");
      if (!sink.takes) return false;
      sink.writes.push(octets.length);
      sink.octets = octets.slice();
      return true;
    },
    isReady: (octets: number) => {
      sink.asked.push(octets);
      return sink.isReady?.(octets) ?? true;
    },
    close: () => {
      if (sink.fails) throw new Error("no space left");
    },
  };
  const writer = new CaptureWriter({
    sink: made,
    now: () => 0,
    tell: (event) => void events.push(event),
    ...options,
  });
  /** Records a received frame of so many octets, `skip` of them in front. */
  const receive = (length: number, skip = 0): void => {
    writeRxDescriptor(memory, 0, rxSlot(memory, 0), length);
    writer.received(memory, 0, skip, false);
  };
  return { memory, events, sink, writer, receive };
}

/** Of the buffer, in whole words: what is left of it is too little for a record. */
const EIGHTH = Math.floor(BUFFER / 32) * 4;

/** A frame whose record takes so many octets of the buffer. */
const framed = (octets: number): number => octets - RECORD;

describe("captures: the buffer", () => {
  test("a frame is recorded if it has an octet beyond what is left out", () => {
    const { memory, writer, receive } = stage();
    for (const [length, octets] of [
      [9, 0],
      [10, 0],
      [11, RECORD + 4],
    ] as const) {
      const before = writer.bytes;
      receive(length, 10);
      assert.equal(writer.bytes - before, octets, `${length} received`);
      memory.putFrames([[new Uint8Array(length)]]);
      writer.transmitted(memory, 0, 10);
      assert.equal(writer.bytes - before, 2 * octets, `${length} transmitted`);
    }
  });

  test("a frame that does not lie in the memory is left out", () => {
    const { memory, writer } = stage();
    memory.putFrames([[testFrame(60, 1)]]);
    memory.misdirect(0, 16);
    writer.transmitted(memory, 0, 0);
    assert.equal(writer.bytes, FILE_HEADER);
  });

  test("256 KiB are handed on with the next frame, a word less is not", () => {
    for (const [last, writes] of [
      [65_536, [FLUSH]],
      [65_532, []],
    ] as const) {
      const { sink, receive } = stage();
      for (const octets of [65_536, 65_536, 65_536, last]) receive(framed(octets));
      assert.deepEqual(sink.writes, []);
      receive(60);
      assert.deepEqual(sink.writes, writes);
    }
  });

  test("it holds twice that and a header; the first frame beyond is told of", () => {
    const { sink, writer, events, receive } = stage();
    sink.takes = false;
    for (let i = 0; i < 8; i += 1) receive(framed(EIGHTH));
    assert.deepEqual([writer.lost, writer.bytes, events], [0, FILE_HEADER + 8 * EIGHTH, []]);
    receive(1);
    assert.deepEqual([writer.lost, events], [1, [{ kind: "losing" }]]);
    sink.takes = true;
    writer.flush();
    assert.deepEqual(sink.writes, [8 * EIGHTH]);
  });

  test("each time that frames are lost is told of by itself", () => {
    const { sink, writer, events, receive } = stage();
    const lose = (frames: number): void => {
      sink.takes = false;
      for (let i = 0; i < 8 + frames; i += 1) receive(framed(EIGHTH));
      sink.takes = true;
      writer.flush();
    };
    lose(2);
    assert.deepEqual(events.splice(0), [{ kind: "losing" }]);
    assert.equal(writer.wait(1000), 0);
    writer.poll(1000);
    assert.deepEqual(events.splice(0), [{ kind: "lost", frames: 2 }]);
    assert.equal(writer.wait(1000), undefined);
    lose(3);
    writer.poll(1000);
    assert.deepEqual(events.splice(0), [{ kind: "losing" }, { kind: "lost", frames: 3 }]);
    assert.equal(writer.lost, 5);
  });

  test("nanoseconds are whole ones that have passed", () => {
    let now = 3_000_001.0007;
    const { sink, writer, receive } = stage({ now: () => now });
    receive(60);
    now = 3_999_999.9999;
    receive(60);
    writer.flush();
    const view = new DataView(sink.octets.buffer);
    const times = [0, RECORD + 60].map(
      (at) => view.getUint32(at + 12, true) * 2 ** 32 + view.getUint32(at + 16, true),
    );
    assert.deepEqual(times, [3_000_001_000, 3_999_999_999]);
  });
});

describe("captures: handing on", () => {
  test("50 ms after the first look at what waits, not of what waited before", () => {
    const { sink, writer, receive } = stage();
    receive(60);
    assert.equal(writer.wait(1000), WAIT);
    writer.poll(1000);
    assert.equal(writer.wait(1000 + WAIT + 5), 0, "late is not before");
    writer.flush();
    writer.poll(2000);
    receive(60);
    writer.poll(100_000);
    assert.equal(sink.writes.length, 1);
    assert.equal(writer.wait(100_000), WAIT);
    writer.poll(100_000 + WAIT);
    assert.equal(sink.writes.length, 2);
  });

  test("again after 50 ms where the sink took nothing", () => {
    const { sink, writer, receive } = stage();
    receive(60);
    writer.poll(1000);
    sink.takes = false;
    writer.poll(1000 + WAIT);
    assert.equal(writer.wait(1000 + WAIT), WAIT);
    sink.takes = true;
    writer.poll(1000 + 2 * WAIT - 1);
    assert.deepEqual(sink.writes, []);
    writer.poll(1000 + 2 * WAIT);
    assert.equal(sink.writes.length, 1);
  });

  test("only to a sink that is ready for so much, and nothing where nothing waits", () => {
    const { sink, writer, receive } = stage();
    writer.flush();
    assert.deepEqual(sink.asked, []);
    receive(60);
    sink.isReady = () => false;
    writer.flush();
    assert.deepEqual([sink.asked, sink.writes], [[104], []]);
    sink.isReady = () => true;
    writer.flush();
    assert.deepEqual(sink.writes, [104]);
    writer.flush();
    assert.deepEqual(sink.writes, [104]);
  });

  test("what fills it is handed on with the limit, and nothing is recorded behind it", () => {
    const { sink, writer, events, receive } = stage({ maxBytes: FILE_HEADER + 300 });
    receive(60);
    assert.ok(writer.isOn);
    receive(1000);
    assert.deepEqual(
      [sink.writes, writer.stopped, writer.isOn],
      [[104 + STATISTICS], "limit", false],
    );
    receive(60); // it would fit, but one before it is missing
    const octets = FILE_HEADER + 104 + STATISTICS;
    assert.equal(writer.bytes, octets);
    assert.deepEqual(events, [{ kind: "ended", reason: "limit", octets }]);
  });

  test("after a failed write nothing waits, and nothing counts as lost", () => {
    const { sink, writer, events, receive } = stage();
    receive(60);
    sink.fails = true;
    writer.flush();
    assert.equal(writer.wait(1000), undefined);
    const ended = { kind: "ended", reason: "error", octets: FILE_HEADER + 104 } as const;
    assert.deepEqual(events, [ended]);
    sink.fails = false;
    writer.close();
    assert.deepEqual([writer.lost, sink.writes, events], [0, [], [ended]]);
  });

  test("a sink that cannot be closed has failed", () => {
    const { sink, writer, events } = stage();
    sink.fails = true;
    writer.close();
    assert.equal(writer.stopped, "error");
    assert.deepEqual(events, [
      { kind: "ended", reason: "error", octets: FILE_HEADER + STATISTICS },
    ]);
  });

  test("once closed it is off, and nothing waits although it was not taken", () => {
    const { sink, writer, events, receive } = stage();
    receive(60);
    receive(60);
    sink.takes = false;
    writer.close();
    assert.deepEqual([writer.isOn, writer.stopped, writer.wait(1000)], [false, "", undefined]);
    assert.deepEqual(events, [{ kind: "lost", frames: 2 }]);
  });
});

describe("captures: the link behind them", () => {
  /** A link that notes what it is asked; `results` are of receive and transmit. */
  function wrapped(results: number[]) {
    const calls: string[] = [];
    /** Of each receive, whether the link might have lent. */
    const lends: boolean[] = [];
    const memory = new TestMemory();
    const note = (name: string, ...args: readonly unknown[]): void => {
      calls.push([name, ...args].join(" "));
    };
    const inner: Link = {
      vnetSize: 12,
      flags: 5,
      queueFrames: 77,
      mtuMax: 9000,
      refused: 3,
      watch: () => {
        note("watch");
        return -7;
      },
      event: (token, events) => {
        note("event", token, events);
        return events === 1;
      },
      wantRoom: (on) => note("wantRoom", on),
      receive: ({ loans }, max) => {
        note("receive", max);
        lends.push(loans !== undefined);
        return results.shift() ?? 0;
      },
      release: () => note("release"),
      transmit: (_memory, first, count) => {
        note("transmit", first, count);
        return results.shift() ?? 0;
      },
      close: () => note("close"),
    };
    const sink = { write: () => true, close: () => note("close sink") };
    const capture = new CaptureWriter({ sink, now: () => 0 });
    const link = new WatchedLink(inner).add(capture);
    return { link, capture, memory, calls, lends };
  }

  test("lends nothing while it is recorded", () => {
    const { link, capture, memory, lends } = wrapped([0, 0]);
    const no = (): boolean => false;
    memory.loans = { begin: no, add: no, cancel: no, clear: no, read: () => 0, hasFaulted: false };
    link.receive(memory, 8);
    capture.close();
    link.receive(memory, 8);
    assert.deepEqual(lends, [false, true]);
  });

  test("hears all, and answers", () => {
    const { link, memory, calls } = wrapped([4, 5]);
    const { vnetSize, flags, queueFrames, mtuMax, refused } = link;
    assert.deepEqual([vnetSize, flags, queueFrames, mtuMax, refused], [12, 5, 77, 9000, 3]);
    const watcher = { add: () => 0, modify: () => 0, forget: () => {}, remove: () => {} };
    assert.equal(link.watch(watcher), -7);
    assert.deepEqual([link.event(9, 1), link.event(9, 2)], [true, false]);
    link.wantRoom(true);
    link.wantRoom(false);
    assert.equal(link.receive(memory, 8), 4);
    assert.equal(link.transmit(memory, 2, 7), 5);
    link.release(memory);
    link.close();
    assert.deepEqual(calls, [
      ...["watch", "event 9 1", "event 9 2", "wantRoom true", "wantRoom false", "receive 8"],
      ...["transmit 2 7", "release", "close", "close sink"],
    ]);
  });

  test("is recorded as far as it has taken and given frames, no further", () => {
    const { link, capture, memory } = wrapped([1, -5, 2, -5]);
    for (const i of [-1, 0, 1]) writeRxDescriptor(memory, i, rxSlot(memory, 0), 112);
    memory.putFrames(Array.from({ length: 5 }, () => [new Uint8Array(112)]));
    /** As the loop does. */
    const received = (n: number): number => {
      if (n > 0) link.handled(memory, n);
      return n;
    };
    const recorded = (act: () => number): number => {
      const before = capture.bytes;
      act();
      return (capture.bytes - before) / (RECORD + 100);
    };
    assert.equal(
      recorded(() => received(link.receive(memory, 8))),
      1,
    );
    assert.equal(
      recorded(() => received(link.receive(memory, 8))),
      0,
    );
    assert.equal(
      recorded(() => link.transmit(memory, 1, 5)),
      2,
    );
    assert.equal(
      recorded(() => link.transmit(memory, 1, 5)),
      0,
    );
  });
});
