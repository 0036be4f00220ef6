/** Owned descriptors, event descriptors, timers. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { Epoll } from "../../src/sys/epoll.ts";
import { check, EAGAIN, EBADF, EMFILE, SystemError } from "../../src/sys/errno.ts";
import { EventFd, Fd, isEventFd, openFile, setNonBlocking, TimerFd } from "../../src/sys/fd.ts";
import {
  EPOLLET,
  EPOLLIN,
  F_GETFD,
  FD_CLOEXEC,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
} from "../../src/sys/linux.ts";
import { play, systemTest } from "./support.ts";

describe("fd", () => {
  systemTest("closes once, so that a reused number is safe", [], (sys) => {
    const first = openFile(sys, "/dev/null", O_RDONLY);
    assert.equal(sys.fcntl(first.number, F_GETFD, 0), FD_CLOEXEC);
    first.close();
    const second = openFile(sys, "/dev/null", O_RDONLY);
    first.close();
    assert.equal(second.number, first.number); // the kernel gives the lowest free number
    assert.equal(sys.fcntl(second.number, F_GETFD, 0), FD_CLOEXEC);
    second.close();
    assert.equal(second.isOpen, false);
  });

  systemTest("leaves a released descriptor to its new owner", [], (sys) => {
    const given = openFile(sys, "/dev/null", O_RDONLY);
    const number = given.release();
    given.close();
    assert.equal(sys.fcntl(number, F_GETFD, 0), FD_CLOEXEC);
    let inside = -1;
    {
      using owner = new Fd(sys, number);
      inside = owner.number;
    }
    assert.equal(sys.fcntl(inside, F_GETFD, 0), -EBADF);
  });

  systemTest("says which file could not be opened", [], (sys) => {
    assert.throws(
      () => openFile(sys, "/nonexistent/file", O_RDONLY),
      (error) =>
        error instanceof SystemError &&
        error.message === 'Open "/nonexistent/file": no such file or directory (ENOENT)',
    );
  });

  systemTest("counts signals of an event descriptor", [], (sys) => {
    using event = new EventFd(sys);
    assert.equal(event.drain(), 0);
    assert.equal(event.signal(), 0);
    assert.equal(event.signal(), 0);
    assert.equal(event.drain(), 2);
    assert.equal(event.drain(), 0);
    event.close();
    assert.equal(event.signal(), -EBADF);
  });

  systemTest("a timer goes off once, and what is set later takes its place", [], (sys) => {
    using timer = new TimerFd(sys);
    using epoll = new Epoll(sys);
    epoll.add(timer.number, EPOLLIN | EPOLLET, 9, 0);
    assert.equal(timer.set(3_600_000_000), 0);
    assert.equal(epoll.wait(8, 0), 0);
    for (const microseconds of [0.25, 999.5, 1500]) {
      const before = performance.now();
      assert.equal(timer.set(microseconds), 0);
      assert.equal(epoll.wait(8, -1), 1);
      assert.ok((performance.now() - before) * 1000 >= microseconds);
      assert.equal(epoll.dataLo(0), 9);
      assert.equal(epoll.wait(8, 0), 0);
    }
  });
});

describe("fd: what the kernel is asked", () => {
  const BOTH = O_NONBLOCK | O_CLOEXEC;

  systemTest("files are opened close-on-exec, to be read as they are", [], (sys) => {
    const { told, calls } = play(sys, { open: 9 });
    openFile(told, "/some/file", O_NONBLOCK);
    assert.deepEqual(calls, [["open", "@", BOTH, 0]]);
  });

  systemTest("event descriptors start at 0, and are written and read whole", [], (sys) => {
    const { told, calls } = play(sys, { eventfd: 9, write: 8, read: 7 });
    const event = new EventFd(told);
    assert.deepEqual([event.signal(), event.drain()], [0, 0], "less than a counter is none");
    assert.deepEqual(calls, [
      ["eventfd", 0, BOTH],
      ["write", 9, "@", 8],
      ["read", 9, "@", 8],
    ]);
    assert.throws(() => new EventFd({ ...sys, eventfd: () => -EMFILE }), {
      message: "Create an event descriptor: this process has too many open files (EMFILE)",
    });
  });

  systemTest("timers are of the clock that never goes back, in whole microseconds", [], (sys) => {
    const specs: number[][] = [];
    const { told, calls } = play(sys, {
      timerfd_create: 9,
      timerfd_settime: (_fd, _flags, spec) => {
        specs.push([...new BigUint64Array(sys.view(spec, 32))].map(Number));
        return -EBADF;
      },
    });
    const timer = new TimerFd(told);
    for (const us of [0, 0.25, 1, 1_500_000.5, 999_999.1]) assert.equal(timer.set(us), -EBADF);
    assert.deepEqual(calls.slice(0, 2), [
      ["timerfd_create", 1, BOTH],
      ["timerfd_settime", 9, 0, "@", 0],
    ]);
    assert.deepEqual(specs, [
      [0, 0, 0, 1000],
      [0, 0, 0, 1000],
      [0, 0, 0, 1000],
      [0, 0, 1, 500_001_000],
      [0, 0, 1, 0],
    ]);
    assert.throws(() => new TimerFd({ ...sys, timerfd_create: () => -EMFILE }), {
      message: "Create a timer descriptor: this process has too many open files (EMFILE)",
    });
  });

  systemTest("tells event descriptors from others", [], (sys) => {
    using event = new EventFd(sys);
    using file = openFile(sys, "/dev/null", O_RDONLY);
    using timer = new TimerFd(sys);
    assert.equal(isEventFd(event.number), true);
    assert.equal(isEventFd(file.number), false);
    assert.equal(isEventFd(timer.number), false);
    assert.equal(isEventFd(-1), false);
  });

  systemTest("has a descriptor never wait", [], (sys) => {
    using event = new Fd(sys, check(sys.eventfd(0, 0), "Create"));
    assert.equal(setNonBlocking(sys, event.number), 0);
    assert.equal(sys.read(event.number, sys.scratch.address, 8), -EAGAIN);
    assert.equal(setNonBlocking(sys, -1), -EBADF);
  });
});
