/** Limits of control groups, from trees of files as version 1, version 2 and containers have. */
import assert from "node:assert/strict";
import { readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { holdMemoryGroup, MemoryGauge, memoryTotal } from "../../src/sys/cgroup.ts";
import { memoryGroup } from "../../src/sys/memory-group.ts";
import { MIB, second, V1, V2, withTree } from "./cgroup-tree.ts";

const CASES: readonly (readonly [
  what: string,
  files: Record<string, string>,
  limit: number | undefined,
  file?: string,
])[] = [
  [
    "version 2: memory.max",
    second("/a/b", { "a/b/memory.max": `${64 * MIB}\n`, "a/memory.max": "max\n" }),
    64 * MIB,
    "/sys/fs/cgroup/a/b/memory.max",
  ],
  [
    "version 2: memory.high where it is lower",
    second("/a", { "a/memory.max": `${64 * MIB}\n`, "a/memory.high": `${48 * MIB}\n` }),
    48 * MIB,
    "/sys/fs/cgroup/a/memory.high",
  ],
  [
    "version 2: a group above that allows less",
    second("/a/b", { "a/b/memory.max": `${64 * MIB}\n`, "a/memory.max": `${32 * MIB}\n` }),
    32 * MIB,
    "/sys/fs/cgroup/a/memory.max",
  ],
  [
    "version 2: a container in a namespace of its own sees its limit at the root",
    second("/", { "memory.max": `${96 * MIB}\n` }),
    96 * MIB,
    "/sys/fs/cgroup/memory.max",
  ],
  [
    "version 2: a group outside of the namespace",
    second("/../../b", { "memory.max": `${96 * MIB}\n`, "b/memory.max": "1\n" }),
    96 * MIB,
    "/sys/fs/cgroup/memory.max",
  ],
  ["version 2: no limit", second("/a", { "a/memory.max": "max\n" }), undefined],
  ["version 2: nonsense is no limit", second("/a", { "a/memory.max": "-5 MiB\n" }), undefined],
  [
    "version 1: memory.limit_in_bytes",
    {
      "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/pod/c\n0::/\n",
      "proc/self/mountinfo": V1,
      "sys/fs/cgroup/memory/pod/c/memory.limit_in_bytes": `${80 * MIB}\n`,
      "sys/fs/cgroup/memory/pod/memory.limit_in_bytes": "9223372036854771712\n",
    },
    80 * MIB,
    "/sys/fs/cgroup/memory/pod/c/memory.limit_in_bytes",
  ],
  [
    "version 1: a container whose own group is mounted as the root",
    {
      "proc/self/cgroup": "4:memory:/docker/1234\n",
      "proc/self/mountinfo": V1.replace("0:32 / ", "0:32 /docker/1234 "),
      "sys/fs/cgroup/memory/memory.limit_in_bytes": `${80 * MIB}\n`,
    },
    80 * MIB,
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
  ],
  [
    "version 1: a mount with a space in its path",
    {
      "proc/self/cgroup": "4:memory:/g\n",
      "proc/self/mountinfo": "35 31 0:32 / /my\\040groups rw - cgroup cgroup rw,memory\n",
      "my groups/g/memory.limit_in_bytes": `${80 * MIB}\n`,
    },
    80 * MIB,
    "/my groups/g/memory.limit_in_bytes",
  ],
  [
    "version 1 beside an empty version 2",
    {
      "proc/self/cgroup": "4:memory:/g\n0::/g\n",
      "proc/self/mountinfo": V1 + V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"),
      "sys/fs/cgroup/memory/g/memory.limit_in_bytes": `${80 * MIB}\n`,
    },
    80 * MIB,
    "/sys/fs/cgroup/memory/g/memory.limit_in_bytes",
  ],
  [
    "another /sys: as an ancestor sees it",
    {
      "proc/self/cgroup": "0::/g\n",
      "proc/self/mountinfo": "23 1 0:20 / /sys rw - sysfs sysfs rw\n",
      "proc/self/stat": "30 (a) b) S 20 30 30 0\n",
      "proc/20/mountinfo": "23 1 0:20 / /sys rw - sysfs sysfs rw\n",
      "proc/20/stat": "20 (ip) S 10 20 20 0\n",
      "proc/10/mountinfo": V2,
      "proc/10/root/sys/fs/cgroup/g/memory.max": `${72 * MIB}\n`,
    },
    72 * MIB,
    "/proc/10/root/sys/fs/cgroup/g/memory.max",
  ],
  ["nothing there", {}, undefined],
];

describe("memoryGroup", () => {
  for (const [what, files, limit, file] of CASES) {
    test(what, () => {
      withTree(files, (root) => {
        const group = memoryGroup(root);
        assert.equal(group?.limit, limit);
        assert.equal(group?.source, file === undefined ? undefined : join(root, file));
      });
    });
  }

  test("a group that is held stays within reach when the way to it is gone", () => {
    const files = second("/g", {
      "g/memory.max": String(64 * MIB),
      "g/memory.current": `${5 * MIB}\n`,
      "g/memory.stat": "file 0\nshmem 0\n",
    });
    withTree(files, (root) => {
      const group = holdMemoryGroup(root);
      assert.equal(group?.source, join(root, "sys/fs/cgroup/g/memory.max"));
      const folder = join(root, "sys/fs/cgroup");
      renameSync(folder, join(root, "elsewhere"));
      const gauge = new MemoryGauge(group, 0);
      assert.equal(gauge.used(), 5 * MIB);
      gauge.close();
    });
    withTree({}, (root) => assert.equal(holdMemoryGroup(root), undefined));
  });

  test("the machine's memory is what counts without a limit", () => {
    withTree({ "proc/meminfo": "MemTotal:  24683616 kB\nMemFree: 1 kB\n" }, (root) => {
      assert.equal(memoryTotal(root), 24_683_616 * 1024);
    });
    withTree({}, (root) => assert.equal(memoryTotal(root), undefined));
  });
});

describe("memoryGroup: what is looked at", () => {
  test("sixty-four groups deep, and sixteen ancestors far", () => {
    const deep = (depth: number): string =>
      Array.from({ length: depth }, (_, i) => `g${i}`).join("/");
    for (const [depth, limit] of [
      [64, 7],
      [65, undefined],
    ] as const) {
      const path = deep(depth);
      withTree(second(`/${path}`, { [`${path}/memory.max`]: "7\n" }), (root) => {
        assert.equal(memoryGroup(root)?.limit, limit, `${depth} deep`);
      });
    }
    const ancestors = (count: number): Record<string, string> => {
      const files: Record<string, string> = {
        "proc/self/cgroup": "0::/g\n",
        "proc/self/mountinfo": "",
        "proc/self/stat": "30 (a) S 101 30 30 0\n",
        [join(`proc/${100 + count}`, "root", "sys/fs/cgroup/g/memory.max")]: "9\n",
      };
      for (let i = 1; i <= count; i += 1) {
        files[`proc/${100 + i}/mountinfo`] = i === count ? V2 : "";
        files[`proc/${100 + i}/stat`] = `${100 + i} (b) S ${101 + i} 1 1 0\n`;
      }
      return files;
    };
    for (const [count, limit] of [
      [16, 9],
      [17, undefined],
    ] as const) {
      withTree(ancestors(count), (root) => {
        assert.equal(memoryGroup(root)?.limit, limit, `${count} ancestors`);
      });
    }
  });

  test("numbers up to the largest that is one", () => {
    for (const [text, limit] of [
      ["4611686018427387903\n", undefined], // rounds up to 2 ** 62
      ["4611686018427387000\n", 4611686018427387000],
      ["0\n", 0],
      ["12", 12],
      ["1e3\n", undefined],
      [" 12\n", undefined],
      ["", undefined],
      ["123456789012345678901\n", undefined],
    ] as const) {
      withTree(second("/a", { "a/memory.max": text }), (root) => {
        assert.equal(memoryGroup(root)?.limit, limit, text);
      });
    }
  });

  test("the first of several mounts, one with memory in it, and paths with escapes", () => {
    const mounts = [
      "1 1 0:1 / /other rw - cgroup cgroup rw,memoryless",
      "2 1 0:2 / /a\\134b rw - cgroup cgroup rw,cpu,memory",
      "3 1 0:2 / /c rw - cgroup cgroup rw,memory",
      "",
    ].join("\n");
    const files = {
      "proc/self/cgroup": "no line\n4:cpu,memory:/g\n5:memory:/h\n",
      "proc/self/mountinfo": mounts,
      "a\\b/g/memory.limit_in_bytes": "5\n",
      "a\\b/h/memory.limit_in_bytes": "3\n",
      "c/g/memory.limit_in_bytes": "4\n",
      "other/g/memory.limit_in_bytes": "2\n",
    };
    withTree(files, (root) => {
      const group = memoryGroup(root);
      assert.deepEqual([group?.limit, group?.version], [5, 1]);
      assert.equal(group?.folder, join(root, "a\\b/g"));
    });
  });

  test("a group beside the mount's root is not below it", () => {
    const files = {
      "proc/self/cgroup": "4:memory:/pods/ab\n",
      "proc/self/mountinfo": V1.replace("0:32 / ", "0:32 /pods/a "),
      "sys/fs/cgroup/memory/memory.limit_in_bytes": "8\n",
      "sys/fs/cgroup/memory/b/memory.limit_in_bytes": "7\n",
    };
    withTree(files, (root) => assert.equal(memoryGroup(root)?.limit, 8));
  });

  test("of equal limits the lowest group's, which is held", () => {
    const files = second("/a/b", { "a/b/memory.max": "7\n", "a/memory.max": "7\n" });
    withTree(files, (root) => {
      const group = memoryGroup(root);
      assert.equal(group?.source, join(root, "sys/fs/cgroup/a/b/memory.max"));
      assert.deepEqual([group.version, group.folder], [2, join(root, "sys/fs/cgroup/a/b")]);
    });
  });
});

describe("MemoryGauge", () => {
  test("finds each field by its whole name, wherever it stands", () => {
    for (const [stat, used] of [
      [`file ${8 * MIB}\nshmem 0\n`, 92],
      [`anon 1\nfile ${8 * MIB}\nshmem ${2 * MIB}\n`, 94],
      [`shmem ${2 * MIB}\nfile ${8 * MIB}`, 94],
      [`active_file ${9 * MIB}\nshmem ${2 * MIB}\n`, 100],
      [`file_mapped ${9 * MIB}\n`, 100],
      ["file nothing\nshmem 0\n", 100],
      [`file ${2 * MIB}\nshmem ${8 * MIB}\n`, 100],
      ["", 100],
    ] as const) {
      const files = second("/g", {
        "g/memory.max": String(200 * MIB),
        "g/memory.current": `${100 * MIB}\n`,
        "g/memory.stat": stat,
      });
      withTree(files, (root) => {
        const group = memoryGroup(root);
        assert.ok(group !== undefined);
        const gauge = new MemoryGauge(group, 0);
        assert.equal(gauge.used(), used * MIB, stat);
        gauge.close();
      });
    }
  });

  test("without its first file it is an error, and nothing stays open", () => {
    const files = second("/g", { "g/memory.max": "7\n", "g/memory.stat": "" });
    withTree(files, (root) => {
      const group = memoryGroup(root);
      assert.ok(group !== undefined);
      const before = readdirSync("/proc/self/fd").length;
      assert.throws(() => new MemoryGauge(group, 0));
      assert.equal(readdirSync("/proc/self/fd").length, before);
    });
  });

  test("counts what cannot be taken back, again and again", () => {
    const stat = (file: number): string => `anon 1\nfile ${file * MIB}\nshmem ${2 * MIB}\n`;
    const files = second("/g", {
      "g/memory.max": String(64 * MIB),
      "g/memory.current": `${50 * MIB}\n`,
      "g/memory.stat": stat(32),
    });
    withTree(files, (root) => {
      const group = memoryGroup(root);
      assert.ok(group !== undefined);
      const gauge = new MemoryGauge(group, 8 * MIB);
      assert.equal(gauge.used(), (50 - 30 + 8) * MIB);
      writeFileSync(join(group.folder, "memory.stat"), stat(6));
      assert.equal(gauge.used(), 50 * MIB, "cache that is needed all counts");
      writeFileSync(join(group.folder, "memory.current"), "nothing\n");
      assert.equal(gauge.used(), undefined);
      gauge.close();
      assert.equal(gauge.used(), undefined);
    });
  });

  test("version 1 counts sockets apart, where it does", () => {
    const folder = "sys/fs/cgroup/memory/g";
    const files = {
      "proc/self/cgroup": "4:memory:/g\n",
      "proc/self/mountinfo": V1,
      [`${folder}/memory.limit_in_bytes`]: String(64 * MIB),
      [`${folder}/memory.usage_in_bytes`]: String(20 * MIB),
      [`${folder}/memory.stat`]: `cache 1\ntotal_cache ${10 * MIB}\ntotal_shmem 0\n`,
    };
    const tcp = { [`${folder}/memory.kmem.tcp.usage_in_bytes`]: String(3 * MIB) };
    for (const [more, wanted] of [
      [{}, 10],
      [tcp, 13],
    ] as const) {
      withTree({ ...files, ...more }, (root) => {
        const group = memoryGroup(root);
        assert.ok(group !== undefined);
        const gauge = new MemoryGauge(group, 0);
        assert.equal(gauge.used(), wanted * MIB);
        gauge.close();
      });
    }
  });

  test("a group that cannot be looked at is an error", () => {
    const group = { limit: 1, source: "", version: 2, folder: "/nonexistent" } as const;
    assert.throws(() => new MemoryGauge(group, 0));
  });
});
