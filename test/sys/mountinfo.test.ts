/** Mounts as /proc/PID/mountinfo tells them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseMounts } from "../../src/sys/mountinfo.ts";

describe("mountinfo", () => {
  test("each line is a mount, whatever stands between its fields", () => {
    const text = [
      "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue",
      "37 36 0:4 net:[4026532000] /run/netns/a rw - nsfs - ro",
      "38 36 0:5 / /b-c - - tmpfs  rw,size=1k",
      "",
    ].join("\n");
    assert.deepEqual(parseMounts(text), [
      { root: "/mnt1", point: "/mnt2", type: "ext3", options: "rw,errors=continue" },
      { root: "net:[4026532000]", point: "/run/netns/a", type: "nsfs", options: "ro" },
      { root: "/", point: "/b-c", type: "tmpfs", options: "rw,size=1k" },
    ]);
  });

  test("lines that are none are left out", () => {
    for (const text of ["", "no mount", "36 35 98:0 / /mnt rw", "36 35 98:0 / /mnt rw - ext3"]) {
      assert.deepEqual(parseMounts(text), [], text);
    }
  });

  test("each escape is one character, and nothing else is one", () => {
    const pointOf = (point: string): string | undefined =>
      parseMounts(`1 1 0:1 / ${point} rw - tmpfs tmpfs rw`)[0]?.point;
    assert.equal(pointOf("/a\\040b\\011c\\012d\\134e"), "/a b\tc\nd\\e");
    assert.equal(pointOf("/a\\134040"), "/a\\040", "once");
    assert.equal(pointOf("/plain\\09\\888"), "/plain\\09\\888");
  });
});
