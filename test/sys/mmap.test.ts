/** Shared memory: what is mapped, given back and closed, and what is told of a refusal. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { Block } from "../../src/sys/block.ts";
import { EMFILE, ENOMEM, EPERM, SystemError } from "../../src/sys/errno.ts";
import { F_GETFD, FD_CLOEXEC, MFD_CLOEXEC } from "../../src/sys/linux.ts";
import { createMemoryFile, Mapping } from "../../src/sys/mmap.ts";
import { play, systemTest } from "./support.ts";

const [READ_WRITE, SHARED] = [3, 1];

describe("mmap", () => {
  systemTest("shares memory between two mappings of a memory file", [], (sys) => {
    using file = createMemoryFile(sys, "slirp-test", 8192);
    assert.equal(sys.fcntl(file.number, F_GETFD, 0), FD_CLOEXEC);
    using a = new Mapping(sys, file.number, 8192);
    using b = new Mapping(sys, file.number, 4096, 4096);
    a.bytes[4100] = 42;
    assert.equal(b.bytes[4], 42);
    b.bytes[5] = 43;
    assert.equal(a.bytes[4101], 43);
    assert.throws(() => new Mapping(sys, file.number, 4096, 1), SystemError);
  });

  systemTest("a mapping is of its descriptor's content, and given back once", [], (sys) => {
    const memory = new Block(sys, 64);
    const { told, calls } = play(sys, { mmap: () => memory.address, munmap: 0 });
    const map = ["mmap", 0, 64, READ_WRITE, SHARED, 9];
    {
      using mapping = new Mapping(told, 9, 64, 8192);
      memory.bytes[63] = 7;
      assert.deepEqual([mapping.bytes.length, mapping.bytes[63]], [64, 7]);
      mapping.close();
    }
    assert.deepEqual(calls.splice(0), [
      [...map, 8192],
      ["munmap", "@", 64],
    ]);
    {
      using _ = new Mapping(told, 9, 64);
    }
    assert.deepEqual(calls, [
      [...map, 0],
      ["munmap", "@", 64],
    ]);
  });

  systemTest("refusals are told with what was wanted, and leave nothing open", [], (sys) => {
    const small = play(sys, { mmap: -ENOMEM, munmap: 0 });
    assert.throws(() => new Mapping(small.told, 9, 64), {
      message: "Map 64 octets of descriptor 9: out of memory (ENOMEM)",
    });
    assert.equal(small.calls.length, 1);
    const none = play(sys, { memfd_create: -EMFILE, ftruncate: 0, close: 0 });
    assert.throws(() => createMemoryFile(none.told, "guest", 64), {
      message: 'Create the memory file "guest": this process has too many open files (EMFILE)',
    });
    assert.deepEqual(none.calls, [["memfd_create", "@", MFD_CLOEXEC]]);
    const full = play(sys, { memfd_create: 9, ftruncate: -EPERM, close: 0 });
    assert.throws(() => createMemoryFile(full.told, "guest", 64), {
      message: 'Give the memory file "guest" 64 octets: not permitted (EPERM)',
    });
    assert.deepEqual(full.calls.slice(1), [
      ["ftruncate", 9, 64],
      ["close", 9],
    ]);
  });
});
