/**
 * The door of a stream link, by made-up connections and a clock that stands still: who gets in, who
 * waits, and how fast those that come and go quickly are looked at.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Door } from "../../src/link/stream-door.ts";
import { EACCES, EAGAIN, ECONNABORTED, EMFILE, ENOENT } from "../../src/sys/errno.ts";
import { TimerFd } from "../../src/sys/fd.ts";
import { EPOLLIN, EPOLLRDHUP } from "../../src/sys/linux.ts";
import { FakeSocket } from "./fake-socket.ts";

const US = 1000;
const STRANGER = 1001;
const TOKEN = -1;
const SECOND = 1e6;

/** A door, who has the place behind it, and time. */
class Entrance {
  readonly socket = new FakeSocket();
  readonly said: string[] = [];
  now_us = 1e9;
  /** User of each connection; else US. */
  readonly uids = new Map<number, number>();
  holder = -1;
  hasSpoken = false;
  /** Found out when somebody asks who has the place. */
  holderHungUp = false;
  came_us = 0;
  isWatched = true;
  /** How often the loop has told the door of its listener. */
  looks = 0;
  readonly door: Door;

  constructor() {
    this.door = new Door(this.socket.sys, {
      listener: 7,
      timer: new TimerFd(this.socket.sys),
      users: {
        allows: (uid) => uid === US,
        of: (fd) => this.uids.get(fd) ?? US,
        ofListener: () => US,
        close: () => {},
      },
      clock: () => this.now_us,
      tell: ({ kind }) => this.said.push(kind),
      holder: {
        state: () => {
          if (this.holderHungUp) {
            this.holderHungUp = false;
            this.leave();
          }
          if (this.holder < 0) return "free";
          return this.hasSpoken ? "spoken" : "silent";
        },
        take: (fd) => this.#take(fd),
        vacate: () => this.leave(),
      },
    });
    const watcher = {
      add: () => 0,
      modify: (_fd: number, events: number) => {
        this.isWatched = events !== 0;
        return 0;
      },
      forget: () => {},
      remove: () => {},
    };
    this.door.watch(watcher, TOKEN);
  }

  #take(fd: number): void {
    this.holder = fd;
    this.hasSpoken = false;
    this.came_us = this.now_us;
    this.door.came();
  }

  leave(): void {
    this.holder = -1;
    this.door.left(this.now_us - this.came_us);
  }

  speak(): void {
    this.hasSpoken = true;
    this.door.spoke();
  }

  /** These have connected, and the loop says so if it looks. */
  knock(...fds: readonly number[]): void {
    this.socket.accepts.push(...fds);
    if (this.isWatched) this.look();
  }

  /** Time goes on, in steps, and the loop with it. */
  pass(microseconds: number, step = microseconds): void {
    for (const end = this.now_us + microseconds; this.now_us < end; ) {
      this.now_us = Math.min(end, this.now_us + step);
      this.door.tick();
      if (this.isWatched && this.socket.accepts.length > 0) this.look();
    }
  }

  look(): void {
    this.looks += 1;
    this.door.knock();
  }

  get closed(): number[] {
    const closed = this.socket.calls.filter((call) => call.startsWith("close "));
    return closed.map((call) => Number(call.slice("close ".length)));
  }
}

/** Connects `count` times and hangs up at once, every millisecond, for `seconds`. */
function storm(entrance: Entrance, seconds: number, uid = US): number {
  const before = entrance.closed.length;
  for (let ms = 0; ms < seconds * 1000; ms += 1) {
    const fd = 1000 + ms;
    entrance.uids.set(fd, uid);
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
    entrance.knock(10, 11, 12);
    assert.deepEqual(entrance.closed, [10, 11]);
    assert.equal(entrance.holder, 12);
    assert.deepEqual([entrance.door.foreign, entrance.door.fleeting], [1, 1]);
    assert.deepEqual(entrance.said, ["foreign"]);
  });

  test("what cannot be accepted leaves the listener alone for a second", () => {
    const entrance = new Entrance();
    entrance.knock(-ECONNABORTED, -EAGAIN);
    assert.equal(entrance.isWatched, true);
    entrance.knock(-EMFILE);
    assert.equal(entrance.isWatched, false);
    entrance.pass(SECOND - 1);
    assert.equal(entrance.isWatched, false);
    entrance.pass(1);
    assert.equal(entrance.isWatched, true);
  });
});

describe("door: those that wait", () => {
  test("are few, and others stay in the kernel's queue", () => {
    const entrance = new Entrance();
    entrance.knock(10, 11, 12, 13, 14, 15, 16);
    assert.equal(entrance.holder, 10);
    assert.deepEqual(entrance.socket.accepts, [15, 16]);
    assert.equal(entrance.isWatched, false);
    entrance.pass(10 * SECOND);
    assert.equal(entrance.holder, 11);
    assert.deepEqual(entrance.socket.accepts, [16]);
    entrance.door.close();
    assert.deepEqual(entrance.closed.slice(-4), [12, 13, 14, 15]);
  });

  test("get the place in turns, so that one that connects and speaks has it at last", () => {
    const entrance = new Entrance();
    entrance.knock(10, 11, 12, 13, 14, 15);
    for (const fd of [11, 12, 13, 14, 15]) {
      entrance.pass(10 * SECOND);
      assert.equal(entrance.holder, fd);
    }
    entrance.speak();
    entrance.pass(100 * SECOND);
    assert.equal(entrance.holder, 15);
    assert.equal(entrance.door.silent, 5);
  });

  test("one that has spoken is preferred", () => {
    const entrance = new Entrance();
    entrance.knock(10, 11, 12, 13);
    entrance.socket.polls.set(12, EPOLLIN);
    entrance.pass(10 * SECOND);
    assert.equal(entrance.holder, 12);
  });

  test("those that have hung up get nothing", () => {
    const entrance = new Entrance();
    entrance.knock(10, 11, 12);
    entrance.socket.polls.set(11, EPOLLRDHUP);
    entrance.pass(10 * SECOND);
    assert.equal(entrance.holder, 12);
    entrance.knock(13);
    entrance.socket.polls.set(13, EPOLLRDHUP);
    entrance.pass(100 * SECOND);
    assert.equal(entrance.holder, 12, "nobody waits any more");
    assert.equal(entrance.door.silent, 1);
  });

  test("one waits for 10 s from when it came, however long the holder is there", () => {
    const entrance = new Entrance();
    entrance.knock(10);
    entrance.pass(3600 * SECOND);
    entrance.knock(11);
    entrance.pass(10 * SECOND - 1);
    assert.equal(entrance.holder, 10);
    entrance.pass(1);
    assert.equal(entrance.holder, 11);
  });

  test("all are refused once the holder speaks, told once", () => {
    const entrance = new Entrance();
    entrance.knock(10, 11, 12, 13, 14, 15);
    entrance.speak();
    assert.deepEqual(entrance.closed, [11, 12, 13, 14]);
    assert.equal(entrance.isWatched, true);
    entrance.knock();
    assert.deepEqual(entrance.closed.at(-1), 15);
    assert.deepEqual([entrance.door.refused, entrance.door.refusedHere], [5, 5]);
    assert.deepEqual(entrance.said, ["refused"]);
  });

  test("one that gets the place of one that has hung up has its own 10 s", () => {
    const entrance = new Entrance();
    entrance.knock(10, 11, 12);
    entrance.pass(10 * SECOND - 1);
    entrance.holderHungUp = true;
    entrance.pass(1);
    assert.equal(entrance.holder, 11);
    entrance.pass(10 * SECOND - 1);
    assert.equal(entrance.holder, 11);
    assert.equal(entrance.door.silent, 0);
    entrance.pass(1);
    assert.equal(entrance.holder, 12);
    assert.equal(entrance.door.silent, 1);
  });

  test("the last one that waits gets the place of one that has hung up, and keeps it", () => {
    const entrance = new Entrance();
    entrance.knock(10, 11);
    entrance.pass(10 * SECOND - 1);
    entrance.holderHungUp = true;
    entrance.pass(100 * SECOND);
    assert.equal(entrance.holder, 11);
    assert.equal(entrance.door.silent, 0);
  });

  test("who is refused hears a reset, who has hung up is only closed", () => {
    const entrance = new Entrance();
    entrance.knock(10);
    entrance.speak();
    entrance.knock(11);
    entrance.uids.set(12, STRANGER);
    entrance.knock(12);
    entrance.socket.polls.set(13, EPOLLRDHUP);
    entrance.pass(SECOND);
    entrance.knock(13);
    const calls = entrance.socket.calls.filter((call) => /^(?:linger|close) /.test(call));
    assert.deepEqual(calls, ["linger 11", "close 11", "linger 12", "close 12", "close 13"]);
  });

  test("the timer is set once for what is due", () => {
    const entrance = new Entrance();
    assert.equal(entrance.door.refusedHere, 0);
    entrance.knock(10, 11);
    entrance.pass(SECOND);
    entrance.knock(12);
    const timers = entrance.socket.calls.filter((call) => call.startsWith("timer"));
    assert.deepEqual(timers, ["timer 10000000", "timer 9000000"], "at first, and after a tick");
    entrance.knock(13);
    assert.equal(entrance.socket.calls.filter((call) => call.startsWith("timer")).length, 2);
  });
});
