/**
 * A stream link whose engine fails: framing goes on in both directions wherever it was cut,
 * whatever has become of the engine's memory.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FrameReader } from "../../src/link/stream-read.ts";
import { FrameWriter } from "../../src/link/stream-write.ts";
import { EAGAIN } from "../../src/sys/errno.ts";
import { EPOLLIN } from "../../src/sys/linux.ts";
import { FakeSocket, framed, unframed } from "./fake-socket.ts";
import { LISTENER, Stage, TCP, TIMER, UNIX } from "./stream-stage.ts";
import { testFrame } from "./suite.ts";

const FD = 9;
const BAD = 0x7f;

/** What the memory of an engine that has failed may look like. */
function spoil({ memory }: FakeSocket): void {
  new Uint8Array(memory.buffer).fill(BAD, memory.rxBuffers);
}

function readAll(socket: FakeSocket, reader: FrameReader): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (;;) {
    const n = reader.next(socket.memory, 8);
    assert.equal(reader.badLength, -1);
    for (let i = 0; i < n; i += 1) frames.push(socket.memory.frame(i));
    if (n === 0 && reader.fill(socket.sys, FD, socket.memory) <= 0) return frames;
  }
}

/** The frames that a reader still gets where what came before `cut` is lost. */
function after(frames: readonly Uint8Array[], cut: number): readonly Uint8Array[] {
  let start = 0;
  for (const [i, frame] of frames.entries()) {
    const end = start + 4 + frame.length;
    // Of a prefix that has come in part the parts are kept, and nothing of the frame is missing.
    if (cut < end) return frames.slice(cut - start < 4 ? i : i + 1);
    start = end;
  }
  return [];
}

describe("stream: another engine reads on", () => {
  test("with the first frame that begins after what had come, at every cut", () => {
    const frames = [testFrame(30, 1), testFrame(25, 2), testFrame(40, 3), testFrame(14, 4)];
    const stream = Buffer.concat(frames.map(framed));
    for (let cut = 1; cut < stream.length; cut += 1) {
      const socket = new FakeSocket();
      const reader = new FrameReader();
      socket.feed(stream.subarray(0, cut));
      assert.equal(reader.fill(socket.sys, FD, socket.memory), cut);
      const handed = reader.next(socket.memory, 1);
      spoil(socket);
      reader.handOver();
      socket.feed(stream.subarray(cut));
      // In small pieces: prefix and rest of what is skipped are cut again.
      socket.receives.push(1, 2, 1, 3);
      const expected = after(frames, cut);
      assert.deepEqual(readAll(socket, reader), expected, `cut at ${cut}`);
      assert.equal(reader.inFrame, false);
      assert.equal(reader.lost, frames.length - expected.length - handed, `cut at ${cut}`);
    }
  });

  test("and again where that one fails as well before the skipped frame has ended", () => {
    const frames = [testFrame(200, 1), testFrame(60, 2)];
    const stream = Buffer.concat(frames.map(framed));
    const socket = new FakeSocket();
    const reader = new FrameReader();
    for (const [from, to] of [
      [0, 50],
      [50, 90],
      [90, 90],
    ] as const) {
      socket.feed(stream.subarray(from, to));
      reader.fill(socket.sys, FD, socket.memory);
      reader.handOver();
      assert.equal(reader.inFrame, true);
    }
    socket.feed(stream.subarray(90));
    assert.deepEqual(readAll(socket, reader), [frames[1]]);
    assert.equal(reader.lost, 1);
  });

  test("another peer begins with a prefix", () => {
    const socket = new FakeSocket();
    const reader = new FrameReader();
    socket.feed(framed(testFrame(200, 1)).subarray(0, 50));
    reader.fill(socket.sys, FD, socket.memory);
    reader.handOver();
    reader.reset();
    socket.feed(framed(testFrame(60, 2)));
    assert.deepEqual(readAll(socket, reader), [testFrame(60, 2)]);
  });
});

describe("stream: another engine writes on", () => {
  test("a frame that is out in part is finished, at every cut and whatever takes its place", () => {
    const frames = [testFrame(30, 1), testFrame(25, 2)];
    const next = [testFrame(44, 3)];
    const size = 30 + 25 + 8;
    for (let cut = 1; cut < size; cut += 1) {
      const socket = new FakeSocket();
      socket.memory.putFrames(frames.map((each) => [each.subarray(0, 14), each.subarray(14)]));
      const writer = new FrameWriter(socket.sys);
      socket.sends.push(cut, -EAGAIN);
      writer.write(FD, socket.memory, 0, 2);
      writer.handOver();
      spoil(socket);
      const isCut = cut !== 34;
      assert.equal(writer.inFrame, isCut, `cut at ${cut}`);
      socket.memory.putFrames(next.map((each) => [each]));
      socket.sends.splice(0, socket.sends.length, 1, -EAGAIN, -EAGAIN);
      let taken = 0;
      for (let i = 0; i < 4 && taken === 0; i += 1) {
        taken = writer.write(FD, socket.memory, 0, 1);
      }
      assert.equal(taken, 1);
      const before = cut <= 34 ? frames.slice(0, 1) : frames;
      assert.deepEqual(unframed(socket.sent), { frames: [...before, ...next], rest: 0 });
      assert.equal(writer.inFrame, false);
    }
  });

  test("nothing is left for another peer", () => {
    const socket = new FakeSocket();
    socket.memory.putFrames([[testFrame(30, 1)]]);
    const writer = new FrameWriter(socket.sys);
    socket.sends.push(10);
    writer.write(FD, socket.memory, 0, 1);
    writer.handOver();
    writer.reset();
    assert.equal(writer.inFrame, false);
    socket.outbound.length = 0;
    socket.memory.putFrames([[testFrame(44, 3)]]);
    assert.equal(writer.write(FD, socket.memory, 0, 1), 1);
    assert.deepEqual(unframed(socket.sent), { frames: [testFrame(44, 3)], rest: 0 });
  });
});

/** The link is watched by another loop; what it registers. */
function watchedAnew(stage: Stage): string[] {
  stage.watched.length = 0;
  const note = (fd: number, events: number, token: number): number => {
    stage.watched.push(`add ${fd} ${events} ${token}`);
    return 0;
  };
  const none = (): number => 0;
  const nothing = (): void => {};
  stage.link.handOver?.();
  const watcher = { add: note, modify: none, forget: nothing, remove: nothing };
  assert.equal(stage.link.watch(watcher), 0);
  return stage.watched;
}

describe("stream: another loop watches on", () => {
  test("listener, timer and the connection, for frames alone", () => {
    const stage = new Stage();
    stage.connect(10);
    stage.speak();
    stage.link.wantRoom(true);
    const [timer, listener, connection, ...more] = watchedAnew(stage);
    assert.match(timer ?? "", new RegExp(` ${TIMER}$`));
    assert.equal(listener, `add 7 ${EPOLLIN} ${LISTENER}`);
    assert.equal(connection, `add 10 ${EPOLLIN} ${stage.token}`);
    assert.deepEqual(more, []);
    stage.socket.feed(framed(testFrame(60, 5)));
    assert.equal(stage.link.event(stage.token, EPOLLIN), true);
    assert.deepEqual(stage.receive(), [testFrame(60, 5)]);
    assert.deepEqual(stage.news, ["connected"], "one peer, the same");
  });

  test("a link that connects does not dial another time", () => {
    for (const endpoint of [TCP, UNIX]) {
      const stage = new Stage(endpoint);
      assert.deepEqual(stage.news, ["connected"]);
      const [, connection, ...more] = watchedAnew(stage);
      assert.match(connection ?? "", new RegExp(`^add \\d+ ${EPOLLIN} ${stage.token}$`));
      assert.deepEqual(more, []);
      assert.deepEqual(stage.news, []);
    }
  });

  test("frames that were left out are counted", () => {
    const stage = new Stage();
    stage.connect(10);
    stage.socket.feed(framed(testFrame(60, 1)), framed(testFrame(60, 2)), framed(testFrame(60, 3)));
    assert.equal(stage.receive(1).length, 1);
    watchedAnew(stage);
    assert.equal(stage.link.refused, 2);
    assert.deepEqual(stage.receive(), []);
  });
});
