/** Which mappings of the program file may be let go: only those that nothing has changed. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Libc } from "../../src/sys/libc.ts";
import { cleanMappings, releaseProgramPagesLater } from "../../src/sys/resident.ts";

const PROGRAM = "/opt/slirp-binding";

function mapping(range: string, access: string, path: string, changed: string): string {
  return [
    `${range} ${access} 00000000 08:01 1234                 ${path}`,
    "Rss:                 100 kB",
    `Private_Dirty:         ${changed} kB`,
    "Anonymous:             0 kB",
    "VmFlags: rd ex mr mw me",
  ].join("\n");
}

describe("sys/resident", () => {
  test("read-only mappings of the program are found with their bounds", () => {
    const smaps = [
      mapping("00400000-00500000", "r-xp", PROGRAM, "0"),
      mapping("00500000-00600000", "r--p", PROGRAM, "0"),
    ].join("\n");
    assert.deepEqual(cleanMappings(smaps, PROGRAM), [
      { start: 0x400000, end: 0x500000 },
      { start: 0x500000, end: 0x600000 },
    ]);
  });

  const kept: readonly [string, string][] = [
    ["a changed mapping", mapping("00400000-00500000", "r--p", PROGRAM, "4")],
    ["a writable mapping", mapping("00400000-00500000", "rw-p", PROGRAM, "0")],
    ["another file", mapping("00400000-00500000", "r-xp", "/lib/libc.so.6", "0")],
    ["anonymous memory", mapping("00400000-00500000", "r--p", "", "0")],
    ["a shared mapping", mapping("00400000-00500000", "r--s", PROGRAM, "0")],
    ["no text at all", ""],
  ];
  for (const [what, smaps] of kept) {
    test(`${what} stays`, () => assert.deepEqual(cleanMappings(smaps, PROGRAM), []));
  }

  test("calls in a row let the pages go when they are over, once for each wait", async () => {
    const released: string[] = [];
    const sys = {} as Libc;
    const done = new Promise<void>((resolve) => {
      const release = (_sys: Libc, path: string): void => {
        released.push(path);
        if (released.length === 2) resolve();
      };
      for (let i = 0; i < 1000; i += 1) releaseProgramPagesLater(sys, `${i}`, release, [5, 10]);
    });
    assert.deepEqual(released, []);
    const alive = setInterval(() => {}, 1000); // the wait itself keeps no process alive
    await done;
    clearInterval(alive);
    assert.deepEqual(released, ["999", "999"]);
  });
});
