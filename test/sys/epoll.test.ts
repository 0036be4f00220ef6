/** Registration, wait, timeouts, and the fallback for old kernels. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { Epoll } from "../../src/sys/epoll.ts";
import { EBADF, EEXIST, EINTR, EMFILE, ENOENT, ENOSYS } from "../../src/sys/errno.ts";
import { EventFd } from "../../src/sys/fd.ts";
import { EPOLLET, EPOLLIN, EPOLLOUT, O_CLOEXEC } from "../../src/sys/linux.ts";
import { play, systemTest } from "./support.ts";

const HANDLE = 0xfedc0042 | 0; // negative as a signed word, as handles of high generations are

describe("epoll", () => {
  systemTest("gives an event with the data it was registered with", [], (sys) => {
    using epoll = new Epoll(sys, 4);
    using a = new EventFd(sys);
    using b = new EventFd(sys);
    assert.equal(epoll.add(a.number, EPOLLIN, HANDLE, 7), 0);
    assert.equal(epoll.add(b.number, EPOLLIN, 2, -1), 0);
    assert.equal(epoll.wait(4, 0), 0);
    a.signal();
    assert.equal(epoll.wait(4, -1), 1);
    assert.deepEqual([epoll.eventBits(0), epoll.dataLo(0), epoll.dataHi(0)], [EPOLLIN, HANDLE, 7]);
    b.signal();
    assert.equal(epoll.wait(4, 1000), 2);
    assert.deepEqual(
      [0, 1].map((i) => epoll.eventBits(i)),
      [EPOLLIN, EPOLLIN],
    );
    const seen = [0, 1].map((i) => [epoll.dataLo(i), epoll.dataHi(i)]);
    seen.sort((x, y) => Number(x[0]) - Number(y[0]));
    assert.deepEqual(seen, [
      [HANDLE, 7],
      [2, -1],
    ]);
  });

  systemTest("never returns more than asked or than it has room for", [], (sys) => {
    using epoll = new Epoll(sys, 2);
    const fds = [1, 2, 3].map(() => new EventFd(sys));
    for (const fd of fds) {
      epoll.add(fd.number, EPOLLIN, 0, 0);
      fd.signal();
    }
    assert.equal(epoll.wait(100, 0), 2);
    assert.equal(epoll.wait(1, 0), 1);
    for (const fd of fds) fd.close();
  });

  systemTest("modifies and removes", [], (sys) => {
    using epoll = new Epoll(sys);
    using fd = new EventFd(sys);
    epoll.add(fd.number, EPOLLIN, 1, 0);
    assert.equal(epoll.add(fd.number, EPOLLIN, 1, 0), -EEXIST);
    assert.equal(epoll.modify(fd.number, EPOLLOUT | EPOLLET, 5, 0), 0);
    assert.equal(epoll.wait(8, 0), 1);
    assert.deepEqual([epoll.eventBits(0), epoll.dataLo(0)], [EPOLLOUT, 5]);
    assert.equal(epoll.wait(8, 0), 0); // edge-triggered: told once
    assert.equal(epoll.remove(fd.number), 0);
    assert.equal(epoll.remove(fd.number), -ENOENT);
    assert.equal(epoll.add(-1, EPOLLIN, 0, 0), -EBADF);
  });

  systemTest("waits at least the timeout, below a millisecond too", [], (sys) => {
    using epoll = new Epoll(sys);
    for (const microseconds of [300, 1500, 999_999.9999 / 100]) {
      const before = performance.now();
      assert.equal(epoll.wait(8, microseconds), 0);
      assert.ok((performance.now() - before) * 1000 >= microseconds);
    }
  });

  systemTest("rounds up to milliseconds where the kernel has no epoll_pwait2", [], (sys) => {
    const asked: number[] = [];
    let refused = 0;
    const old = {
      ...sys,
      epoll_pwait2: () => {
        refused += 1;
        return -ENOSYS;
      },
      epoll_wait: (_epoll: number, _events: number, _max: number, milliseconds: number) => {
        asked.push(milliseconds);
        return 0;
      },
    };
    using epoll = new Epoll(old);
    for (const microseconds of [1, 1000, 1001, 5e12, 0, -1]) epoll.wait(8, microseconds);
    assert.deepEqual(asked, [1, 1, 2, 0x7fffffff, 0, -1]);
    assert.equal(refused, 1);
  });

  systemTest("gives the kernel whole nanoseconds and seconds", [], (sys) => {
    const asked: number[][] = [];
    const spy = {
      ...sys,
      epoll_pwait2: (_epoll: number, _events: number, _max: number, timespec: number) => {
        const view = new DataView(sys.view(timespec, 16));
        asked.push([Number(view.getBigInt64(0, true)), Number(view.getBigInt64(8, true))]);
        return -EINTR;
      },
    };
    using epoll = new Epoll(spy);
    for (const us of [0.25, 1.5, 2_000_001, 999_999.99999, 999_999.9985]) {
      assert.equal(epoll.wait(8, us), 0);
    }
    assert.deepEqual(asked, [
      [0, 250],
      [0, 1500],
      [2, 1000],
      [1, 0],
      [0, 999_999_999],
    ]);
  });

  systemTest("is asked of the kernel for 256 events, and closed once", [], (sys) => {
    const { told, calls } = play(sys, { epoll_create1: 9, epoll_ctl: 0, epoll_wait: 0, close: 0 });
    {
      using epoll = new Epoll(told);
      assert.equal(epoll.capacity, 256);
      epoll.wait(1000, 0);
      epoll.remove(5);
      epoll.close();
    }
    assert.deepEqual(calls.splice(0), [
      ["epoll_create1", O_CLOEXEC],
      ["epoll_wait", 9, "@", 256, 0],
      ["epoll_ctl", 9, 2, 5, 0],
      ["close", 9],
    ]);
    {
      using _ = new Epoll(told);
    }
    assert.deepEqual(calls.at(-1), ["close", 9]);
    assert.throws(() => new Epoll({ ...sys, epoll_create1: () => -EMFILE }), {
      message: "Create an epoll descriptor: this process has too many open files (EMFILE)",
    });
  });

  systemTest("is closed for good", [], (sys) => {
    const epoll = new Epoll(sys);
    epoll.close();
    epoll.close();
    assert.equal(epoll.wait(1, 0), -EBADF);
  });
});
