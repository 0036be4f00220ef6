/** How far a control group is looked for, and how much of its files is read. */
import assert from "node:assert/strict";
import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { MemoryGauge, memoryTotal } from "../../src/sys/cgroup.ts";
import { memoryGroup } from "../../src/sys/memory-group.ts";
import { MIB, second, V1, V2, withTree } from "./cgroup-tree.ts";

describe("memoryGroup: ancestors", () => {
  /** A process without a limit of its own; its parent would tell of one. */
  const withParent = (files: Readonly<Record<string, string>>, parent = 20) => ({
    "proc/self/cgroup": "4:memory:/g\n0::/g\n",
    "proc/self/stat": `30 (a) S ${parent} 30 30 0\n`,
    [`proc/${parent}/mountinfo`]: V2,
    [join("proc", `${parent}`, "root", "sys/fs/cgroup/g/memory.max")]: "7\n",
    ...files,
  });

  test("are asked only where this process has no hierarchy mounted", () => {
    for (const [mounts, limit] of [
      ["", 7],
      [V1, undefined],
      [V2, undefined],
    ] as const) {
      withTree(withParent({ "proc/self/mountinfo": mounts }), (root) =>
        assert.equal(memoryGroup(root)?.limit, limit),
      );
    }
  });

  test("end with process 1: 0 and what is no number are nobody", () => {
    withTree(withParent({}, 1), (root) => assert.equal(memoryGroup(root)?.limit, 7));
    withTree(withParent({}, 0), (root) => assert.equal(memoryGroup(root), undefined));
    const nameless = withParent({ "proc/self/stat": "" }, -1);
    withTree(nameless, (root) => assert.equal(memoryGroup(root), undefined));
  });

  test("a path that leads above what is mounted is not followed", () => {
    const files = {
      ...second("/../other", { "memory.max": "9\n", "other/memory.max": "2\n" }),
      "sys/fs/other/memory.max": "1\n",
    };
    withTree(files, (root) => assert.equal(memoryGroup(root)?.limit, 9));
  });

  test("the system's own files are read where no other root is told", () => {
    assert.deepEqual(memoryGroup(), memoryGroup("/"));
    assert.equal(memoryTotal(), memoryTotal("/"));
    assert.ok(Number(memoryTotal()) > MIB);
  });
});

/** How many files below a folder this process has open. */
function openBelow(folder: string): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder);
    } catch {
      return false; // that of the list itself
    }
  }).length;
}

describe("MemoryGauge: octets that are read", () => {
  /** What a group uses that has these files. */
  function used(current: string, stat: string): number | undefined {
    const files = second("/g", {
      "g/memory.max": String(200 * MIB),
      "g/memory.current": current,
      "g/memory.stat": stat,
    });
    let found: number | undefined;
    withTree(files, (root) => {
      const group = memoryGroup(root);
      assert.ok(group !== undefined);
      const gauge = new MemoryGauge(group, 0);
      found = gauge.used();
      gauge.close();
    });
    return found;
  }

  test("are 64 of a number, and 8192 of the list", () => {
    assert.equal(used(`7${" ".repeat(63)}x`, ""), 7);
    assert.equal(used(`7${" ".repeat(62)}x`, ""), undefined);
    const line = "\nfile 12345";
    const list = "x".repeat(8192 - line.length) + line;
    assert.equal(used("1000000\n", `${list}6789`), 1_000_000 - 12_345);
  });

  test("are of files that are open once each, and closed in the end", () => {
    const folder = "sys/fs/cgroup/memory/g";
    const files = {
      "proc/self/cgroup": "4:memory:/g\n",
      "proc/self/mountinfo": V1,
      [`${folder}/memory.limit_in_bytes`]: "9",
      [`${folder}/memory.usage_in_bytes`]: "7",
      [`${folder}/memory.kmem.tcp.usage_in_bytes`]: "1",
      [`${folder}/memory.stat`]: "",
    };
    withTree(files, (root) => {
      const group = memoryGroup(root);
      assert.ok(group !== undefined);
      const gauge = new MemoryGauge(group, 0);
      assert.equal(gauge.used(), 8);
      assert.equal(openBelow(root), 3);
      gauge.close();
      assert.equal(openBelow(root), 0);
    });
  });

  test("of version 1 shared memory is no cache either", () => {
    const folder = "sys/fs/cgroup/memory/g";
    const files = {
      "proc/self/cgroup": "4:memory:/g\n",
      "proc/self/mountinfo": V1,
      [`${folder}/memory.limit_in_bytes`]: String(64 * MIB),
      [`${folder}/memory.usage_in_bytes`]: String(20 * MIB),
      [`${folder}/memory.stat`]: `total_cache ${10 * MIB}\ntotal_shmem ${4 * MIB}\n`,
    };
    withTree(files, (root) => {
      const group = memoryGroup(root);
      assert.ok(group !== undefined);
      const gauge = new MemoryGauge(group, 0);
      assert.equal(gauge.used(), 14 * MIB);
      gauge.close();
    });
  });
});
