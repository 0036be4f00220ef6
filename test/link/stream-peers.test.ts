/**
 * Who gets the place of a stream link's one peer, in both roles: a second one, one of another user,
 * one that says nothing, and the one that the link looks for itself.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ECONNREFUSED, EINPROGRESS, EMFILE } from "../../src/sys/errno.ts";
import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  SO_SNDBUF,
  SOL_SOCKET,
  SOL_TCP,
  TCP_NODELAY,
} from "../../src/sys/linux.ts";
import { framed } from "./fake-socket.ts";
import { STRANGER, Stage, TCP, TIMER, UNIX, US } from "./stream-stage.ts";
import { testFrame } from "./suite.ts";

describe("stream link: a second peer", () => {
  test("is closed at once, told of once, counted every time", () => {
    const stage = new Stage();
    stage.connect(10);
    stage.speak();
    stage.socket.accepts.push(11, 12);
    stage.connect(13);
    assert.deepEqual(stage.news, ["connected", "refused"]);
    assert.equal(stage.link.peers.peersRefused, 3);
    for (const fd of [11, 12, 13]) assert.ok(stage.socket.calls.includes(`close ${fd}`));
    stage.socket.feed(framed(testFrame(60, 1)));
    assert.deepEqual(stage.receive(), [testFrame(60, 1)]);
    stage.socket.ended = true;
    stage.receive();
    const last = stage.said.at(-1);
    assert.equal(last?.kind === "disconnected" && last.refused, 3);
  });

  test("is refused as well where the first has spoken and nobody has read that yet", () => {
    const stage = new Stage();
    stage.connect(10);
    stage.socket.polls.set(10, EPOLLIN);
    stage.connect(11);
    assert.deepEqual(stage.news, ["connected", "refused"]);
  });

  test("gets in where the first has hung up and nobody has read that yet", () => {
    const stage = new Stage();
    stage.connect(10);
    stage.socket.polls.set(10, EPOLLRDHUP);
    stage.connect(11);
    assert.deepEqual(stage.news, ["connected", "disconnected: closed by the peer", "connected"]);
    assert.equal(stage.link.peers.peersRefused, 0);
    assert.equal(stage.link.peers.hasPeer, true);
  });
});

describe("stream link: users", () => {
  test("one that may not connect never gets the place, nor is anything read of it", () => {
    const stage = new Stage();
    stage.uid = STRANGER;
    stage.socket.feed(framed(testFrame(60, 1)));
    stage.connect(10);
    assert.deepEqual(stage.news, ["foreign"]);
    assert.deepEqual(stage.receive(), []);
    assert.ok(stage.socket.calls.includes("close 10"));
    assert.deepEqual([stage.link.peers.peersForeign, stage.link.peers.connections], [1, 0]);
  });

  test("nor is a listener taken that is another's; it is tried again, told of once", () => {
    const stage = new Stage(UNIX);
    stage.uid = STRANGER;
    stage.socket.ended = true;
    stage.receive();
    assert.deepEqual(stage.news, ["connected", "disconnected: closed by the peer"]);
    for (let i = 0; i < 3; i += 1) stage.link.event(TIMER, EPOLLIN);
    assert.deepEqual(stage.news, ["foreign"]);
    assert.deepEqual([stage.link.peers.hasPeer, stage.link.peers.peersForeign], [false, 3]);
    assert.deepEqual(stage.timers, [100_000, 200_000, 400_000, 800_000]);
    stage.uid = US;
    stage.link.event(TIMER, EPOLLIN);
    assert.deepEqual(stage.news, ["connected"]);
  });
});

describe("stream link: one that says nothing", () => {
  test("gives its place up after 10 s to one that waits, not before", () => {
    const stage = new Stage();
    stage.connect(10);
    stage.now_us += 3600e6;
    stage.connect(11);
    assert.deepEqual(stage.news, ["connected"]);
    stage.now_us += 9.9e6;
    stage.link.event(TIMER, EPOLLIN);
    assert.deepEqual(stage.news, []);
    stage.now_us += 0.1e6;
    stage.link.event(TIMER, EPOLLIN);
    const reason = "silent for 10 s while another one waited";
    assert.deepEqual(stage.news, [`disconnected: ${reason}`, "connected"]);
    stage.speak();
    assert.deepEqual([stage.link.peers.silentPeers, stage.link.peers.connections], [1, 2]);
  });

  test("keeps it if it speaks at last; who waited is refused", () => {
    const stage = new Stage();
    stage.connect(10);
    stage.connect(11);
    stage.speak();
    assert.deepEqual(stage.news, ["connected", "refused"]);
    assert.ok(stage.socket.calls.includes("close 11"));
    stage.now_us += 10e6;
    stage.link.event(TIMER, EPOLLIN);
    assert.deepEqual([stage.link.peers.hasPeer, stage.link.peers.silentPeers], [true, 0]);
  });

  test("leaves it at once to one that waits when it goes", () => {
    const stage = new Stage();
    stage.connect(10);
    stage.connect(11);
    stage.socket.ended = true;
    stage.receive();
    stage.socket.ended = false;
    const reason = "closed by the peer";
    assert.deepEqual(stage.news, ["connected", `disconnected: ${reason}`, "connected"]);
    stage.speak();
    stage.link.close();
    assert.ok(stage.socket.calls.includes("close 11"));
  });
});

describe("stream link: connecting", () => {
  test("to a unix socket is done at once", () => {
    const stage = new Stage(UNIX);
    assert.deepEqual(stage.news, ["connected"]);
    stage.socket.feed(framed(testFrame(60, 1)));
    assert.deepEqual(stage.receive(), [testFrame(60, 1)]);
  });

  test("there is no door, and nobody comes to it", () => {
    const stage = new Stage(UNIX);
    const { peersRefused, peersForeign, peersFleeting, peerCrowds, silentPeers } = stage.link.peers;
    const counters = [peersRefused, peersForeign, peersFleeting, peerCrowds, silentPeers];
    assert.deepEqual(counters, [0, 0, 0, 0, 0]);
    stage.socket.ended = true;
    stage.receive();
    const reason = "closed by the peer";
    const event = { kind: "disconnected", reason, fault: false, refused: 0 };
    assert.deepEqual(stage.said.at(-1), event);
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
    assert.equal(stage.link.peers.connections, 3);
  });

  test("a timer that goes off while there is a peer changes nothing", () => {
    const stage = new Stage(UNIX);
    stage.link.event(TIMER, EPOLLIN);
    assert.equal(stage.link.peers.connections, 1);
  });

  test("without a descriptor it tries again, and says why", () => {
    const stage = new Stage(TCP);
    stage.socket.ended = true;
    stage.receive();
    stage.socket.ended = false;
    assert.equal(stage.news.length, 2);
    stage.socket.openErrno = -EMFILE;
    stage.timers.length = 0;
    stage.link.event(TIMER, EPOLLIN);
    assert.match(stage.news.join(), /^unreachable: .*\(EMFILE\)$/);
    assert.equal(stage.timers.length, 1);
    assert.deepEqual(stage.socket.calls, [], "there is nothing to close");
    stage.socket.openErrno = 0;
    stage.link.event(TIMER, EPOLLIN);
    assert.deepEqual(stage.news, ["connected"]);
  });

  test("a listener of another user's is counted each time, and told of once", () => {
    const stage = new Stage(TCP, -EINPROGRESS);
    stage.uid = STRANGER;
    stage.link.event(stage.token, EPOLLOUT);
    assert.equal(stage.link.peers.peersForeign, 1);
    for (let i = 0; i < 3; i += 1) stage.link.event(TIMER, EPOLLIN);
    assert.equal(stage.link.peers.peersForeign, 4);
    assert.equal(stage.timers.length, 4);
    assert.deepEqual(stage.news, ["foreign"]);
  });

  test("one that listens sets no timer for the next one", () => {
    const stage = new Stage();
    stage.connect(200);
    stage.socket.ended = true;
    stage.receive();
    assert.equal(stage.news.length, 2);
    assert.deepEqual(stage.timers, []);
  });

  test("the buffer towards QEMU is bounded, and Nagle is off", () => {
    const stage = new Stage();
    stage.connect(200);
    assert.deepEqual(stage.socket.options, [
      `200 ${SOL_SOCKET} ${SO_SNDBUF} 262144`,
      `200 ${SOL_TCP} ${TCP_NODELAY} 1`,
    ]);
  });

  test("how long a peer was there says whether it only came and went", () => {
    const stage = new Stage();
    const lose = (): void => {
      stage.socket.ended = true;
      stage.receive();
      stage.socket.ended = false;
    };
    stage.connect(200);
    stage.now_us += 9_999_999;
    lose();
    assert.equal(stage.link.peers.peersFleeting, 1);
    stage.connect(201);
    stage.now_us += 10_000_000;
    lose();
    assert.equal(stage.link.peers.peersFleeting, 1);
  });
});
