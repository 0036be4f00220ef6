/** Typed calls: results, errno, addresses, both in this thread and in a worker. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Worker } from "node:worker_threads";
import { Block } from "../../src/sys/block.ts";
import { EBADF, EFAULT, EINVAL } from "../../src/sys/errno.ts";
import { loadLibc } from "../../src/sys/libc.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, O_CLOEXEC, PROT_READ } from "../../src/sys/linux.ts";
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
