/** Which namespaces `run` makes, and what it says where they cannot be made. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { findObstacle, namespaceFlags } from "../../src/cli/namespaces.ts";
import { mayMakeNamespaces } from "../../src/sys/privileges.ts";

describe("the namespaces", () => {
  test("are those of network and mounts, and of users where they have to be", () => {
    const own = ["--net", "--mount"];
    assert.deepEqual(namespaceFlags(false, true), own);
    assert.deepEqual(namespaceFlags(true, true), own);
    assert.deepEqual(namespaceFlags(true, false), ["--user", "--map-root-user", ...own]);
    const asBefore = ["--user", "--map-current-user", "--keep-caps", ...own];
    assert.deepEqual(namespaceFlags(false, false), asBefore);
    assert.deepEqual(namespaceFlags(true), namespaceFlags(true, mayMakeNamespaces()));
  });
});

/** Tries with a script in the place of unshare(1), or with none. */
function tryWith(
  script: string | undefined,
  settings: Readonly<Record<string, string>> = {},
): { readonly obstacle: string | undefined; readonly told: string | undefined } {
  const folder = mkdtempSync(join(tmpdir(), "slirp-namespaces-"));
  const told = join(folder, "told");
  writeFileSync(told, "");
  if (script !== undefined) {
    const text = `#!/bin/sh\n/usr/bin/env >'${told}'\necho "$@" >>'${told}'\n${script}\n`;
    writeFileSync(join(folder, "unshare"), text, { mode: 0o755 });
  }
  const path = process.env["PATH"];
  process.env["PATH"] = folder;
  process.env["SLIRP_SECRET"] = "x";
  try {
    const obstacle = findObstacle(["--net", "--mount"], (name) => settings[name]);
    return { obstacle, told: readFileSync(told, "utf8") };
  } finally {
    process.env["PATH"] = path;
    delete process.env["SLIRP_SECRET"];
    rmSync(folder, { recursive: true });
  }
}

const OTHERWISE = "start as root, or let this user and container make user namespaces";

describe("what is in the way of them", () => {
  test("is nothing where unshare makes them, whatever settings say", () => {
    const { obstacle, told } = tryWith("exit 0", { "user/max_user_namespaces": "0" });
    assert.equal(obstacle, undefined);
    assert.match(told ?? "", /^--net --mount -- true$/m);
    assert.match(told ?? "", /^PATH=/m);
    assert.doesNotMatch(told ?? "", /SLIRP_SECRET/);
  });

  test("is that there is no unshare", () => {
    assert.equal(tryWith(undefined).obstacle, 'install "unshare" of util-linux');
  });

  test("is what unshare says, or how it ended", () => {
    const says = (script: string): string | undefined => tryWith(script).obstacle;
    assert.equal(says("echo unshare: no room >&2; exit 1"), `no room; ${OTHERWISE}`);
    assert.equal(says("echo sh: unshare: no >&2; exit 1"), `sh: unshare: no; ${OTHERWISE}`);
    assert.equal(says("exit 3"), `code 3; ${OTHERWISE}`);
  });

  const remedies: readonly (readonly [setting: string, value: string, remedy: string])[] = [
    ["kernel/unprivileged_userns_clone", "0", "set kernel.unprivileged_userns_clone to 1"],
    ["user/max_user_namespaces", "0", "raise user.max_user_namespaces"],
    ["user/max_net_namespaces", "0", "raise user.max_net_namespaces"],
    ["user/max_mnt_namespaces", "0", "raise user.max_mnt_namespaces"],
    [
      "kernel/apparmor_restrict_unprivileged_userns",
      "1",
      "set kernel.apparmor_restrict_unprivileged_userns to 0, " +
        'or give this program an AppArmor profile with "userns,"',
    ],
  ];
  for (const [setting, value, remedy] of remedies) {
    test(`is ${setting} where it is ${value}`, () => {
      const other = value === "0" ? "1" : "0";
      assert.equal(tryWith("exit 1", { [setting]: value }).obstacle, `code 1; ${remedy}`);
      assert.equal(tryWith("exit 1", { [setting]: other }).obstacle, `code 1; ${OTHERWISE}`);
    });
  }

  test("is the first of several settings", () => {
    const settings = { "user/max_mnt_namespaces": "0", "user/max_user_namespaces": "0" };
    assert.equal(tryWith("exit 1", settings).obstacle, "code 1; raise user.max_user_namespaces");
  });
});
