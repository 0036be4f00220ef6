/** What a guest under QEMU needs, and how its console is read; test/e2e boots one. */
import assert from "node:assert/strict";
import process from "node:process";
import { describe, test } from "node:test";
import { readAnswer } from "../../src/lab/demo/guest-image.ts";
import { guestMissing } from "../../src/lab/demo/guest-machine.ts";

describe("what is missing for a guest under QEMU", () => {
  test("is said by name", { skip: process.arch !== "x64" && "for x86_64" }, () => {
    assert.equal(
      guestMissing(() => true),
      undefined,
    );
    assert.match(guestMissing((name) => !name.startsWith("qemu")) ?? "", /package qemu-system-x86/);
    assert.match(guestMissing((name) => name !== "dpkg-deb") ?? "", /needs apt-get and dpkg-deb/);
  });
});

describe("the console", () => {
  test("is read up to the answer", () => {
    const text = "one\r\ntwo\r\n@@ 0\r\nthree\r\n@@ 1\r\n";
    const first = readAnswer(text);
    assert.deepEqual(first, { code: "0", output: "one\ntwo\n", size: 16 });
    assert.deepEqual(readAnswer(text.slice(16)), { code: "1", output: "three\n", size: 13 });
  });

  test("has no answer before its line is whole", () => {
    assert.equal(readAnswer("working\r\n@@ 0"), undefined);
    assert.equal(readAnswer(""), undefined);
  });
});
