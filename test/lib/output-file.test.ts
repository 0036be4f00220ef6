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

function write(outlet: Outlet, text: string): Promise<number | Error> {
  return new Promise((resolve) => outlet.write(new TextEncoder().encode(text), resolve));
}

/** Both ways to open one; each writes "new". */
const WAYS: readonly (readonly [string, (file: string) => Promise<void>])[] = [
  [
    "at once",
    async (file) => {
      const sink = openOutputFile(file);
      sink.write(new TextEncoder().encode("new"));
      sink.close();
    },
  ],
  [
    "by a pump",
    async (file) => {
      const { outlet } = openOutput(file);
      try {
        assert.equal(await write(outlet, "new"), 3);
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
      await assert.rejects(() => make(file), /there is something that is no file/);
      await assert.rejects(() => make(join(FOLDER, "none", "file")), /ENOENT/);
    });

    test("a link in the way of the temporary name is not followed", async () => {
      const [file, target] = [path(), path()];
      symlinkSync(target, `${file}.new`);
      await make(file);
      assert.equal(readFileSync(file, "utf8"), "new");
      assert.equal(lstatSync(target, { throwIfNoEntry: false }), undefined);
    });

    test("a device is written to as it is", async () => {
      await make("/dev/null");
      assert.ok(statSync("/dev/null").isCharacterDevice());
    });

    const skip = lstatSync("/proc/self").uid !== 0 && "needs root to make a foreign file";
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
});

describe("what is cut off", () => {
  test("is no longer in the file", async () => {
    const file = path();
    const { outlet } = openOutput(file);
    await write(outlet, "whole ha");
    outlet.cut(2);
    outlet.close();
    assert.equal(readFileSync(file, "utf8"), "whole ");
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
    assert.match(String(result), /EAGAIN/);
    closeSync(stalled);
    outlet.close();
  });

  test("is refused where somebody waits for what is written", () => {
    const file = path();
    spawnSync("mkfifo", [file]);
    assert.throws(() => openOutputFile(file), /it is a FIFO/);
    assert.throws(() => keepOlder(file), /there is something that is no file/);
  });
});
