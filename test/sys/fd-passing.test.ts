/** Descriptors that travel over a unix socket. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { check, EAGAIN, EINVAL, EPROTO } from "../../src/sys/errno.ts";
import { EventFd } from "../../src/sys/fd.ts";
import { FDS_PER_MESSAGE, recvFd, recvFds, sendFd, sendFds } from "../../src/sys/fd-passing.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { F_GETFD, FD_CLOEXEC } from "../../src/sys/linux.ts";
import { openUnixPair } from "../../src/sys/socket.ts";
import { systemTest } from "./support.ts";

function withPair(sys: Libc, run: (a: number, b: number) => void): void {
  const pair = { a: -1, b: -1 };
  check(openUnixPair(sys, pair), "Open a pair");
  try {
    run(pair.a, pair.b);
  } finally {
    sys.close(pair.a);
    sys.close(pair.b);
  }
}

const payload = Uint8Array.from([1, 2, 3]);

describe("fd passing", () => {
  systemTest("gives the receiver a descriptor of the same file", [], (sys) => {
    withPair(sys, (a, b) => {
      using event = new EventFd(sys);
      assert.equal(sendFd(sys, a, event.number, payload), 3);
      const target = new Uint8Array(8);
      const fd = check(recvFd(sys, b, target), "Receive");
      assert.notEqual(fd, event.number);
      assert.deepEqual([...target.subarray(0, 3)], [1, 2, 3]);
      assert.equal(sys.fcntl(fd, F_GETFD, 0), FD_CLOEXEC);
      sys.scratch.setU64(0, 5);
      assert.equal(sys.write(fd, sys.scratch.address, 8), 8);
      assert.equal(event.drain(), 5);
      sys.close(fd);
    });
  });

  systemTest("carries as many as one message may", [], (sys) => {
    withPair(sys, (a, b) => {
      const events = Array.from({ length: FDS_PER_MESSAGE }, () => new EventFd(sys));
      const numbers = events.map((event) => event.number);
      assert.equal(sendFds(sys, a, numbers, payload), 3);
      assert.equal(sendFds(sys, a, [...numbers, a], payload), -EINVAL);
      const received: number[] = [];
      assert.equal(recvFds(sys, b, new Uint8Array(3), received), 3);
      assert.equal(received.length, FDS_PER_MESSAGE);
      for (const fd of received) sys.close(fd);
      for (const event of events) event.close();
    });
  });

  systemTest("tells a message without a descriptor from one with", [], (sys) => {
    withPair(sys, (a, b) => {
      assert.equal(recvFd(sys, b, new Uint8Array(3)), -EAGAIN);
      assert.equal(sendFds(sys, a, [], payload), 3);
      assert.equal(recvFd(sys, b, new Uint8Array(3)), -EPROTO);
      assert.equal(sendFds(sys, a, [a, b], payload), 3);
      assert.equal(recvFd(sys, b, new Uint8Array(3)), -EPROTO);
      assert.equal(sendFds(sys, a, [a], new Uint8Array(0)), -EINVAL);
    });
  });
});
