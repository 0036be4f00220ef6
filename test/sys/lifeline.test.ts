/** What tells that a guest network is wanted no longer; see test/e2e/attach-ends.test.ts, too. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { statSync } from "node:fs";
import process from "node:process";
import { describe, test } from "node:test";
import { ENOSYS, EPERM, ESRCH } from "../../src/sys/errno.ts";
import { openFile } from "../../src/sys/fd.ts";
import { closeLifelines, endOf, watchNamespace, watchOtherEnd } from "../../src/sys/lifeline.ts";
import { O_RDONLY, SOCK_CLOEXEC } from "../../src/sys/linux.ts";
import { isMounted } from "../../src/sys/namespace-mount.ts";
import { openUnixPair } from "../support/unix-pair.ts";
import { play, systemTest, withNetns } from "./support.ts";

describe("a namespace's mount", () => {
  const mount = { root: "net:[4026532000]", point: "/run/netns/a b" };
  const line = (root: string, point: string): string =>
    `36 35 0:4 ${root} ${point} rw shared:1 - nsfs nsfs rw`;

  test("is found by namespace and place, whose blanks are escaped", () => {
    const other = line("net:[4026531999]", "/run/netns/c");
    assert.ok(isMounted(mount, `${other}\n${line(mount.root, "/run/netns/a\\040b")}\n`));
  });

  test("is gone when another namespace or another file is there", () => {
    assert.ok(!isMounted(mount, line("net:[4026531999]", "/run/netns/a\\040b")));
    assert.ok(!isMounted(mount, line(mount.root, "/run/netns/b")));
    assert.ok(!isMounted(mount, ""));
  });
});

describe("lifelines", () => {
  systemTest("a process: its end, before anybody has waited for it", [], async (sys) => {
    const child = spawn("cat", { stdio: ["pipe", "ignore", "ignore"] });
    const lines = watchNamespace(sys, `/proc/${child.pid}/ns/net`);
    assert.equal(lines.length, 1);
    assert.equal(endOf(sys, lines), undefined);
    const ended = new Promise((resolve) => child.once("close", resolve));
    child.stdin.end();
    await ended;
    assert.match(endOf(sys, lines) ?? "", /process [0-9]+, whose namespace is served, has ended/);
    closeLifelines(sys, lines);
    assert.throws(() => watchNamespace(sys, child.pid ?? 0), /no such process/);
  });

  systemTest("this process needs no watching, and what is no mount has none", [], (sys) => {
    assert.deepEqual(watchNamespace(sys, process.pid), []);
    assert.deepEqual(watchNamespace(sys, "/proc/self/ns/net"), []);
    assert.deepEqual(watchNamespace(sys, "/nowhere"), []);
  });

  systemTest("a namespace's file: deleted", ["root"], async (sys) => {
    let lines = watchNamespace(sys, "/nowhere");
    await withNetns((name) => {
      lines = watchNamespace(sys, `/run/netns/${name}`);
      assert.equal(lines.length, 1);
      assert.equal(endOf(sys, lines), undefined);
    });
    assert.match(endOf(sys, lines) ?? "", /has been deleted/);
    closeLifelines(sys, lines);
  });

  systemTest("a pipe: the other end closed, but not octets in it", [], (sys) => {
    sys.pipe2(sys.scratch.address, SOCK_CLOEXEC);
    const [reading, writing] = [sys.scratch.getI32(0), sys.scratch.getI32(4)];
    const lines = [watchOtherEnd(reading)];
    sys.write(writing, sys.scratch.address, 1);
    assert.equal(endOf(sys, lines), undefined);
    sys.close(writing);
    assert.match(endOf(sys, lines) ?? "", /the other end of descriptor/);
    closeLifelines(sys, lines);
    assert.throws(() => watchOtherEnd(reading), /hand over a pipe or socket/);
  });
});

describe("lifelines: what the kernel is asked", () => {
  const own = process.pid;

  systemTest("a process is watched by a pidfd, unless there is none to be had", [], (sys) => {
    const reason = "process 4711, whose namespace is served, has ended";
    const there = play(sys, { syscall: 50 });
    for (const namespace of [4711, "/proc/4711/ns/net"]) {
      assert.deepEqual(watchNamespace(there.told, namespace), [{ fd: 50, events: 1, reason }]);
    }
    assert.deepEqual(there.calls, [...Array(2)].fill(["syscall", 434, 4711, 0, 0, 0, 0]));
    for (const errno of [ENOSYS, EPERM]) {
      assert.deepEqual(watchNamespace({ ...sys, syscall: () => -errno }, 4711), []);
    }
    assert.throws(() => watchNamespace({ ...sys, syscall: () => -ESRCH }, 4711), {
      message: "Find process 4711: no such process (ESRCH)",
    });
  });

  systemTest("nobody is watched by a number that is another's in /proc", [], (sys) => {
    const { told, calls } = play(sys, { syscall: 50, getpid: own + 1 });
    assert.deepEqual(watchNamespace(told, own + 2), []);
    assert.deepEqual(watchNamespace({ ...told, getpid: () => own }, own), []);
    for (const nobody of [0, -1]) assert.deepEqual(watchNamespace(told, nobody), []);
    assert.deepEqual(
      calls.filter(([name]) => name === "syscall"),
      [],
    );
  });

  systemTest("has come to an end by its own events, a hang-up or an error", [], (sys) => {
    let happened = { count: 0, events: 0 };
    const { told, calls } = play(sys, {
      poll: (address) => {
        const entry = new DataView(sys.view(address, 8));
        assert.deepEqual([entry.getInt32(0, true), entry.getInt16(4, true)], [50, 0x2000]);
        entry.setInt16(6, happened.events, true);
        return happened.count;
      },
      close: 0,
    });
    const line = { fd: 50, events: 0x2000, reason: "the end" };
    for (const [count, events, reason] of [
      [0, 0x2000, undefined],
      [-4, 0x2000, undefined],
      [1, 0x2000, "the end"],
      [1, 0x8, "the end"],
      [1, 0x10, "the end"],
      [1, 0x1, undefined],
    ] as const) {
      happened = { count, events };
      assert.equal(endOf(told, [line]), reason, `${count} ${events}`);
    }
    assert.deepEqual(calls[0], ["poll", "@", 1, 0]);
    calls.length = 0;
    closeLifelines(told, [line, { ...line, fd: 51 }]);
    assert.deepEqual(calls, [
      ["close", 50],
      ["close", 51],
    ]);
  });

  systemTest("a mount is watched by news of mounts, and known by both its names", ["root"], (sys) =>
    withNetns((name) => {
      const lines = watchNamespace(sys, `/var/run/netns/${name}`);
      const [line] = lines;
      const { ino } = statSync(`/run/netns/${name}`);
      assert.deepEqual(lines, [
        {
          fd: line?.fd,
          events: 0x2 | 0x8,
          reason: `the namespace "/var/run/netns/${name}" has been deleted`,
          mount: { root: `net:[${ino}]`, point: `/run/netns/${name}` },
        },
      ]);
      closeLifelines(sys, lines);
    }),
  );

  systemTest("sockets and terminals have another end, files have none", [], (sys) => {
    const pair = openUnixPair(sys);
    const reason = `the other end of descriptor ${pair.a} has been closed`;
    assert.deepEqual(watchOtherEnd(pair.a), { fd: pair.a, events: 0x2000, reason });
    for (const fd of [pair.a, pair.b]) sys.close(fd);
    using terminal = openFile(sys, "/dev/null", O_RDONLY);
    assert.equal(watchOtherEnd(terminal.number).fd, terminal.number);
    using file = openFile(sys, "/etc/passwd", O_RDONLY);
    assert.throws(() => watchOtherEnd(file.number), RangeError);
  });
});
