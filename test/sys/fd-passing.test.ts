/** Descriptors that travel over a unix socket. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { check, EAGAIN, EBADF, EINVAL, EPROTO } from "../../src/sys/errno.ts";
import { EventFd } from "../../src/sys/fd.ts";
import { recvFds, sendFds } from "../../src/sys/fd-messages.ts";
import { recvFd, sendFd } from "../../src/sys/fd-passing.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { F_GETFD, FD_CLOEXEC } from "../../src/sys/linux.ts";
import { descriptorsInUse } from "../../src/sys/rlimit.ts";
import { openUnixPair } from "../support/unix-pair.ts";
import { play, systemTest } from "./support.ts";

/** Descriptors that one message may carry. */
const FDS_PER_MESSAGE = 8;

function withPair(sys: Libc, run: (a: number, b: number) => void): void {
  const pair = openUnixPair(sys);
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

  systemTest("takes every descriptor of every message, in order, behind others", [], (sys) => {
    withPair(sys, (a, b) => {
      const events = Array.from({ length: 3 }, () => new EventFd(sys));
      const numbers = events.map((event) => event.number);
      const received = [a];
      for (const fds of [numbers.slice(0, 1), numbers.slice(1)]) {
        assert.equal(sendFds(sys, a, fds, payload), 3);
        assert.equal(recvFds(sys, b, new Uint8Array(8), received), 3);
      }
      assert.equal(received.length, 4);
      assert.equal(received[0], a, "what was in the list stays");
      received.slice(1).forEach((fd, index) => {
        sys.scratch.setU64(0, index + 1);
        sys.write(fd, sys.scratch.address, 8);
        assert.equal(events[index]?.drain(), index + 1);
        sys.close(fd);
      });
      for (const event of events) event.close();
    });
  });

  systemTest("walks over other control messages, and stops at what makes no sense", [], (sys) => {
    const [SOCKET, RIGHTS, CREDENTIALS] = [1, 1, 2];
    /** Lets `recvmsg` give these control messages: level, kind, length told, words of data. */
    const say = (
      messages: readonly (readonly [number, number, number, readonly number[]])[],
      flags = 0,
      received = 3,
    ): { result: number; fds: number[]; closed: number[] } => {
      const closed: number[] = [];
      const telling: Libc = {
        ...sys,
        close: (fd) => closed.push(fd),
        recvmsg: (_fd, address) => {
          const header = new DataView(sys.view(address, 56));
          const size = Number(header.getBigUint64(40, true));
          const place = Number(header.getBigUint64(32, true));
          const control = new DataView(sys.view(place, size));
          let at = 0;
          for (const [level, kind, length, words] of messages) {
            control.setBigUint64(at, BigInt(length), true);
            control.setInt32(at + 8, level, true);
            control.setInt32(at + 12, kind, true);
            words.forEach((word, i) => {
              control.setInt32(at + 16 + 4 * i, word, true);
            });
            at += (16 + 4 * words.length + 7) & ~7;
          }
          header.setBigUint64(40, BigInt(at), true);
          header.setInt32(48, flags, true);
          return received;
        },
      };
      const fds: number[] = [];
      return { result: recvFds(telling, 0, new Uint8Array(3), fds), fds, closed };
    };
    const rights = [SOCKET, RIGHTS, 20, [71]] as const;
    assert.deepEqual(say([rights]).fds, [71]);
    assert.deepEqual(say([[SOCKET, CREDENTIALS, 20, [9]], rights]).fds, [71]);
    assert.deepEqual(say([[41, RIGHTS, 20, [9]], rights]).fds, [71]);
    assert.deepEqual(
      say([
        [SOCKET, RIGHTS, 24, [71, 72]],
        [SOCKET, RIGHTS, 16, []],
      ]).fds,
      [71, 72],
    );
    assert.deepEqual(say([[SOCKET, RIGHTS, 16, []], rights]).fds, [71]);
    assert.deepEqual(say([[SOCKET, RIGHTS, 15, [71]]]).fds, [], "shorter than a header");
    assert.deepEqual(say([[SOCKET, RIGHTS, 48, [71]]]).fds, [], "longer than what there is");
    assert.deepEqual(say([[SOCKET, RIGHTS, 22, [71]]]).fds, [71], "half a descriptor is none");
    assert.deepEqual(say([[SOCKET, RIGHTS, 23, [71, 72]]]).fds, [71], "nor are three quarters");
    assert.deepEqual(say([[SOCKET, CREDENTIALS, 17, [9]], rights]).fds, [71]);
    assert.deepEqual(say([rights], 0, 0), { result: 0, fds: [71], closed: [] });
    const cut = say([[SOCKET, RIGHTS, 24, [71, 72]]], 0x8);
    assert.deepEqual(cut, { result: -EPROTO, fds: [], closed: [71, 72] });
  });

  systemTest("a message is octets, and control data only where descriptors go", [], (sys) => {
    const seen: { octets: number[]; control: number[] }[] = [];
    const { told, calls } = play(sys, {
      sendmsg: (_fd, address) => {
        const header = new BigUint64Array(sys.view(address, 56));
        const [name, , vector, count, control, size] = [...header].map(Number);
        assert.deepEqual([name, count], [0, 1]);
        const [base, length] = [...new BigUint64Array(sys.view(vector ?? 0, 16))].map(Number);
        const octets = [...new Uint8Array(sys.view(base ?? 0, length ?? 0))];
        if (size === 0) assert.equal(control, 0);
        assert.equal((control ?? 1) % 8, 0, "as the kernel wants it");
        const words = size ? [...new Int32Array(sys.view(control ?? 0, size))] : [];
        seen.push({ octets, control: words });
        return 3;
      },
    });
    for (const fds of [[], [71, 72]]) assert.equal(sendFds(told, 9, fds, payload), 3);
    assert.deepEqual(calls[0], ["sendmsg", 9, "@", 0x4000]);
    assert.deepEqual(seen, [
      { octets: [1, 2, 3], control: [] },
      { octets: [1, 2, 3], control: [24, 0, 1, 1, 71, 72] },
    ]);
  });

  systemTest("errors of the kernel are passed on", [], (sys) => {
    assert.equal(recvFd({ ...sys, recvmsg: () => -1 }, 9, new Uint8Array(1)), -1);
    assert.equal(sendFd(sys, -1, 0, payload), -EBADF);
    assert.equal(recvFds(sys, -1, new Uint8Array(1), []), -EBADF);
    assert.equal(recvFd(sys, -1, new Uint8Array(1)), -EBADF);
    assert.equal(recvFds(sys, -1, new Uint8Array(0), []), -EINVAL);
  });

  systemTest("several are closed where one was wanted", [], (sys) => {
    withPair(sys, (a, b) => {
      assert.equal(sendFds(sys, a, [a, b], payload), 3);
      const before = descriptorsInUse();
      assert.equal(recvFd(sys, b, new Uint8Array(3)), -EPROTO);
      assert.equal(descriptorsInUse(), before);
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
