/** Typed calls: results, errno, addresses, both in this thread and in a worker. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Worker } from "node:worker_threads";
import { Block } from "../../src/sys/block.ts";
import { EAFNOSUPPORT, EBADF, EFAULT, EINVAL } from "../../src/sys/errno.ts";
import { openFile } from "../../src/sys/fd.ts";
import { loadLibc } from "../../src/sys/libc.ts";
import {
  AF_INET,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MSG_DONTWAIT,
  O_CLOEXEC,
  O_RDWR,
  PROT_READ,
  SOCK_DGRAM,
} from "../../src/sys/linux.ts";
import { writeIpv4 } from "../../src/sys/sockaddr.ts";
import { openUnixPair } from "../support/unix-pair.ts";
import { missing, systemTest } from "./support.ts";

describe("libc", () => {
  systemTest("gives what the call returned", [], (sys) => {
    assert.equal(sys.getpid(), process.pid);
    assert.equal(sys.getuid(), process.getuid?.());
  });

  systemTest("gives the negative errno instead of -1", [], (sys) => {
    assert.equal(sys.read(-1, sys.scratch.address, 1), -EBADF);
    assert.equal(sys.close(-1), -EBADF);
    assert.equal(sys.epoll_create1(-1), -EINVAL);
    assert.equal(sys.pipe2(8, O_CLOEXEC), -EFAULT);
    assert.equal(sys.mmap(0, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), -EINVAL);
  });

  systemTest("tells a wrong descriptor by its number, whatever is called with it", [], (sys) => {
    const { scratch } = sys;
    const at = scratch.address;
    const calls: Readonly<Record<string, () => number>> = {
      read: () => sys.read(-1, at, 1),
      write: () => sys.write(-1, at, 1),
      readv: () => sys.readv(-1, at, 1),
      writev: () => sys.writev(-1, at, 1),
      recv: () => sys.recv(-1, at, 1, 0),
      send: () => sys.send(-1, at, 1, 0),
      sendmsg: () => sys.sendmsg(-1, at, 0),
      recvmsg: () => sys.recvmsg(-1, at, 0),
      sendmmsg: () => sys.sendmmsg(-1, at, 1, 0),
      recvmmsg: () => sys.recvmmsg(-1, at, 1, 0),
      epoll_ctl: () => sys.epoll_ctl(-1, 1, 0, at),
      epoll_wait: () => sys.epoll_wait(-1, at, 1, 0),
      epoll_pwait2: () => sys.epoll_pwait2(-1, at, 1, 0),
      close: () => sys.close(-1),
      connect: () => sys.connect(-1, at, 16),
      shutdown: () => sys.shutdown(-1, 0),
      accept4: () => sys.accept4(-1, at, at + 64, 0),
      setsockopt: () => sys.setsockopt(-1, 1, 2, at, 4),
      getsockopt: () => sys.getsockopt(-1, 1, 2, at, at + 8),
      bind: () => sys.bind(-1, at, 16),
      listen: () => sys.listen(-1, 1),
      getsockname: () => sys.getsockname(-1, at, at + 64),
      getpeername: () => sys.getpeername(-1, at, at + 64),
      ioctl: () => sys.ioctl(-1, 0x5421, at),
      fcntl: () => sys.fcntl(-1, 1, 0),
      ftruncate: () => sys.ftruncate(-1, 0),
      pread: () => sys.pread(-1, at, 1, 0),
      setns: () => sys.setns(-1, 0),
    };
    scratch.bytes.fill(0);
    for (const [name, call] of Object.entries(calls)) assert.equal(call(), -EBADF, name);
  });

  systemTest("takes nothing for nothing, and no error of before for one of now", [], (sys) => {
    const { scratch } = sys;
    const at = scratch.address;
    const pair = openUnixPair(sys);
    const epoll = sys.epoll_create1(0);
    const file = openFile(sys, "/dev/null", O_RDWR);
    const fresh = (call: () => number): number => {
      assert.equal(sys.close(-1), -EBADF); // errno says so from now on
      return call();
    };
    scratch.bytes.fill(0);
    const calls: Readonly<Record<string, () => number>> = {
      read: () => sys.read(file.number, at, 1),
      write: () => sys.write(file.number, at, 0),
      readv: () => sys.readv(file.number, at, 1),
      writev: () => sys.writev(file.number, at, 1),
      send: () => sys.send(pair.a, at, 0, 0),
      sendmsg: () => sys.sendmsg(pair.a, at, 0),
      sendmmsg: () => sys.sendmmsg(pair.a, at, 0, 0),
      recvmmsg: () => sys.recvmmsg(pair.b, at, 0, MSG_DONTWAIT),
      epoll_ctl: () => sys.epoll_ctl(epoll, 1, pair.a, at),
      epoll_wait: () => sys.epoll_wait(epoll, at, 1, 0),
      epoll_pwait2: () => sys.epoll_pwait2(epoll, at, 1, at + 64),
      setsockopt: () => sys.setsockopt(pair.a, 1, 9, at, 4),
      shutdown: () => sys.shutdown(pair.a, 1),
      recv: () => sys.recv(pair.b, at, 1, MSG_DONTWAIT),
      recvmsg: () => sys.recvmsg(pair.b, at, MSG_DONTWAIT),
      fcntl: () => sys.fcntl(epoll, 1, 0),
      sched_yield: () => sys.sched_yield(),
      memcpy: () => sys.memcpy(at, at + 8, 8),
      close: () => sys.close(epoll),
    };
    for (const [name, call] of Object.entries(calls)) assert.equal(fresh(call), 0, name);
    file.close();
    for (const fd of [pair.a, pair.b]) sys.close(fd);
  });

  systemTest("makes sockets and connects them, or says why not", [], (sys) => {
    const { scratch } = sys;
    assert.equal(scratch.bytes.length, 512);
    assert.equal(sys.socket(99, 1, 0), -EAFNOSUPPORT);
    const fd = sys.socket(AF_INET, SOCK_DGRAM | O_CLOEXEC, 0);
    assert.ok(fd > 2);
    assert.equal(sys.close(-1), -EBADF);
    assert.equal(sys.connect(fd, scratch.address, writeIpv4(scratch, 0, 0x7f000001, 9)), 0);
    scratch.setI32(8, 4);
    assert.equal(sys.getsockopt(fd, 1, 3, scratch.address, scratch.address + 8), 0);
    assert.equal(scratch.getI32(0), SOCK_DGRAM);
    assert.equal(sys.close(fd), 0);
  });

  systemTest("copies memory as far as it is told", [], (sys) => {
    const [from, to] = [new Block(sys, 4), new Block(sys, 4)];
    from.bytes.set([1, 2, 3, 4]);
    assert.equal(sys.memcpy(to.address, from.address + 1, 2), 0);
    assert.deepEqual([...to.bytes], [2, 3, 0, 0]);
  });

  systemTest("reads and writes at the address of a view inside a buffer", [], (sys) => {
    const pipe = new Block(sys, 8);
    assert.equal(sys.pipe2(pipe.address, O_CLOEXEC), 0);
    const whole = Uint8Array.from([1, 2, 3, 4, 5, 6]);
    const part = whole.subarray(2, 5);
    assert.equal(sys.address(part), sys.address(whole.buffer) + 2);
    assert.equal(sys.write(pipe.getI32(4), sys.address(part), part.length), 3);
    const target = new Block(sys, 4);
    assert.equal(sys.read(pipe.getI32(0), target.address + 1, 3), 3);
    assert.deepEqual([...target.bytes], [0, 3, 4, 5]);
    sys.close(pipe.getI32(0));
    sys.close(pipe.getI32(4));
  });

  systemTest("reaches the memory of a WebAssembly module", [], (sys) => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    const base = sys.address(memory.buffer);
    new Uint8Array(memory.buffer).set([7, 8, 9], 100);
    assert.deepEqual([...new Uint8Array(sys.view(base + 100, 3))], [7, 8, 9]);
  });

  systemTest("is loaded once", [], async (sys) => {
    assert.equal(await loadLibc(), sys);
  });

  systemTest("keeps errno apart from other threads", [], async (sys) => {
    const worker = new Worker(new URL("./libc-worker.ts", import.meta.url));
    const answer = await new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    await worker.terminate();
    assert.deepEqual(answer, { failed: -EFAULT, runtime: sys.runtime });
    assert.equal(sys.close(-1), -EBADF);
  });

  if (missing([]) !== "") {
    test("says what to do on a runtime without FFI", async () => {
      await assert.rejects(loadLibc(), {
        message: 'Run with Bun or Deno: this command needs system calls that "Node" cannot make',
      });
    });
  }
});
