/**
 * What a worker writes and who writes it. Goal: lines, frames and records arrive; a full disk and a
 * reader that leaves are told of once; nothing is left open, and nothing half written.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { Outputs } from "../../src/binding/outputs.ts";
import { WorkerOutputs } from "../../src/binding/worker-outputs.ts";
import { ByteRing } from "../../src/lib/byte-ring.ts";
import { prettyLogger } from "../../src/lib/log.ts";
import { standardError } from "../../src/lib/standard-error.ts";
import type { Link, LinkMemory } from "../../src/link/link.ts";
import { pcapngHeader } from "../../src/link/pcapng.ts";
import { memoryHarness } from "../link/harness.ts";
import { testFrame } from "../link/suite.ts";

const FOLDER = mkdtempSync(join(tmpdir(), "slirp-outputs-"));
after(() => rmSync(FOLDER, { recursive: true, force: true }));

const HEAD = pcapngHeader({ interfaceName: "guest" });
const RECORD_SIZE = 44 + 60;
const STATISTICS_SIZE = 88;

interface Asked {
  readonly pcap?: string;
  readonly record?: string;
  readonly pcapLimitMib?: number;
}

/** Both sides in one thread; the worker's messages arrive at once. */
function stage({ pcap, record, pcapLimitMib }: Asked) {
  const lines: string[] = [];
  const log = prettyLogger("debug", (line) => lines.push(line.trimEnd()));
  const options = { pcap, pcapSnap: 262144, pcapLimitMib, record };
  const link = { kind: "stream" };
  const outputs = new Outputs({ capture: options, link, log: { level: "debug" } }, log);
  const worker = new WorkerOutputs(outputs.shared, () => outputs.kick());
  const harness = memoryHarness({}, (link: Link) => worker.watched(link, options, undefined, log));
  const memory: LinkMemory = harness.memory;
  const pass = (mark: number): void => {
    harness.send(testFrame(60, mark));
    assert.equal(harness.link.receive(memory, 1), 1);
    harness.link.handled?.(memory, 1);
  };
  let now = 1;
  /** As the loop does when time has passed. */
  const settle = (): void => {
    for (let turn = 0; turn < 2; turn += 1) {
      for (const chore of worker.chores) chore.poll(now);
      now += 1e6;
    }
  };
  return { lines, outputs, worker, pass, settle, link: harness.link };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe("outputs", () => {
  test("lines that were lost are told of by their number, once", async () => {
    const { outputs } = stage({});
    const ring = new ByteRing(outputs.shared.log);
    const told: number[] = [];
    const { onLost } = standardError();
    standardError().onLost = (count) => void told.push(count);
    try {
      for (const count of [3, 2]) {
        ring.lose(count);
        outputs.kick();
        outputs.kick();
      }
      assert.deepEqual(told, [3, 2]);
    } finally {
      standardError().onLost = onLost;
      await outputs.close();
    }
  });

  test("a capture can be read while it is made, and is whole at the end", async () => {
    const pcap = join(FOLDER, "a.pcap");
    const { outputs, pass, settle, link } = stage({ pcap });
    await until(() => readFileSync(pcap).length === HEAD.length);
    assert.deepEqual(new Uint8Array(readFileSync(pcap)), HEAD);
    pass(1);
    settle();
    await until(() => readFileSync(pcap).length === HEAD.length + RECORD_SIZE);
    pass(2);
    link.close();
    await outputs.close();
    assert.equal(readFileSync(pcap).length, HEAD.length + 2 * RECORD_SIZE + STATISTICS_SIZE);
  });

  test("a disk that is full ends a capture with one line, and traffic goes on", async () => {
    const { outputs, lines, pass, settle, link } = stage({ pcap: "/dev/full" });
    await until(() => lines.length > 0);
    for (let mark = 0; mark < 5; mark += 1) {
      pass(mark);
      settle();
    }
    link.close();
    await outputs.close();
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? "", /^warn {2}capture stopped: cannot write its file file=.* err=/);
  });

  test("a recording that cannot be written ends with one line", async () => {
    const { outputs, lines, worker } = stage({ record: "/dev/full" });
    const sink = worker.openRecording();
    sink?.write(new Uint8Array(1000));
    await until(() => lines.length > 0);
    assert.throws(() => sink?.write(new Uint8Array(1000)), /OutputClosed/);
    await outputs.close();
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? "", /^warn {2}recording stopped: cannot write its file /);
  });

  test("an older recording is kept, a FIFO refused", async () => {
    const record = join(FOLDER, "a.rec");
    for (const text of ["first", "second"]) {
      const { outputs, worker } = stage({ record });
      worker.openRecording()?.write(new TextEncoder().encode(text));
      await outputs.close();
    }
    assert.equal(readFileSync(record, "utf8"), "second");
    assert.equal(readFileSync(`${record}.old`, "utf8"), "first");
    const fifo = join(FOLDER, "fifo.rec");
    spawnSync("mkfifo", [fifo]);
    assert.throws(() => stage({ record: fifo }), /there is something that is no file/);
  });

  test("readers of a FIFO come and go: each gets a header and whole records", async () => {
    const pcap = join(FOLDER, "fifo");
    spawnSync("mkfifo", [pcap]);
    const { outputs, lines, pass, settle, link } = stage({ pcap });
    const octets = Buffer.alloc(1000);
    pass(1); // nobody sees it
    settle();
    for (const reader of [1, 2]) {
      const fd = openSync(pcap, constants.O_RDONLY | constants.O_NONBLOCK);
      await until(() => lines.length === reader * 2 - 1);
      assert.match(lines.at(-1) ?? "", /capture begins: its FIFO has a reader/);
      pass(2);
      settle();
      const length = readSync(fd, octets);
      assert.equal(length, HEAD.length + RECORD_SIZE);
      assert.deepEqual(
        new Uint8Array(octets.subarray(HEAD.length + 28, HEAD.length + 28 + 60)),
        testFrame(60, 2),
      );
      closeSync(fd);
      pass(3);
      settle();
      await until(() => lines.length === reader * 2);
      assert.match(lines.at(-1) ?? "", /capture stopped: the reader of its FIFO has gone/);
    }
    link.close();
    await outputs.close();
  });

  test("a reader that does not read costs frames, not traffic, and the end comes", async () => {
    const pcap = join(FOLDER, "stalled");
    spawnSync("mkfifo", [pcap]);
    const { outputs, lines, pass, settle, link } = stage({ pcap });
    const fd = openSync(pcap, constants.O_RDONLY | constants.O_NONBLOCK);
    await until(() => lines.length === 1);
    for (let mark = 0; !lines[1]?.includes("losing frames"); mark += 1) pass(mark & 0xff);
    settle();
    link.close();
    await outputs.close();
    assert.match(lines[2] ?? "", /^warn {2}capture has lost frames file=\S+ frames=\d+$/);
    assert.equal(lines.length, 3);
    closeSync(fd);
  });

  test("a file is waited for before frames are lost, a FIFO never is", async () => {
    const { wait } = Atomics;
    let waits = 0;
    // As if nothing had moved for that long.
    Object.assign(Atomics, {
      wait: () => {
        waits += 1;
        return "timed-out";
      },
    });
    try {
      const fifo = join(FOLDER, "not-waited");
      spawnSync("mkfifo", [fifo]);
      const fd = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
      for (const [pcap, isWaitedFor] of [
        [join(FOLDER, "waited.pcap"), true],
        [fifo, false],
      ] as const) {
        waits = 0;
        const { outputs, lines, pass, settle, link } = stage({ pcap });
        const isLosing = (): boolean => lines.some((line) => line.includes("losing frames"));
        if (!isWaitedFor) await until(() => lines.length > 0); // it has a reader
        // No turn of the event loop in between, so nothing is written.
        for (let mark = 0; !isLosing(); mark += 1) pass(mark & 0xff);
        assert.equal(waits > 0, isWaitedFor, pcap);
        settle();
        link.close();
        await outputs.close();
        assert.match(lines.at(-1) ?? "", /^warn {2}capture has lost frames file=\S+ frames=\d+$/);
      }
      closeSync(fd);
    } finally {
      Object.assign(Atomics, { wait });
    }
  });

  test("the limit ends a capture with one line", async () => {
    const pcap = join(FOLDER, "limit.pcap");
    const { outputs, lines, pass, link } = stage({ pcap, pcapLimitMib: 1 });
    const frames = Math.ceil((1 << 20) / RECORD_SIZE) + 10;
    for (let mark = 0; mark < frames; mark += 1) pass(mark & 0xff);
    link.close();
    await outputs.close();
    const { length } = readFileSync(pcap);
    assert.ok(length <= 1 << 20 && length > (1 << 20) - RECORD_SIZE);
    assert.deepEqual(lines, [`info  capture stopped: limit reached file=${pcap} octets=${length}`]);
  });

  test("what cannot be opened is an error, and nothing stays open", () => {
    const record = join(FOLDER, "b.rec");
    const pcap = join(FOLDER, "none", "b.pcap");
    assert.throws(() => stage({ record, pcap }), /ENOENT|No such file/i);
  });
});
