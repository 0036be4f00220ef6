/** Which mappings of the program file may be let go: only those that nothing has changed. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { check } from "../../src/sys/errno.ts";
import { openFile } from "../../src/sys/fd.ts";
import type { Libc } from "../../src/sys/libc.ts";
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  O_RDONLY,
  PROT_READ,
  PROT_WRITE,
} from "../../src/sys/linux.ts";
import {
  collectGarbage,
  forgetPages,
  releaseProgramPages,
  releaseProgramPagesLater,
} from "../../src/sys/resident.ts";
import { cleanMappings } from "../../src/sys/smaps.ts";
import { systemTest } from "./support.ts";

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
  systemTest("pages that are forgotten are zeros, and cost nothing", [], (sys) => {
    const size = 1 << 20;
    const flags = MAP_PRIVATE | MAP_ANONYMOUS;
    const address = check(sys.mmap(0, size, PROT_READ | PROT_WRITE, flags, -1, 0), "Map");
    const octets = new Uint8Array(sys.view(address, size));
    octets.fill(1);
    forgetPages(sys, address, size / 2);
    assert.deepEqual([octets[0], octets[size / 2 - 1], octets[size / 2]], [0, 0, 1]);
    sys.munmap(address, size);
  });

  test("read-only mappings of the program are found with their bounds", () => {
    const smaps = [
      mapping("00400000-00500000", "r-xp", PROGRAM, "0"),
      mapping("00500000-00600000", "r--p", PROGRAM, "0"),
      mapping("00700000-00800000", "r--p", PROGRAM, "0"),
    ].join("\n");
    assert.deepEqual(cleanMappings(smaps, PROGRAM), [
      { start: 0x400000, end: 0x500000 },
      { start: 0x500000, end: 0x600000 },
      { start: 0x700000, end: 0x800000 },
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

  test("each line that tells of a change keeps the mapping, and no other does", () => {
    const lines = (more: string): string =>
      `${mapping("00400000-00500000", "r--p", PROGRAM, "0")}\n${more}\n`;
    for (const name of ["Private_Dirty", "Anonymous", "Swap", "Locked"]) {
      assert.deepEqual(cleanMappings(lines(`${name}:   1 kB`), PROGRAM), [], name);
      assert.equal(cleanMappings(lines(`${name}:   0 kB`), PROGRAM).length, 1, name);
    }
    assert.equal(cleanMappings(lines("Referenced:   4 kB"), PROGRAM).length, 1);
  });

  systemTest("clean pages of the file are let go, the changed ones of others stay", [], (sys) => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-resident-"));
    const path = join(folder, "program");
    const size = 64 * 4096;
    const writer = openSync(path, "w");
    writeSync(writer, new Uint8Array(size).fill(7));
    fsyncSync(writer); // pages that are to be written yet count as changed
    closeSync(writer);
    const file = openFile(sys, path, O_RDONLY);
    const address = check(sys.mmap(0, size, PROT_READ, MAP_PRIVATE, file.number, 0), "Map");
    const octets = new Uint8Array(sys.view(address, size));
    const resident = (): number => {
      const smaps = readFileSync("/proc/self/smaps", "latin1");
      const own = smaps.slice(smaps.indexOf(path));
      return Number(/^Rss: +(\d+) kB$/m.exec(own)?.[1]);
    };
    const sum = (): number => octets.reduce((total, octet) => total + octet, 0);
    assert.equal(sum(), 7 * size);
    assert.equal(resident(), size / 1024);
    releaseProgramPages(sys, "/another/program");
    assert.equal(resident(), size / 1024);
    releaseProgramPages(sys, path);
    assert.equal(resident(), 0);
    assert.equal(sum(), 7 * size, "they come back when they are needed");
    sys.munmap(address, size);
    file.close();
    rmSync(folder, { recursive: true });
  });

  systemTest("waiting for quiet keeps no process alive", [], () => {
    const module = fileURLToPath(new URL("../../src/sys/resident.ts", import.meta.url));
    const script =
      `import { releaseProgramPagesLater } from ${JSON.stringify(module)};` +
      'releaseProgramPagesLater({}, "", () => {}, [3_600_000]); console.log("done");';
    const command = "Deno" in globalThis ? ["eval", script] : ["-e", script];
    const { status, stdout } = spawnSync(process.execPath, command, {
      encoding: "utf8",
      timeout: 30_000,
    });
    assert.deepEqual([status, stdout], [0, "done\n"]);
  });

  systemTest("garbage is collected at once where the runtime can be asked to", [], async (sys) => {
    if (sys.runtime !== "bun") return collectGarbage(); // and does no harm
    const refs = Array.from({ length: 1000 }, () => new WeakRef({ octets: new Uint8Array(64) }));
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
    const alive = refs.filter((ref) => ref.deref() !== undefined).length;
    assert.ok(alive < 500, `${alive} of 1000 are left`);
  });
});
