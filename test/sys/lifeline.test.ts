/** What tells that a guest network is wanted no longer; see test/e2e/attach-ends.test.ts, too. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { describe, test } from "node:test";
import { closeLifelines, endOf, watchNamespace, watchOtherEnd } from "../../src/sys/lifeline.ts";
import { SOCK_CLOEXEC } from "../../src/sys/linux.ts";
import { isMounted } from "../../src/sys/mounts.ts";
import { systemTest, withNetns } from "./support.ts";

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
