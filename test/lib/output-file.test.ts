/**
 * Files that traffic goes to. Goal: only the owner can read them, no link is followed, nothing that
 * is there is written into, and what is not ours is refused and stays as it is.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  constants,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { keepOlder, openOutput, openOutputFile } from "../../src/lib/output-file.ts";
import type { Outlet } from "../../src/lib/pump.ts";

const FOLDER = mkdtempSync(join(tmpdir(), "slirp-output-"));
after(() => rmSync(FOLDER, { recursive: true, force: true }));

let count = 0;
function path(): string {
  count += 1;
  return join(FOLDER, `file-${count}`);
}

/** A device of our own: a mistake here must not replace the machine's. */
function deviceOf(minor: number): string {
  const device = path();
  assert.equal(spawnSync("mknod", [device, "c", "1", `${minor}`]).status, 0);
  return device;
}

/** How many of this process' descriptors lead there. */
function openCount(file: string): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === file;
    } catch {
      return false; // the one that the folder was read by
    }
  }).length;
}

const isRoot = lstatSync("/proc/self").uid === 0;
const skip = !isRoot && "needs root to make a device, or a file that is somebody else's";

function write(outlet: Outlet, text: string): Promise<number | Error> {
  return new Promise((resolve) => outlet.write(new TextEncoder().encode(text), resolve));
}

/** Both ways to open one; each writes "new". */
const WAYS: readonly (readonly [string, (file: string) => Promise<void>])[] = [
  [
    "at once",
    async (file) => {
      const sink = openOutputFile(file);
      try {
        assert.equal(sink.write(new TextEncoder().encode("new")), true);
      } finally {
        sink.close();
      }
    },
  ],
  [
    "by a pump",
    async (file) => {
      const { kind, outlet } = openOutput(file);
      try {
        assert.equal(kind, "file");
        const result = await write(outlet, "new");
        if (result instanceof Error) throw result;
        assert.equal(result, 3);
      } finally {
        outlet.close();
      }
    },
  ],
];

for (const [name, make] of WAYS) {
  describe(`output files written ${name}`, () => {
    test("only the owner can read them, whatever was there, and nothing else is left", async () => {
      const file = path();
      await make(file);
      assert.equal(readFileSync(file, "utf8"), "new");
      assert.equal(openCount(file), 0);
      assert.equal(statSync(file).mode & 0o777, 0o600);
      writeFileSync(file, "old and longer");
      chmodSync(file, 0o666);
      await make(file);
      assert.equal(readFileSync(file, "utf8"), "new");
      assert.equal(statSync(file).mode & 0o777, 0o600);
      const names = readdirSync(FOLDER).filter((each) => join(FOLDER, each).startsWith(file));
      assert.deepEqual(names, [file.slice(FOLDER.length + 1)]);
    });

    test("a file that has another name, too, keeps its content under that", async () => {
      const [file, other] = [path(), path()];
      writeFileSync(other, "precious");
      linkSync(other, file);
      await make(file);
      assert.equal(readFileSync(other, "utf8"), "precious");
    });

    test("a link is replaced and not followed, whether or not it leads somewhere", async () => {
      const [file, target] = [path(), path()];
      symlinkSync(target, file);
      await make(file);
      assert.equal(lstatSync(target, { throwIfNoEntry: false }), undefined);
      writeFileSync(target, "precious");
      rmSync(file);
      symlinkSync(target, file);
      await make(file);
      assert.ok(lstatSync(file).isFile());
      assert.equal(readFileSync(file, "utf8"), "new");
      assert.equal(readFileSync(target, "utf8"), "precious");
    });

    test("a folder is refused, and a name in a folder that is not there", async () => {
      const file = path();
      mkdirSync(file);
      const message = `Refuse to write to "${file}": there is something that is no file`;
      await assert.rejects(() => make(file), { message });
      await assert.rejects(() => make(join(FOLDER, "none", "file")), /ENOENT/);
    });

    test("a link in the way of the temporary name is not followed", async () => {
      const [file, target] = [path(), path()];
      symlinkSync(target, `${file}.new`);
      await make(file);
      assert.equal(readFileSync(file, "utf8"), "new");
      assert.equal(lstatSync(target, { throwIfNoEntry: false }), undefined);
    });

    test("a device is written to as it is", { skip }, async () => {
      const [nothing, full] = [deviceOf(3), deviceOf(7)];
      await make(nothing);
      await assert.rejects(() => make(full), { code: "ENOSPC" });
      for (const device of [nothing, full]) {
        assert.ok(statSync(device).isCharacterDevice());
        assert.equal(openCount(device), 0);
      }
    });

    test("a hundred names are tried for a new file", async () => {
      const file = path();
      const names = Array.from({ length: 100 }, (_, index) => `${file}.new${index || ""}`);
      for (const name of names) writeFileSync(name, "somebody's");
      await assert.rejects(() => make(file), { code: "EEXIST" });
      rmSync(`${file}.new99`);
      await make(file);
      assert.equal(readFileSync(file, "utf8"), "new");
      for (const name of names.slice(0, -1)) rmSync(name);
    });

    test("somebody else's file or link is refused and stays", { skip }, async () => {
      const [file, link] = [path(), path()];
      writeFileSync(file, "theirs");
      symlinkSync(file, link);
      for (const each of [file, link]) {
        lchownSync(each, 65534, 65534);
        const refusal = /Refuse to write to ".*": it belongs to user 65534, and this is user 0/;
        await assert.rejects(() => make(each), refusal);
      }
      assert.equal(readFileSync(file, "utf8"), "theirs");
      assert.ok(lstatSync(link).isSymbolicLink());
    });
  });
}

describe("an older recording", () => {
  test("gets another name, a link as it is", () => {
    const [file, link] = [path(), path()];
    keepOlder(file);
    writeFileSync(file, "older");
    keepOlder(file);
    assert.equal(readFileSync(`${file}.old`, "utf8"), "older");
    symlinkSync(file, link);
    keepOlder(link);
    assert.equal(readlinkSync(`${link}.old`), file);
  });

  test("is none where a device is", { skip }, () => {
    const device = deviceOf(3);
    keepOlder(device);
    assert.ok(statSync(device).isCharacterDevice());
    assert.equal(lstatSync(`${device}.old`, { throwIfNoEntry: false }), undefined);
  });
});

describe("what is cut off", () => {
  test("is no longer in the file", async () => {
    const file = path();
    const { outlet } = openOutput(file);
    await write(outlet, "whole ");
    await write(outlet, "ha");
    outlet.cut(2);
    assert.equal(readFileSync(file, "utf8"), "whole ");
    outlet.cut(1);
    outlet.close();
    assert.equal(readFileSync(file, "utf8"), "whole");
  });

  test("stays where nothing can be cut off", { skip }, async () => {
    const { outlet } = openOutput(deviceOf(3));
    await write(outlet, "whole ha");
    outlet.cut(2);
    outlet.close();
  });
});

describe("a FIFO", () => {
  test("is opened without a reader, and readers come and go", async () => {
    const file = path();
    assert.equal(spawnSync("mkfifo", [file]).status, 0);
    const { kind, outlet } = openOutput(file);
    assert.equal(kind, "fifo");
    const text = Buffer.alloc(16);
    for (let reader = 0; reader < 3; reader += 1) {
      assert.match(String(await write(outlet, "nobody")), /EPIPE/);
      const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
      assert.equal(await write(outlet, "hello"), 5);
      assert.equal(text.toString("utf8", 0, readSync(fd, text)), "hello");
      closeSync(fd);
    }
    const stalled = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const large = "x".repeat(1 << 20);
    let result: number | Error = 0;
    while (typeof result === "number") result = await write(outlet, large);
    assert.ok(result instanceof Error && "code" in result);
    assert.equal(result.code, "EAGAIN");
    closeSync(stalled);
    outlet.cut(1); // what is read cannot be taken back
    assert.equal(openCount(file), 1);
    outlet.close();
    assert.equal(openCount(file), 0);
  });

  test("of somebody else's is refused, and closed again", { skip }, () => {
    const file = path();
    spawnSync("mkfifo", [file]);
    lchownSync(file, 65534, 65534);
    const message = `Refuse to write to "${file}": it belongs to user 65534, and this is user 0`;
    assert.throws(() => openOutput(file), { message });
    assert.equal(openCount(file), 0);
  });

  test("is refused where somebody waits for what is written", () => {
    const file = path();
    spawnSync("mkfifo", [file]);
    assert.throws(() => openOutputFile(file), /it is a FIFO/);
    assert.throws(() => keepOlder(file), /there is something that is no file/);
  });
});
