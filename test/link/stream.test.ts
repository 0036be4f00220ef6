/**
 * The life of a stream link, by made-up system calls: peers that come, go, break the rules or do
 * not read, and errors everywhere. Real sockets are in stream-socket.test.ts.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  EAGAIN,
  EBADF,
  ECONNABORTED,
  ECONNRESET,
  EINTR,
  EMFILE,
  ENOENT,
  EPIPE,
} from "../../src/sys/errno.ts";
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from "../../src/sys/linux.ts";
import { framed, unframed } from "./fake-socket.ts";
import { LISTENER, LISTENER_FD, Stage, TIMER } from "./stream-stage.ts";
import { testFrame } from "./suite.ts";

describe("stream link: nobody there", () => {
  test("it is without offloads, and holds as much as QEMU may queue", () => {
    const { vnetSize, flags, queueFrames, mtuMax } = new Stage().link;
    assert.deepEqual([vnetSize, flags, queueFrames, mtuMax], [0, 0, 1024, 65_520]);
  });

  test("frames to the guest are dropped and counted, none come, nothing is told", () => {
    const stage = new Stage();
    assert.equal(stage.transmit(testFrame(60, 1), testFrame(60, 2)), 2);
    assert.equal(stage.link.refused, 2);
    assert.deepEqual(stage.receive(), []);
    assert.equal(stage.link.peers.hasPeer, false);
    assert.deepEqual(stage.news, []);
  });

  test("waiting for room with nobody there is no trouble, the next peer is watched for it", () => {
    const stage = new Stage();
    stage.link.wantRoom(true);
    stage.connect(10);
    assert.equal(stage.watched.at(-1), `add 10 ${EPOLLIN | EPOLLOUT} ${stage.token}`);
    stage.link.wantRoom(false);
    assert.equal(stage.watched.at(-1), `modify 10 ${EPOLLIN} ${stage.token}`);
  });
});

describe("stream link: a peer", () => {
  test("sends and gets frames", () => {
    const stage = new Stage();
    stage.connect(10);
    assert.deepEqual(stage.news, ["connected"]);
    assert.equal(stage.link.peers.hasPeer, true);
    assert.equal(stage.watched.at(-1), `add 10 ${EPOLLIN} ${stage.token}`);
    stage.socket.feed(framed(testFrame(60, 1)), framed(testFrame(65_550, 2)));
    assert.equal(stage.link.event(stage.token, EPOLLIN), true);
    assert.deepEqual(stage.receive(), [testFrame(60, 1), testFrame(65_550, 2)]);
    assert.deepEqual(stage.receive(), []);
    assert.equal(stage.transmit(testFrame(60, 3)), 1);
    assert.deepEqual(unframed(stage.socket.sent).frames, [testFrame(60, 3)]);
  });

  test("what it sent before it hung up is received, then it is told gone", () => {
    const stage = new Stage();
    stage.connect(10);
    stage.socket.feed(framed(testFrame(60, 1)));
    stage.socket.ended = true;
    assert.equal(stage.link.event(stage.token, EPOLLIN | EPOLLRDHUP | EPOLLHUP), true);
    assert.deepEqual(stage.receive(), [testFrame(60, 1)]);
    assert.deepEqual(stage.receive(), []);
    assert.deepEqual(stage.news, ["connected", "disconnected: closed by the peer"]);
    assert.ok(stage.socket.calls.includes("close 10"));
  });

  test("an end at any octet of a frame is one line, and the next peer starts afresh", () => {
    const stream = framed(testFrame(20, 1));
    for (let cut = 1; cut < stream.length; cut += 1) {
      const stage = new Stage();
      stage.connect(10);
      stage.socket.feed(stream.subarray(0, cut));
      assert.deepEqual(stage.receive(), []);
      stage.socket.ended = true;
      assert.deepEqual(stage.receive(), []);
      assert.equal(stage.news.at(-1), "disconnected: closed by the peer in the middle of a frame");
      stage.socket.ended = false;
      stage.connect(11);
      stage.socket.feed(framed(testFrame(61, 2)));
      assert.deepEqual(stage.receive(), [testFrame(61, 2)]);
      assert.equal(stage.link.peers.connections, 2);
    }
  });

  test("a length that no frame has closes it, after the frames before", () => {
    for (const length of [0, 13, 69_633, 0xffffffff]) {
      const stage = new Stage();
      stage.connect(10);
      const bad = new Uint8Array(4);
      new DataView(bad.buffer).setUint32(0, length, false);
      stage.socket.feed(framed(testFrame(60, 1)), bad);
      assert.deepEqual(stage.receive(), [testFrame(60, 1)]);
      assert.deepEqual(stage.news, [
        "connected",
        `disconnected: frame of ${length} octets announced, wanted 14 to 69632 (fault)`,
      ]);
      assert.equal(stage.link.peers.badPeers, 1);
      assert.equal(stage.link.peers.hasPeer, false);
      assert.ok(stage.socket.calls.includes("close 10"));
    }
  });

  test("errors of a receive end the peer, not the link", () => {
    const stage = new Stage();
    stage.connect(10);
    stage.socket.receives.push(-EINTR, -EAGAIN);
    assert.deepEqual(stage.receive(), []);
    assert.equal(stage.link.peers.hasPeer, true);
    stage.socket.receives.push(-ECONNRESET);
    assert.deepEqual(stage.receive(), []);
    assert.match(stage.news.at(-1) ?? "", /^disconnected: .*\(ECONNRESET\)$/);
    assert.deepEqual(stage.receive(), []);
  });

  test("errors of a send end the peer, and drop what it did not get", () => {
    for (const errno of [EPIPE, ECONNRESET]) {
      const stage = new Stage();
      stage.connect(10);
      stage.socket.sends.push(-EINTR, 64 + 5, -errno);
      const frames = [testFrame(60, 1), testFrame(60, 2), testFrame(60, 3)];
      assert.equal(stage.transmit(...frames), 1);
      assert.equal(stage.link.transmit(stage.socket.memory, 1, 3), 2);
      assert.equal(stage.link.refused, 2);
      assert.match(stage.news.at(-1) ?? "", /^disconnected: .*\(E\w+\)$/);
      stage.connect(11);
      stage.socket.outbound.length = 0;
      assert.equal(stage.link.transmit(stage.socket.memory, 1, 3), 2);
      assert.deepEqual(unframed(stage.socket.sent), { frames: frames.slice(1), rest: 0 });
    }
  });

  test("one that does not read makes the link full, and holds no more than that", () => {
    const stage = new Stage();
    stage.connect(10);
    stage.socket.sends.push(100, ...Array.from({ length: 50 }, () => -EAGAIN));
    assert.equal(stage.transmit(testFrame(60, 1), testFrame(60, 2)), 1);
    stage.link.wantRoom(true);
    assert.equal(stage.watched.at(-1), `modify 10 ${EPOLLIN | EPOLLOUT} ${stage.token}`);
    for (let i = 0; i < 50; i += 1) {
      assert.equal(stage.link.transmit(stage.socket.memory, 1, 2), 0);
    }
    assert.equal(stage.link.event(stage.token, EPOLLOUT), false);
    assert.equal(stage.link.transmit(stage.socket.memory, 1, 2), 1);
    assert.equal(unframed(stage.socket.sent).frames.length, 2);
  });

  test("one that hangs up while the link waits for room is read to the end, and gone", () => {
    for (const bits of [EPOLLIN | EPOLLRDHUP, EPOLLIN | EPOLLHUP | EPOLLOUT, EPOLLERR]) {
      const stage = new Stage();
      stage.connect(10);
      stage.socket.sends.push(-EAGAIN);
      assert.equal(stage.transmit(testFrame(60, 1)), 0);
      stage.link.wantRoom(true);
      stage.socket.feed(framed(testFrame(60, 2)));
      stage.socket.ended = true;
      assert.equal(stage.link.event(stage.token, bits), true);
      assert.equal(stage.receive().length, 1);
      assert.deepEqual(stage.receive(), []);
      assert.equal(stage.news.at(-1), "disconnected: closed by the peer");
      stage.socket.memory.putFrames([[testFrame(60, 1)]]);
      assert.equal(stage.link.transmit(stage.socket.memory, 0, 1), 1, "so the loop goes on");
      assert.deepEqual(stage.watched.slice(-1), [`forget ${stage.token}`]);
    }
  });

  test("frames are taken from one that does not read", () => {
    const stage = new Stage();
    stage.connect(10);
    stage.socket.sends.push(100, -EAGAIN, -EAGAIN);
    assert.equal(stage.transmit(testFrame(60, 1), testFrame(60, 2)), 1);
    stage.link.wantRoom(true);
    stage.socket.feed(framed(testFrame(60, 3)));
    assert.equal(stage.link.event(stage.token, EPOLLIN), true);
    assert.deepEqual(stage.receive(), [testFrame(60, 3)]);
    assert.equal(stage.link.transmit(stage.socket.memory, 1, 2), 0, "and it is full as before");
  });

  test("events of a connection that is over mean nothing", () => {
    const stage = new Stage();
    stage.connect(10);
    const { token } = stage;
    stage.socket.ended = true;
    stage.receive();
    stage.socket.ended = false;
    stage.connect(11);
    assert.notEqual(stage.token, token);
    stage.link.wantRoom(true);
    assert.equal(stage.link.event(token, EPOLLHUP), false);
    assert.equal(stage.link.peers.hasPeer, true);
  });

  test("one that cannot be watched is given up", () => {
    const stage = new Stage();
    stage.watchErrno = -ENOENT;
    stage.connect(10);
    assert.equal(stage.link.peers.hasPeer, false);
    assert.match(stage.news.at(-1) ?? "", /ENOENT/);
  });
});

describe("stream link: listening", () => {
  test("a connection that is over before it is taken stops nothing", () => {
    for (const errno of [ECONNABORTED, EINTR]) {
      const stage = new Stage();
      stage.socket.accepts.push(-errno);
      stage.link.event(LISTENER, EPOLLIN);
      assert.deepEqual(stage.timers, []);
      stage.connect(10);
      assert.equal(stage.link.peers.hasPeer, true);
    }
  });

  test("out of descriptors it pauses instead of waking the loop on and on", () => {
    const stage = new Stage();
    stage.socket.accepts.push(-EMFILE);
    stage.link.event(LISTENER, EPOLLIN);
    assert.equal(stage.watched.at(-1), `modify ${LISTENER_FD} 0 ${LISTENER}`);
    assert.deepEqual(stage.timers, [1_000_000]);
    stage.now_us += 1e6;
    stage.link.event(TIMER, EPOLLIN);
    assert.equal(stage.watched.at(-1), `modify ${LISTENER_FD} ${EPOLLIN} ${LISTENER}`);
  });

  test("closing without a peer closes the timer alone", () => {
    const stage = new Stage();
    stage.link.close();
    const closed = stage.socket.calls.filter((call) => call.startsWith("close"));
    assert.deepEqual(closed, ["close 50"]);
  });

  test("closing closes the peer and leaves the listener to its owner", () => {
    const stage = new Stage();
    stage.connect(10);
    stage.link.close();
    stage.link.close();
    const closed = stage.socket.calls.filter((call) => call.startsWith("close"));
    assert.deepEqual(closed, ["close 10", "close 50"]);
    assert.equal(stage.link.receive(stage.socket.memory, 1), -EBADF);
    assert.equal(stage.link.transmit(stage.socket.memory, 0, 1), -EBADF);
  });
});
