/** The limit of descriptors. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe } from "node:test";
import { Block } from "../../src/sys/block.ts";
import { check, EPERM } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { descriptorsInUse, raiseDescriptors } from "../../src/sys/rlimit.ts";
import { play, systemTest } from "./support.ts";

const RLIMIT_NOFILE = 7;

describe("rlimit", () => {
  systemTest("a soft limit goes up to the hard one", [], (sys) => {
    const block = new Block(sys, 16);
    check(sys.prlimit(0, RLIMIT_NOFILE, 0, block.address), "Ask");
    const hard = block.getU64(8);
    block.setU64(0, Math.min(200, hard));
    check(sys.prlimit(0, RLIMIT_NOFILE, block.address, 0), "Lower");
    assert.equal(raiseDescriptors(sys), hard);
    assert.equal(raiseDescriptors(sys), hard, "what is raised already stays");
    const [, soft] =
      /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    assert.equal(Number(soft), hard);
  });

  /** A kernel with these limits, which may be set or not. */
  function kernel(sys: Libc, soft: number, hard: number, raised = 0) {
    const set: number[] = [];
    const { told, calls } = play(sys, {
      prlimit: (_pid, _resource, wanted, known) => {
        if (known !== 0) {
          const limits = new BigUint64Array(sys.view(known, 16));
          limits.set([BigInt(soft), BigInt(hard)]);
          return 0;
        }
        set.push(...[...new BigUint64Array(sys.view(wanted, 16))].map(Number));
        return raised;
      },
    });
    return { told, calls, set };
  }

  systemTest(
    "is asked of the kernel, raised to the hard one, and told as it is then",
    [],
    (sys) => {
      const { told, calls, set } = kernel(sys, 1024, 4096);
      assert.equal(raiseDescriptors(told), 4096);
      assert.deepEqual(calls, [
        ["prlimit", 0, RLIMIT_NOFILE, 0, "@"],
        ["prlimit", 0, RLIMIT_NOFILE, "@", 0],
      ]);
      assert.deepEqual(set, [4096, 4096]);
      assert.equal(raiseDescriptors(kernel(sys, 1024, 4096, -EPERM).told), 1024);
      for (const limit of [4096, 4097]) {
        const there = kernel(sys, limit, 4096);
        assert.equal(raiseDescriptors(there.told), 4096);
        assert.deepEqual(there.set, []);
      }
      assert.equal(raiseDescriptors({ ...sys, prlimit: () => -EPERM }), -EPERM);
    },
  );

  systemTest("counts what is in use", [], (sys) => {
    const before = descriptorsInUse();
    assert.ok(before > 0);
    const fds = [1, 2, 3].map(() => check(sys.eventfd(0, 0), "Open"));
    assert.equal(descriptorsInUse(), before + 3);
    for (const fd of fds) sys.close(fd);
  });
});
