/** Owned descriptors, event descriptors, shared memory. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { Epoll } from "../../src/sys/epoll.ts";
import { check, EAGAIN, EBADF, SystemError } from "../../src/sys/errno.ts";
import {
  EventFd,
  Fd,
  isEventFd,
  openFile,
  setNonBlocking,
  signalEventFd,
  TimerFd,
} from "../../src/sys/fd.ts";
import { EPOLLET, EPOLLIN, F_GETFD, FD_CLOEXEC, O_RDONLY } from "../../src/sys/linux.ts";
import { createMemoryFile, Mapping } from "../../src/sys/mmap.ts";
import { systemTest } from "./support.ts";

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
    assert.equal(signalEventFd(sys, event.number), 0);
    assert.equal(event.drain(), 2);
    assert.equal(event.drain(), 0);
    assert.equal(signalEventFd(sys, -1), -EBADF);
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

  systemTest("shares memory between two mappings of a memory file", [], (sys) => {
    using file = createMemoryFile(sys, "slirp-test", 8192);
    using a = new Mapping(sys, file.number, 8192);
    using b = new Mapping(sys, file.number, 4096, 4096);
    a.bytes[4100] = 42;
    assert.equal(b.bytes[4], 42);
    b.bytes[5] = 43;
    assert.equal(a.bytes[4101], 43);
    assert.throws(() => new Mapping(sys, file.number, 4096, 1), SystemError);
  });
});
