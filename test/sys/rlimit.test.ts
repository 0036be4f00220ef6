/** The limit of descriptors. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe } from "node:test";
import { Block } from "../../src/sys/block.ts";
import { check } from "../../src/sys/errno.ts";
import { descriptorsInUse, raiseDescriptors } from "../../src/sys/rlimit.ts";
import { systemTest } from "./support.ts";

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

  systemTest("counts what is in use", [], (sys) => {
    const before = descriptorsInUse();
    assert.ok(before > 0);
    const fds = [1, 2, 3].map(() => check(sys.eventfd(0, 0), "Open"));
    assert.equal(descriptorsInUse(), before + 3);
    for (const fd of fds) sys.close(fd);
  });
});
