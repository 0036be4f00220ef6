/** Who the program becomes; that it does is shown by test/e2e/privileges.runtime.test.ts. */
import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, test } from "node:test";
import { chooseUser } from "../../src/cli/choose-user.ts";
import type { Rights } from "../../src/sys/rights.ts";

const ALL = 0x1ff_ffff_ffffn;
const NOBODY = { uid: 65534, gid: 65534 };
const GROUP = 107;

function rights(id: number, effective = 0n, groups: readonly number[] = []): Rights {
  const four = [id, id, id, id];
  return {
    uids: four,
    gids: four,
    groups,
    inheritable: 0n,
    permitted: effective,
    effective,
    bounding: ALL,
    ambient: 0n,
    noNewPrivs: false,
  };
}

const ROOT = rights(0, ALL);
const folder = mkdtempSync(join(tmpdir(), "slirp-confine-"));
chmodSync(folder, 0o755);
after(() => rmSync(folder, { recursive: true }));

function folderOf(name: string, mode: number, group = 0): string {
  const path = join(folder, name);
  mkdirSync(path);
  if (group !== 0) chownSync(path, 0, group);
  chmodSync(path, mode);
  return path;
}

describe("without a word", () => {
  test("root becomes nobody", () => {
    assert.deepEqual(chooseUser(undefined, ROOT, { folders: [] }), { user: NOBODY });
  });

  test("everybody else stays, and so does a root that may not change", () => {
    assert.deepEqual(chooseUser(undefined, rights(107), { folders: [] }), { user: undefined });
    assert.deepEqual(chooseUser(undefined, rights(0), { folders: [] }), { user: undefined });
  });

  test("root stays where it is needed, and says why", () => {
    const reason = "the socket may be root's";
    const choice = chooseUser(undefined, ROOT, { folders: [], root: reason });
    assert.deepEqual(choice, { user: undefined, reason });
  });

  const skip = process.getuid?.() === 0 ? false : "needs root: it gives folders away";

  test("root becomes nobody where folders are for all, in their group where for it", {
    skip,
  }, () => {
    const open = folderOf("open", 0o777);
    assert.deepEqual(chooseUser(undefined, ROOT, { folders: [open] }), { user: NOBODY });
    const group = folderOf("group", 0o2770, GROUP);
    const user = { uid: NOBODY.uid, gid: GROUP };
    assert.deepEqual(chooseUser(undefined, ROOT, { folders: [group, open] }), { user });
  });

  test("root stays with a folder that is its own, or that lets nobody remove things", {
    skip,
  }, () => {
    const closed = folderOf("closed", 0o755);
    const sticky = folderOf("sticky", 0o1777);
    const other = folderOf("other", 0o770, GROUP + 1);
    const mine = folderOf("mine", 0o770, GROUP);
    for (const folders of [[closed], [sticky], [join(closed, "missing")], [mine, other]]) {
      const { user, reason } = chooseUser(undefined, ROOT, { folders });
      assert.equal(user, undefined);
      assert.equal(reason, `folder "${folders[0]}" is not for nobody`);
    }
  });

  test("a folder below one that is closed is closed", { skip }, () => {
    const outer = folderOf("outer", 0o700);
    const inner = join(outer, "inner");
    mkdirSync(inner);
    chmodSync(inner, 0o777);
    assert.equal(chooseUser(undefined, ROOT, { folders: [inner] }).user, undefined);
  });
});

describe("asked for", () => {
  test("a user is had by root, and by whoever is it", () => {
    const asked = { uid: 107, gid: 36 };
    assert.deepEqual(chooseUser(asked, ROOT, { folders: [] }), { user: asked });
    const own = { uid: 107, gid: 107 };
    assert.deepEqual(chooseUser(own, rights(107, 0n, [107]), { folders: [] }), { user: undefined });
    const root = { uid: 0, gid: 0 };
    for (const groups of [[], [0], [0, 10]]) {
      assert.deepEqual(chooseUser(root, rights(0, ALL, groups), { folders: [] }), {
        user: undefined,
      });
    }
    // Whoever has further groups is not yet the user that was asked for.
    const grouped = { ...rights(107, ALL, [107, 10]) };
    assert.deepEqual(chooseUser(own, grouped, { folders: [] }), { user: own });
    for (const more of [{ uids: [107, 0, 107, 107] }, { gids: [107, 107, 0, 107] }]) {
      const half = { ...rights(107, ALL, [107]), ...more };
      assert.deepEqual(chooseUser(own, half, { folders: [] }), { user: own });
    }
  });

  test("a user that cannot be had is an error", () => {
    const asked = { uid: 107, gid: 107 };
    const start = /^Error: start as root to become user 107:107$/;
    assert.throws(() => chooseUser(asked, rights(1000), { folders: [] }), start);
    const folders = [join(folder, "missing")];
    const write = /^Error: let user 107:107 write to folder ".*missing"$/;
    assert.throws(() => chooseUser(asked, ROOT, { folders }), write);
  });
});
