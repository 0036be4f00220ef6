/** The pace of a stream link's door: how fast those that come and go quickly are looked at. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EACCES, EAGAIN, ECONNABORTED, EMFILE, ENOENT, EPERM } from "../../src/sys/errno.ts";
import { EPOLLRDHUP } from "../../src/sys/linux.ts";
import { Entrance, SECOND, STRANGER } from "./entrance.ts";

/** Connects `count` times and hangs up at once, every millisecond, for `seconds`. */
function storm(entrance: Entrance, seconds: number, uid?: number): number {
  const before = entrance.closed.length;
  for (let ms = 0; ms < seconds * 1000; ms += 1) {
    const fd = 1000 + ms;
    if (uid !== undefined) entrance.uids.set(fd, uid);
    entrance.socket.polls.set(fd, EPOLLRDHUP);
    const room = 256 - entrance.socket.accepts.length; // of the kernel's queue
    if (room > 0) entrance.socket.accepts.push(fd);
    entrance.pass(1000);
  }
  return entrance.closed.length - before;
}

describe("door: pace", () => {
  test("a machine that is restarted a few times never waits", () => {
    const entrance = new Entrance();
    for (let fd = 10; fd < 18; fd += 1) {
      entrance.knock(fd);
      assert.equal(entrance.holder, fd);
      entrance.leave();
    }
    assert.deepEqual(entrance.said, []);
    assert.equal(entrance.door.fleeting, 8);
  });

  test("those that go on coming and going are looked at ever more slowly, told once", () => {
    const entrance = new Entrance();
    const waits: number[] = [];
    for (let fd = 10; fd < 26; fd += 1) {
      const from = entrance.now_us;
      entrance.knock(fd);
      while (entrance.holder !== fd) entrance.pass(1000);
      waits.push(entrance.now_us - from);
      entrance.leave();
    }
    assert.deepEqual(waits.slice(0, 9), [0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert.deepEqual(waits.slice(9, 15), [20e3, 40e3, 80e3, 160e3, 320e3, 640e3]);
    assert.deepEqual(waits.slice(15), [1e6], "and no more than a second");
    assert.deepEqual(entrance.said, ["hurried"]);
    assert.equal(entrance.door.crowds, 1);
  });

  test("one that stayed ends the row, and so does quiet", () => {
    for (const calm of [
      (entrance: Entrance): void => {
        entrance.pass(SECOND);
        entrance.knock(9);
        entrance.pass(10 * SECOND);
        entrance.leave();
      },
      (entrance: Entrance): void => entrance.pass(11 * SECOND),
    ]) {
      const entrance = new Entrance();
      for (let fd = 10; fd < 22; fd += 1) {
        entrance.knock(fd);
        entrance.pass(SECOND);
        entrance.leave();
      }
      assert.equal(entrance.isWatched, false);
      calm(entrance);
      for (let fd = 30; fd < 38; fd += 1) {
        entrance.knock(fd);
        assert.equal(entrance.holder, fd);
        entrance.leave();
      }
    }
  });

  test("a storm is some looks a second, each as long as the kernel's queue", () => {
    const entrance = new Entrance();
    const looks = storm(entrance, 10);
    assert.ok(looks < 256 * 20, `${looks} connections looked at`);
    assert.equal(entrance.door.fleeting, looks);
    assert.deepEqual(entrance.said, ["hurried"]);
    entrance.pass(SECOND);
    entrance.knock(9);
    entrance.pass(SECOND);
    assert.equal(entrance.holder, 9, "the next one has the place within a second");
  });

  test("strangers do not keep the owner out while the place is free", () => {
    const entrance = new Entrance();
    assert.ok(storm(entrance, 1, STRANGER) >= 975, "all are turned away as they come");
    entrance.knock(9);
    entrance.pass(25_000);
    assert.equal(entrance.holder, 9);
    assert.deepEqual(entrance.said, ["foreign"]);
    assert.equal(entrance.door.foreign, 1000);
    assert.ok(entrance.looks < 100, `${entrance.looks} looks`);
  });

  test("nor do they take much time from it when it is there", () => {
    const entrance = new Entrance();
    entrance.knock(9);
    entrance.speak();
    const looks = storm(entrance, 10, STRANGER);
    assert.ok(looks < 32 * 20, `${looks} connections looked at`);
    assert.deepEqual(entrance.said, ["foreign", "hurried"]);
    assert.equal(entrance.isWatched, false);
    entrance.leave();
    assert.equal(entrance.isWatched, true, "the next owner is looked at at once");
  });

  test("those that cannot be asked are strangers, those that have gone are not told of", () => {
    const entrance = new Entrance();
    entrance.uids.set(10, -EACCES);
    entrance.uids.set(11, -ENOENT);
    entrance.uids.set(13, -EPERM);
    entrance.knock(10, 11, 13, 12);
    assert.deepEqual(
      entrance.socket.calls.filter((call) => /^(?:linger|close) /.test(call)),
      ["close 10", "close 11", "close 13"],
    );
    assert.equal(entrance.holder, 12);
    assert.deepEqual([entrance.door.foreign, entrance.door.fleeting], [2, 1]);
    assert.deepEqual(entrance.said, ["foreign"]);
  });

  test("what cannot be accepted leaves the listener alone for a second", () => {
    const entrance = new Entrance();
    entrance.knock(-ECONNABORTED, -EAGAIN);
    assert.equal(entrance.isWatched, true);
    entrance.knock(-EMFILE, 10);
    assert.deepEqual(entrance.socket.accepts.splice(0), [10]);
    assert.equal(entrance.isWatched, false);
    entrance.pass(SECOND - 1);
    assert.equal(entrance.isWatched, false);
    entrance.pass(1);
    assert.equal(entrance.isWatched, true);
    entrance.knock(-EPERM, 10);
    assert.deepEqual([entrance.isWatched, entrance.holder, entrance.closed], [false, -1, []]);
  });

  test("a look takes 256 connections, or 32 while the holder wants its frames moved", () => {
    for (const [isHeld, taken] of [
      [false, 256],
      [true, 32],
    ] as const) {
      const entrance = new Entrance();
      if (isHeld) {
        entrance.knock(9);
        entrance.speak();
      }
      const fds = Array.from({ length: 300 }, (_, i) => 1000 + i);
      for (const fd of fds) entrance.socket.polls.set(fd, EPOLLRDHUP);
      entrance.knock(...fds);
      assert.equal(entrance.closed.length, taken);
      assert.equal(entrance.socket.accepts.length, 300 - taken);
    }
  });

  test("eight at once that have hung up cost nothing, the ninth begins the pauses", () => {
    const entrance = new Entrance();
    entrance.now_us = 0; // as a clock may begin
    const hungUp = (first: number, count: number): number[] => {
      const fds = Array.from({ length: count }, (_, i) => first + i);
      for (const fd of fds) entrance.socket.polls.set(fd, EPOLLRDHUP);
      return fds;
    };
    entrance.knock(...hungUp(100, 8));
    assert.deepEqual([entrance.isWatched, entrance.said, entrance.timers], [true, [], []]);
    entrance.knock(...hungUp(200, 1));
    assert.deepEqual([entrance.isWatched, entrance.door.crowds], [false, 1]);
    assert.deepEqual([entrance.said, entrance.timers], [["hurried"], ["timer 20000"]]);
    entrance.pass(11 * SECOND);
    entrance.knock(...hungUp(300, 9));
    assert.deepEqual([entrance.door.crowds, entrance.said], [2, ["hurried", "hurried"]]);
    assert.deepEqual(entrance.timers, ["timer 20000"], "the next row begins anew");
  });

  test("one that stayed for 10 s ends the row the moment it leaves", () => {
    const entrance = new Entrance();
    for (let fd = 10; fd < 18; fd += 1) {
      entrance.knock(fd);
      entrance.leave();
    }
    entrance.knock(18);
    entrance.pass(10 * SECOND);
    entrance.leave();
    for (let fd = 20; fd < 28; fd += 1) {
      entrance.knock(fd);
      assert.equal(entrance.holder, fd);
      entrance.leave();
    }
    assert.deepEqual([entrance.said, entrance.door.fleeting], [[], 16]);
  });

  test("a stranger is told of from the clock's beginning, and looked at after 25 ms", () => {
    const entrance = new Entrance();
    entrance.now_us = 0;
    entrance.uids.set(10, STRANGER);
    entrance.knock(10);
    assert.deepEqual([entrance.said, entrance.isWatched], [["foreign"], false]);
    entrance.pass(24_999);
    assert.equal(entrance.isWatched, false);
    entrance.pass(1);
    assert.equal(entrance.isWatched, true);
  });

  test("strangers count one by one while the place is taken", () => {
    const entrance = new Entrance();
    entrance.knock(9);
    entrance.speak();
    for (let fd = 10; fd < 19; fd += 1) {
      assert.equal(entrance.door.crowds, 0);
      entrance.uids.set(fd, STRANGER);
      entrance.knock(fd);
      entrance.pass(25_000);
    }
    assert.equal(entrance.door.crowds, 1);
  });

  test("who has the place is asked once where nobody has come", () => {
    const entrance = new Entrance();
    entrance.knock(9);
    const before = entrance.asked;
    entrance.look();
    assert.equal(entrance.asked, before + 1);
  });
});
