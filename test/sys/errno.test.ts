/** Numbers to names and words. */

import assert from "node:assert/strict";
import { constants } from "node:os";
import { describe, test } from "node:test";
import { check, errnoName, errnoText, SystemError } from "../../src/sys/errno.ts";

describe("errno", () => {
  test("agrees with the runtime about every number it names", () => {
    const names = Object.entries(constants.errno);
    assert.ok(names.length > 50);
    for (const [name, number] of names) {
      const ours = errnoName(number);
      if (ours === `E${number}`) continue;
      // Linux has two names for these two.
      const aliases: Record<string, string> = { EWOULDBLOCK: "EAGAIN", ENOTSUP: "EOPNOTSUPP" };
      assert.equal(ours, aliases[name] ?? name);
    }
  });

  test("has a text of its own for every number, in lower case", () => {
    const texts = new Set<string>();
    for (let number = 1; number <= 133; number += 1) {
      const text = errnoText(number);
      if (errnoName(number) === `E${number}`) assert.equal(text, `system error ${number}`);
      else assert.match(text, /^[a-z][a-z A-Z-]{6,}/, errnoName(number));
      assert.equal(texts.has(text), false, `"${text}" is two errors'`);
      texts.add(text);
    }
  });

  test("takes either sign and numbers it does not know", () => {
    assert.equal(errnoName(-111), "ECONNREFUSED");
    assert.equal(errnoText(-111), "connection refused");
    assert.equal(errnoName(4000), "E4000");
    assert.equal(errnoText(4000), "system error 4000");
  });

  test("check passes results through and throws for errors", () => {
    assert.equal(check(0, "Do nothing"), 0);
    assert.equal(check(7, "Do nothing"), 7);
    assert.throws(
      () => check(-13, 'Open "/dev/net/tun"'),
      (error) =>
        error instanceof SystemError &&
        error.errno === 13 &&
        error.code === "EACCES" &&
        error.message === 'Open "/dev/net/tun": permission denied (EACCES)',
    );
  });
});
