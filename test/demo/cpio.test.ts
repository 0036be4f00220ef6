/** Archives that the kernel unpacks: fields, order and alignment of the "newc" form. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { cpioArchive } from "../../src/lab/demo/cpio.ts";

const HEADER = 110;

/** Name, mode and content of each record. */
function records(archive: Uint8Array): [string, number, string][] {
  const text = Buffer.from(archive).toString("latin1");
  const found: [string, number, string][] = [];
  for (let at = 0; at < text.length; ) {
    assert.equal(text.slice(at, at + 6), "070701");
    const field = (i: number): number =>
      Number.parseInt(text.slice(at + 6 + i * 8, at + 14 + i * 8), 16);
    const name = text.slice(at + HEADER, at + HEADER + field(11) - 1);
    const start = at + ((HEADER + field(11) + 3) & ~3);
    found.push([name, field(1), text.slice(start, start + field(6))]);
    at = start + ((field(6) + 3) & ~3);
  }
  return found;
}

describe("cpio archive", () => {
  test("has every entry in its order, and an end", () => {
    const archive = cpioArchive([
      { kind: "folder", path: "bin" },
      { kind: "file", path: "bin/a", content: "12345", executable: true },
      { kind: "file", path: "etc", content: Uint8Array.of(0x41) },
      { kind: "device", path: "dev", major: 5, minor: 1 },
    ]);
    assert.equal(archive.length % 4, 0);
    assert.deepEqual(records(archive), [
      ["bin", 0o040755, ""],
      ["bin/a", 0o100755, "12345"],
      ["etc", 0o100644, "A"],
      ["dev", 0o020600, ""],
      ["TRAILER!!!", 0o100644, ""],
    ]);
  });
});
