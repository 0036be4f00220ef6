/** What of the kernel is missing: nothing on this one, each by itself where it is refused. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { ENOSYS, EPERM } from "../../src/sys/errno.ts";
import { missingFeatures } from "../../src/sys/features.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { descriptorsInUse } from "../../src/sys/rlimit.ts";
import { systemTest } from "./support.ts";

describe("features of the kernel", () => {
  systemTest("this one has them all, and no descriptor stays open", [], (sys) => {
    const before = descriptorsInUse();
    assert.deepEqual(missingFeatures(sys), []);
    assert.equal(descriptorsInUse(), before);
  });

  systemTest("what is refused is named", [], (sys) => {
    const without = (more: Partial<Libc>): string[] => missingFeatures({ ...sys, ...more });
    const [first, ...others] = without({ epoll_pwait2: () => -ENOSYS });
    assert.match(first ?? "", /epoll_pwait2/);
    assert.deepEqual(others, []);
    assert.match(without({ process_vm_readv: () => -EPERM }).join(), /^unsealed .*readv\)$/);
    assert.deepEqual(without({ setsockopt: () => -EPERM }), ["UDP_SEGMENT", "UDP_GRO"]);
    assert.deepEqual(without({ socket: () => -EPERM }), []);
  });
});
