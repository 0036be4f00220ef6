/**
 * The life of a stream link, by made-up system calls: peers that come, go, break the rules or do
 * not read, and errors everywhere. Real sockets are in stream-socket.test.ts.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { StreamEndpoint } from "../../src/config/endpoint.ts";
import { openStreamLink, type PeerEvent, type StreamLink } from "../../src/link/stream.ts";
import {
  EAGAIN,
  EBADF,
  ECONNABORTED,
  ECONNREFUSED,
  ECONNRESET,
  EINPROGRESS,
  EINTR,
  EMFILE,
  ENOENT,
  EPIPE,
} from "../../src/sys/errno.ts";
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from "../../src/sys/linux.ts";
import { FakeSocket, framed, unframed } from "./fake-socket.ts";
import { testFrame } from "./suite.ts";

const LISTENER_FD = 7;
const LISTENER = -1;
const TIMER = -2;
const TCP: StreamEndpoint = { kind: "tcp", address: 0x7f000001, port: 4711 };
const UNIX: StreamEndpoint = { kind: "unix", path: "/run/vm.sock" };

/** A link with everything it says and asks for written down. */
class Stage {
  readonly socket = new FakeSocket();
  readonly said: PeerEvent[] = [];
  readonly watched: string[] = [];
  readonly link: StreamLink;
  /** Token of the newest connection. */
  token = 0;
  /** What registering a descriptor gives. */
  watchErrno = 0;

  /** @param firstConnect result of the first attempt */
  constructor(endpoint?: StreamEndpoint, firstConnect = 0) {
    this.socket.connects.push(firstConnect);
    this.link = openStreamLink(this.socket.sys, {
      at: endpoint === undefined ? { listener: LISTENER_FD } : { endpoint },
      onPeer: (event) => this.said.push(event),
    });
    const note = (call: string) => (fd: number, events: number, token: number) => {
      this.watched.push(`${call} ${fd} ${events} ${token}`);
      if (token > 0) this.token = token;
      return token > 0 ? this.watchErrno : 0;
    };
    const forget = (token: number): unknown => this.watched.push(`forget ${token}`);
    assert.equal(this.link.watch({ add: note("add"), modify: note("modify"), forget }), 0);
  }

  /** A peer connects to the listener. */
  connect(fd: number): void {
    this.socket.accepts.push(fd);
    assert.equal(this.link.event(LISTENER, EPOLLIN), false);
  }

  receive(max = 32): Uint8Array[] {
    const n = this.link.receive(this.socket.memory, max);
    assert.ok(n >= 0, `errno ${n}`);
    return Array.from({ length: n }, (_, i) => this.socket.memory.frame(i));
  }

  transmit(...frames: readonly Uint8Array[]): number {
    this.socket.memory.putFrames(frames.map((frame) => [frame]));
    return this.link.transmit(this.socket.memory, 0, frames.length);
  }

  /** Kinds and reasons of what was said since the last look. */
  get news(): string[] {
    return this.said.splice(0).map((event) => {
      if (event.kind === "disconnected") {
        return `disconnected: ${event.reason}${event.fault ? " (fault)" : ""}`;
      }
      return event.kind === "unreachable" ? `unreachable: ${event.problem}` : event.kind;
    });
  }

  get timers(): number[] {
    return this.socket.calls
      .splice(0)
      .filter((call) => call.startsWith("timer"))
      .map((call) => Number(call.split(" ")[1]));
  }
}

describe("stream link: nobody there", () => {
  test("frames to the guest are dropped and counted, none come, nothing is told", () => {
    const stage = new Stage();
    assert.equal(stage.transmit(testFrame(60, 1), testFrame(60, 2)), 2);
    assert.equal(stage.link.refused, 2);
    assert.deepEqual(stage.receive(), []);
    assert.equal(stage.link.hasPeer, false);
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
    assert.equal(stage.link.hasPeer, true);
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
      assert.equal(stage.link.connections, 2);
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
      assert.equal(stage.link.badPeers, 1);
      assert.equal(stage.link.hasPeer, false);
      assert.ok(stage.socket.calls.includes("close 10"));
    }
  });

  test("errors of a receive end the peer, not the link", () => {
    const stage = new Stage();
    stage.connect(10);
    stage.socket.receives.push(-EINTR, -EAGAIN);
    assert.deepEqual(stage.receive(), []);
    assert.equal(stage.link.hasPeer, true);
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
    assert.equal(stage.link.hasPeer, true);
  });

  test("one that cannot be watched is given up", () => {
    const stage = new Stage();
    stage.watchErrno = -ENOENT;
    stage.connect(10);
    assert.equal(stage.link.hasPeer, false);
    assert.match(stage.news.at(-1) ?? "", /ENOENT/);
  });
});

describe("stream link: a second peer", () => {
  test("is closed at once, told of once, counted every time", () => {
    const stage = new Stage();
    stage.connect(10);
    stage.socket.accepts.push(11, 12);
    stage.connect(13);
    assert.deepEqual(stage.news, ["connected", "refused"]);
    assert.equal(stage.link.peersRefused, 3);
    for (const fd of [11, 12, 13]) assert.ok(stage.socket.calls.includes(`close ${fd}`));
    stage.socket.feed(framed(testFrame(60, 1)));
    assert.deepEqual(stage.receive(), [testFrame(60, 1)]);
    stage.socket.ended = true;
    stage.receive();
    const last = stage.said.at(-1);
    assert.equal(last?.kind === "disconnected" && last.refused, 3);
  });

  test("gets in where the first has hung up and nobody has read that yet", () => {
    const stage = new Stage();
    stage.connect(10);
    stage.socket.pollBits = EPOLLRDHUP;
    stage.connect(11);
    assert.deepEqual(stage.news, ["connected", "disconnected: closed by the peer", "connected"]);
    assert.equal(stage.link.peersRefused, 0);
    assert.equal(stage.link.hasPeer, true);
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
      assert.equal(stage.link.hasPeer, true);
    }
  });

  test("out of descriptors it pauses instead of waking the loop on and on", () => {
    const stage = new Stage();
    stage.socket.accepts.push(-EMFILE);
    stage.link.event(LISTENER, EPOLLIN);
    assert.equal(stage.watched.at(-1), `modify ${LISTENER_FD} 0 ${LISTENER}`);
    assert.deepEqual(stage.timers, [1_000_000]);
    stage.link.event(TIMER, EPOLLIN);
    assert.equal(stage.watched.at(-1), `modify ${LISTENER_FD} ${EPOLLIN} ${LISTENER}`);
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

describe("stream link: connecting", () => {
  test("to a unix socket is done at once", () => {
    const stage = new Stage(UNIX);
    assert.deepEqual(stage.news, ["connected"]);
    stage.socket.feed(framed(testFrame(60, 1)));
    assert.deepEqual(stage.receive(), [testFrame(60, 1)]);
  });

  test("to TCP it hears later how it went", () => {
    assert.deepEqual(new Stage(TCP).news, ["connected"], "loopback may answer at once");
    const later = new Stage(TCP, -EINPROGRESS);
    assert.equal(later.watched.at(-1), `add 101 ${EPOLLOUT} ${later.token}`);
    assert.deepEqual(later.news, []);
    assert.equal(later.link.event(later.token, EPOLLOUT), false);
    assert.deepEqual(later.news, ["connected"]);
    assert.equal(later.watched.at(-1), `modify 101 ${EPOLLIN} ${later.token}`);
  });

  test("tries on, less and less often, and tells of it once", () => {
    const stage = new Stage(TCP, -EINPROGRESS);
    stage.socket.socketErrno = -ECONNREFUSED;
    stage.link.event(stage.token, EPOLLOUT | EPOLLERR | EPOLLHUP);
    assert.match(stage.news.join(), /^unreachable: .*\(ECONNREFUSED\)$/);
    assert.deepEqual(stage.timers, [100_000]);
    const waits: number[] = [];
    for (let i = 0; i < 8; i += 1) {
      stage.socket.connects.push(-ECONNREFUSED);
      stage.link.event(TIMER, EPOLLIN);
      waits.push(...stage.timers);
    }
    assert.deepEqual(waits.slice(0, 3), [200_000, 400_000, 800_000]);
    assert.deepEqual(waits.slice(-2), [5_000_000, 5_000_000]);
    assert.deepEqual(stage.news, []);
    stage.link.event(TIMER, EPOLLIN);
    assert.deepEqual(stage.news, ["connected"]);
  });

  test("again after the peer is gone; soon only where it had sent a frame", () => {
    const stage = new Stage(UNIX);
    const lose = (): number[] => {
      stage.socket.ended = true;
      stage.receive();
      stage.socket.ended = false;
      return stage.timers;
    };
    assert.deepEqual(lose(), [100_000]);
    stage.link.event(TIMER, EPOLLIN);
    assert.deepEqual(lose(), [200_000]);
    stage.link.event(TIMER, EPOLLIN);
    stage.socket.feed(framed(testFrame(60, 1)));
    stage.receive();
    assert.deepEqual(lose(), [100_000]);
    assert.equal(stage.link.connections, 3);
  });

  test("a timer that goes off while there is a peer changes nothing", () => {
    const stage = new Stage(UNIX);
    stage.link.event(TIMER, EPOLLIN);
    assert.equal(stage.link.connections, 1);
  });
});
