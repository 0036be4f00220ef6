/** Files below a folder: names, ways out, what is no file; with and without openat2. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "node:test";
import { Block } from "../../src/sys/block.ts";
import {
  EACCES,
  EISDIR,
  ELOOP,
  ENAMETOOLONG,
  ENOENT,
  ENOSYS,
  EPERM,
  EXDEV,
  SystemError,
} from "../../src/sys/errno.ts";
import { Folder } from "../../src/sys/folder.ts";
import type { Libc } from "../../src/sys/libc.ts";
import * as linux from "../../src/sys/linux.ts";
import { play, systemTest } from "./support.ts";

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

systemTest("a folder that is none ends the start, and is named", [], (sys) => {
  assert.throws(() => new Folder(sys, "/etc/hostname"), SystemError);
  assert.throws(() => new Folder(sys, "/does/not/exist"), {
    message: 'Open folder "/does/not/exist": no such file or directory (ENOENT)',
  });
});

systemTest("names of 1024 characters and 32 parts are looked for, longer ones are not", [], (sys) =>
  withFolder(sys, true, (folder) => {
    const parts = Array.from({ length: 32 }, () => "x".repeat(31));
    const longest = `x${parts.join("/")}`;
    assert.equal(longest.length, 1024);
    assert.equal(read(sys, folder, longest), ENOENT);
    assert.equal(read(sys, folder, `x${longest}`), ENAMETOOLONG);
  }),
);

describe("folder: what the kernel is asked", () => {
  const REGULAR = 0x8000;
  const [OPEN_FOLDER, OPEN_FILE] = [linux.O_PATH | linux.O_DIRECTORY, linux.O_NONBLOCK].map(
    (flags) => flags | linux.O_CLOEXEC,
  );
  const FILE_FLAGS = Number(OPEN_FILE) | linux.O_NOCTTY;

  /** A folder of a kernel that gives these descriptors, or errors, and a file of this mode. */
  function open(sys: Libc, found: { openat2: number; openat?: number; statx: number }) {
    const questions: bigint[][] = [];
    const { told, calls } = play(sys, {
      open: 50,
      syscall: (_number, _fd, _path, how) => {
        questions.push([...new BigUint64Array(sys.view(how, 24).slice(0))]);
        return found.openat2;
      },
      openat: () => found.openat ?? 0,
      statx: (_fd, _name, _flags, _mask, address) => {
        const answer = new DataView(sys.view(address, 256));
        answer.setUint16(28, REGULAR | 0o644, true);
        answer.setBigUint64(40, 0x1_0000_0002n, true);
        return found.statx;
      },
      pread: 3,
      close: 0,
    });
    return { folder: new Folder(told, "/srv"), calls, questions };
  }

  systemTest("by openat2: beneath the folder, through no magic link; closed once", [], (sys) => {
    const { folder, calls, questions } = open(sys, { openat2: 0, statx: 0 });
    const file = folder.open("a/b");
    assert.ok(typeof file !== "number");
    assert.equal(file.size, 0x1_0000_0002);
    assert.equal(file.read(2 ** 40, 16, 5), 3);
    file.close();
    file.close();
    folder.close();
    folder.close();
    assert.deepEqual(calls, [
      ["open", "@", OPEN_FOLDER, 0],
      ["syscall", 437, 50, "@", "@", 24, 0],
      ["statx", 0, "@", linux.AT_EMPTY_PATH, 0x201, "@"],
      ["pread", 0, "@", 16, 5],
      ["close", 0],
      ["close", 50],
    ]);
    assert.deepEqual(questions, [[BigInt(FILE_FLAGS), 0n, 0x0an]]);
  });

  for (const errno of [ENOSYS, EPERM]) {
    systemTest(`without openat2, once it has given ${errno}: part by part`, [], (sys) => {
      const { folder, calls } = open(sys, { openat2: -errno, openat: 60, statx: 0 });
      for (const name of ["a/b/c", "d"]) assert.ok(typeof folder.open(name) !== "number");
      const [folderFlags, fileFlags] = [Number(OPEN_FOLDER), FILE_FLAGS].map(
        (flags) => flags | linux.O_NOFOLLOW,
      );
      const statx = ["statx", 60, "@", linux.AT_EMPTY_PATH, 0x201, "@"];
      assert.deepEqual(calls.slice(1), [
        ["syscall", 437, 50, "@", "@", 24, 0],
        ["openat", 50, "@", folderFlags, 0],
        ["openat", 60, "@", folderFlags, 0],
        ["close", 60],
        ["openat", 60, "@", fileFlags, 0],
        ["close", 60],
        statx,
        ["openat", 50, "@", fileFlags, 0],
        statx,
      ]);
    });
  }

  systemTest("a file may have descriptor 0, without openat2 too", [], (sys) => {
    const { folder, calls } = open(sys, { openat2: -ENOSYS, openat: 0, statx: 0 });
    assert.ok(typeof folder.open("a/b") !== "number");
    assert.equal(calls.filter(([name]) => name === "openat").length, 2);
  });

  systemTest("each error is passed on, and nothing stays open", [], (sys) => {
    for (const [found, errno, closed] of [
      [{ openat2: -EACCES, statx: 0 }, -EACCES, []],
      [{ openat2: -ENOSYS, openat: -EPERM, statx: 0 }, -EPERM, []],
      [{ openat2: 51, statx: -EPERM }, -EPERM, [["close", 51]]],
    ] as const) {
      const { folder, calls } = open(sys, found);
      assert.equal(folder.open("a"), errno);
      assert.deepEqual(
        calls.filter(([name]) => name === "close"),
        closed,
      );
    }
  });
});
