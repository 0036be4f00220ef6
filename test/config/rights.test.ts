/** Who to be and whether to load the filter, as told by options. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConfigError } from "../../src/config/errors.ts";
import { readGroup } from "../../src/config/option.ts";
import { RIGHTS_OPTIONS } from "../../src/config/rights.ts";
import type { Settings } from "../../src/config/settings.ts";

function read(values: Readonly<Record<string, string>>) {
  const settings: Settings = new Map(
    Object.entries(values).map(([name, value]) => [name, { values: [value], origin: `--${name}` }]),
  );
  return readGroup(RIGHTS_OPTIONS, settings);
}

describe("rights", () => {
  test("are given up as far as they can, unless something is asked for", () => {
    assert.deepEqual(read({}), { user: undefined, seccomp: true });
    assert.equal(read({ "no-seccomp": "true" }).seccomp, false);
  });

  test("a user is a number or one of two names, and so is its group", () => {
    const user = (text: string) => read({ user: text }).user;
    assert.deepEqual(user("107"), { uid: 107, gid: 107 });
    assert.deepEqual(user("107:36"), { uid: 107, gid: 36 });
    assert.deepEqual(user("root"), { uid: 0, gid: 0 });
    assert.deepEqual(user("nobody:107"), { uid: 65534, gid: 107 });
    assert.deepEqual(user("4294967294"), { uid: 4294967294, gid: 4294967294 });
  });

  for (const text of [
    "",
    ":",
    "1:",
    ":1",
    "-1",
    "1:2:3",
    "4294967295",
    "qemu",
    "1e3",
    "toString",
  ]) {
    test(`"${text}" is no user`, () => {
      const problem = `parse --user "${text}": wanted UID[:GID] in numbers, "root" or "nobody"`;
      assert.throws(() => read({ user: text }), new ConfigError(problem));
    });
  }
});
