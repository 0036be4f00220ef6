/** Files below a folder: names, ways out, what is no file; with and without openat2. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Block } from "../../src/sys/block.ts";
import { EISDIR, ELOOP, ENAMETOOLONG, ENOENT, EXDEV, SystemError } from "../../src/sys/errno.ts";
import { Folder } from "../../src/sys/folder.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { systemTest } from "./support.ts";

const EINVAL = 22;

/** A folder with files, links and other things in it; taken away in any case. */
function withFolder(sys: Libc, hasOpenat2: boolean, run: (folder: Folder) => void): void {
  const base = mkdtempSync(join(tmpdir(), "slirp-folder-"));
  const root = join(base, "root");
  try {
    mkdirSync(join(root, "sub"), { recursive: true });
    writeFileSync(join(base, "secret"), "secret");
    writeFileSync(join(root, "sub", "file"), "0123456789");
    symlinkSync("sub/file", join(root, "inside"));
    symlinkSync("../secret", join(root, "outside"));
    symlinkSync("/etc/hostname", join(root, "absolute"));
    symlinkSync("..", join(root, "up"));
    symlinkSync("loop", join(root, "loop"));
    symlinkSync("/proc/self/fd/0", join(root, "magic"));
    execFileSync("mkfifo", [join(root, "pipe")]);
    const folder = new Folder(sys, root, hasOpenat2);
    try {
      run(folder);
    } finally {
      folder.close();
      folder.close();
    }
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

/** What a file has from `offset` on, or the errno. */
function read(sys: Libc, folder: Folder, name: string, offset = 0): string | number {
  const file = folder.open(name);
  if (typeof file === "number") return -file;
  const block = new Block(sys, 16);
  const size = file.read(block.address, 16, offset);
  file.close();
  file.close();
  return new TextDecoder().decode(block.bytes.subarray(0, size));
}

for (const hasOpenat2 of [true, false]) {
  const way = hasOpenat2 ? "with openat2" : "without openat2";

  systemTest(`files are found by names of many forms, ${way}`, [], (sys) => {
    withFolder(sys, hasOpenat2, (folder) => {
      for (const name of ["sub/file", "/sub/file", "./sub//file", "\\sub\\file"]) {
        assert.equal(read(sys, folder, name), "0123456789", name);
      }
      assert.equal(read(sys, folder, "sub/file", 8), "89");
      assert.equal(read(sys, folder, "sub/file", 10), "");
      const file = folder.open("sub/file");
      assert.ok(typeof file !== "number" && file.size === 10);
      file.close();
    });
  });

  systemTest(`no name leads out, ${way}`, [], (sys) => {
    withFolder(sys, hasOpenat2, (folder) => {
      for (const name of ["../secret", "sub/../../secret", "..", "sub\\..\\..\\secret"]) {
        assert.equal(read(sys, folder, name), EXDEV, name);
      }
      for (const name of ["outside", "absolute", "up/secret", "loop", "magic"]) {
        const errno = read(sys, folder, name);
        assert.ok(typeof errno === "number", `${name}: ${errno}`);
      }
      assert.equal(read(sys, folder, "inside"), hasOpenat2 ? "0123456789" : ELOOP);
    });
  });

  systemTest(`only regular files are opened, ${way}`, [], (sys) => {
    withFolder(sys, hasOpenat2, (folder) => {
      assert.equal(read(sys, folder, "sub"), EISDIR);
      assert.equal(read(sys, folder, "pipe"), EISDIR, "and nobody waits for its other end");
      assert.equal(read(sys, folder, "none"), ENOENT);
      for (const name of ["", "/", ".", "a\0b", "a/".repeat(33)]) {
        assert.equal(read(sys, folder, name), EINVAL, JSON.stringify(name));
      }
      assert.equal(read(sys, folder, "x".repeat(1025)), ENAMETOOLONG);
    });
  });
}

systemTest("a folder that is none ends the start", [], (sys) => {
  assert.throws(() => new Folder(sys, "/etc/hostname"), SystemError);
  assert.throws(() => new Folder(sys, "/does/not/exist"), SystemError);
});
