/** Memory of another process: what is mapped, what is refused, and a file that shrinks. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { Block } from "../../src/sys/block.ts";
import { check, EFAULT, EINVAL } from "../../src/sys/errno.ts";
import { EventFd } from "../../src/sys/fd.ts";
import { ForeignMemory } from "../../src/sys/foreign-memory.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { GuestRam } from "../link/vhost-user/guest-ram.ts";
import { systemTest } from "./support.ts";

const SIZE = 0x4000;

function mapped(sys: Libc, ram: GuestRam, offset: number, length: number): ForeignMemory {
  const memory = ForeignMemory.map(sys, ram.fd, offset, length);
  assert.ok(typeof memory !== "number", `errno ${memory}`);
  return memory;
}

/** Copies within this process by system calls; octets or the negative errno. */
function copied(sys: Libc, to: number, from: number, length: number): number {
  const iovecs = new Block(sys, 32);
  iovecs.setU64(0, to);
  iovecs.setU64(8, length);
  iovecs.setU64(16, from);
  iovecs.setU64(24, length);
  return sys.process_vm_readv(sys.getpid(), iovecs.address, 1, iovecs.address + 16, 1);
}

describe("foreign memory", () => {
  systemTest("is the file from the offset on, for both to read and write", [], (sys) => {
    using ram = new GuestRam(sys, true, SIZE);
    ram.bytes[0x1234] = 7;
    const memory = mapped(sys, ram, 0x1230, 0x100);
    assert.equal(memory.length, 0x100);
    const bytes = new Uint8Array(sys.view(memory.address, memory.length));
    assert.equal(bytes[4], 7);
    bytes[5] = 9;
    assert.equal(ram.bytes[0x1235], 9);
    memory.close();
    memory.close();
  });

  systemTest("can shrink unless it is sealed", [], (sys) => {
    for (const isSealed of [true, false]) {
      using ram = new GuestRam(sys, isSealed, SIZE);
      const memory = mapped(sys, ram, 0, SIZE);
      assert.equal(memory.canShrink, !isSealed);
      memory.close();
    }
  });

  systemTest("is not had beyond the file's end, and of nothing but files", [], (sys) => {
    using ram = new GuestRam(sys, true, SIZE);
    mapped(sys, ram, 0, SIZE).close();
    using event = new EventFd(sys);
    for (const [fd, offset, length] of [
      ...[[ram.fd, 0, SIZE + 1] as const, [ram.fd, SIZE, 1] as const, [ram.fd, 0, 0] as const],
      ...[[ram.fd, -1, 1] as const, [ram.fd, 2 ** 53, 2 ** 53] as const],
      [event.number, 0, 8] as const,
    ]) {
      assert.equal(ForeignMemory.map(sys, fd, offset, length), -EINVAL);
    }
  });

  systemTest("that was taken away answers with an error where system calls copy", [], (sys) => {
    using ram = new GuestRam(sys, false, SIZE);
    ram.bytes[3] = 5;
    const memory = mapped(sys, ram, 0, SIZE);
    const own = new Block(sys, 8);
    assert.equal(check(copied(sys, own.address, memory.address, 8), "Copy"), 8);
    assert.equal(own.bytes[3], 5);
    ram.shrink();
    assert.equal(copied(sys, own.address, memory.address, 8), -EFAULT);
    memory.close();
  });
});
